//! One upload, from the first byte of its body to the last write of `status.upload`.
//!
//! **Promise:** `status.upload` is always written at the end: complete, with the problem of the file, or with the byte
//! from which an interrupted upload continues. Only an upload that another request has taken up writes nothing.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use axum::body::Body;
use crds::ChunkHeader;
use crds::job::{IngestJob, UploadError, UploadStatus};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use rows_split::{Chunk, Position};
use rows_types::Digest;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::admission::Admission;
use crate::error::{ApiError, FileProblem};
use crate::produce::{Acknowledged, Delivered};
use crate::state::Shared;
use crate::upload::body::{BodyEnd, Bounds, pipe, pump};
use crate::upload::cut::{self, Cut, CutFailure, Piece};
use crate::upload::pace;
use crate::upload::prepare::{Prepared, kept_header};
use crate::upload::progress::{Progress, ends_the_upload};
use crate::upload::resume::{acknowledge, complete, first_chunk, note_offset};

/// The most bytes of one upload in flight to Kafka. One chunk may always be sent.
const WINDOW_BYTES: u64 = 8 << 20;
/// The most chunks of one upload in flight.
const WINDOW_CHUNKS: usize = 32;

/// An upload that is ready to begin.
pub struct Upload {
    /// What all requests have in common.
    pub app: Shared,
    /// What the upload needs to know.
    pub prepared: Prepared,
    /// The writer of its status. It may have claimed the upload already.
    pub progress: Progress,
    /// The Content-Length.
    pub length: Option<u64>,
    /// The upload's permit and memory, held until it ends.
    pub admission: Admission,
}

/// A chunk in flight to Kafka.
struct Sent {
    chunk: (u32, Digest),
    after: Position,
    bytes: u64,
    acknowledged: Acknowledged,
}

/// The memory of a chunk in flight.
enum Slot {
    /// A part of what the upload has reserved.
    Own,
    /// A part of the free budget.
    Shared(OwnedSemaphorePermit),
}

/// How the body ended.
enum End {
    /// It was read to its end.
    Complete { bytes: u64, digest: Digest },
    /// It was interrupted. All chunks that were cut before are acknowledged.
    Interrupted,
}

impl Upload {
    /// Streams the body in a task of its own: if the client disconnects, the upload is still ended properly.
    pub async fn run(self, body: Body) -> Result<IngestJob, ApiError> {
        let task = tokio::spawn(self.finish(body));
        task.await.unwrap_or_else(|e| Err(ApiError::Internal(format!("the upload ended early: {e}"))))
    }

    async fn finish(self, body: Body) -> Result<IngestJob, ApiError> {
        let Self { app, prepared, mut progress, length, admission } = self;
        let gauge = app.metrics.uploads.clone();
        gauge.inc();
        let mut stream =
            Stream { status: prepared.status.clone(), app, prepared, admission, has_chunks: false };
        let outcome = stream.read(body, length, &mut progress).await;
        let result = stream.conclude(outcome, &mut progress).await;
        gauge.dec();
        result
    }
}

struct Stream {
    app: Shared,
    prepared: Prepared,
    status: UploadStatus,
    admission: Admission,
    /// Whether the body gave at least one chunk.
    has_chunks: bool,
}

/// The threads and tasks of one body. They end when this is dropped.
struct Source {
    cuts: mpsc::Receiver<Cut>,
    /// Sends the memory of chunks back for later chunks.
    used: SyncSender<Vec<u8>>,
    pump: JoinHandle<BodyEnd>,
    _wanted: oneshot::Sender<()>,
}

/// Chunks in flight, in order.
#[derive(Default)]
struct InFlight {
    chunks: FuturesOrdered<BoxFuture<'static, Sent>>,
    bytes: u64,
}

impl InFlight {
    /// Returns the memory for one more chunk of `bytes` bytes: the upload's own if no other is in flight, or memory of
    /// `rest`.
    fn slot(&self, bytes: u64, rest: impl FnOnce() -> Option<OwnedSemaphorePermit>) -> Option<Slot> {
        if self.chunks.is_empty() {
            return Some(Slot::Own);
        }
        let fits = self.chunks.len() < WINDOW_CHUNKS && self.bytes + bytes <= WINDOW_BYTES;
        if fits { rest().map(Slot::Shared) } else { None }
    }
}

