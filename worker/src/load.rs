//! The last stage: inserts complete batches into ClickHouse, in the order data, rejects, ledger. Each batch has a task
//! of its own, and holds a slot only during its attempts. So a batch that ClickHouse refuses does not delay the others.

mod data;
mod ended;
mod evicted;
mod park;
mod slots;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use self::slots::{Slot, Slots};
use crate::backoff;
use crate::batch::{Batch, BatchData, Content};
use crate::buffers::Buffers;
use crate::collect::{Collector, Key};
use crate::dead_letter::DeadLetters;
use crate::done::{BatchLine, InLedger};
use crate::error::Failure;
use crate::insert::Inserter;
use crate::insert::ledger::LedgerEntry;
use crate::jobs::Jobs;
use crate::metrics::{ChunkOutcome, Metrics};
use crate::plan::Targets;
use crate::refusal::Refusal;
use crate::report::ProgressUpdate;
use crate::reread::Reread;
use crate::retry::Retry;
use crate::stop::Stopped;
use crate::tracker::Ticket;

/// What the loader needs from other modules.
pub struct LoaderParts {
    /// The inserts into ClickHouse.
    pub inserter: Inserter,
    /// The known jobs, to check whether a job continues.
    pub jobs: Arc<Jobs>,
    /// The targets, to check batches that are read again.
    pub targets: Arc<Targets>,
    /// The collector of the batches.
    pub collector: Arc<Collector>,
    /// The topic for refused batches.
    pub dead_letters: Arc<DeadLetters>,
    /// Reads chunks again.
    pub reread: Reread,
    /// Repeats calls that fail.
    pub retry: Retry,
    /// The metrics.
    pub metrics: Metrics,
    /// The buffers of the blocks.
    pub buffers: Buffers,
    /// Whether the table's engine replaces rows.
    pub replaces: bool,
    /// The receiver of progress.
    pub progress: UnboundedSender<ProgressUpdate>,
}

/// Loads batches.
pub struct Loader {
    parts: LoaderParts,
    /// Only one batch is read again at a time.
    rereads: Semaphore,
    slots: Slots,
}

impl std::ops::Deref for Loader {
    type Target = LoaderParts;

    fn deref(&self) -> &LoaderParts {
        &self.parts
    }
}

/// The outcome of a batch whose tickets can be finished.
enum Processed {
    /// It has a ledger line, from this worker or another: report it.
    InLedger(ChunkOutcome),
    /// It is not needed any more: finish its tickets.
    Over(ChunkOutcome),
}

/// Why a batch gets no ledger line with the outcome `loaded`.
enum NotLoaded {
    /// It is left to another worker.
    GivenUp,
    /// Its job has ended.
    Dropped,
    /// It must be parked.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Whether an attempt was sent to ClickHouse.
        attempted: bool,
    },
    /// Kafka no longer has its chunks.
    Lost,
}

impl From<Stopped> for NotLoaded {
    fn from(_: Stopped) -> Self {
        Self::GivenUp
    }
}

impl Loader {
    /// Makes a loader that inserts `width` batches at a time, and one small batch in addition.
    #[must_use]
    pub fn new(parts: LoaderParts, width: usize) -> Arc<Self> {
        Arc::new(Self { parts, rereads: Semaphore::new(1), slots: Slots::new(width) })
    }

    /// Loads batches until no more come. The budget of the collector limits their number.
    pub async fn run(self: Arc<Self>, mut complete: UnboundedReceiver<Box<Batch>>) {
        let mut running = JoinSet::new();
        while let Some(batch) = complete.recv().await {
            while running.try_join_next().is_some() {}
            running.spawn(self.clone().load(*batch));
        }
        while running.join_next().await.is_some() {}
    }

    async fn load(self: Arc<Self>, mut batch: Batch) {
        let Some(key) = batch.tickets.first().map(|ticket| Key::of(&batch.header, ticket)) else { return };
        let processed = self.process(&mut batch).await;
        let Batch { job: in_flight, mut tickets, chunks, content, .. } = batch;
        drop(content);
        let job = in_flight.job().clone();
        // Chunks of this batch that arrive again after this are found in the ledger.
        tickets.extend(self.collector.finish(&key));
        // This comes before the report: if it is the last batch, its job is idle and is reported at once.
        drop(in_flight);
        match processed {
            Ok(Processed::InLedger(outcome)) => {
                self.metrics.batch(outcome, chunks.count());
                // Fails only if the reporter has ended because the worker stops.
                let _ = self.progress.send(ProgressUpdate { job, tickets });
            }
            Ok(Processed::Over(outcome)) => {
                self.metrics.batch(outcome, chunks.count());
                tickets.into_iter().for_each(Ticket::finish);
            }
            Err(Stopped) => {}
        }
    }

