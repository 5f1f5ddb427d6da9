//! The ways that a job can go, with the clock as an argument.

use super::*;
use crate::job::dereference::Dereferenced;
use crate::job::validate::validate;
use crate::ledger::Reading;
use crate::ledger::tests::line;
use crate::scale::lag::{Position, Positions};
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

fn model(spec: &str, conditions: &str) -> Dereferenced {
    let model: IngestModel = serde_yaml::from_str(&format!(
        "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: purchases, namespace: shop, generation: 2}},
          spec: {{columns: [{{name: a, type: String}}] {spec}}},
          status: {{observedGeneration: 2, revision: purchases-1, conditions: [{conditions}]}}}}"
    ))
    .unwrap();
    Dereferenced { model: Some(Arc::new(DeserializeGuard(Ok(model)))), ..Dereferenced::default() }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> String {
    format!(
        "{{type: {type_}, status: '{status}', reason: {reason}, message: '{message}', lastTransitionTime: '{CREATED}'}}"
    )
}

fn ready() -> Dereferenced {
    let ok = |type_| condition(type_, "True", "AsWanted", "fine");
    model("", &[ok("TableReady"), ok("TopicReady"), ok("WorkersReady"), ok("Ready")].join(", "))
}

const RUNNING: &str =
    "state: UPLOADING, modelRevision: purchases-1, startTime: '2024-05-18T10:00:05Z', waiting: '00:05'";

