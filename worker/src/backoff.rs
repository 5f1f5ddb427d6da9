//! How long to wait before trying again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use connect::backoff::doubled;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Returns the wait after failure number `attempt` (from 0). It doubles from 100 ms to 10 s; up to a half of it is
/// subtracted, so that workers that failed together do not try again together. `jitter` is any random number.
#[must_use]
pub fn delay(attempt: u32, jitter: u64) -> Duration {
    let full = doubled(FIRST, LONGEST, attempt);
    let half = full / 2;
    half + half * u32::from((jitter & 0xff) as u8) / 255
}

/// Returns a random number.
#[must_use]
pub fn jitter() -> u64 {
    RandomState::new().hash_one(0u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds_and_jitter_takes_at_most_half() {
        assert_eq!(delay(0, 255), Duration::from_millis(100));
        assert_eq!(delay(0, 0), Duration::from_millis(50));
        assert_eq!(delay(3, 255), Duration::from_millis(800));
        assert_eq!(delay(7, 255), LONGEST);
        assert_eq!(delay(u32::MAX, 0), LONGEST / 2);
    }
}
