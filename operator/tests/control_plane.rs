//! The operator on a real API server, Kafka and ClickHouse. There is no node: Deployments are made and scaled, no pod runs,
//! and what the upload API and the workers would tell is written by the tests with their field managers.
//!
//! Needs the local stack (`stack up`), or a cluster of one's own as `stack::Endpoints::find` describes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::match_wild_err_arm,
    reason = "the helpers of a test fail as a test does"
)]

use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use connect::LogArgs;
use crds::{IngestJob, IngestModel, ModelId};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::conditions::{is_crd_established, is_deleted};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, Config, CustomResourceExt, Resource, ResourceExt};
use operator::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::de::DeserializeOwned;
use serde_json::json;
use stack::{ControlPlane, Endpoints, Paths};

/// Where the operator finds the parts.
#[derive(Clone)]
struct Parts {
    kafka: String,
    clickhouse: (String, u16),
    user: (String, String),
}

/// A control plane with an operator on it.
struct World {
    config: Config,
    parts: Parts,
    database: String,
    /// Stops it when the test program ends.
    _plane: ControlPlane,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    log: LogArgs,
}

/// One world for all tests: each has its own namespace, and so its own topics and tables.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::start("operator", real()))
}

fn real() -> Parts {
    let found = Endpoints::find(&Paths::from_env()).expect("the stack must be up: cargo run -p stack -- up");
    Parts {
        kafka: found.kafka_host,
        clickhouse: (found.clickhouse_host, found.clickhouse_http_port),
        user: (found.clickhouse_user, found.clickhouse_password),
    }
}

impl World {
    fn start(name: &str, parts: Parts) -> Self {
        // What an earlier run left there is stopped and removed.
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let plane = ControlPlane::start(&folder).unwrap();
        let kubeconfig = Kubeconfig::read_from(&plane.kubeconfig).unwrap();
        // One for all runs: names of models, and so of tables, differ by the namespace.
        let database = "operator_test".to_owned();
        let args = [
            "operator".to_owned(),
            format!("--kafka-bootstrap={}", parts.kafka),
            format!("--clickhouse-host={}", parts.clickhouse.0),
            format!("--clickhouse-port={}", parts.clickhouse.1),
            format!("--clickhouse-user={}", parts.user.0),
            format!("--clickhouse-password={}", parts.user.1),
            format!("--clickhouse-database={database}"),
            "--metrics-port=0".to_owned(),
            // Nobody listens there.
            "--api-url=http://127.0.0.1:9".to_owned(),
        ];
        let cli = Cli::parse_from(args);
        // A runtime of its own: those of the tests end with each test.
        let (ready, config) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let config =
                    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
                let client = Client::try_from(config.clone()).unwrap();
                for crd in [IngestModel::crd(), IngestJob::crd()] {
                    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
                    api.create(&PostParams::default(), &crd).await.unwrap();
                    wait(&api, &crd.name_any(), "established", is_crd_established()).await;
                }
                ready.send(config).unwrap();
                operator::run(cli.settings, cli.log, client, std::future::pending()).await.unwrap();
            });
        });
        Self { config: config.recv().unwrap(), parts, database, _plane: plane }
    }

    async fn shop(&self, namespace: &str) -> Shop {
        let client = Client::try_from(self.config.clone()).unwrap();
        let namespace = format!("{namespace}-{}", std::process::id());
        let object = Namespace {
            metadata: kube::core::ObjectMeta { name: Some(namespace.clone()), ..Default::default() },
            ..Default::default()
        };
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let clickhouse = clickhouse::Client::default()
            .with_url(format!("http://{}:{}", self.parts.clickhouse.0, self.parts.clickhouse.1))
            .with_user(&self.parts.user.0)
            .with_password(&self.parts.user.1)
            .with_validation(false);
        Shop {
            client,
            namespace,
            clickhouse,
            database: self.database.clone(),
            kafka: self.parts.kafka.clone(),
        }
    }
}

/// A namespace of a test.
struct Shop {
    client: Client,
    namespace: String,
    clickhouse: clickhouse::Client,
    database: String,
    kafka: String,
}

impl Shop {
    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn id(&self, model: &str) -> ModelId {
        ModelId::of(&self.namespace, model)
    }

