//! A control plane with a running operator, and what a test does in its own namespace there.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use connect::LogArgs;
use crds::{IngestJob, IngestModel, ModelId};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
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

/// The addresses of Kafka and ClickHouse for the operator.
#[derive(Clone)]
pub struct Parts {
    pub kafka: String,
    pub clickhouse: (String, u16),
    pub user: (String, String),
}

/// A control plane with a running operator.
pub struct World {
    pub config: Config,
    pub parts: Parts,
    pub database: String,
    /// Stops the control plane when the test program ends.
    _plane: ControlPlane,
}

#[derive(Parser)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    log: LogArgs,
}

/// One control plane for all tests. Each test has its own namespace, and so its own topics and tables.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::start("operator", real()))
}

pub fn real() -> Parts {
    let found = Endpoints::find(&Paths::from_env()).expect("the stack must be up: cargo run -p stack -- up");
    Parts {
        kafka: found.kafka_host,
        clickhouse: (found.clickhouse_host, found.clickhouse_http_port),
        user: (found.clickhouse_user, found.clickhouse_password),
    }
}

impl World {
    pub fn start(name: &str, parts: Parts) -> Self {
        // Processes and files of an earlier run in this folder are stopped and removed.
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let plane = ControlPlane::start(&folder).unwrap();
        let kubeconfig = Kubeconfig::read_from(&plane.kubeconfig).unwrap();
        // One database for all runs: the names of models, and so of tables, differ by the namespace.
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
            // No program listens on this port.
            "--api-url=http://127.0.0.1:9".to_owned(),
        ];
        let cli = Cli::parse_from(args);
        // The operator needs its own runtime: those of the tests end with each test.
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