impl Stream {
    async fn read(
        &mut self,
        body: Body,
        length: Option<u64>,
        progress: &mut Progress,
    ) -> Result<End, ApiError> {
        let mut source = self.start(body, length);
        let mut in_flight = InFlight::default();
        let mut slot = None;
        let mut end = None;
        loop {
            if end.is_some() && in_flight.chunks.is_empty() {
                return match end {
                    Some(End::Complete { bytes, digest }) => Ok(End::Complete { bytes, digest }),
                    _ => self.interrupted(source.pump).await,
                };
            }
            if slot.is_none() && end.is_none() {
                let bytes = self.prepared.task.limits.chunk_bytes as u64;
                slot = in_flight.slot(bytes, || self.admission.budget.try_reserve(bytes));
            }
            tokio::select! {
                Some(Sent { chunk, after, bytes, acknowledged }) = in_flight.chunks.next() => {
                    in_flight.bytes -= bytes;
                    self.acknowledged(&after, chunk, bytes, acknowledged?);
                    progress.set(self.status.clone());
                }
                cut = source.cuts.recv(), if slot.is_some() && end.is_none() => match cut {
                    Some(Ok(Piece::Header { raw, columns })) => {
                        self.status.header = kept_header(&raw);
                        self.prepared.columns = Some(columns);
                    }
                    Some(Ok(Piece::Chunk(chunk, after))) => {
                        self.claim(&chunk, progress).await?;
                        in_flight.bytes += chunk.bytes.len() as u64;
                        in_flight.chunks.push_back(self.send(&chunk, after, slot.take())?);
                        // Kafka's client has a copy. If the thread has ended or has enough memory, it needs no more.
                        let _ = source.used.try_send(chunk.bytes);
                    }
                    Some(Ok(Piece::End { bytes, digest })) => end = Some(End::Complete { bytes, digest }),
                    Some(Err(CutFailure::Interrupted)) => end = Some(End::Interrupted),
                    Some(Err(CutFailure::File(problem))) => return Err(self.file(problem)),
                    Some(Err(CutFailure::TooLarge(limit))) => return Err(ApiError::UploadTooLarge { limit }),
                    Some(Err(CutFailure::Memory(error))) => return Err(error.into()),
                    None => return Err(ApiError::Internal("the cutting thread ended early".into())),
                },
                ended = progress.watch() => return Err(ended),
            }
        }
    }

    /// Starts the pump and the cutting thread.
    fn start(&mut self, body: Body, length: Option<u64>) -> Source {
        let (pieces, reader) = pipe();
        let settings = &self.app.settings;
        let bounds = Bounds { length, idle: settings.idle_timeout(), least_rate: settings.min_upload_rate };
        let (wanted, wants) = oneshot::channel();
        let pump = tokio::spawn(pump(body, bounds, self.app.stop.clone(), wants, pieces));
        let (to, cuts) = mpsc::channel(1);
        let (used, free) = sync_channel(1);
        let (task, memory) = (self.prepared.task.clone(), self.admission.memory.clone());
        tokio::task::spawn_blocking(move || cut::run(reader, task, memory, &to, &free));
        Source { cuts, used, pump, _wanted: wanted }
    }

    /// Called before each chunk is sent. Before the first one it writes what must not change after that. Fails if the
    /// upload began with another file.
    async fn claim(&mut self, chunk: &Chunk, progress: &mut Progress) -> Result<(), ApiError> {
        self.has_chunks = true;
        let mut is_new = !progress.is_claimed();
        if chunk.number == 0 {
            let first = first_chunk(chunk);
            match &self.status.first_chunk {
                Some(begun) if *begun != first => {
                    return Err(ApiError::DifferentFile(self.prepared.job.name.clone()));
                }
                Some(_) => {}
                None => {
                    self.status.first_chunk = Some(first);
                    is_new = true;
                }
            }
        }
        if is_new {
            progress.write(&self.status).await?;
        }
        Ok(())
    }

