//! The operator on a real API server, Kafka and ClickHouse. There is no node: Deployments are made and scaled, but no
//! pod runs. The tests write what the upload API and the workers would report, with their field managers.
//!
//! Needs the local stack (`stack up`), or another cluster as `stack::Endpoints::find` describes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::match_wild_err_arm,
    reason = "the helpers of a test fail as a test does"
)]

mod world;

use crds::{IngestJob, IngestModel};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::conditions::is_deleted;
use serde_json::json;

use world::{Parts, World, wait, world};

/// An upload of one chunk and two rows, in partition 0 of a topic to which no record was ever sent.
fn uploaded() -> serde_json::Value {
    json!({"complete": true, "bytes": 30, "rows": 2, "chunks": 1, "offset": 30, "nextRow": 3, "epoch": 1,
        "digest": "crc64nvme:0123456789abcdef", "lastOffsets": [0]})
}

const COLUMNS: &str = "columns: [{name: event_id, type: String}, {name: timestamp, type: UInt32}, {name: amount, type: Float64}]";

#[tokio::test]
async fn a_model_gets_its_table_its_topic_and_what_its_workers_run_with() {
    let shop = world().shop("makes").await;
    shop.model("purchases", &format!("{{{COLUMNS}, topic: {{partitions: 3}}}}")).await;
    let model = shop.ready("purchases").await;
    let id = shop.id("purchases");
    let status = model.status.unwrap();
    assert_eq!(status.id.as_deref(), Some(id.as_str()));
    assert_eq!(status.table, Some(format!("{}.data_{id}", shop.database)));
    shop.has_partitions(&id.topic(), 3).await;
    shop.has_partitions(&id.dead_letter_topic(), 1).await;
    assert_eq!(
        shop.columns(&id.default_table()).await[..3],
        ["event_id String", "timestamp UInt32", "amount Float64"]
    );
    assert_eq!(shop.columns("rejected_rows").await.len(), crds::tables::REJECTED_ROWS_COLUMNS.len());
    assert_eq!(shop.columns("ingest_batches").await.len(), crds::tables::INGEST_BATCHES_COLUMNS.len());
    assert_eq!(shop.columns("ingest_jobs").await.len(), crds::tables::INGEST_JOBS_COLUMNS.len());
    let worker = id.worker();
    shop.workers("purchases", 0).await;
    shop.api::<ServiceAccount>().get(&worker).await.unwrap();
    shop.api::<RoleBinding>().get(&worker).await.unwrap();
    let secret = shop.api::<Secret>().get(&worker).await.unwrap();
    assert_eq!(secret.data.unwrap()["CLICKHOUSE_PASSWORD"].0, world().parts.user.1.as_bytes());
    let revision = shop.api::<ControllerRevision>().get(&status.revision.unwrap()).await.unwrap();
    let data: crds::RevisionData = serde_json::from_value(revision.data.unwrap().0).unwrap();
    assert_eq!(data.schema().unwrap().columns().len(), 3);
    shop.close(&["purchases"]).await;
}

