//! What is reported about a model: its status and Events. Pure.

use crds::IngestModelStatus;
use crds::status::{Condition, conditions, set_condition};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use super::validate::ValidModel;
use crate::clock;
use crate::events::EventNote;
use crate::model_state::{Ensured, Fault, Measured};
use crate::scale::decide::Why;

/// The reason of a condition that is `True`.
const AS_WANTED: &str = "AsWanted";

/// The current workers.
#[derive(Clone, Copy, Debug)]
pub struct Workers<'a> {
    /// How many there should be.
    pub wanted: i32,
    /// Why this number.
    pub why: Why,
    /// Their Deployment, as last seen.
    pub deployment: Option<&'a Deployment>,
    /// What went wrong when the objects were applied.
    pub fault: Option<&'a Fault>,
}

/// Returns the status of a valid model.
#[must_use]
pub fn of_valid(
    model: &ValidModel,
    old: &IngestModelStatus,
    ensured: &Ensured,
    measured: Option<&Measured>,
    workers: &Workers<'_>,
    now: Timestamp,
) -> IngestModelStatus {
    let made = |what: &str, name: &str| format!("{what} {name} is as the spec says");
    let table = ensured.table.clone().map(|()| made("table", &model.table.name.plain()));
    let topic =
        ensured.topic.clone().map(|n| format!("{} with {n} partitions", made("topic", &model.topic.name)));
    let workers_state = workers_state(model, workers);
    let ready = [&table, &topic, &workers_state].into_iter().find_map(|state| state.as_ref().err());
    let ready = match ready {
        Some(fault) => Err(fault.clone()),
        None => Ok("files can be loaded".to_owned()),
    };
    // The status names a revision only after the table has its columns, because jobs are pinned to it.
    let revision = if table.is_ok() { Some(model.revision.name.clone()) } else { old.revision.clone() };
    let mut list = known(&old.conditions);
    let states = [
        (conditions::TABLE_READY, table),
        (conditions::TOPIC_READY, topic),
        (conditions::WORKERS_READY, workers_state),
        (conditions::READY, ready),
    ];
    for (type_, state) in states {
        set_condition(&mut list, condition(type_, state, model.of.1), &clock::seconds(now));
    }
    IngestModelStatus {
        id: Some(model.id.to_string()),
        table: Some(model.table.name.plain()),
        topic: Some(model.topic.name.clone()),
        revision,
        observed_generation: Some(model.of.1),
        replicas: Some(workers.deployment.and_then(|d| d.status.as_ref()?.replicas).unwrap_or(0)),
        lag: measured.and_then(|m| m.lag.as_ref()).map(|lag| lag.iter().sum()).or(old.lag),
        rows: measured.and_then(|m| m.rows).or(old.rows),
        conditions: list,
    }
}

/// Returns the status of an invalid model: what exists is kept, and the status has the reason.
#[must_use]
pub fn of_invalid(
    old: &IngestModelStatus,
    generation: Option<i64>,
    problem: &str,
    now: Timestamp,
) -> IngestModelStatus {
    let fault = Fault { reason: crds::state::reasons::MODEL_INVALID, message: problem.to_owned() };
    let mut list = known(&old.conditions);
    set_condition(
        &mut list,
        condition(conditions::READY, Err(fault), generation.unwrap_or(0)),
        &clock::seconds(now),
    );
    IngestModelStatus { observed_generation: generation, conditions: list, ..old.clone() }
}

/// Returns the Event for a change of `Ready`, if it changed.
#[must_use]
pub fn ready_event(old: &IngestModelStatus, new: &IngestModelStatus) -> Option<EventNote> {
    let ready =
        |status: &IngestModelStatus| status.conditions.iter().find(|c| c.type_ == conditions::READY).cloned();
    let new = ready(new)?;
    if ready(old).is_some_and(|old| old.status == new.status && old.reason == new.reason) {
        return None;
    }
    Some(if new.status == "True" {
        EventNote::normal("Ready", new.message)
    } else {
        EventNote::warning(&new.reason, new.message)
    })
}

fn workers_state(model: &ValidModel, workers: &Workers<'_>) -> Result<String, Fault> {
    if let Some(fault) = workers.fault {
        return Err(fault.clone());
    }
    let status = workers.deployment.and_then(|d| d.status.as_ref());
    let list = status.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let find = |type_: &str, status: &str| list.iter().find(|c| c.type_ == type_ && c.status == status);
    let stuck = find("ReplicaFailure", "True").or_else(|| find("Progressing", "False"));
    if let (Some(stuck), true) = (stuck, workers.wanted > 0) {
        let message = format!(
            "the workers do not start: {}; see kubectl -n {} describe pods -l {}={}",
            stuck.message.as_deref().unwrap_or("no cause is known"),
            model.namespace,
            crds::labels::MODEL_ID,
            model.id
        );
        return Err(Fault { reason: "WorkersStuck", message });
    }
    let ready = status.and_then(|s| s.ready_replicas).unwrap_or(0);
    Ok(format!("{} wanted, {ready} ready: {}", workers.wanted, workers.why.as_str()))
}

