//! How long to wait before the next try.

use std::time::Duration;

/// Returns the wait after failure number `failure` (from 0): `first`, twice as long with each further failure, at most
/// `longest`.
#[must_use]
pub fn doubled(first: Duration, longest: Duration, failure: u32) -> Duration {
    2u32.checked_pow(failure).map_or(longest, |times| first.saturating_mul(times).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let wait = |failure| doubled(second, 60 * second, failure).as_secs();
        assert_eq!([0, 1, 2, 5, 6, 31, 32, u32::MAX].map(wait), [1, 2, 4, 32, 60, 60, 60, 60]);
    }
}
