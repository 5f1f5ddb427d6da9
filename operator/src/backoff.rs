//! How long to wait before the next try, for each object on its own.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest wait.
const LIMIT: Duration = Duration::from_mins(1);

/// 1 s, 2 s, 4 s … 60 s after so many failures in a row (`failures` counts from 1).
#[must_use]
pub fn delay(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LIMIT)
}

/// Failures in a row of each object.
#[derive(Debug)]
pub struct Backoff<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Backoff<K> {
    /// One more failure: how long to wait now.
    pub fn failed(&self, key: K) -> Duration {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = map.entry(key).or_insert(0);
        *failures += 1;
        delay(*failures)
    }

    /// It went well, or the object is gone.
    pub fn reset(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
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