/// Returns the conditions of the operator in a list. Conditions of other writers are not touched.
fn known(list: &[Condition]) -> Vec<Condition> {
    let ours =
        [conditions::TABLE_READY, conditions::TOPIC_READY, conditions::WORKERS_READY, conditions::READY];
    list.iter().filter(|c| ours.contains(&c.type_.as_str())).cloned().collect()
}

fn condition(type_: &str, state: Result<String, Fault>, generation: i64) -> Condition {
    let (status, reason, message) = match state {
        Ok(message) => ("True", AS_WANTED, message),
        Err(fault) => ("False", fault.reason, fault.message),
    };
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.into(),
        message,
        last_transition_time: String::new(),
        observed_generation: Some(generation),
    }
}

#[cfg(test)]
mod tests {
    use super::super::validate::tests::{PURCHASES, valid};
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn ensured(table: Result<(), Fault>, topic: Result<i32, Fault>) -> Ensured {
        Ensured { of: ("u".into(), 3), at: at(0), table, topic }
    }

    fn idle() -> Workers<'static> {
        Workers { wanted: 0, why: Why::Idle, deployment: None, fault: None }
    }

    fn ready(status: &IngestModelStatus) -> (&str, &str, &str) {
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
        (&ready.status, &ready.reason, &ready.last_transition_time)
    }

    fn status(
        old: &IngestModelStatus,
        ensured: &Ensured,
        workers: &Workers<'_>,
        now: i64,
    ) -> IngestModelStatus {
        of_valid(&valid(PURCHASES), old, ensured, None, workers, at(now))
    }

    #[test]
    fn a_model_is_ready_when_table_topic_and_workers_are() {
        let first = status(&IngestModelStatus::default(), &ensured(Ok(()), Ok(6)), &idle(), 0);
        assert_eq!(ready(&first).0, "True");
        assert_eq!(first.conditions.len(), 4);
        assert!(first.conditions.iter().all(|c| !c.message.is_empty() && c.observed_generation == Some(3)));
        assert_eq!(first.table.as_deref(), Some("default.data_5231e672"));
        assert!(first.revision.unwrap().starts_with("purchases-"));
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_why_the_model_is_not_ready() {
        let fault = |reason| Fault { reason, message: "why".into() };
        let away = ensured(Ok(()), Err(fault("KafkaUnavailable")));
        let both = ensured(Err(fault("TableConflict")), Err(fault("KafkaUnavailable")));
        let one = status(&IngestModelStatus::default(), &away, &idle(), 0);
        assert_eq!(ready(&one).1, "KafkaUnavailable");
        let other = status(&one, &both, &idle(), 9);
        assert_eq!(ready(&other), ("False", "TableConflict", "2023-11-14T22:13:20Z"));
        assert_eq!(ready(&status(&other, &ensured(Ok(()), Ok(6)), &idle(), 20)).2, "2023-11-14T22:13:40Z");
    }

    #[test]
    fn an_event_is_told_only_when_ready_changes() {
        let none = IngestModelStatus::default();
        let good = status(&none, &ensured(Ok(()), Ok(6)), &idle(), 0);
        assert_eq!(ready_event(&none, &good).unwrap().reason, "Ready");
        assert_eq!(ready_event(&good, &status(&good, &ensured(Ok(()), Ok(6)), &idle(), 5)), None);
        let bad = of_invalid(&good, Some(4), "spec.columns[0] ('a'): …", at(6));
        let event = ready_event(&good, &bad).unwrap();
        assert!(event.warning && event.reason == "ModelInvalid");
        assert_eq!((bad.table, bad.revision), (good.table, good.revision));
    }

    #[test]
    fn workers_that_do_not_start_are_told_with_the_command_that_says_why() {
        let deployment: Deployment = serde_yaml::from_str(
            "{metadata: {name: x}, status: {replicas: 1, conditions: [{type: Progressing, status: 'False', message: 'ReplicaSet x has timed out'}]}}",
        )
        .unwrap();
        let workers = Workers { wanted: 1, why: Why::JobRuns, deployment: Some(&deployment), fault: None };
        let stuck = status(&IngestModelStatus::default(), &ensured(Ok(()), Ok(6)), &workers, 0);
        assert_eq!(ready(&stuck).1, "WorkersStuck");
        let message = &stuck.conditions.iter().find(|c| c.type_ == "WorkersReady").unwrap().message;
        assert!(
            message.contains("has timed out") && message.contains("kubectl -n shop describe pods"),
            "{message}"
        );
        assert_eq!(stuck.replicas, Some(1));
    }

    #[test]
    fn a_lag_that_cannot_be_read_leaves_the_last_one() {
        let old = IngestModelStatus { lag: Some(7), rows: Some(3), ..IngestModelStatus::default() };
        let new = status(&old, &ensured(Ok(()), Ok(6)), &idle(), 0);
        assert_eq!((new.lag, new.rows), (Some(7), Some(3)));
    }
}
