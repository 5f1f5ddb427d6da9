//! Whether a client sends fast enough. Pure: times come as arguments.
//!
//! Only time in which the server waits for the client counts: a slow Kafka is not the client's fault.

use std::time::Duration;

/// For how long a rate is measured.
pub const WINDOW: Duration = Duration::from_secs(30);

/// The bytes of a client over the time that was spent waiting for them.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Bytes a second; 0: any rate will do.
    least: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// A measure by the least rate, in bytes a second; with 0 nothing is too slow.
    #[must_use]
    pub fn new(least: u64) -> Self {
        Self { least, waited: Duration::ZERO, bytes: 0 }
    }

    /// How long the next wait may take before the rate is looked at.
    #[must_use]
    pub fn left(&self) -> Duration {
        WINDOW.saturating_sub(self.waited)
    }

    /// Notes that so many bytes came after so long a wait. Says whether the client is still fast enough.
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
    fn a_client_is_too_slow_only_after_a_whole_window_of_waiting() {
        let mut pace = Pace::new(1024);
        assert!((0..29).all(|_| pace.note(SECOND, 10)));
        assert_eq!(pace.left(), SECOND);
        assert!(!pace.note(SECOND, 10));
    }

    #[test]
    fn the_least_rate_itself_is_fast_enough() {
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
