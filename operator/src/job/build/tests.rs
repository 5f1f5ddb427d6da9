//! Each way a job can go, by the clock.

use super::*;
use crate::job::dereference::Facts;
use crate::job::validate::validate;
use crds::{IngestJob, IngestModel};
use kube::core::DeserializeGuard;
use std::sync::Arc;

const CREATED: &str = "2024-05-18T10:00:00Z";

fn at(seconds: i64) -> Timestamp {
    CREATED.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn job(spec: &str, status: &str) -> IngestJob {
    serde_yaml::from_str(&format!(
        "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob,
          metadata: {{name: j1, namespace: shop, uid: u1, creationTimestamp: '{CREATED}'}},
          spec: {{modelRef: {{name: purchases}}, source: {{upload: {{}}}}, ttlSecondsAfterFinished: 100, uploadDeadlineSeconds: 60 {spec}}},
          status: {{{status}}}}}"
    ))
    .unwrap()
}

fn model(spec: &str, conditions: &str) -> Facts {
    let model: IngestModel = serde_yaml::from_str(&format!(
        "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: purchases, namespace: shop, generation: 2}},
          spec: {{columns: [{{name: a, type: String}}] {spec}}},
          status: {{observedGeneration: 2, revision: purchases-1, conditions: [{conditions}]}}}}"
    ))
    .unwrap();
    Facts { model: Some(Arc::new(DeserializeGuard(Ok(model)))), ..Facts::default() }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> String {
    format!(
        "{{type: {type_}, status: '{status}', reason: {reason}, message: '{message}', lastTransitionTime: '{CREATED}'}}"
    )
}

fn ready() -> Facts {
    let ok = |type_| condition(type_, "True", "AsWanted", "fine");
    model("", &[ok("TableReady"), ok("TopicReady"), ok("WorkersReady"), ok("Ready")].join(", "))
}

const RUNNING: &str =
    "state: UPLOADING, modelRevision: purchases-1, startTime: '2024-05-18T10:00:05Z', waiting: '00:05'";

fn decide(job: &IngestJob, facts: &Facts, now: i64) -> Write {
    match next(&validate(job, facts, at(now)), at(now)) {
        Next::Write(write) => *write,
        Next::Delete => panic!("the job was deleted"),
    }
}

fn state(write: &Write) -> (JobState, &str) {
    (write.status.state.unwrap(), write.status.reason.as_deref().unwrap())
}

fn is(write: &Write, type_: &str) -> bool {
    crds::status::is_true(&write.status.conditions, type_)
}

#[test]
fn a_job_without_a_model_waits_and_says_for_what() {
    let write = decide(&job("", ""), &Facts::default(), 7);
    assert_eq!(state(&write), (JobState::Pending, "ModelNotFound"));
    assert_eq!(write.status.waiting.as_deref(), Some("00:07"));
    assert!(write.status.message.unwrap().contains("'purchases'"));
    assert_eq!((write.status.model_revision, write.told), (None, None));
}

