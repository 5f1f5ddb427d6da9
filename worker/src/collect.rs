//! The open batches: they collect checked chunks until the batch is complete.
//!
//! An open batch never stops the others. It uses memory of the budget. If that memory is needed, the batch that was
//! idle longest is evicted: its blocks are dropped, and its chunks are read from Kafka again when all of them have
//! arrived.

mod lost;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::ChunkHeader;
use parking_lot::{Mutex, MutexGuard};

use crate::batch::{Batch, BatchChunks, BatchData, Content, Noted};
use crate::budget::{Budget, Lane};
use crate::check::CheckedChunk;
use crate::done::InLedger;
use crate::insert::rejects::RejectLimits;
use crate::job::{InFlight, Job};
use crate::metrics::{ChunkOutcome, Metrics};
use crate::plan::Target;
use crate::refusal::Refusal;
use crate::report::ProgressUpdate;
use crate::tracker::Ticket;

/// If no chunk arrives for this time, the worker checks whether the job of an open batch has ended.
const IDLE: Duration = Duration::from_secs(5);
/// An open batch grows if a chunk arrived within this time, which corresponds to an upload of 20 MB/s.
const GROWING: Duration = Duration::from_millis(50);
/// How long an open batch of an ended job is kept while it is not known whether more chunks of it come.
const UNKNOWN_END: Duration = Duration::from_secs(600);

/// The open batches and those that are being inserted.
#[derive(Debug)]
pub struct Collector {
    budget: Arc<Budget>,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<Key, Open>,
    in_flight: HashMap<Key, Inserting>,
}

#[derive(Debug)]
struct Open {
    batch: Batch,
    touched: Instant,
}

/// Why an open batch is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Its partition is no longer assigned to this worker.
    Left,
    /// Its job has ended.
    JobEnded,
    /// The rest of it can no longer come.
    Lost,
}

/// The chunks of a batch that arrive while it is inserted.
#[derive(Debug)]
struct Inserting {
    chunks: BatchChunks,
    tickets: Vec<Ticket>,
}

/// The key of a batch. Chunks of another assignment of the partition make another batch, because the tickets of the
/// earlier assignment are invalid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    job: String,
    first_chunk: u32,
    assignment: u64,
}

/// A chunk that is added to its batch.
#[derive(Debug)]
pub struct Arrival {
    /// Its header.
    pub header: ChunkHeader,
    /// Its ticket.
    pub ticket: Ticket,
    /// Its job.
    pub job: InFlight,
    /// Its lane.
    pub lane: Lane,
    /// What is known of its rows.
    pub rows: ArrivedRows,
}

/// What is known of the rows of a chunk.
#[derive(Debug)]
pub enum ArrivedRows {
    /// They were checked.
    Checked(Arc<Target>, Box<CheckedChunk>),
    /// They were not checked, because the batch does not keep them now.
    Unchecked,
    /// They cannot be checked.
    Refused(Refusal),
}

/// What to do after a chunk was added.
#[derive(Debug)]
pub enum Added {
    /// Nothing: the batch waits for more chunks, is being inserted, or its partition is no longer assigned to this
    /// worker.
    Nothing,
    /// Insert the batch.
    Complete(Box<Batch>),
    /// Report to the job, then finish the tickets: the chunk is in the ledger, or its job has a conflict.
    Report(ProgressUpdate),
}

/// What the check of a chunk must return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Block and rejects; the rejects within these limits.
    Rows(RejectLimits),
    /// Nothing: the batch keeps no rows, or has the chunk already.
    Nothing,
}

impl Key {
    /// Returns the key of a chunk's batch.
    #[must_use]
    pub fn of(header: &ChunkHeader, ticket: &Ticket) -> Self {
        let assignment = ticket.assignment();
        Self { job: header.job.clone(), first_chunk: header.batch.first_chunk, assignment }
    }
}

impl Collector {
    /// Makes a collector without batches.
    #[must_use]
    pub fn new(budget: Arc<Budget>, metrics: Metrics) -> Self {
        Self { budget, metrics, state: Mutex::default() }
    }

    /// Waits until another chunk may be checked. The memory of batches that are being inserted becomes free without
    /// further action. If there are none, an open batch is evicted.
    pub async fn admit(&self, lane: Lane) {
        self.make_space(lane, 1).await;
    }

