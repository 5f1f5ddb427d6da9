//! Whether the worker is alive and ready: alive while Kafka's thread turns, ready once it has joined its group and
//! while nothing is being waited out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connect::Health;

/// Without a turn of Kafka's thread for so long, only a restart helps.
const LONGEST_TURN: Duration = Duration::from_mins(1);

/// What `/healthz` and `/readyz` answer from.
#[derive(Clone, Debug)]
pub struct HealthTracker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    health: Health,
    start: Instant,
    beat_ms: AtomicU64,
    joined: AtomicBool,
    /// By what is tried: why it does not succeed, and since when.
    troubles: Mutex<BTreeMap<&'static str, (String, Instant)>>,
}

impl HealthTracker {
    /// Not ready yet, because of each of `untried`.
    #[must_use]
    pub fn new(health: Health, untried: &[&'static str]) -> Self {
        let start = Instant::now();
        let troubles = untried.iter().map(|what| (*what, ("not tried yet".to_owned(), start))).collect();
        Self(Arc::new(Inner {
            health,
            start,
            beat_ms: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            troubles: Mutex::new(troubles),
        }))
    }

    /// Kafka's thread turned.
    pub fn beat(&self) {
        self.0.beat_ms.store(self.millis(), Ordering::Relaxed);
    }

    /// The group gave us our partitions (perhaps none).
    pub fn joined(&self) {
        self.0.joined.store(true, Ordering::Relaxed);
        self.show();
    }

    /// `what` failed and is tried again.
    pub fn trouble(&self, what: &'static str, why: String) {
        let mut troubles = self.0.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.entry(what).or_insert_with(|| (String::new(), Instant::now())).0 = why;
        drop(troubles);
        self.show();
    }

    /// Since when `what` does not succeed.
    #[must_use]
    pub fn troubled_since(&self, what: &str) -> Option<Instant> {
        let troubles = self.0.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.get(what).map(|(_, since)| *since)
    }

    /// `what` succeeded.
    pub fn fine(&self, what: &'static str) {
        if self.0.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(what).is_some() {
            self.show();
        }
    }

    /// Watches the beat, for ever.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            let silent = self.millis().saturating_sub(self.0.beat_ms.load(Ordering::Relaxed));
            if u128::from(silent) > LONGEST_TURN.as_millis() {
                self.0.health.dead(format!("kafka's thread has not turned for {} s", silent / 1000));
            }
        }
    }

    fn show(&self) {
        let troubles = self.0.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match troubles.iter().next() {
            Some((what, (why, _))) => self.0.health.not_ready(format!("{what}: {why}")),
            None if !self.0.joined.load(Ordering::Relaxed) => self.0.health.not_ready("not in the group yet"),
            None => self.0.health.ready(),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_once_it_joined_and_while_nothing_is_waited_out() {
        let health = Health::default();
        let tracker = HealthTracker::new(health.clone(), &["clickhouse"]);
        let ready = || health.readiness().0.is_success();
        tracker.joined();
        assert!(!ready(), "ClickHouse has not answered yet");
        tracker.fine("clickhouse");
        assert!(ready());
        tracker.trouble("insert", "Timeout".into());
        let since = tracker.troubled_since("insert");
        tracker.trouble("insert", "UnknownTable".into());
        assert!(health.readiness().1.contains("UnknownTable"));
        assert!(
            since.is_some() && tracker.troubled_since("insert") == since,
            "another cause, the same trouble"
        );
        tracker.fine("insert");
        assert_eq!(tracker.troubled_since("insert"), None);
        assert!(ready());
    }
}