#[test]
fn a_job_waits_for_a_model_that_is_not_ready_invalid_or_paused() {
    let down = condition("TopicReady", "False", "KafkaUnavailable", "failed to reach Kafka");
    let not_ready = condition("Ready", "False", "KafkaUnavailable", "failed to reach Kafka");
    let invalid = condition("Ready", "False", "ModelInvalid", "spec.columns[0]");
    let cases = [
        (model("", ""), "ModelNotReady", "are being made"),
        (model("", &format!("{down}, {not_ready}")), "ModelNotReady", "failed to reach Kafka"),
        (model("", &invalid), "ModelInvalid", "spec.columns[0]"),
        (model(", paused: true", ""), "ModelPaused", "is paused"),
    ];
    for (facts, reason, text) in cases {
        let write = decide(&job("", ""), &facts, 1);
        assert_eq!(state(&write), (JobState::Pending, reason));
        let message = write.status.message.unwrap();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn a_model_whose_newest_spec_was_not_looked_at_yet_takes_no_job() {
    let mut facts = ready();
    let mut model = facts.model.unwrap().0.clone().unwrap();
    model.metadata.generation = Some(3);
    facts.model = Some(Arc::new(DeserializeGuard(Ok(model))));
    assert_eq!(state(&decide(&job("", ""), &facts, 1)), (JobState::Pending, "ModelNotReady"));
}

#[test]
fn a_job_is_pinned_as_soon_as_its_model_is_ready_even_if_no_worker_is() {
    let ok = |type_| condition(type_, "True", "AsWanted", "fine");
    let stuck = condition("Ready", "False", "WorkersStuck", "no node");
    let facts = model("", &[ok("TableReady"), ok("TopicReady"), stuck].join(", "));
    let write = decide(&job("", ""), &facts, 5);
    assert_eq!(state(&write), (JobState::Uploading, "WaitingForUpload"));
    assert_eq!(write.status.model_revision.as_deref(), Some("purchases-1"));
    assert_eq!(write.status.start_time.as_deref(), Some("2024-05-18T10:00:05.000Z"));
    assert_eq!(write.status.waiting.as_deref(), Some("00:05"));
    assert!(write.exclusive && !write.send_inline);
    assert_eq!(write.told.unwrap().reason, "Started");
    assert!(write.status.message.unwrap().contains("no node"), "what is wrong is told in the job too");
}

#[test]
fn an_inline_file_is_sent_once_the_job_is_pinned_and_until_it_is_complete() {
    let mut inline = job("", "");
    inline.spec.source = serde_yaml::from_str("inline: \"a\\n1\\n\"").unwrap();
    assert!(!decide(&inline, &Facts::default(), 1).send_inline);
    assert!(decide(&inline, &ready(), 1).send_inline);
    inline.status = serde_yaml::from_str(&format!("{{{RUNNING}}}")).unwrap();
    let mut facts = ready();
    facts.inline_problem = Some("connection refused".into());
    let write = decide(&inline, &facts, 6);
    assert!(write.send_inline && write.status.message.as_ref().unwrap().contains("connection refused"));
    inline.status =
        serde_yaml::from_str(&format!("{{{RUNNING}, upload: {{complete: true, rows: 1, bytes: 4}}}}"))
            .unwrap();
    assert!(!decide(&inline, &facts, 6).send_inline);
}

#[test]
fn a_running_job_shows_its_time_and_progress_and_keeps_its_revision() {
    let status = format!(
        "{RUNNING}, upload: {{complete: true, rows: 200, bytes: 9}}, counts: {{total: 50, ok: 50, errors: 0, chunksDone: 1}}"
    );
    let write = decide(&job("", &status), &ready(), 70);
    assert_eq!(state(&write), (JobState::Processing, "Processing"));
    assert_eq!(write.status.progress.as_deref(), Some("25%"));
    assert_eq!(write.status.processing.as_deref(), Some("01:05"));
    assert_eq!(write.status.waiting.as_deref(), Some("00:05"));
    assert_eq!(write.status.model_revision.as_deref(), Some("purchases-1"));
    assert_eq!((write.exclusive, write.told), (false, None));
    assert_eq!(
        (write.status.upload, write.status.counts),
        (None, None),
        "others' fields are not ours to write"
    );
}

#[test]
fn each_end_has_its_state_reason_conditions_and_event() {
    let cases = [
        ("counts: {total: 2, ok: 2, errors: 0, chunksDone: 1}", JobState::Success, "AllRowsLoaded", true),
        (
            "counts: {total: 2, ok: 1, errors: 1, chunksDone: 1}",
            JobState::PartialSuccess,
            "SomeRowsRejected",
            true,
        ),
        ("counts: {total: 2, ok: 0, errors: 2, chunksDone: 1}", JobState::Failed, "AllRowsRejected", false),
    ];
    for (counts, expected, reason, complete) in cases {
        let status = format!("{RUNNING}, upload: {{complete: true, rows: 2, bytes: 9}}, {counts}");
        let write = decide(&job("", &status), &ready(), 7);
        assert_eq!(state(&write), (expected, reason));
        assert_eq!((is(&write, "Complete"), is(&write, "Failed")), (complete, !complete));
        assert_eq!(write.status.progress.as_deref(), Some("100%"));
        assert_eq!(write.status.processing.as_deref(), Some("00:02"));
        assert_eq!(write.status.completion_time.as_deref(), Some("2024-05-18T10:00:07.000Z"));
        assert_eq!(write.again, Some(Duration::from_secs(100)));
        assert!(write.exclusive);
        let told = write.told.unwrap();
        assert_eq!((told.reason.as_str(), told.warning), (reason, !complete));
    }
}

#[test]
fn a_file_with_a_header_and_no_rows_is_a_success() {
    let write = decide(&job("", &format!("{RUNNING}, upload: {{complete: true, bytes: 9}}")), &ready(), 7);
    assert_eq!(state(&write), (JobState::Success, "AllRowsLoaded"));
}

#[test]
fn what_the_api_found_wrong_with_the_file_ends_the_job_with_its_own_words() {
    let status =
        format!("{RUNNING}, upload: {{error: {{reason: HeaderMismatch, message: no column amount}}}}");
    let write = decide(&job("", &status), &ready(), 7);
    assert_eq!(state(&write), (JobState::Failed, "HeaderMismatch"));
    assert_eq!(write.status.message.as_deref(), Some("no column amount"));
    assert!(is(&write, "Failed"));
    assert_eq!(write.status.progress.as_deref(), Some("0%"));
}

#[test]
fn too_many_errors_end_a_job_by_its_own_policy_or_else_by_the_models() {
    let status = format!(
        "{RUNNING}, upload: {{complete: true, rows: 9, bytes: 9}}, counts: {{total: 4, ok: 2, errors: 2, chunksDone: 1}}"
    );
    let by_job = decide(&job(", errorPolicy: {maxErrors: 1}", &status), &ready(), 7);
    assert_eq!(state(&by_job), (JobState::Failed, "TooManyErrors"));
    let strict = model(", errorPolicy: {maxErrors: 1}", "");
    assert_eq!(state(&decide(&job("", &status), &strict, 7)), (JobState::Failed, "TooManyErrors"));
    assert_eq!(
        state(&decide(&job(", errorPolicy: {maxErrors: 5}", &status), &strict, 7)).0,
        JobState::Processing
    );
}

#[test]
fn an_upload_that_is_not_complete_in_time_ends_the_job_and_not_a_second_earlier() {
    let upload = job("", &format!("{RUNNING}, upload: {{bytes: 9, rows: 1}}"));
    let before = decide(&upload, &ready(), 64);
    assert_eq!(state(&before), (JobState::Uploading, "Uploading"));
    assert_eq!(
        before.again,
        Some(Duration::from_secs(1)),
        "it is looked at again just when its time is over"
    );
    assert_eq!(state(&decide(&upload, &ready(), 65)), (JobState::Failed, "UploadExpired"));
    let complete = job("", &format!("{RUNNING}, upload: {{complete: true, bytes: 9, rows: 1}}"));
    assert_eq!(
        state(&decide(&complete, &ready(), 900)).0,
        JobState::Processing,
        "no deadline for the workers"
    );
}

#[test]
fn a_cancelled_job_ends_whether_it_runs_or_waits() {
    let waiting = decide(&job(", cancel: true", ""), &ready(), 3);
    assert_eq!(state(&waiting), (JobState::Cancelled, "Cancelled"));
    assert_eq!((waiting.status.model_revision.clone(), is(&waiting, "Failed")), (None, true));
    let running = decide(&job(", cancel: true", RUNNING), &ready(), 9);
    assert_eq!(state(&running), (JobState::Cancelled, "Cancelled"));
    assert_eq!(running.status.model_revision.as_deref(), Some("purchases-1"));
}

#[test]
fn a_second_job_with_a_label_is_refused_and_names_the_first() {
    let facts = Facts { twin: Some("first".into()), ..ready() };
    let write = decide(&job("", ""), &facts, 1);
    assert_eq!(state(&write), (JobState::Failed, "DuplicateLabel"));
    assert!(write.status.message.unwrap().contains("'first'"));
    assert_eq!(
        state(&decide(&job("", RUNNING), &facts, 9)).0,
        JobState::Uploading,
        "one that runs is left alone"
    );
}

#[test]
fn a_job_whose_model_is_deleted_does_not_hang() {
    let write = decide(&job("", RUNNING), &Facts::default(), 9);
    assert_eq!(state(&write), (JobState::Failed, "ModelNotFound"));
}

#[test]
fn an_ended_job_never_changes_again_and_goes_when_its_time_is_over() {
    let ended = "state: SUCCESS, reason: AllRowsLoaded, modelRevision: purchases-1, completionTime: '2024-05-18T10:00:10.000Z'";
    let job = job(
        ", cancel: true",
        &format!(
            "{ended}, upload: {{complete: true, rows: 5}}, counts: {{total: 2, ok: 1, errors: 1, chunksDone: 1}}"
        ),
    );
    let write = decide(&job, &Facts::default(), 60);
    assert_eq!(write.status, validate(&job, &Facts::default(), at(60)).status);
    assert_eq!(write.again, Some(Duration::from_secs(50)));
    assert_eq!(next(&validate(&job, &Facts::default(), at(110)), at(110)), Next::Delete);
}

#[test]
fn a_status_that_is_already_there_is_not_written_again() {
    let first = decide(&job("", RUNNING), &ready(), 9);
    let mut again = job("", "");
    again.status = Some(first.status.clone());
    assert_eq!(decide(&again, &ready(), 9).status, first.status);
}