    fn send(
        &self,
        chunk: &Chunk,
        after: Position,
        slot: Option<Slot>,
    ) -> Result<BoxFuture<'static, Sent>, ApiError> {
        let Prepared { job, revision, topic, partitions, task, columns, .. } = &self.prepared;
        let header = ChunkHeader {
            job: job.uid.clone(),
            name: job.name.clone(),
            chunk: chunk.number,
            first_row: chunk.first_row,
            rows: chunk.rows,
            batch: chunk.batch,
            ends_batch: chunk.ends_batch,
            digest: chunk.digest,
            revision: revision.clone(),
            input: task.input.clone(),
            columns: columns.clone(),
        };
        let single = chunk.number == 0 && chunk.last;
        let partition = crds::names::partition(&job.uid, chunk.batch.number, single, *partitions);
        let bytes = chunk.bytes.len() as u64;
        let permit = match slot {
            Some(Slot::Shared(permit)) => Some(permit),
            Some(Slot::Own) | None => None,
        };
        let sent = Arc::clone(&self.app.kafka).send(topic, partition, &header, &chunk.bytes, permit)?;
        let chunk = (chunk.number, chunk.digest);
        Ok(sent.map(move |acknowledged| Sent { chunk, after, bytes, acknowledged }).boxed())
    }

    fn acknowledged(&mut self, position: &Position, chunk: (u32, Digest), bytes: u64, at: Delivered) {
        let metrics = &self.app.metrics;
        metrics.produce.observe(at.took.as_secs_f64());
        metrics.chunks.inc();
        metrics.bytes.inc_by(bytes);
        let rows = self.status.rows;
        acknowledge(&mut self.status, position, chunk);
        note_offset(&mut self.status, at.partition, at.offset);
        metrics.rows.inc_by(u64::try_from(self.status.rows - rows).unwrap_or(0));
    }

    /// Returns why the body was interrupted.
    async fn interrupted(&self, pump: JoinHandle<BodyEnd>) -> Result<End, ApiError> {
        match pump.await {
            Ok(BodyEnd::TooSlow) => Err(ApiError::UploadTooSlow {
                rate: self.app.settings.min_upload_rate,
                seconds: pace::WINDOW.as_secs(),
            }),
            Ok(BodyEnd::Stopped) => Err(ApiError::Stopping),
            _ => Ok(End::Interrupted),
        }
    }

    /// Makes the error for a problem of the file; or the error that it is another file than the one with which the
    /// upload began.
    fn file(&self, problem: FileProblem) -> ApiError {
        if self.lacks_its_first_chunk() {
            return ApiError::DifferentFile(self.prepared.job.name.clone());
        }
        problem.into()
    }

    /// Returns whether the file gave no chunk although the upload began with one.
    fn lacks_its_first_chunk(&self) -> bool {
        let from_start = self.prepared.task.at == Position::START;
        from_start && !self.has_chunks && self.prepared.status.first_chunk.is_some()
    }

    async fn conclude(
        mut self,
        outcome: Result<End, ApiError>,
        progress: &mut Progress,
    ) -> Result<IngestJob, ApiError> {
        let is_another = self.lacks_its_first_chunk();
        let (job, status) = (&self.prepared.job.name, &mut self.status);
        let error = match outcome {
            Ok(End::Complete { .. }) if is_another => ApiError::DifferentFile(job.clone()),
            Ok(End::Complete { bytes, digest }) => {
                complete(status, bytes, digest);
                let written = progress.write(status).await?;
                tracing::info!(job, bytes, rows = status.rows, chunks = status.chunks, "upload complete");
                return Ok(written);
            }
            Ok(End::Interrupted) => ApiError::UploadInterrupted,
            Err(error) => error,
        };
        tracing::info!(job, reason = error.reason(), offset = status.offset, "upload ended early");
        match &error {
            // There is nothing to write to, or it belongs to another request or another file.
            ApiError::DifferentFile(_) => return Err(error),
            _ if ends_the_upload(&error) => return Err(error),
            ApiError::File(problem) => {
                status.error = Some(problem.as_status());
                status.header = None;
            }
            ApiError::UploadTooLarge { .. } => {
                status.error =
                    Some(UploadError { reason: error.reason().into(), message: error.to_string() });
            }
            // Nothing arrived, so there is nothing to write.
            _ if !progress.is_claimed() => return Err(error),
            _ => {}
        }
        if let Err(failed) = progress.write(status).await {
            tracing::warn!(job, error = %failed, "failed to write the end of an upload");
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    const CHUNK: u64 = 960 * 1024;

    fn in_flight(chunks: u64) -> InFlight {
        let pending = (0..chunks).map(|_| futures::future::pending().boxed());
        InFlight { chunks: pending.collect(), bytes: chunks * CHUNK }
    }

    #[test]
    fn one_chunk_may_always_be_sent_and_others_only_if_memory_is_free() {
        let budget = Budget::new(3 * CHUNK);
        let slot = |chunks| in_flight(chunks).slot(CHUNK, || budget.try_reserve(CHUNK));
        let slots: Vec<_> = (1..=3).map(|chunks| slot(chunks).unwrap()).collect();
        assert!(slot(4).is_none(), "the budget is used up");
        assert!(matches!(slot(0), Some(Slot::Own)), "this memory was reserved before");
        drop(slots);
        assert!(matches!(slot(4), Some(Slot::Shared(_))));
        assert!(slot(8).is_none(), "one upload takes 8 MiB at most");
    }
}