    /// Waits until `bytes` more bytes may be used, or nothing is left to evict.
    pub async fn make_space(&self, lane: Lane, bytes: u64) {
        while !self.budget.has_space(lane, bytes) {
            self.budget.wait(lane, bytes).await;
            if self.budget.has_space(lane, bytes) || !self.evict() {
                return;
            }
        }
    }

    /// Returns what the check of this chunk must return. For a job that has ended nothing is kept, because few of its
    /// batches are inserted.
    #[must_use]
    pub fn wanted(&self, header: &ChunkHeader, ticket: &Ticket, job: &Job) -> Wanted {
        let (key, state) = (Key::of(header, ticket), self.state());
        if job.has_ended() || state.in_flight.contains_key(&key) {
            return Wanted::Nothing;
        }
        let (cells, bytes) = match state.open.get(&key).map(|open| &open.batch) {
            None => (0, 0),
            Some(batch) => match &batch.content {
                // A chunk that arrives again is checked although it is not needed; that is rare.
                Content::Data(data) => (data.reject_count, data.reject_bytes()),
                Content::Evicted | Content::Refused(_) | Content::Taken => return Wanted::Nothing,
            },
        };
        Wanted::Rows(RejectLimits::remaining(cells, bytes, job.remaining_quota()))
    }

    /// Adds a chunk to its batch.
    pub fn add(&self, arrival: Arrival, now: Instant) -> Added {
        let Arrival { header, ticket, job, lane, rows } = arrival;
        if !ticket.is_valid() {
            return Added::Nothing;
        }
        let mut state = self.state();
        match job.job().find(&header) {
            InLedger::Loaded => {
                job.release_quota(&rows);
                self.metrics.chunks(ChunkOutcome::Skipped, 1);
                return Added::Report(ProgressUpdate { job: job.job().clone(), tickets: vec![ticket] });
            }
            InLedger::Other => return conflict(&mut state, &header, &job, ticket, "the ledger"),
            InLedger::No | InLedger::Parked => {}
        }
        let key = Key::of(&header, &ticket);
        let offset = ticket.position().1;
        if let Some(inserting) = state.in_flight.get_mut(&key) {
            if inserting.chunks.note(&header, offset) != Noted::Repeated {
                return conflict(&mut state, &header, &job, ticket, "the batch that is being inserted");
            }
            // Fails only if the partition is being revoked: then the ticket is dropped with the others.
            let _ = ticket.set_in_flight();
            inserting.tickets.push(ticket);
            return Added::Nothing;
        }
        let open = state.open.entry(key.clone()).or_insert_with(|| Open {
            batch: Batch {
                header: header.clone(),
                job: job.job().begin(),
                lane,
                chunks: BatchChunks::default(),
                tickets: Vec::new(),
                content: self.content(lane, &rows),
            },
            touched: now,
        });
        open.touched = now;
        match open.batch.chunks.note(&header, offset) {
            Noted::Conflict => return conflict(&mut state, &header, &job, ticket, "its batch"),
            Noted::Repeated => job.release_quota(&rows),
            Noted::New => open.batch.take(header.chunk, rows),
        }
        ticket.set_waiting();
        open.batch.tickets.push(ticket);
        let added = if open.batch.chunks.is_complete() { complete(&mut state, &key) } else { Added::Nothing };
        drop(state);
        self.update_metrics();
        added
    }

    /// Ends a batch. Returns the tickets of those of its chunks that arrived again in the meantime.
    #[must_use]
    pub fn finish(&self, key: &Key) -> Vec<Ticket> {
        let tickets =
            self.state().in_flight.remove(key).map(|inserting| inserting.tickets).unwrap_or_default();
        self.update_metrics();
        tickets
    }

    /// Returns the jobs of batches that were idle for some seconds.
    #[must_use]
    pub fn idle_jobs(&self, now: Instant) -> Vec<Arc<Job>> {
        let state = self.state();
        let idle = state.open.values().filter(|open| now.duration_since(open.touched) >= IDLE);
        let mut jobs: Vec<Arc<Job>> = idle.map(|open| open.batch.job.job().clone()).collect();
        jobs.sort_unstable_by(|a, b| a.uid.cmp(&b.uid));
        jobs.dedup_by(|a, b| a.uid == b.uid);
        jobs
    }

