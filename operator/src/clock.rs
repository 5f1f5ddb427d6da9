//! Times as text. The clock is read only in [`crate::context::Context::now`].

use jiff::{SignedDuration, Timestamp};

/// Writes a time as RFC 3339 in UTC, with milliseconds.
#[must_use]
pub fn text(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Writes a time as RFC 3339 in UTC, with whole seconds, as Kubernetes does in conditions.
#[must_use]
pub fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// Reads a time that [`text`] wrote, or any other RFC 3339 text.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Returns the time from `from` to `to` as `MM:SS`. More than 99 minutes take more digits. If `to` is before `from`,
/// it is zero.
#[must_use]
pub fn minutes(from: Timestamp, to: Timestamp) -> String {
    let seconds = elapsed(from, to).as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// Returns the time from `from` to `to`, at least zero.
#[must_use]
pub fn elapsed(from: Timestamp, to: Timestamp) -> SignedDuration {
    to.duration_since(from).max(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_minutes_and_seconds() {
        let at = |text: &str| parse(text).unwrap();
        let start = at("2024-05-18T10:00:00Z");
        assert_eq!(minutes(start, at("2024-05-18T10:00:02.900Z")), "00:02");
        assert_eq!(minutes(start, at("2024-05-18T12:01:01Z")), "121:01");
        assert_eq!(minutes(start, at("2024-05-18T09:00:00Z")), "00:00");
        assert_eq!(text(at("2024-05-18T10:00:02.9Z")), "2024-05-18T10:00:02.900Z");
        assert_eq!(seconds(at("2024-05-18T10:00:02.9Z")), "2024-05-18T10:00:02Z");
    }
}
