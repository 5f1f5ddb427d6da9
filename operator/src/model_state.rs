//! What the operator remembers about a model between two reconciles. Losing it costs time but loses no facts.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::backoff;
use crate::scale::decide::History;

/// After this time everything is checked again, changed or not.
pub const RESYNC: SignedDuration = SignedDuration::from_secs(60);
/// The interval between readings of lag and rows while there is work.
pub const MEASURE: SignedDuration = SignedDuration::from_millis(1800);

/// What the operator remembers about a model.
#[derive(Clone, Debug, Default)]
pub struct ModelState {
    /// The result of making revision, table and topic.
    pub ensured: Option<Ensured>,
    /// The number of failures of that in a row.
    pub failures: u32,
    /// What was measured last.
    pub measured: Option<Measured>,
    /// What the scaling decisions depend on. `None` until the first decision.
    pub history: Option<History>,
    /// What was applied last.
    pub applied: Option<Applied>,
}

/// A problem: the reason and message of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// CamelCase.
    pub reason: &'static str,
    /// For people. It says what to do.
    pub message: String,
}

/// The result of making revision, table and topic.
#[derive(Clone, Debug)]
pub struct Ensured {
    /// The uid and generation of the model for which they were made.
    pub of: (String, i64),
    /// When.
    pub at: Timestamp,
    /// The table.
    pub table: Result<(), Fault>,
    /// The topic, with the number of its partitions.
    pub topic: Result<i32, Fault>,
}

/// What was measured last.
#[derive(Clone, Debug)]
pub struct Measured {
    /// When.
    pub at: Timestamp,
    /// Whether a job ran then.
    pub active: bool,
    /// Waiting chunks, by partition.
    pub lag: Option<Vec<i64>>,
    /// Rows in the table.
    pub rows: Option<i64>,
}

/// What was applied last. The objects themselves are not kept: a Secret can hold all CA certificates of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The [`fingerprint`] of `ServiceAccount`, `RoleBinding` and `Secret`.
    pub base: u64,
    /// The `resourceVersion` of the Secret.
    pub secret_version: String,
    /// The [`fingerprint`] of the Deployment.
    pub deployment: u64,
    /// Its `metadata.generation` after that.
    pub generation: Option<i64>,
}

/// Returns a hash of the JSON that is sent to the API server.
#[must_use]
pub fn fingerprint(object: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    // An object that is not JSON is never applied: the client refuses it, and nothing is remembered.
    hasher.write(&serde_json::to_vec(object).unwrap_or_default());
    hasher.finish()
}

impl Ensured {
    /// Returns whether table and topic are as the model specifies.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.table.is_ok() && self.topic.is_ok()
    }
}

impl ModelState {
    /// Returns whether revision, table and topic must be made (again).
    #[must_use]
    pub fn is_stale(&self, of: &(String, i64), now: Timestamp) -> bool {
        let Some(ensured) = &self.ensured else { return true };
        let age = now.duration_since(ensured.at);
        ensured.of != *of || age >= RESYNC || (self.failures > 0 && age >= self.retry_after())
    }

    /// Returns how long to wait after the failures so far.
    #[must_use]
    pub fn retry_after(&self) -> SignedDuration {
        SignedDuration::try_from(backoff::delay(self.failures)).unwrap_or(RESYNC)
    }

    /// Returns the number of chunks that wait in Kafka, if it was read.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        Some(self.measured.as_ref()?.lag.as_ref()?.iter().sum())
    }

    /// Returns whether lag and rows must be read again.
    #[must_use]
    pub fn is_measure_due(&self, active: bool, busy: bool, now: Timestamp) -> bool {
        let Some(measured) = &self.measured else { return true };
        let wait = if busy { MEASURE } else { RESYNC };
        measured.active != active || now.duration_since(measured.at) >= wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_model_is_made_again_when_it_changes_grows_old_or_has_failed_long_enough_ago() {
        let of = ("uid".to_owned(), 1);
        let mut state = ModelState::default();
        assert!(state.is_stale(&of, at(0)));
        state.ensured = Some(Ensured { of: of.clone(), at: at(0), table: Ok(()), topic: Ok(6) });
        assert!(!state.is_stale(&of, at(59)));
        assert!(state.is_stale(&of, at(60)));
        assert!(state.is_stale(&("uid".to_owned(), 2), at(1)));
        state.failures = 3;
        assert!(!state.is_stale(&of, at(3)));
        assert!(state.is_stale(&of, at(4)));
    }

    #[test]
    fn lag_is_read_often_only_while_there_is_work() {
        let mut state = ModelState::default();
        assert!(state.is_measure_due(false, false, at(0)));
        state.measured = Some(Measured { at: at(0), active: false, lag: None, rows: None });
        assert!(!state.is_measure_due(false, false, at(10)));
        assert!(state.is_measure_due(false, true, at(10)));
        assert!(state.is_measure_due(true, true, at(1)), "a job started");
        assert!(!state.is_measure_due(false, true, at(1)));
    }
}