    /// Drops the batches whose partition is no longer assigned to this worker, and the idle ones of jobs that have
    /// ended; the tickets of the latter are finished. A batch that may have been delivered before is kept until it is
    /// known that no more of it comes: if all of it arrives, its rows may be in the table, and then they must be
    /// counted. An idle batch of any job is dropped when its other chunks can no longer come. The ledger has no line of
    /// it, so the operator ends the job.
    pub fn sweep(&self, now: Instant) {
        let mut state = self.state();
        let over = state.open.iter().filter_map(|(key, open)| Some((key.clone(), open.ending(now)?)));
        let over: Vec<(Key, Ending)> = over.collect();
        let over =
            over.into_iter().filter_map(|(key, ending)| Some((state.open.remove(&key)?.batch, ending)));
        let over: Vec<(Batch, Ending)> = over.collect();
        drop(state);
        for (batch, ending) in over {
            batch.release_quota();
            let outcome = match ending {
                Ending::Left => continue,
                Ending::JobEnded => ChunkOutcome::Dropped,
                Ending::Lost => {
                    let (job, first_chunk) = (&batch.header.name, batch.header.batch.first_chunk);
                    let chunks = batch.chunks.count();
                    tracing::warn!(
                        job,
                        first_chunk,
                        chunks,
                        "Kafka has no more chunks of a batch: giving it up"
                    );
                    ChunkOutcome::Lost
                }
            };
            self.metrics.chunks(outcome, batch.tickets.len());
            batch.tickets.into_iter().for_each(Ticket::finish);
        }
        self.update_metrics();
    }

    /// Evicts the open batch that was idle longest. Returns false if no batch keeps rows.
    fn evict(&self) -> bool {
        let mut state = self.state();
        let with_rows = state.open.values_mut().filter(|open| open.kept_bytes() > 0);
        let Some(open) = with_rows.min_by_key(|open| open.touched) else { return false };
        open.batch.evict();
        let (job, first_chunk) = (&open.batch.header.name, open.batch.header.batch.first_chunk);
        tracing::debug!(job, first_chunk, "an open batch leaves memory; it is read from Kafka again");
        drop(state);
        self.metrics.evicted();
        self.update_metrics();
        true
    }

    /// If many batches are open and use much memory, returns the only partition to take more chunks from, in addition
    /// to that of small jobs. It is the partition of the fullest batch, so that batches are completed one after the
    /// other and none must be evicted. The fullest batch counts only if it is growing now: no other upload waits for a
    /// slow one.
    #[must_use]
    pub fn crowded(&self, now: Instant) -> Option<i32> {
        if self.budget.used().open <= self.budget.limit() / 4 {
            return None;
        }
        let state = self.state();
        let with_rows = state.open.values().filter(|open| open.kept_bytes() > 0);
        let many = with_rows.clone().nth(1).is_some();
        let fullest = with_rows.max_by_key(|open| open.kept_bytes())?;
        let grows = now.duration_since(fullest.touched) < GROWING;
        let ticket = fullest.batch.tickets.first().filter(|_| many && grows)?;
        Some(ticket.position().0)
    }

    fn content(&self, lane: Lane, rows: &ArrivedRows) -> Content {
        match rows {
            ArrivedRows::Checked(target, _) => {
                Content::Data(BatchData::new(target.clone(), self.budget.share(lane)))
            }
            ArrivedRows::Unchecked => Content::Evicted,
            ArrivedRows::Refused(refusal) => Content::Refused(refusal.clone()),
        }
    }

