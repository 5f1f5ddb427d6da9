//! What the statuses of both kinds share: conditions, and how one is set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Kubernetes condition, with the bounds that its API documentation names.
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
    /// CamelCase, for machines.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people: what is, and what to do. Always sent: server-side apply cannot clear what is left out.
    #[schemars(length(max = 32_768))]
    pub message: String,
    /// RFC 3339, when `status` last changed.
    #[schemars(length(max = 64))]
    pub last_transition_time: String,
    /// The generation it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The type of each condition there is.
pub mod conditions {
    /// Model: everything below is so.
    pub const READY: &str = "Ready";
    /// Model: the ClickHouse tables are as the spec says.
    pub const TABLE_READY: &str = "TableReady";
    /// Model: the Kafka topic is as the spec says.
    pub const TOPIC_READY: &str = "TopicReady";
    /// Model: the worker Deployment is there and not stuck.
    pub const WORKERS_READY: &str = "WorkersReady";
    /// Job: ended with rows loaded, or with nothing to load.
    pub const COMPLETE: &str = "Complete";
    /// Job: ended without.
    pub const FAILED: &str = "Failed";
    /// Job: chunks of it cannot be loaded now. Present only while that is so.
    pub const STALLED: &str = "Stalled";
}

/// Sets a condition in a list: the time moves only when the status does.
///
/// `now` is RFC 3339. `message` is cut to the field's bound.
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

/// Whether a condition of this type is there and `True`.
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
