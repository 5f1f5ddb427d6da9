//! The metrics of the worker, under `batch_worker_`.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The metrics. A clone is cheap, and all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    chunks: Family<Outcome, Counter>,
    rows: Family<Outcome, Counter>,
    bytes: Counter,
    stages: Family<Stage, Histogram, fn() -> Histogram>,
    retries: Family<Reason, Counter>,
    lag: Gauge<i64, AtomicI64>,
    unfinished: Gauge<i64, AtomicI64>,
    batches: Family<Outcome, Counter>,
    lookups: Counter,
    evictions: Counter,
    batch_memory: Gauge<i64, AtomicI64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The outcome of a chunk or a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// This worker has loaded it and written it to the ledger.
    Loaded,
    /// It was in the ledger before.
    Skipped,
    /// Its job was deleted or has ended.
    Dropped,
    /// ClickHouse refuses its batch: it is in the dead-letter topic.
    Parked,
    /// Kafka no longer has it.
    Lost,
    /// It is not a chunk: it is in the dead-letter topic.
    DeadLetter,
}

impl ChunkOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
            Self::Parked => "parked",
            Self::Lost => "lost",
            Self::DeadLetter => "dead_letter",
        }
    }
}

impl Metrics {
    /// Registers all metrics in a registry.
    #[must_use]
    pub fn register() -> (Self, connect::Metrics) {
        let all = Self {
            chunks: Family::default(),
            rows: Family::default(),
            bytes: Counter::default(),
            stages: Family::new_with_constructor(seconds),
            retries: Family::default(),
            lag: Gauge::default(),
            unfinished: Gauge::default(),
            batches: Family::default(),
            lookups: Counter::default(),
            evictions: Counter::default(),
            batch_memory: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("batch_worker");
        registry.register("chunks", "Chunks, by outcome", all.chunks.clone());
        registry.register("rows", "Rows checked, by whether they were loaded", all.rows.clone());
        registry.register_with_unit("read", "Bytes of chunks checked", Unit::Bytes, all.bytes.clone());
        registry.register_with_unit(
            "stage",
            "Time a chunk or batch spends in a stage",
            Unit::Seconds,
            all.stages.clone(),
        );
        registry.register("retries", "Calls that failed and are made again, by reason", all.retries.clone());
        registry.register("lag_chunks", "Chunks that wait in the partitions of this worker", all.lag.clone());
        registry.register("unfinished_chunks", "Chunks taken and not yet reported", all.unfinished.clone());
        registry.register("batches", "Batches, by outcome", all.batches.clone());
        registry.register(
            "redelivery_lookups",
            "Batches looked up in the table because they may be there",
            all.lookups.clone(),
        );
        registry.register(
            "evicted_batches",
            "Open batches dropped from memory, to be read from Kafka again",
            all.evictions.clone(),
        );
        registry.register_with_unit(
            "held_batches",
            "Memory of open batches and of those being inserted",
            Unit::Bytes,
            all.batch_memory.clone(),
        );
        (all, connect::Metrics::new(registry))
    }

    /// Counts `count` chunks with this outcome.
    pub fn chunks(&self, outcome: ChunkOutcome, count: usize) {
        self.chunks.get_or_create(&Outcome { outcome: outcome.as_str() }).inc_by(count as u64);
    }

    /// Counts a batch of `chunks` chunks with this outcome.
    pub fn batch(&self, outcome: ChunkOutcome, chunks: usize) {
        self.batches.get_or_create(&Outcome { outcome: outcome.as_str() }).inc();
        self.chunks(outcome, chunks);
    }

    /// Counts a batch that was looked up in the table.
    pub fn looked_up(&self) {
        self.lookups.inc();
    }

    /// Counts an open batch that was evicted.
    pub fn evicted(&self) {
        self.evictions.inc();
    }

    /// Sets the memory of the batches, in bytes.
    pub fn batch_memory(&self, bytes: u64) {
        self.batch_memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts rows that were checked, and their `bytes` bytes.
    pub fn checked(&self, ok: u32, rejected: u32, bytes: usize) {
        self.rows.get_or_create(&Outcome { outcome: "ok" }).inc_by(u64::from(ok));
        self.rows.get_or_create(&Outcome { outcome: "rejected" }).inc_by(u64::from(rejected));
        self.bytes.inc_by(bytes as u64);
    }

    /// Records the `time` of a stage: of a chunk in `prepare` or `check`, of a batch in `data`, `rejects` or `ledger`,
    /// of a round of reports in `report`.
    pub fn stage(&self, stage: &'static str, time: Duration) {
        self.stages.get_or_create(&Stage { stage }).observe(time.as_secs_f64());
    }

    /// Counts a call that failed and is made again.
    pub fn retried(&self, reason: &'static str) {
        self.retries.get_or_create(&Reason { reason }).inc();
    }

    /// Sets the number of chunks that wait in the partitions of this worker.
    pub fn lag(&self, chunks: i64) {
        self.lag.set(chunks);
    }

    /// Sets the number of chunks that were taken and are not yet reported.
    pub fn unfinished(&self, chunks: usize) {
        self.unfinished.set(i64::try_from(chunks).unwrap_or(i64::MAX));
    }
}

/// Returns a histogram from 1 ms to 65 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_separately() {
        let (metrics, _) = Metrics::register();
        metrics.batch(ChunkOutcome::Loaded, 3);
        metrics.chunks(ChunkOutcome::Skipped, 1);
        let count = |of: &Family<Outcome, Counter>, outcome| of.get_or_create(&Outcome { outcome }).get();
        assert_eq!(count(&metrics.chunks, "loaded"), 3);
        assert_eq!(count(&metrics.chunks, "skipped"), 1);
        assert_eq!(count(&metrics.batches, "loaded"), 1);
    }
}
