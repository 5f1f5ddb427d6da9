//! What the statuses of both kinds have in common: conditions, and how one is set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Kubernetes condition, with the bounds of the Kubernetes API documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(length(max = 7))]
    pub status: String,
    /// CamelCase, for programs.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people: what is wrong, and what to do. Always sent: server-side apply cannot clear a field that is left out.
    #[schemars(length(max = 32_768))]
    pub message: String,
    /// When `status` last changed, RFC 3339.
    #[schemars(length(max = 64))]
    pub last_transition_time: String,
    /// The generation that the condition describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The types of the conditions.
pub mod conditions {
    /// Model: all conditions below are true.
    pub const READY: &str = "Ready";
    /// Model: the ClickHouse tables are as the spec specifies.
    pub const TABLE_READY: &str = "TableReady";
    /// Model: the Kafka topic is as the spec specifies.
    pub const TOPIC_READY: &str = "TopicReady";
    /// Model: the worker Deployment exists, and nothing stops it from starting workers.
    pub const WORKERS_READY: &str = "WorkersReady";
    /// Job: it ended with rows loaded, or with nothing to load.
    pub const COMPLETE: &str = "Complete";
    /// Job: it ended in any other way.
    pub const FAILED: &str = "Failed";
    /// Job: chunks of it cannot be loaded now. The condition is present only while that is true.
    pub const STALLED: &str = "Stalled";
}

/// Sets a condition in a list. The time changes only when the status changes.
///
/// `now` is RFC 3339. `message` is cut to 2,048 characters.
pub fn set_condition(list: &mut Vec<Condition>, mut new: Condition, now: &str) {
    new.message = new.message.chars().take(2048).collect();
    now.clone_into(&mut new.last_transition_time);
    match list.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time.clone_from(&old.last_transition_time);
            }
            *old = new;
        }
        None => list.push(new),
    }
}

/// Returns whether a condition of this type is present and `True`.
#[must_use]
pub fn is_true(list: &[Condition], type_: &str) -> bool {
    list.iter().any(|c| c.type_ == type_ && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(status: &str, reason: &str) -> Condition {
        Condition {
            type_: "Ready".into(),
            status: status.into(),
            reason: reason.into(),
            ..Condition::default()
        }
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_does() {
        let mut list = vec![];
        set_condition(&mut list, condition("False", "A"), "t1");
        set_condition(&mut list, condition("False", "B"), "t2");
        assert_eq!((list[0].reason.as_str(), list[0].last_transition_time.as_str()), ("B", "t1"));
        set_condition(&mut list, condition("True", "C"), "t3");
        assert_eq!(list[0].last_transition_time, "t3");
        assert!(is_true(&list, "Ready") && list.len() == 1);
    }
}