    async fn model(&self, name: &str, spec: &str) -> IngestModel {
        let yaml = format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: {name}}}, spec: {spec}}}"
        );
        let object: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
        self.api().patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap()
    }

    async fn job(&self, name: &str, spec: &str) -> IngestJob {
        let yaml = format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {{name: {name}}}, spec: {spec}}}"
        );
        self.api().create(&PostParams::default(), &serde_yaml::from_str(&yaml).unwrap()).await.unwrap()
    }

    /// What another writer tells of a job.
    async fn tell(&self, job: &str, manager: &str, status: serde_json::Value) {
        let patch =
            json!({"apiVersion": "ingest.batch-on-kafka.io/v1alpha1", "kind": "IngestJob", "status": status});
        let params = PatchParams::apply(manager).force();
        self.api::<IngestJob>().patch_status(job, &params, &Patch::Apply(patch)).await.unwrap();
    }

    async fn ready(&self, model: &str) -> IngestModel {
        self.condition(model, "Ready", "True", "AsWanted").await
    }

    /// Waits until the condition of the current spec is so.
    async fn condition(&self, model: &str, type_: &str, status: &str, reason: &str) -> IngestModel {
        let is = |model: Option<&IngestModel>| {
            let Some((model, told)) = model.and_then(|m| Some((m, m.status.as_ref()?))) else { return false };
            told.observed_generation == model.metadata.generation
                && told
                    .conditions
                    .iter()
                    .any(|c| c.type_ == type_ && c.status == status && c.reason == reason)
        };
        wait(&self.api(), model, &format!("{type_}={status} {reason}"), is).await.unwrap()
    }

    async fn state(&self, job: &str, state: &str, reason: &str) -> IngestJob {
        let is = |job: Option<&IngestJob>| {
            let Some(told) = job.and_then(|j| j.status.as_ref()) else { return false };
            told.state.is_some_and(|s| s.as_str() == state) && told.reason.as_deref() == Some(reason)
        };
        wait(&self.api(), job, &format!("{state} {reason}"), is).await.unwrap()
    }

    async fn workers(&self, model: &str, replicas: i32) -> Deployment {
        let is = |deployment: Option<&Deployment>| {
            deployment.and_then(|d| d.spec.as_ref()).is_some_and(|spec| spec.replicas == Some(replicas))
        };
        wait(&self.api(), &self.id(model).worker(), &format!("{replicas} workers"), is).await.unwrap()
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        self.clickhouse
            .query_raw("SELECT concat(name, ' ', type) FROM system.columns WHERE database = {d:String} AND table = {t:String} ORDER BY position")
            .param("d", &self.database)
            .param("t", table)
            .fetch_all::<String>()
            .await
            .unwrap()
    }

    /// Partitions of a topic, 0 if there is none.
    /// Waits until brokers tell of so many partitions (0: of no such topic): what they tell lags behind what they did.
    async fn has_partitions(&self, topic: &str, wanted: usize) {
        let consumer: BaseConsumer =
            rdkafka::ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        let count = || {
            let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
            metadata.topics().iter().find(|t| t.error().is_none()).map_or(0, |t| t.partitions().len())
        };
        let mut tries = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..200 {
            tries.tick().await;
            if count() == wanted {
                return;
            }
        }
        panic!("{topic} has {} partitions, not {wanted}", count());
    }

    /// Deletes the models with everything they made in Kafka and ClickHouse.
    async fn close(self, models: &[&str]) {
        for model in models {
            let delete = json!({"spec": {"deletionPolicy": "Delete"}});
            self.api::<IngestModel>()
                .patch(model, &PatchParams::default(), &Patch::Merge(delete))
                .await
                .unwrap();
            let has_finalizer = |m: Option<&IngestModel>| m.is_some_and(|m| !m.finalizers().is_empty());
            let uid = wait(&self.api::<IngestModel>(), model, "finalizer", has_finalizer)
                .await
                .unwrap()
                .uid()
                .unwrap();
            self.api::<IngestModel>().delete(model, &DeleteParams::default()).await.unwrap();
            wait(&self.api::<IngestModel>(), model, "deleted", is_deleted(&uid)).await;
            self.has_partitions(&self.id(model).topic(), 0).await;
            assert_eq!(self.columns(&self.id(model).default_table()).await, Vec::<String>::new());
        }
    }
}

