//! How long to wait before the next try, for each object separately.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use connect::backoff::doubled;
use parking_lot::Mutex;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LIMIT: Duration = Duration::from_mins(1);

/// Returns the wait after `failures` failures in a row: 1 s, 2 s, 4 s … 60 s. `failures` counts from 1.
#[must_use]
pub fn delay(failures: u32) -> Duration {
    doubled(FIRST, LIMIT, failures.saturating_sub(1))
}

/// The number of failures in a row, by object.
#[derive(Debug)]
pub struct Backoff<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Backoff<K> {
    /// Counts one more failure and returns how long to wait now.
    pub fn failed(&self, key: K) -> Duration {
        let mut map = self.0.lock();
        let failures = map.entry(key).or_insert(0);
        *failures += 1;
        delay(*failures)
    }

    /// Forgets the failures of an object. Call it after a success, or when the object is deleted.
    pub fn reset(&self, key: &K) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_waits_longer_with_each_failure_of_its_own() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.failed("a").as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.failed("b").as_secs(), 1);
        backoff.reset(&"a");
        assert_eq!(backoff.failed("a").as_secs(), 1);
    }
}
