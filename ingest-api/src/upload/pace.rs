//! Decides whether a client sends fast enough. Pure: times are arguments.
//!
//! Only the time in which the server waits for the client counts: the client is not responsible for a slow Kafka.

use std::time::Duration;

/// The time over which a rate is measured.
pub const WINDOW: Duration = Duration::from_secs(30);

/// The bytes of a client, and the time in which the server waited for them.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Bytes per second; 0: any rate is enough.
    least: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// A measurement against the least rate, in bytes per second; with 0 no client is too slow.
    #[must_use]
    pub fn new(least: u64) -> Self {
        Self { least, waited: Duration::ZERO, bytes: 0 }
    }

    /// Returns how long the next wait may take before the rate is checked.
    #[must_use]
    pub fn left(&self) -> Duration {
        WINDOW.saturating_sub(self.waited)
    }

    /// Adds `bytes` bytes that arrived after a wait. Returns whether the client is still fast enough.
    #[must_use]
    pub fn note(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < WINDOW {
            return true;
        }
        let enough = u128::from(self.least) * self.waited.as_millis() <= u128::from(self.bytes) * 1000;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_client_is_too_slow_only_after_a_full_window_of_waiting() {
        let mut pace = Pace::new(1024);
        assert!((0..29).all(|_| pace.note(SECOND, 10)));
        assert_eq!(pace.left(), SECOND);
        assert!(!pace.note(SECOND, 10));
    }

    #[test]
    fn exactly_the_least_rate_is_fast_enough() {
        let mut pace = Pace::new(1024);
        assert!((0..300).all(|_| pace.note(SECOND, 1024)));
        assert!(!(0..30).all(|_| pace.note(SECOND, 1023)));
    }

    #[test]
    fn time_that_is_not_spent_waiting_does_not_count() {
        let mut pace = Pace::new(1024);
        assert!((0..10_000).all(|_| pace.note(Duration::ZERO, 1)));
        assert_eq!(pace.left(), WINDOW);
    }

    #[test]
    fn without_a_least_rate_nothing_is_too_slow() {
        let mut pace = Pace::new(0);
        assert!(pace.note(WINDOW * 100, 0));
    }
}
