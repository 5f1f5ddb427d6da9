//! The upload API and the operator. Besides the workers, they write the job's object.

use crate::actions::ApiStep;
use crate::clickhouse::Counts;
use crate::file::{CHUNKS, File, Record};
use crate::guards::{Guard, Protocol};
use crate::state::{Event, JobState, Log, Request, State, Upload};

impl Protocol {
    /// A request takes over the upload. `None` if it is refused.
    ///
    /// The status is read, checked and written in one step: a write with the resource version that was read succeeds
    /// only if no one else wrote in between.
    pub(crate) fn start(&self, state: &mut State, file: File) -> Option<()> {
        let contents = self.second_file.contents(file);
        let upload = &mut state.job.upload;
        let same_prefix = contents.prefix(upload.chunks) == upload.digest;
        let same_first = upload.first_chunk.is_none_or(|other| other == contents.other(0));
        let refused = upload.complete
            || (self.is_on(Guard::PrefixDigest) && !same_prefix)
            || (self.is_on(Guard::FirstChunkDigest) && upload.chunks == 0 && !same_first);
        // The first file is the file that the first request sends.
        let is_first = contents == self.second_file.contents(File::First);
        let pointless = file == File::Second && (is_first || state.requests_made == 0);
        let pod = state.requests.iter().position(Option::is_none)?;
        if refused || pointless {
            return None;
        }
        upload.epoch += 1;
        let fixed = upload.chunks > 0 || upload.first_chunk.is_some() || !self.is_on(Guard::FirstChunkDigest);
        state.requests[pod] = Some(Request {
            epoch: upload.epoch,
            file,
            from: upload.chunks,
            next: upload.chunks,
            written: upload.chunks,
            first_chunk_fixed: fixed,
            digest: upload.digest,
            ends: [0, 0],
        });
        state.requests_made += 1;
        Some(())
    }

    /// A request does its next step. After its last step it ends.
    pub(crate) fn request(&self, state: &mut State, epoch: u8, step: ApiStep) {
        let Some(at) = state.requests.iter().position(|r| r.is_some_and(|r| r.epoch == epoch)) else {
            return;
        };
        let Some(mut request) = state.requests[at].take() else { return };
        let continues = match step {
            ApiStep::FixFirstChunk => self.fix_first_chunk(state, &mut request),
            ApiStep::Produce => {
                self.produce(state, &mut request);
                true
            }
            ApiStep::Acknowledge => {
                self.write_upload(state, &mut request, false);
                true
            }
            ApiStep::Complete => {
                self.write_upload(state, &mut request, true);
                false
            }
            ApiStep::Stop => false,
        };
        state.requests[at] = continues.then_some(request);
        order(&mut state.requests);
    }

    fn fix_first_chunk(&self, state: &mut State, request: &mut Request) -> bool {
        let own = self.second_file.contents(request.file).other(0);
        let overtaken = request.epoch < state.job.upload.epoch;
        if overtaken && self.is_on(Guard::EpochFencing) {
            return false;
        }
        if state.job.upload.first_chunk.is_some_and(|other| other != own) {
            return false;
        }
        if overtaken {
            state.events = state.events.with(Event::OlderEpochWrote);
        }
        state.job.upload.first_chunk = Some(own);
        request.first_chunk_fixed = true;
        true
    }

    fn produce(&self, state: &mut State, request: &mut Request) {
        let chunk = request.next;
        let other = self.second_file.contents(request.file).other(chunk);
        let recut = !self.is_on(Guard::PureBatches) && request.from == 1;
        let record = Record { chunk, other, recut };
        let partition = self.partition(record);
        let log = &mut state.logs[partition];
        log.push(record);
        if !self.is_on(Guard::LastOffsetsOfAllRequests) {
            request.ends[partition] = log.end;
        }
        if other {
            state.events = state.events.with(Event::SecondFileSent);
        }
        request.digest = request.digest.with(chunk, other);
        request.next += 1;
    }

    fn write_upload(&self, state: &mut State, request: &mut Request, complete: bool) {
        let before = state.job.upload;
        if request.epoch < before.epoch {
            state.events = state.events.with(Event::OlderEpochWrote);
        }
        if before.complete || request.next < before.chunks {
            state.events = state.events.with(Event::UploadWentBack);
        }
        let ends = match (complete, self.is_on(Guard::LastOffsetsOfAllRequests)) {
            (false, _) => [0, 0],
            (true, true) => state.logs.map(|log| log.end),
            (true, false) => request.ends,
        };
        state.job.upload = Upload { chunks: request.next, digest: request.digest, complete, ends, ..before };
        request.written = request.next;
    }

    /// Returns the states in which the operator may end the job.
    pub(crate) fn possible_ends(&self, state: &State) -> impl Iterator<Item = JobState> {
        let old = !self.is_on(Guard::EndByCompareAndSwap);
        let old = old.then(|| self.end_of(state, state.job.old_counts)).flatten();
        self.end_of(state, state.job.counts).into_iter().chain(old)
    }

    fn end_of(&self, state: &State, counts: Counts) -> Option<JobState> {
        let (job, upload) = (&state.job, &state.job.upload);
        if job.is_over() || !upload.complete {
            return None;
        }
        let rows = job.rows(self.second_file);
        if !self.is_on(Guard::EndByLines) && counts.rows >= rows {
            return Some(JobState::Success);
        }
        let all_chunks = counts.chunks >= CHUNKS;
        if counts.chunks > CHUNKS || counts.rows > rows || (all_chunks && counts.rows != rows) {
            return Some(JobState::ChunkConflict);
        }
        if all_chunks {
            let same = counts.digest == upload.digest || !self.is_on(Guard::EndByDigest);
            return Some(if same { JobState::Success } else { JobState::ChunkConflict });
        }
        let consumed = |(log, end): (&Log, &u8)| log.committed >= *end || log.start >= *end;
        state.logs.iter().zip(&upload.ends).all(consumed).then_some(JobState::ChunksLost)
    }
}

/// Puts the older request first, so that it does not matter which pod has which request.
pub(crate) fn order(requests: &mut [Option<Request>; 2]) {
    if requests[0].is_none() {
        requests.swap(0, 1);
    }
}
