//! What the worker counts, under `batch_worker_`.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The counters. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    chunks: Family<Outcome, Counter>,
    rows: Family<Outcome, Counter>,
    bytes: Counter,
    stages: Family<Stage, Histogram, fn() -> Histogram>,
    retries: Family<Reason, Counter>,
    lag: Gauge<i64, AtomicI64>,
    unfinished: Gauge<i64, AtomicI64>,
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

/// What became of a chunk.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// In the ledger, by us.
    Loaded,
    /// It was in the ledger already.
    Skipped,
    /// Its job is gone or has ended.
    Dropped,
    /// In the dead letter topic.
    DeadLetter,
}

impl Metrics {
    /// Everything registered in a registry.
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
        };
        let mut registry = Registry::with_prefix("batch_worker");
        registry.register("chunks", "Chunks, by what became of them", all.chunks.clone());
        registry.register("rows", "Rows judged, by whether they were loaded", all.rows.clone());
        registry.register_with_unit("read", "Bytes of chunks checked", Unit::Bytes, all.bytes.clone());
        registry.register_with_unit(
            "stage",
            "Time a chunk spends in a stage",
            Unit::Seconds,
            all.stages.clone(),
        );
        registry.register("retries", "Calls that failed and are made again, by reason", all.retries.clone());
        registry.register("lag_chunks", "Chunks that wait in the partitions of this worker", all.lag.clone());
        registry.register("unfinished_chunks", "Chunks taken and not yet reported", all.unfinished.clone());
        (all, connect::Metrics::new(registry))
    }

    /// A chunk has met its fate.
    pub fn chunk(&self, fate: Fate) {
        let outcome = match fate {
            Fate::Loaded => "loaded",
            Fate::Skipped => "skipped",
            Fate::Dropped => "dropped",
            Fate::DeadLetter => "dead_letter",
        };
        self.chunks.get_or_create(&Outcome { outcome }).inc();
    }

    /// Rows were judged, from so many bytes.
    pub fn judged(&self, ok: u32, rejected: u32, bytes: usize) {
        self.rows.get_or_create(&Outcome { outcome: "ok" }).inc_by(u64::from(ok));
        self.rows.get_or_create(&Outcome { outcome: "rejected" }).inc_by(u64::from(rejected));
        self.bytes.inc_by(bytes as u64);
    }

    /// A chunk spent `time` in `stage`: `prepare`, `check`, `data`, `rejects`, `ledger`; a round of reports in `report`.
    pub fn stage(&self, stage: &'static str, time: Duration) {
        self.stages.get_or_create(&Stage { stage }).observe(time.as_secs_f64());
    }

    /// A call failed and is made again.
    pub fn retried(&self, reason: &'static str) {
        self.retries.get_or_create(&Reason { reason }).inc();
    }

    /// Chunks that wait in our partitions.
    pub fn lag(&self, chunks: i64) {
        self.lag.set(chunks);
    }

    /// Chunks that were taken and are not yet reported.
    pub fn unfinished(&self, chunks: usize) {
        self.unfinished.set(i64::try_from(chunks).unwrap_or(i64::MAX));
    }
}

/// From 1 ms to 65 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_what_became_of_the_chunk() {
        let (metrics, _) = Metrics::register();
        metrics.chunk(Fate::Loaded);
        metrics.chunk(Fate::Loaded);
        metrics.chunk(Fate::Skipped);
        assert_eq!(metrics.chunks.get_or_create(&Outcome { outcome: "loaded" }).get(), 2);
        assert_eq!(metrics.chunks.get_or_create(&Outcome { outcome: "skipped" }).get(), 1);
    }
}
