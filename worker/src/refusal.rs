//! Decides when an INSERT that ClickHouse refuses is tried no more. Pure: the clock is an argument.

use std::time::{Duration, Instant};

use crate::error::Class;

/// The number of identical refusals after which a batch is parked.
pub const PARK_ATTEMPTS: u32 = 5;
/// The least time from the first of these refusals to the last.
pub const PARK_AFTER: Duration = Duration::from_secs(10);
/// The number of identical answers about a limit after which a batch is parked. A limit that was reached may be free
/// again.
pub const LIMIT_ATTEMPTS: u32 = 8;
/// The least time from the first of these answers to the last.
pub const LIMIT_AFTER: Duration = Duration::from_secs(60);

/// Why a batch cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// CamelCase, for programs.
    pub reason: String,
    /// For people. It contains no value of a cell.
    pub message: String,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Wait and try again.
    Wait,
    /// Report it in the job's status, wait and try again.
    Report,
    /// Park the batch.
    Park,
}

/// The identical refusals of one batch so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    same: Option<Same>,
}

#[derive(Clone, Copy, Debug)]
struct Same {
    code: u32,
    first: Instant,
    attempts: u32,
}

impl Refusals {
    /// Notes a failed attempt: its class, and the code of the answer if there was one.
    pub fn note(&mut self, class: Class, code: Option<u32>, now: Instant) -> Decision {
        let (Class::Refusal | Class::Limit, Some(code)) = (class, code) else {
            self.same = None;
            return Decision::Wait;
        };
        let same = match &mut self.same {
            Some(same) if same.code == code => same,
            other => other.insert(Same { code, first: now, attempts: 0 }),
        };
        same.attempts += 1;
        let persists = |attempts, after| same.attempts >= attempts && now.duration_since(same.first) >= after;
        match class {
            Class::Limit if persists(LIMIT_ATTEMPTS, LIMIT_AFTER) => Decision::Park,
            Class::Limit if persists(PARK_ATTEMPTS, PARK_AFTER) => Decision::Report,
            Class::Limit => Decision::Wait,
            _ if persists(PARK_ATTEMPTS, PARK_AFTER) => Decision::Park,
            _ => Decision::Report,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(answers: &[(u64, Class, Option<u32>)]) -> Vec<Decision> {
        let (start, mut refusals) = (Instant::now(), Refusals::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        answers.iter().map(|(seconds, class, code)| refusals.note(*class, *code, at(*seconds))).collect()
    }

    #[test]
    fn a_refusal_is_reported_at_once_and_parks_after_five_identical_ones_over_ten_seconds() {
        use Decision::{Park, Report};
        let refused = |seconds| (seconds, Class::Refusal, Some(16));
        assert_eq!(
            decisions(&[0, 1, 2, 3, 9, 10].map(refused)),
            [Report, Report, Report, Report, Report, Park]
        );
        assert_eq!(decisions(&[0, 4, 8, 12, 16].map(refused)), [Report, Report, Report, Report, Park]);
    }

    #[test]
    fn another_answer_or_an_outage_restarts_the_count() {
        let refused = |seconds, code| (seconds, Class::Refusal, Some(code));
        let mut answers = vec![refused(0, 16), refused(1, 16), refused(2, 16), refused(3, 16)];
        answers.push((5, Class::Outage, None));
        answers.push(refused(20, 16));
        answers.push(refused(40, 242));
        let decisions = decisions(&answers);
        assert!(!decisions.contains(&Decision::Park), "{decisions:?}");
        assert_eq!(decisions[4], Decision::Wait);
    }

    #[test]
    fn an_outage_and_a_setting_that_a_person_has_to_change_are_retried_without_limit() {
        for class in [Class::Outage, Class::Configuration] {
            let answers: Vec<_> = (0..100).map(|n| (n * 10, class, Some(60))).collect();
            assert!(decisions(&answers).iter().all(|decision| *decision == Decision::Wait));
        }
    }

    #[test]
    fn a_limit_that_is_exceeded_for_a_minute_also_parks_the_batch() {
        let answers: Vec<_> = (0..9).map(|n| (n * 8, Class::Limit, Some(252))).collect();
        let decisions = decisions(&answers);
        assert_eq!(decisions[0], Decision::Wait);
        assert_eq!(decisions[7], Decision::Report, "56 s");
        assert_eq!(decisions[8], Decision::Park, "64 s");
    }
}
