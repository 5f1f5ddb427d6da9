//! Events on the custom resources. If an Event cannot be written, that is logged and ignored: nothing depends on it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// The most bytes that Kubernetes accepts in the note of an Event.
const MAX_NOTE: usize = 1024;

/// The content of an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// Whether a person should look at it.
    pub warning: bool,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub note: String,
    /// CamelCase. Events that differ only in their note are counted as one, with the first note.
    pub action: String,
}

impl EventNote {
    /// An Event about something that went as expected.
    #[must_use]
    pub fn normal(reason: &str, note: impl Into<String>) -> Self {
        Self { warning: false, reason: reason.into(), note: note.into(), action: "Reconcile".into() }
    }

    /// The number of workers of a model changed to `workers`.
    #[must_use]
    pub fn scaled(workers: i32, note: impl Into<String>) -> Self {
        Self { action: format!("ScaleTo{workers}"), ..Self::normal("Scaled", note) }
    }

    /// An Event that a person should look at.
    #[must_use]
    pub fn warning(reason: &str, note: impl Into<String>) -> Self {
        Self { warning: true, ..Self::normal(reason, note) }
    }
}

/// Writes Events.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// `instance` is the pod's name.
    #[must_use]
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self(Recorder::new(client, Reporter { controller: "batch-operator".into(), instance }))
    }

    /// Writes an Event about an object.
    pub async fn publish(&self, note: EventNote, about: &ObjectReference) {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason,
            note: Some(cut(note.note)),
            action: note.action,
            secondary: None,
        };
        if let Err(error) = self.0.publish(&event, about).await {
            tracing::warn!(%error, reason = event.reason, "failed to write an Event");
        }
    }
}

fn cut(mut note: String) -> String {
    if note.len() > MAX_NOTE {
        let end = (0..=MAX_NOTE).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
        note.truncate(end);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_two_characters() {
        let note = cut("ä".repeat(600));
        assert_eq!(note.len(), 1024);
        assert_eq!(cut("short".into()), "short");
    }
}