    pub async fn shop(&self, namespace: &str) -> Shop {
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
pub struct Shop {
    pub client: Client,
    pub namespace: String,
    pub clickhouse: clickhouse::Client,
    pub database: String,
    pub kafka: String,
}

impl Shop {
    pub fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn id(&self, model: &str) -> ModelId {
        ModelId::of(&self.namespace, model)
    }

    pub async fn model(&self, name: &str, spec: &str) -> IngestModel {
        let yaml = format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: {name}}}, spec: {spec}}}"
        );
        let object: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
        self.api().patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap()
    }

    pub async fn job(&self, name: &str, spec: &str) -> IngestJob {
        let yaml = format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {{name: {name}}}, spec: {spec}}}"
        );
        self.api().create(&PostParams::default(), &serde_yaml::from_str(&yaml).unwrap()).await.unwrap()
    }

    /// Writes what another writer reports about a job.
    pub async fn report(&self, job: &str, manager: &str, status: serde_json::Value) {
        let patch =
            json!({"apiVersion": "ingest.batch-on-kafka.io/v1alpha1", "kind": "IngestJob", "status": status});
        let params = PatchParams::apply(manager).force();
        self.api::<IngestJob>().patch_status(job, &params, &Patch::Apply(patch)).await.unwrap();
    }

    pub async fn ready(&self, model: &str) -> IngestModel {
        self.condition(model, "Ready", "True", "AsWanted").await
    }

    /// Waits until the condition of the current spec has this status and reason.
    pub async fn condition(&self, model: &str, type_: &str, status: &str, reason: &str) -> IngestModel {
        let is = |model: Option<&IngestModel>| {
            let Some((model, current)) = model.and_then(|m| Some((m, m.status.as_ref()?))) else {
                return false;
            };
            current.observed_generation == model.metadata.generation
                && current
                    .conditions
                    .iter()
                    .any(|c| c.type_ == type_ && c.status == status && c.reason == reason)
        };
        wait(&self.api(), model, &format!("{type_}={status} {reason}"), is).await.unwrap()
    }

    pub async fn state(&self, job: &str, state: &str, reason: &str) -> IngestJob {
        let is = |job: Option<&IngestJob>| {
            let Some(status) = job.and_then(|j| j.status.as_ref()) else { return false };
            status.state.is_some_and(|s| s.as_str() == state) && status.reason.as_deref() == Some(reason)
        };
        wait(&self.api(), job, &format!("{state} {reason}"), is).await.unwrap()
    }

    /// Waits until the message of a job contains `text`.
    pub async fn message(&self, job: &str, text: &str) -> IngestJob {
        let is = |job: Option<&IngestJob>| {
            job.and_then(|j| j.status.as_ref()?.message.as_deref()).is_some_and(|m| m.contains(text))
        };
        wait(&self.api(), job, text, is).await.unwrap()
    }

    pub async fn workers(&self, model: &str, replicas: i32) -> Deployment {
        let is = |deployment: Option<&Deployment>| {
            deployment.and_then(|d| d.spec.as_ref()).is_some_and(|spec| spec.replicas == Some(replicas))
        };
        wait(&self.api(), &self.id(model).worker(), &format!("{replicas} workers"), is).await.unwrap()
    }

    /// Waits for the receipt of a job.
    pub async fn receipt(&self, job: &str) -> crds::job::Receipt {
        let has = |job: Option<&IngestJob>| job.and_then(|j| j.status.as_ref()?.receipt.as_ref()).is_some();
        let job = wait(&self.api::<IngestJob>(), job, "receipt", has).await.unwrap();
        job.status.unwrap().receipt.unwrap()
    }

    /// Writes the ledger line of a job's only batch, as a worker does, or the upload API on the request of a person.
    pub async fn ledger(&self, job: &str, uid: &str, outcome: &str, rows: u32, errors: u32) {
        let table = crds::TableName::new(&self.database, crds::tables::INGEST_BATCHES).unwrap();
        let sql = format!(
            "INSERT INTO {table} (job_uid, job_id, chunks, rows, ok, errors, digests, outcome) \
             SELECT {{uid:String}}, {{job:String}}, 1, {rows}, {rows} - {errors}, {errors}, [7], {{outcome:String}}"
        );
        let query = self.clickhouse.query_raw(&sql).param("uid", uid).param("job", job);
        query.param("outcome", outcome).execute().await.unwrap();
    }

    pub async fn history(&self, uid: &str) -> Vec<String> {
        let table = crds::TableName::new(&self.database, crds::tables::INGEST_JOBS).unwrap();
        let sql = format!(
            "SELECT concat(name, ' ', state, ' ', toString(total), ' ', toString(ok), ' ', toString(errors)) \
             FROM {table} FINAL WHERE uid = {{uid:String}}"
        );
        self.clickhouse.query_raw(&sql).param("uid", uid).fetch_all::<String>().await.unwrap()
    }

    pub async fn columns(&self, table: &str) -> Vec<String> {
        self.clickhouse
            .query_raw("SELECT concat(name, ' ', type) FROM system.columns WHERE database = {d:String} AND table = {t:String} ORDER BY position")
            .param("d", &self.database)
            .param("t", table)
            .fetch_all::<String>()
            .await
            .unwrap()
    }

    /// Waits until brokers report this number of partitions (0: no such topic). Their metadata lags behind their
    /// changes.
    pub async fn has_partitions(&self, topic: &str, wanted: usize) {
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

    /// Deletes the models, with everything that they made in Kafka and ClickHouse.
    pub async fn close(self, models: &[&str]) {
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

/// Longer than the operator waits before it reports chunks as lost.
pub const LIMIT: Duration = Duration::from_secs(90);

/// Waits for a condition. If it does not hold in time, the panic shows the object.
pub async fn wait<K>(api: &Api<K>, name: &str, what: &str, condition: impl Condition<K>) -> Option<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    match tokio::time::timeout(LIMIT, await_condition(api.clone(), name, condition)).await {
        Ok(found) => found.unwrap(),
        Err(_) => panic!("{name} is not {what}: {:#?}", api.get_opt(name).await),
    }
}