fn decide(job: &IngestJob, facts: &Dereferenced, now: i64) -> Write {
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
fn a_job_without_a_model_waits_and_names_the_model() {
    let write = decide(&job("", ""), &Dereferenced::default(), 7);
    assert_eq!(state(&write), (JobState::Pending, "ModelNotFound"));
    assert_eq!((write.status.waiting, write.requeue_after), (None, None), "nothing moves with the clock");
    assert!(write.status.message.unwrap().contains("'purchases'"));
    assert_eq!((write.status.model_revision, write.event), (None, None));
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
fn a_model_whose_newest_spec_was_not_reconciled_yet_accepts_no_job() {
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
    assert_eq!(write.status.processing, None, "shown at the end");
    assert_eq!(write.status.model_revision.as_deref(), Some("purchases-1"));
    assert_eq!(write.status.start_time.as_deref(), Some("2024-05-18T10:00:05.000Z"));
    assert_eq!(write.status.waiting.as_deref(), Some("00:05"));
    assert!(write.exclusive && !write.send_inline);
    assert_eq!(write.event.unwrap().reason, "Started");
    assert!(write.status.message.unwrap().contains("no node"), "what is wrong is shown in the job too");
}

#[test]
fn an_inline_file_is_sent_once_the_job_is_pinned_and_until_it_is_complete() {
    let mut inline = job("", "");
    inline.spec.source = serde_yaml::from_str("inline: \"a\\n1\\n\"").unwrap();
    assert!(!decide(&inline, &Dereferenced::default(), 1).send_inline);
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
fn a_running_job_shows_its_progress_and_keeps_its_revision() {
    let status = format!(
        "{RUNNING}, upload: {{complete: true, rows: 200, bytes: 9, chunks: 4}}, counts: {{total: 50, ok: 50, errors: 0, chunksDone: 1}}"
    );
    let write = decide(&job("", &status), &ready(), 70);
    assert_eq!(state(&write), (JobState::Processing, "Processing"));
    assert_eq!(write.status.progress.as_deref(), Some("25%"));
    assert_eq!(write.status.waiting.as_deref(), Some("00:05"));
    assert_eq!(write.status.model_revision.as_deref(), Some("purchases-1"));
    assert_eq!((write.exclusive, write.event), (false, None));
    assert_eq!(
        (write.status.upload, write.status.counts),
        (None, None),
        "others' fields are not ours to write"
    );
}

#[test]
fn a_job_that_is_loaded_moments_after_its_upload_is_not_written_as_processing_first() {
    let uploaded = job("", &format!("{RUNNING}, upload: {{complete: true, rows: 2, bytes: 9, chunks: 1}}"));
    let seen = |seconds| Dereferenced { complete_since: Some(at(seconds)), ..ready() };
    let first = decide(&uploaded, &seen(7), 7);
    assert_eq!(state_of(&first), Some(JobState::Uploading), "as it is");
    assert_eq!((first.requeue_after, first.exclusive), (Some(Duration::from_secs(1)), false));
    assert_eq!(state_of(&decide(&uploaded, &seen(7), 8)), Some(JobState::Processing));
    let larger = job("", &format!("{RUNNING}, upload: {{complete: true, rows: 9, bytes: 9, chunks: 2}}"));
    assert_eq!(decide(&larger, &seen(7), 7).requeue_after, Some(Duration::from_millis(300)));
    let mut loaded = uploaded;
    loaded.status.as_mut().unwrap().counts =
        serde_yaml::from_str("{total: 2, ok: 2, errors: 0, chunksDone: 1}").unwrap();
    assert_eq!(state_of(&decide(&loaded, &seen(7), 7)), Some(JobState::Success), "an end waits for nothing");
}

fn state_of(write: &Write) -> Option<JobState> {
    write.status.state
}

#[test]
fn a_status_does_not_change_with_the_clock_alone() {
    let uploads =
        ["", ", upload: {bytes: 9, rows: 1}", ", upload: {complete: true, rows: 200, bytes: 9, chunks: 4}"];
    for upload in uploads {
        let running = job("", &format!("{RUNNING}{upload}"));
        assert_eq!(decide(&running, &ready(), 7).status, decide(&running, &ready(), 60).status, "{upload}");
    }
    let waiting = job("", "");
    assert_eq!(
        decide(&waiting, &Dereferenced::default(), 7).status,
        decide(&waiting, &Dereferenced::default(), 900).status
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
        let status = format!("{RUNNING}, upload: {{complete: true, rows: 2, bytes: 9, chunks: 1}}, {counts}");
        let write = decide(&job("", &status), &ready(), 7);
        assert_eq!(state(&write), (expected, reason));
        assert_eq!((is(&write, "Complete"), is(&write, "Failed")), (complete, !complete));
        assert_eq!(write.status.progress.as_deref(), Some("100%"));
        assert_eq!(write.status.processing.as_deref(), Some("00:02"));
        assert_eq!(write.status.completion_time.as_deref(), Some("2024-05-18T10:00:07.000Z"));
        assert_eq!(write.requeue_after, Some(Duration::from_secs(100)));
        assert!(write.exclusive);
        let event = write.event.unwrap();
        assert_eq!((event.reason.as_str(), event.warning), (reason, !complete));
    }
}

#[test]
fn a_file_with_a_header_and_no_rows_is_a_success() {
    let write = decide(&job("", &format!("{RUNNING}, upload: {{complete: true, bytes: 9}}")), &ready(), 7);
    assert_eq!(state(&write), (JobState::Success, "AllRowsLoaded"));
}

#[test]
fn an_error_of_the_upload_ends_the_job_with_its_message() {
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
        "{RUNNING}, upload: {{complete: true, rows: 9, bytes: 9, chunks: 3}}, counts: {{total: 4, ok: 2, errors: 2, chunksDone: 1}}"
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
    assert_eq!(
        decide(&upload, &ready(), 10).requeue_after,
        Some(Duration::from_secs(55)),
        "and nothing before"
    );
    let before = decide(&upload, &ready(), 64);
    assert_eq!(state(&before), (JobState::Uploading, "Uploading"));
    assert_eq!(
        before.requeue_after,
        Some(Duration::from_secs(1)),
        "it is looked at again just when its time is over"
    );
    assert_eq!(state(&decide(&upload, &ready(), 65)), (JobState::Failed, "UploadExpired"));
    let complete = job("", &format!("{RUNNING}, upload: {{complete: true, bytes: 9, rows: 1, chunks: 1}}"));
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
    let facts = Dereferenced { label: LabelState::Taken("job 'first' has the same label".into()), ..ready() };
    let write = decide(&job("", ""), &facts, 1);
    assert_eq!(state(&write), (JobState::Failed, "DuplicateLabel"));
    assert!(write.status.message.unwrap().starts_with("job 'first' has the same label: nothing was loaded"));
    assert_eq!(
        state(&decide(&job("", RUNNING), &facts, 9)).0,
        JobState::Uploading,
        "one that runs is left alone"
    );
}

#[test]
fn a_job_with_a_label_starts_only_after_the_history_answered() {
    let with = |label| Dereferenced { label, ..ready() };
    let asked = decide(&job("", ""), &with(LabelState::Asked), 1);
    assert_eq!((asked.status, asked.send_inline), (IngestJobStatus::default(), false), "nothing is written");
    let unavailable =
        decide(&job("", ""), &with(LabelState::Unavailable("failed to reach ClickHouse".into())), 1);
    assert_eq!(state(&unavailable), (JobState::Pending, "HistoryUnavailable"));
    assert!(unavailable.status.message.unwrap().contains("failed to reach ClickHouse"));
    assert_eq!(state(&decide(&job("", ""), &with(LabelState::Free), 1)).0, JobState::Uploading);
}

#[test]
fn a_job_whose_model_is_deleted_ends() {
    let write = decide(&job("", RUNNING), &Dereferenced::default(), 9);
    assert_eq!(state(&write), (JobState::Failed, "ModelNotFound"));
}

const RECEIPT: &str = "receipt: {rows: 2, ok: 1, rejected: 1, tableRows: 1, chunks: 1, checkedTime: x}";

fn ended(receipt: &str) -> IngestJob {
    job(
        ", cancel: true",
        &format!(
            "state: SUCCESS, reason: AllRowsLoaded, modelRevision: purchases-1, completionTime: '2024-05-18T10:00:10.000Z',
             upload: {{complete: true, rows: 5, chunks: 1, epoch: 1}}, counts: {{total: 2, ok: 1, errors: 1, chunksDone: 1}}, {receipt}"
        ),
    )
}

#[test]
fn an_ended_job_never_changes_and_is_deleted_after_its_ttl() {
    let job = ended(RECEIPT);
    let write = decide(&job, &Dereferenced::default(), 60);
    assert_eq!(write.status, validate(&job, &Dereferenced::default(), at(60)).status);
    assert!(write.status.receipt.is_some(), "what is left out would be removed");
    assert_eq!((write.requeue_after, write.ask), (Some(Duration::from_secs(50)), None));
    assert_eq!(next(&validate(&job, &Dereferenced::default(), at(110)), at(110)), Next::Delete);
}

#[test]
fn an_ended_job_is_kept_until_its_row_is_in_the_history_but_not_without_limit() {
    let job = ended("");
    let decide = |now| next(&validate(&job, &Dereferenced::default(), at(now)), at(now));
    let receipt_at = |now| match decide(now) {
        Next::Write(write) => write.ask.map(|ask| (ask, write.requeue_after.unwrap().as_secs())),
        Next::Delete => None,
    };
    assert_eq!(receipt_at(11), Some((Ask::Receipt, 15)));
    assert_eq!(receipt_at(105), Some((Ask::Receipt, 5)));
    assert_eq!(receipt_at(111), Some((Ask::Receipt, 1)), "its time is over");
    assert_eq!(receipt_at(110 + 86_400), Some((Ask::Receipt, 1)));
    assert_eq!(decide(111 + 86_400), Next::Delete);
}

#[test]
fn a_problem_of_the_workers_is_a_condition_while_it_lasts() {
    let problem = "loadProblem: {reason: TooManyParts, message: the table has too many parts}";
    let upload = "upload: {complete: true, rows: 9, bytes: 9, chunks: 9}";
    let stalled = decide(&job("", &format!("{RUNNING}, {upload}, {problem}")), &ready(), 7);
    assert_eq!(state(&stalled), (JobState::Processing, "Processing"));
    let condition = stalled.status.conditions.iter().find(|c| c.type_ == "Stalled").unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "TooManyParts"));
    assert!(condition.message.contains("too many parts"));
    assert!(stalled.status.message.as_ref().unwrap().contains("TooManyParts: the table has too many parts"));

    let mut later = job("", &format!("{RUNNING}, {upload}"));
    later.status.as_mut().unwrap().conditions = stalled.status.conditions;
    assert_eq!(decide(&later, &ready(), 9).status.conditions, vec![], "it is over");
}

#[test]
fn a_fatal_problem_of_the_workers_ends_the_job_with_its_message() {
    let problem = "loadProblem: {reason: ChunkConflict, message: chunk 3 came twice, fatal: true}"
        .replace("came twice", "of two files");
    let write = decide(&job("", &format!("{RUNNING}, upload: {{bytes: 9}}, {problem}")), &ready(), 7);
    assert_eq!(state(&write), (JobState::Failed, "ChunkConflict"));
    assert_eq!(write.status.message.as_deref(), Some("chunk 3 of two files"));
    assert!(is(&write, "Failed") && !is(&write, "Stalled"));
}

/// Twelve chunks of ten rows each. Eight of them are done.
fn short(parked: i64) -> IngestJob {
    job(
        "",
        &format!(
            "{RUNNING}, upload: {{complete: true, rows: 120, bytes: 9, chunks: 12, lastOffsets: [-1, 7]}},
             counts: {{total: 80, ok: 80, errors: 0, chunksDone: 8, chunksParked: {parked}}}"
        ),
    )
}

fn reading(now: i64, lines: Vec<crate::ledger::Line>) -> Reading {
    Reading { at: at(now), lines: lines.into() }
}

#[test]
fn a_blocked_job_names_the_refused_chunks_the_reason_and_what_to_do() {
    let blocked = decide(&short(4), &ready(), 20);
    assert_eq!(state(&blocked), (JobState::Blocked, "ChunksParked"));
    assert!(is(&blocked, "Stalled") && blocked.ask == Some(Ask::Ledger) && blocked.counts.is_none());
    assert_eq!(blocked.requeue_after, Some(Duration::from_secs(5)));
    let mut parked = line(8, 4, "parked");
    (parked.reason, parked.message) = ("TooManyParts".into(), "the table has too many parts".into());
    let facts = Dereferenced { ledger: Some(reading(19, vec![line(0, 8, "loaded"), parked])), ..ready() };
    let blocked = decide(&short(4), &facts, 20);
    let message = blocked.status.message.unwrap();
    for part in [
        "refuses 4 of 12 chunks (chunks 8-11): TooManyParts: the table has too many parts",
        "batch dlq list purchases",
        "batch dlq requeue purchases",
        "batch dlq drop purchases",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(blocked.ask, None, "it was asked a second ago");
    assert_eq!(decide(&short(4), &facts, 24).ask, Some(Ask::Ledger));
}

#[test]
fn chunks_that_a_person_dropped_are_read_from_the_ledger_and_end_a_blocked_job() {
    let dropped = vec![line(0, 8, "loaded"), line(8, 4, "dropped")];
    let facts = Dereferenced { ledger: Some(reading(19, dropped)), ..ready() };
    let counts = decide(&short(4), &facts, 20).counts.unwrap();
    assert_eq!((counts.chunks_done, counts.chunks_parked, counts.chunks_dropped), (8, 0, 4));
    let mut ends = short(0);
    ends.status.as_mut().unwrap().counts.as_mut().unwrap().chunks_dropped = 4;
    let write = decide(&ends, &facts, 21);
    assert_eq!(state(&write), (JobState::Failed, "ChunksDropped"));
    assert!(write.status.message.unwrap().contains("4 of 12 chunks were given up"));
}

#[test]
fn an_old_reading_of_the_ledger_does_not_move_counts_backwards() {
    let old = Dereferenced {
        ledger: Some(reading(19, vec![line(0, 7, "loaded"), line(8, 4, "parked")])),
        ..ready()
    };
    assert_eq!(decide(&short(4), &old, 20).counts, None);
}

#[test]
fn chunks_that_kafka_deleted_end_the_job_and_are_named() {
    let positions = |now| {
        Some(Arc::new(Positions {
            at: at(now),
            partitions: vec![None, Some(Position { consumed: 8, end: 8 })],
        }))
    };
    let first = decide(&short(0), &Dereferenced { positions: positions(10), ..ready() }, 11);
    assert_eq!((first.requeue_after, first.ask), (Some(Duration::from_secs(5)), None));
    let suspicion = first.suspicion;
    assert!(suspicion.is_some());
    let later = Dereferenced { positions: positions(40), suspicion, ..ready() };
    assert_eq!(decide(&short(0), &later, 41).ask, Some(Ask::Ledger));

    let lines = vec![line(0, 3, "loaded"), line(6, 3, "loaded"), line(10, 2, "loaded")];
    let write = decide(&short(0), &Dereferenced { ledger: Some(reading(41, lines)), ..later.clone() }, 42);
    assert_eq!(state(&write), (JobState::Failed, "ChunksLost"));
    let message = write.status.message.unwrap();
    assert!(message.starts_with("chunks 3-5, 9 of 12 were deleted from Kafka"), "{message}");

    let all = Dereferenced { ledger: Some(reading(41, vec![line(0, 12, "loaded")])), ..later };
    let behind = decide(&short(0), &all, 42);
    assert_eq!(state(&behind), (JobState::Processing, "Processing"));
    assert_eq!(behind.counts.unwrap().chunks_done, 12, "the ledger has all: only the counts are behind");
}

#[test]
fn more_rows_than_the_upload_sent_are_a_conflict_with_both_numbers() {
    let status = format!(
        "{RUNNING}, upload: {{complete: true, rows: 2, bytes: 9, chunks: 1}}, counts: {{total: 3, ok: 3, errors: 0, chunksDone: 1}}"
    );
    let write = decide(&job("", &status), &ready(), 7);
    assert_eq!(state(&write), (JobState::Failed, "ChunkConflict"));
    let message = write.status.message.unwrap();
    assert!(message.contains("1 chunks with 3 rows, the upload sent 1 with 2"), "{message}");
    assert_eq!(write.status.progress.as_deref(), Some("99%"), "not all of it is done");
}

#[test]
fn a_status_that_has_not_changed_is_not_written() {
    let first = decide(&job("", RUNNING), &ready(), 9);
    let mut second = job("", "");
    second.status = Some(first.status.clone());
    assert_eq!(decide(&second, &ready(), 9).status, first.status);
}