/// Waits for a condition; the failure shows the object.
async fn wait<K>(api: &Api<K>, name: &str, what: &str, condition: impl Condition<K>) -> Option<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    match tokio::time::timeout(Duration::from_secs(45), await_condition(api.clone(), name, condition)).await {
        Ok(found) => found.unwrap(),
        Err(_) => panic!("{name} is not {what}: {:#?}", api.get_opt(name).await),
    }
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
    assert_eq!(shop.columns("rejected_rows").await.len(), 13);
    assert_eq!(shop.columns("ingest_chunks").await.len(), 14);
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
async fn a_model_with_a_wrong_type_says_why_makes_nothing_and_is_served_once_it_is_right() {
    let shop = world().shop("wrong").await;
    shop.model("m", &format!("{{{}}}", COLUMNS.replace("Float64", "Flot64"))).await;
    let model = shop.condition("m", "Ready", "False", "ModelInvalid").await;
    let message = &model.status.as_ref().unwrap().conditions[0].message;
    assert!(message.contains("spec.columns[2] ('amount')") && message.contains("Flot64"), "{message}");
    shop.has_partitions(&shop.id("m").topic(), 0).await;
    assert_eq!(shop.columns(&shop.id("m").default_table()).await, Vec::<String>::new());
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.state("j", "PENDING", "ModelInvalid").await;
    // The API server refuses to change a type, so the model is made again.
    shop.api::<IngestModel>().delete("m", &DeleteParams::default()).await.unwrap();
    shop.state("j", "PENDING", "ModelNotFound").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.state("j", "UPLOADING", "WaitingForUpload").await;
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_table_of_another_shape_is_not_touched() {
    let shop = world().shop("foreign").await;
    // The database is there once a first model is.
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
    let told =
        &model.status.unwrap().conditions.into_iter().find(|c| c.type_ == "TableReady").unwrap().message;
    assert!(told.contains(&format!("{}.{foreign}", shop.database)) && told.contains("_job"), "{told}");
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
async fn a_job_that_comes_before_its_model_starts_with_it_and_its_worker_goes_when_it_ends() {
    let shop = world().shop("early").await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.state("j", "PENDING", "ModelNotFound").await;
    shop.model("m", &format!("{{{COLUMNS}, workers: {{cooldownSeconds: 0}}}}")).await;
    let job = shop.state("j", "UPLOADING", "WaitingForUpload").await;
    let pinned = job.status.unwrap().model_revision.unwrap();
    shop.workers("m", 1).await;

    shop.tell("j", crds::managers::API, json!({"upload": {"complete": true, "bytes": 30, "rows": 2, "chunks": 1, "offset": 30, "nextRow": 3}})).await;
    shop.state("j", "PROCESSING", "Processing").await;
    shop.tell(
        "j",
        crds::managers::WORKER,
        json!({"counts": {"total": 2, "ok": 1, "errors": 1, "chunksDone": 1}}),
    )
    .await;
    let job = shop.state("j", "PARTIAL_SUCCESS", "SomeRowsRejected").await;
    let status = job.status.unwrap();
    assert_eq!(status.progress.as_deref(), Some("100%"));
    assert_eq!(status.model_revision, Some(pinned));
    assert_eq!(status.upload.unwrap().rows, 2, "what the others told is still there");
    assert_eq!(status.counts.unwrap().errors, 1);
    assert!(crds::status::is_true(&status.conditions, "Complete"));
    shop.workers("m", 0).await;
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn a_running_job_keeps_its_revision_when_its_model_changes() {
    let shop = world().shop("pinned").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    let pinned =
        shop.state("j", "UPLOADING", "WaitingForUpload").await.status.unwrap().model_revision.unwrap();
    // One more than are kept for no reason.
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
async fn an_inline_job_says_that_the_upload_api_is_away_and_expires() {
    let shop = world().shop("inline").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {inline: \"event_id,timestamp,amount\\n1,2,3\\n\"}, uploadDeadlineSeconds: 4}").await;
    let tells = |job: Option<&IngestJob>| {
        job.and_then(|j| j.status.as_ref()?.message.as_deref())
            .is_some_and(|m| m.contains("has not reached the upload API"))
    };
    wait(&shop.api::<IngestJob>(), "j", "told", tells).await;
    let job = shop.state("j", "FAILED", "UploadExpired").await;
    assert!(crds::status::is_true(&job.status.unwrap().conditions, "Failed"));
    shop.close(&["m"]).await;
}

#[tokio::test]
async fn labels_cancellation_and_the_end_of_an_ended_jobs_life() {
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
async fn while_kafka_and_clickhouse_are_away_a_model_says_so_and_others_are_still_judged() {
    let away = Parts {
        kafka: "127.0.0.1:9".into(),
        clickhouse: ("127.0.0.1".into(), 9),
        user: ("u".into(), "p".into()),
    };
    let world = World::start("no-kafka-no-clickhouse", away);
    let shop = world.shop("outage").await;
    shop.model("m", &format!("{{{COLUMNS}}}")).await;
    shop.job("j", "{modelRef: {name: m}, source: {upload: {}}}").await;
    shop.model("wrong", &format!("{{{}}}", COLUMNS.replace("Float64", "Flot64"))).await;
    shop.condition("wrong", "Ready", "False", "ModelInvalid").await;
    shop.condition("m", "TableReady", "False", "ClickHouseUnavailable").await;
    let model = shop.condition("m", "TopicReady", "False", "KafkaUnavailable").await;
    let told =
        &model.status.unwrap().conditions.into_iter().find(|c| c.type_ == "TopicReady").unwrap().message;
    assert!(told.contains("Connection refused") && told.contains("retrying"), "{told}");
    let job = shop.state("j", "PENDING", "ModelNotReady").await;
    assert!(job.status.unwrap().message.unwrap().contains("failed to reach ClickHouse"));
}