    /// Returns the budget of the batches.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    fn update_metrics(&self) {
        let used = self.budget.used();
        self.metrics.batch_memory(used.open + used.in_flight + used.small);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Open {
    /// Returns what a batch of [`Lane::Bulk`] keeps in memory, in bytes. This becomes free if the batch is evicted.
    fn kept_bytes(&self) -> u64 {
        match &self.batch.content {
            Content::Data(data) if self.batch.lane == Lane::Bulk => data.share.bytes(),
            _ => 0,
        }
    }

    /// Returns why the batch is no longer kept, or `None` if it is kept.
    fn ending(&self, now: Instant) -> Option<Ending> {
        let (batch, idle) = (&self.batch, now.duration_since(self.touched));
        let job = batch.job.job();
        if !batch.is_valid() {
            return Some(Ending::Left);
        }
        if job.has_ended() && is_over(batch, idle) {
            return Some(Ending::JobEnded);
        }
        if idle < IDLE {
            return None;
        }
        let last_offset = lost::last_offset(job.last_offsets(), batch.partition());
        let arrived = batch.tickets.first().and_then(Ticket::arrived);
        let parked = job.find(&batch.header) == InLedger::Parked;
        lost::is_lost(last_offset, arrived, parked).then_some(Ending::Lost)
    }
}

impl Batch {
    /// Adds what is known of the rows of a new chunk.
    fn take(&mut self, number: u32, rows: ArrivedRows) {
        match (&mut self.content, rows) {
            (Content::Data(data), ArrivedRows::Checked(_, chunk)) => data.add(number, *chunk),
            (Content::Data(_), ArrivedRows::Unchecked) => self.evict(),
            (Content::Data(_) | Content::Evicted, ArrivedRows::Refused(refusal)) => {
                self.release_quota();
                self.content = Content::Refused(refusal);
            }
            (_, rows) => self.job.release_quota(&rows),
        }
    }

    /// Drops what is kept of the rows.
    pub fn evict(&mut self) {
        self.release_quota();
        if matches!(self.content, Content::Data(_)) {
            self.content = Content::Evicted;
        }
    }

    /// Frees the job's quota for its bad cells, because they are not stored now.
    pub fn release_quota(&self) {
        if let Content::Data(data) = &self.content {
            self.job.job().will_not_store(data.reject_count);
        }
    }
}

impl InFlight {
    /// Frees the job's quota for a chunk's bad cells, because the chunk is not kept.
    fn release_quota(&self, rows: &ArrivedRows) {
        if let ArrivedRows::Checked(_, chunk) = rows {
            self.job().will_not_store(chunk.rejects.count);
        }
    }
}

/// Returns whether a batch of an ended job no longer has to wait for more chunks.
fn is_over(batch: &Batch, idle: Duration) -> bool {
    if !batch.is_maybe_delivered() || batch.tickets.first().is_none_or(Ticket::is_past_end) {
        return idle >= IDLE;
    }
    idle >= UNKNOWN_END
}

/// Hands the batch over to be inserted, if its partition is still assigned to this worker.
fn complete(state: &mut State, key: &Key) -> Added {
    let Some(Open { mut batch, .. }) = state.open.remove(key) else { return Added::Nothing };
    if !batch.chunks.is_contiguous(batch.header.batch.first_row) {
        batch.release_quota();
        let first = batch.header.batch.first_chunk;
        let message = format!(
            "the rows of the batch of chunk {first} do not follow one another: they are of different files"
        );
        return end_job(state, batch.job.job(), message, batch.tickets);
    }
    if !batch.tickets.iter().all(Ticket::set_in_flight) {
        batch.release_quota();
        return Added::Nothing;
    }
    if let Content::Data(data) = &mut batch.content {
        data.share.set_in_flight();
    }
    let inserting = Inserting { chunks: batch.chunks.clone(), tickets: Vec::new() };
    state.in_flight.insert(key.clone(), inserting);
    Added::Complete(Box::new(batch))
}

/// Ends the job, because another chunk has a number that is already in use.
fn conflict(state: &mut State, header: &ChunkHeader, job: &InFlight, ticket: Ticket, found: &str) -> Added {
    let message = format!(
        "chunk {} came with other bytes than those in {found}: two files were sent for this job; make a new job",
        header.chunk
    );
    end_job(state, job.job(), message, vec![ticket])
}

/// Ends the job: its open batches are dropped, and all tickets are finished when the job's status has the reason.
fn end_job(state: &mut State, job: &Arc<Job>, message: String, mut tickets: Vec<Ticket>) -> Added {
    tracing::error!(job = job.name, message, "ChunkConflict");
    job.set_conflict(message);
    for (_, open) in state.open.extract_if(|key, _| key.job == job.uid) {
        open.batch.release_quota();
        tickets.extend(open.batch.tickets);
    }
    Added::Report(ProgressUpdate { job: job.clone(), tickets })
}
