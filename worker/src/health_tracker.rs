//! Tracks whether the worker is alive and ready. It is alive while the loop of Kafka's thread runs. It is ready when it
//! has joined its group, while no failed call is being retried.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use connect::Health;
use parking_lot::Mutex;

/// If the loop of Kafka's thread makes no turn for this time, only a restart helps.
const LONGEST_TURN: Duration = Duration::from_mins(1);

/// The state for the answers of `/healthz` and `/readyz`.
#[derive(Clone, Debug)]
pub struct HealthTracker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    health: Health,
    start: Instant,
    heartbeat_ms: AtomicU64,
    joined: AtomicBool,
    /// The calls that fail, by their names: why they fail, and since when.
    failing: Mutex<BTreeMap<&'static str, (String, Instant)>>,
}

impl HealthTracker {
    /// Makes a tracker that is not ready until each of `untried` has succeeded.
    #[must_use]
    pub fn new(health: Health, untried: &[&'static str]) -> Self {
        let start = Instant::now();
        let failing = untried.iter().map(|what| (*what, ("not tried yet".to_owned(), start))).collect();
        Self(Arc::new(Inner {
            health,
            start,
            heartbeat_ms: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            failing: Mutex::new(failing),
        }))
    }

    /// Notes a turn of the loop of Kafka's thread.
    pub fn heartbeat(&self) {
        self.0.heartbeat_ms.store(self.millis(), Ordering::Relaxed);
    }

    /// Notes that the group has assigned the partitions of this worker (perhaps none).
    pub fn joined(&self) {
        self.0.joined.store(true, Ordering::Relaxed);
        self.update();
    }

    /// Notes that `what` failed and is tried again.
    pub fn failed(&self, what: &'static str, why: String) {
        let mut failing = self.0.failing.lock();
        failing.entry(what).or_insert_with(|| (String::new(), Instant::now())).0 = why;
        drop(failing);
        self.update();
    }

    /// Returns since when `what` fails.
    #[must_use]
    pub fn failing_since(&self, what: &str) -> Option<Instant> {
        let failing = self.0.failing.lock();
        failing.get(what).map(|(_, since)| *since)
    }

    /// Notes that `what` succeeded.
    pub fn succeeded(&self, what: &'static str) {
        if self.0.failing.lock().remove(what).is_some() {
            self.update();
        }
    }

    /// Checks the heartbeat, without end.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            let silent = self.millis().saturating_sub(self.0.heartbeat_ms.load(Ordering::Relaxed));
            if u128::from(silent) > LONGEST_TURN.as_millis() {
                self.0.health.dead(format!("kafka's thread has not turned for {} s", silent / 1000));
            }
        }
    }

    fn update(&self) {
        let failing = self.0.failing.lock();
        match failing.iter().next() {
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
    fn a_worker_is_ready_once_it_joined_and_while_no_call_fails() {
        let health = Health::default();
        let tracker = HealthTracker::new(health.clone(), &["clickhouse"]);
        let ready = || health.readiness().0.is_success();
        tracker.joined();
        assert!(!ready(), "ClickHouse has not answered yet");
        tracker.succeeded("clickhouse");
        assert!(ready());
        tracker.failed("insert", "Timeout".into());
        let since = tracker.failing_since("insert");
        tracker.failed("insert", "UnknownTable".into());
        assert!(health.readiness().1.contains("UnknownTable"));
        assert!(
            since.is_some() && tracker.failing_since("insert") == since,
            "another cause, the same failing call"
        );
        tracker.succeeded("insert");
        assert_eq!(tracker.failing_since("insert"), None);
        assert!(ready());
    }
}