#[tokio::test]
async fn a_new_column_a_wider_type_and_more_partitions_reach_table_and_topic() {
    let shop = world().shop("grows").await;
    shop.model("m", &format!("{{{COLUMNS}, topic: {{partitions: 1}}}}")).await;
    let first = shop.ready("m").await.status.unwrap().revision;
    let more = COLUMNS
        .replace("UInt32", "UInt64")
        .replace('}', ", description: 'what?'}")
        .replace(']', ", {name: note, type: String, nullable: true}]");
    shop.model("m", &format!("{{{more}, topic: {{partitions: 2}}, chunkBytes: 65536}}")).await;
    let second = shop.ready("m").await.status.unwrap().revision;
    assert_ne!(first, second);
    let table = shop.columns(&shop.id("m").default_table()).await;
    assert_eq!(
        table[..4],
        ["event_id String", "timestamp UInt64", "amount Float64", "note Nullable(String)"]
    );
    shop.has_partitions(&shop.id("m").topic(), 2).await;
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_model_with_a_wrong_type_reports_it_creates_nothing_and_becomes_ready_once_it_is_corrected() {
    let shop = world().shop("wrong").await;
    shop.model("m", &format!("{{{}}}", COLUMNS.replace("Float64", "Flot64"))).await;
    let model = shop.condition("m", "Ready", "False", "ModelInvalid").await;
    let message = &model.status.as_ref().unwrap().conditions[0].message;
    assert!(message.contains("spec.columns[2] ('amount')") && message.contains("Flot64"), "{message}");
    shop.has_partitions(&shop.id("m").topic(), 0).await;
    assert_eq!(shop.columns(&shop.id("m").default_table()).await, Vec::<String>::new());
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.state("j", "PENDING", "ModelInvalid").await;
    // The API server refuses to change a type, so the model is created again.
    shop.api::<IngestModel>().delete("m", &DeleteParams::default()).await.unwrap();
    shop.state("j", "PENDING", "ModelNotFound").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.state("j", "UPLOADING", "WaitingForUpload").await;
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_table_with_other_columns_is_not_changed() {
    let shop = world().shop("foreign").await;
    // The database exists after a first model was made.
    shop.model("first", &format!("{{{COLUMNS}}}")).await;
    shop.ready("first").await;
    let foreign = format!("foreign_{}", std::process::id());
    let name = crds::TableName::new(&shop.database, &foreign).unwrap();
    let ddl = format!(
        "CREATE TABLE {name} (event_id String, timestamp String) ENGINE = MergeTree ORDER BY event_id"
    );
    shop.clickhouse.query_raw(&ddl).execute().await.unwrap();
    shop.model("m", &format!("{{{COLUMNS}, table: {{name: {foreign}}}}}")).await;
    let model = shop.condition("m", "TableReady", "False", "TableConflict").await;
    let message =
        &model.status.unwrap().conditions.into_iter().find(|c| c.type_ == "TableReady").unwrap().message;
    assert!(
        message.contains(&format!("{}.{foreign}", shop.database)) && message.contains("_job"),
        "{message}"
    );
    shop.api::<IngestModel>()
        .patch("m", &PatchParams::default(), &Patch::Merge(json!({"spec": {"deletionPolicy": "Delete"}})))
        .await
        .unwrap();
    let has_finalizer = |m: Option<&IngestModel>| m.is_some_and(|m| !m.finalizers().is_empty());
    let uid = wait(&shop.api::<IngestModel>(), "m", "finalizer", has_finalizer).await.unwrap().uid().unwrap();
    shop.api::<IngestModel>().delete("m", &DeleteParams::default()).await.unwrap();
    wait(&shop.api::<IngestModel>(), "m", "deleted", is_deleted(&uid)).await;
    assert_eq!(
        shop.columns(&foreign).await,
        ["event_id String", "timestamp String"],
        "it is another's table"
    );
    shop.clickhouse.query_raw(&format!("DROP TABLE {name}")).execute().await.unwrap();
    shop.close(&["first"]).await;
}

#[tokio::test]
async fn a_job_that_is_created_before_its_model_starts_with_it_and_its_worker_is_removed_at_its_end() {
    let shop = world().shop("early").await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.state("j", "PENDING", "ModelNotFound").await;
    shop.model("m", &format!("{{{COLUMNS}, workers: {{cooldownSeconds: 0}}}}")).await;
    let job = shop.state("j", "UPLOADING", "WaitingForUpload").await;
    let (job_uid, pinned) = (job.uid().unwrap(), job.status.unwrap().model_revision.unwrap());
    shop.workers("m", 1).await;

    shop.report("j", crds::managers::API, json!({"upload": uploaded()})).await;
    shop.state("j", "PROCESSING", "Processing").await;
    shop.ledger("j", &job_uid, "loaded", 2, 1).await;
    shop.report(
        "j",
        crds::managers::WORKER,
        json!({"counts": {"total": 2, "ok": 1, "errors": 1, "chunksDone": 1}}),
    )
    .await;
    let job = shop.state("j", "PARTIAL_SUCCESS", "SomeRowsRejected").await;
    let status = job.status.unwrap();
    assert_eq!(status.progress.as_deref(), Some("100%"));
    assert_eq!(status.model_revision, Some(pinned));
    assert_eq!(status.upload.unwrap().rows, 2, "what the other writers reported is still there");
    assert_eq!(status.counts.unwrap().errors, 1);
    assert!(crds::status::is_true(&status.conditions, "Complete"));
    let receipt = shop.receipt("j").await;
    assert_eq!((receipt.rows, receipt.ok, receipt.rejected, receipt.chunks), (2, 1, 1, 1));
    assert_eq!(receipt.table_rows, 0, "no worker inserted the row");
    assert_eq!(receipt.digest, "crc64nvme:0123456789abcdef");
    assert_eq!(shop.history(&job_uid).await, ["j PARTIAL_SUCCESS 2 1 1"]);
    shop.workers("m", 0).await;
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_blocked_job_ends_when_its_dead_letters_are_dropped() {
    let shop = world().shop("blocked").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    let uid = shop.state("j", "UPLOADING", "WaitingForUpload").await.uid().unwrap();
    shop.ledger("j", &uid, "parked", 0, 0).await;
    shop.report("j", crds::managers::API, json!({"upload": uploaded()})).await;
    let counts = json!({"total": 0, "ok": 0, "errors": 0, "chunksDone": 0, "chunksParked": 1});
    let problem = json!({"reason": "Refused", "message": "a setting"});
    shop.report("j", crds::managers::WORKER, json!({"counts": counts, "loadProblem": problem})).await;
    let blocked = shop.state("j", "BLOCKED", "ChunksParked").await.status.unwrap();
    assert!(crds::status::is_true(&blocked.conditions, "Stalled"));
    shop.ledger("j", &uid, "dropped", 0, 0).await;
    let job = shop.state("j", "FAILED", "ChunksDropped").await.status.unwrap();
    assert_eq!((job.counts.unwrap().chunks_dropped, job.load_problem), (1, None));
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn chunks_that_are_no_longer_in_kafka_end_the_job() {
    let shop = world().shop("lost").await;
    shop.model("m", &format!("{{{COLUMNS}, topic: {{partitions: 2}}}}")).await;
    shop.ready("m").await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.state("j", "UPLOADING", "WaitingForUpload").await;
    let mut upload = uploaded();
    // The topic is empty: it is not the topic to which the chunk was sent.
    upload["lastOffsets"] = json!([7, -1]);
    shop.report("j", crds::managers::API, json!({"upload": upload})).await;
    let job = shop.state("j", "FAILED", "ChunksLost").await;
    assert!(job.status.unwrap().message.unwrap().starts_with("chunks 0 of 1 were deleted"));
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_label_that_was_loaded_is_refused_after_its_job_is_deleted() {
    let shop = world().shop("history").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    let spec = "{modelRef: {name: m}, source: {upload: {}}, label: day-1}";
    shop.job("first", spec).await;
    let uid = shop.state("first", "UPLOADING", "WaitingForUpload").await.uid().unwrap();
    shop.ledger("first", &uid, "loaded", 2, 0).await;
    shop.report("first", crds::managers::API, json!({"upload": uploaded()})).await;
    let counts = json!({"total": 2, "ok": 2, "errors": 0, "chunksDone": 1});
    shop.report("first", crds::managers::WORKER, json!({"counts": counts})).await;
    shop.state("first", "SUCCESS", "AllRowsLoaded").await;
    shop.receipt("first").await;
    shop.api::<IngestJob>().delete("first", &DeleteParams::default()).await.unwrap();
    wait(&shop.api::<IngestJob>(), "first", "deleted", is_deleted(&uid)).await;
    shop.job("second", spec).await;
    let refused = shop.state("second", "FAILED", "DuplicateLabel").await;
    assert!(refused.status.unwrap().message.unwrap().contains("already loaded by job 'first' at "));
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_running_job_keeps_its_revision_when_its_model_changes() {
    let shop = world().shop("pinned").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    let pinned =
        shop.state("j", "UPLOADING", "WaitingForUpload").await.status.unwrap().model_revision.unwrap();
    // One more than the number of revisions that are kept without need.
    for n in 0..11 {
        let more =
            COLUMNS.replace("amount, type: Float64", &format!("amount, type: Float64, aliases: [a{n}]"));
        shop.model("m", &format!("{{{more}}}")).await;
        shop.ready("m").await;
    }
    assert_eq!(
        shop.state("j", "UPLOADING", "WaitingForUpload").await.status.unwrap().model_revision,
        Some(pinned.clone())
    );
    shop.api::<ControllerRevision>().get(&pinned).await.unwrap();
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn an_inline_job_reports_an_unreachable_upload_api_and_expires() {
    let shop = world().shop("inline").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {inline: \"event_id,timestamp,amount\\n1,2,3\\n\"}, uploadDeadlineSeconds: 4}").await;
    shop.message("j", "has not reached the upload API").await;
    let job = shop.state("j", "FAILED", "UploadExpired").await;
    assert!(crds::status::is_true(&job.status.unwrap().conditions, "Failed"));
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_duplicate_label_is_refused_an_ended_job_is_deleted_and_a_running_job_is_cancelled() {
    let shop = world().shop("life").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("a", "{modelRef: {name: m}, source: {upload: {}}, label: day-1}").await;
    shop.state("a", "UPLOADING", "WaitingForUpload").await;
    shop.job("b", "{modelRef: {name: m}, source: {upload: {}}, label: day-1, ttlSecondsAfterFinished: 2}")
        .await;
    let refused = shop.state("b", "FAILED", "DuplicateLabel").await;
    assert!(refused.status.as_ref().unwrap().message.as_ref().unwrap().contains("'a'"));
    wait(&shop.api::<IngestJob>(), "b", "deleted", is_deleted(&refused.uid().unwrap())).await;
    shop.api::<IngestJob>()
        .patch("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"cancel": true}})))
        .await
        .unwrap();
    shop.state("a", "CANCELLED", "Cancelled").await;
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_model_reports_unreachable_kafka_and_clickhouse_and_other_models_are_still_validated() {
    let unreachable = Parts {
        kafka: "127.0.0.1:9".into(),
        clickhouse: ("127.0.0.1".into(), 9),
        user: ("u".into(), "p".into()),
    };
    let world = World::start("no-kafka-no-clickhouse", unreachable);
    let shop = world.shop("outage").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.model("wrong", &format!("{{{}}}", COLUMNS.replace("Float64", "Flot64"))).await;
    shop.condition("wrong", "Ready", "False", "ModelInvalid").await;
    shop.condition("m", "TableReady", "False", "ClickHouseUnavailable").await;
    let model = shop.condition("m", "TopicReady", "False", "KafkaUnavailable").await;
    let message =
        &model.status.unwrap().conditions.into_iter().find(|c| c.type_ == "TopicReady").unwrap().message;
    assert!(message.contains("Connection refused") && message.contains("retrying"), "{message}");
    let job = shop.message("j", "failed to reach ClickHouse").await.status.unwrap();
    assert_eq!(
        (job.state, job.reason.as_deref()),
        (Some(crds::state::JobState::Pending), Some("ModelNotReady"))
    );
}
