//! The times of a plan. They are durations, not conditions: a plan says when a fault begins and how long it lasts.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until a point in time of the plan.
pub fn wait_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// Keeps a fault for its time.
pub fn keep_for(ms: u64) {
    wait_until(Instant::now() + Duration::from_millis(ms));
}