    async fn process(&self, batch: &mut Batch) -> Result<Processed, Stopped> {
        let before = batch.job.job().find(&batch.header);
        if before == InLedger::Loaded {
            batch.release_quota();
            return Ok(Processed::InLedger(ChunkOutcome::Skipped));
        }
        // A parked batch was tried before: the table may remember its token for rows that were deleted.
        let maybe = before == InLedger::Parked || batch.is_maybe_delivered();
        let mut slot = self.slots.slot(batch.lane);
        let (refusal, attempted) = match self.insert(batch, maybe, &mut slot).await {
            Ok(()) => {
                batch.job.job().clear_problem(maybe);
                return Ok(Processed::InLedger(ChunkOutcome::Loaded));
            }
            Err(NotLoaded::Refused { refusal, attempted }) => (refusal, attempted),
            Err(NotLoaded::GivenUp) => return Err(Stopped),
            Err(NotLoaded::Dropped) => {
                batch.release_quota();
                return Ok(Processed::Over(ChunkOutcome::Dropped));
            }
            Err(NotLoaded::Lost) => return Ok(Processed::Over(ChunkOutcome::Lost)),
        };
        batch.release_quota();
        batch.content = Content::Taken;
        if attempted || maybe {
            self.clean(batch, &mut slot).await?;
        }
        self.park(batch, refusal, &mut slot).await?;
        Ok(Processed::InLedger(ChunkOutcome::Parked))
    }

    /// Inserts data, rejects and ledger line.
    async fn insert(&self, batch: &mut Batch, maybe: bool, slot: &mut Slot) -> Result<(), NotLoaded> {
        let mut maybe = maybe;
        if batch.job.job().has_ended() {
            if !batch.late_inserts(Instant::now()).is_zero() {
                // The batch waits for late inserts, and most likely it is dropped then.
                batch.evict();
            }
            if self.is_over(batch, maybe, slot).await? {
                return Err(NotLoaded::Dropped);
            }
        }
        self.restore(batch).await?;
        let data = match std::mem::replace(&mut batch.content, Content::Taken) {
            Content::Data(data) => data,
            Content::Refused(refusal) => return Err(NotLoaded::Refused { refusal, attempted: false }),
            Content::Evicted | Content::Taken => return Err(NotLoaded::GivenUp),
        };
        let rejects = data.reject_count;
        let result = self.insert_batch(batch, data, slot, &mut maybe).await;
        if result.is_err() {
            batch.job.job().will_not_store(rejects);
        }
        result
    }

    async fn insert_batch(
        &self,
        batch: &Batch,
        mut data: BatchData,
        slot: &mut Slot,
        maybe: &mut bool,
    ) -> Result<(), NotLoaded> {
        let blocks = data.take_blocks();
        if !blocks.is_empty() {
            let start = Instant::now();
            self.data(batch, &data, &blocks, slot, maybe).await?;
            self.metrics.stage("data", start.elapsed());
        }
        drop(blocks);
        let stored = self.rejects(batch, &data, slot, *maybe).await?;
        data.rejects.clear();
        let digests = batch.chunks.digests();
        let entry = LedgerEntry {
            header: &batch.header,
            digests: &digests,
            partition: batch.partition(),
            counts: data.counts,
            stored,
            summary: &data.summary,
            parked: None,
        };
        let start = Instant::now();
        self.call(batch, slot, "insert ledger", || self.inserter.ledger(&entry)).await?;
        self.metrics.stage("ledger", start.elapsed());
        batch.job.job().set_done(batch.header.batch.first_chunk, BatchLine { digests, loaded: true });
        Ok(())
    }

    /// Stores the bad cells. Returns how many of the batch are stored.
    async fn rejects(
        &self,
        batch: &Batch,
        data: &BatchData,
        slot: &mut Slot,
        maybe: bool,
    ) -> Result<u64, Stopped> {
        if data.counts.bad_cells == 0 {
            return Ok(0);
        }
        let (start, rows) = (Instant::now(), batch.rows());
        let count = || self.inserter.stored_rejects(&rows);
        let mut stored = if maybe { self.call(batch, slot, "count rejects", count).await? } else { 0 };
        if stored == 0 && data.reject_count > 0 {
            let token = format!("{}/r", batch.header.batch_token());
            let insert = || self.inserter.rejects(token.clone(), &data.rejects);
            self.call(batch, slot, "insert rejects", insert).await?;
        }
        if stored == 0 {
            stored = self.call(batch, slot, "count rejects", count).await?;
        }
        self.metrics.stage("rejects", start.elapsed());
        Ok(stored)
    }

    /// Returns how many rows of the batch the table has.
    async fn count(&self, batch: &Batch, slot: &mut Slot) -> Result<u64, Stopped> {
        self.metrics.looked_up();
        let rows = batch.rows();
        self.call(batch, slot, "count rows", || self.inserter.rows_in_table(&rows)).await
    }

    /// Repeats a call until it succeeds. Before each attempt it checks whether the partition of the batch is still
    /// assigned. Between attempts other batches can have its slot.
    async fn call<T, F>(
        &self,
        batch: &Batch,
        slot: &mut Slot,
        what: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempt = 0;
        loop {
            slot.acquire().await;
            if !batch.is_assigned() {
                return Err(Stopped);
            }
            match call().await {
                Ok(value) => {
                    self.retry.succeeded(what);
                    return Ok(value);
                }
                Err(failure) => self.retry.failed(what, attempt, &failure),
            }
            slot.release();
            self.retry.pause(backoff::delay(attempt, backoff::jitter())).await?;
            attempt = attempt.saturating_add(1);
        }
    }
}
