//! A Kubernetes API with one namespace in memory, and librdkafka's mock of a Kafka with one broker.

#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "helpers of several tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, State};
use axum::http::{Method, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use clap::Parser;
use crds::{ChunkHeader, ModelId};
use ingest_api::settings::Cli;
use ingest_api::state::Shared;
use ingest_api::{openapi, server};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

/// The partitions of the topic.
pub const PARTITIONS: i32 = 6;

/// The jobs of one namespace, with one model, `purchases`.
pub struct Kubernetes {
    jobs: Mutex<BTreeMap<String, Value>>,
    model: Value,
    /// The number of writes of a status.
    writes: watch::Sender<u64>,
    /// Moves with each change of a job.
    changes: watch::Sender<()>,
}

/// Everything that a test needs.
pub struct World {
    pub kubernetes: Arc<Kubernetes>,
    pub kafka: MockCluster<'static, DefaultProducerContext>,
    pub app: Shared,
    pub api: Api,
    _stop: watch::Sender<bool>,
}

/// The server under test.
#[derive(Clone)]
pub struct Api(Router);

/// A record as it is in Kafka.
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    /// The number of its headers.
    pub headers: usize,
    pub header: ChunkHeader,
    pub body: Vec<u8>,
}

impl World {
    pub fn new(chunk_bytes: u32) -> Self {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic(&topic(), PARTITIONS, 1).unwrap();
        let columns = json!([{"name": "id", "type": "UInt32"}, {"name": "text", "type": "String"}]);
        let kubernetes = Arc::new(Kubernetes {
            jobs: Mutex::default(),
            model: json!({
                "apiVersion": "ingest.batch-on-kafka.io/v1alpha1", "kind": "IngestModel",
                "metadata": {"name": "purchases", "namespace": "shop", "uid": "m1"},
                "spec": {"columns": columns, "chunkBytes": chunk_bytes},
            }),
            writes: watch::channel(0).0,
            changes: watch::channel(()).0,
        });
        let api = Router::new().fallback(serve).with_state(Arc::clone(&kubernetes));
        let bootstrap = format!("--kafka-bootstrap={}", kafka.bootstrap_servers());
        let settings = Cli::parse_from(["ingest-api", &bootstrap]).settings;
        let (stop, stopped) = watch::channel(false);
        let app = server::app(settings, kube::Client::new(api, "shop"), stopped).unwrap();
        Self { kubernetes, kafka, api: Api(openapi::router(app.clone())), app, _stop: stop }
    }

    /// Returns the records of the topic, sorted by job and chunk. Panics if there are not exactly `count` of them.
    pub fn records(&self, count: usize) -> Vec<Record> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.bootstrap_servers())
            .set("group.id", "test")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        let mut there = 0;
        for partition in 0..PARTITIONS {
            all.add_partition_offset(&topic(), partition, Offset::Beginning).unwrap();
            let (low, high) =
                consumer.fetch_watermarks(&topic(), partition, Duration::from_secs(10)).unwrap();
            there += usize::try_from(high - low).unwrap();
        }
        assert_eq!(there, count, "records in the topic");
        consumer.assign(&all).unwrap();
        let mut records = Vec::new();
        while records.len() < count {
            let Some(message) = consumer.poll(Duration::from_secs(10)) else { panic!("a record is missing") };
            let message = message.unwrap();
            let headers = message.headers().unwrap();
            let pairs = headers.iter().map(|h| (h.key, h.value.unwrap()));
            let header = ChunkHeader::parse(pairs).unwrap();
            records.push(Record {
                partition: message.partition(),
                offset: message.offset(),
                headers: headers.count(),
                header,
                body: message.payload().unwrap().into(),
            });
        }
        records.sort_by_key(|r| (r.header.job.clone(), r.header.chunk));
        records
    }
}

pub fn topic() -> String {
    ModelId::of("shop", "purchases").topic()
}

impl Api {
    /// Sends a request. Returns the status, the headers and the body.
    pub async fn send(&self, request: Request<Body>) -> (u16, Response<()>, Value) {
        let (head, body) = self.0.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (
            head.status.as_u16(),
            Response::from_parts(head, ()),
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }

    pub async fn put(&self, job: &str, headers: &[(&str, String)], body: impl Into<Body>) -> (u16, Value) {
        let mut request = Request::put(format!("/v1/namespaces/shop/jobs/{job}/data"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (status, _, body) = self.send(request.body(body.into()).unwrap()).await;
        (status, body)
    }
}

impl Kubernetes {
    /// Makes a job that is pinned, with this `status.upload`.
    pub fn add(&self, name: &str, spec: &Value, upload: &Value) {
        let mut all = json!({"modelRef": {"name": "purchases"}, "source": {"upload": {}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.insert(name, json!({"spec": all, "status": {"upload": upload}}));
    }

    fn insert(&self, name: &str, mut job: Value) -> Value {
        job["apiVersion"] = "ingest.batch-on-kafka.io/v1alpha1".into();
        job["kind"] = "IngestJob".into();
        job["metadata"] =
            json!({"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "1"});
        // A fast operator: the job is pinned at once.
        job["status"]["modelRevision"] = "purchases-1".into();
        job["status"]["state"] = "UPLOADING".into();
        self.jobs.lock().unwrap().insert(name.to_owned(), job.clone());
        job
    }

    /// Returns `status.upload` of a job.
    pub fn upload(&self, name: &str) -> Value {
        self.jobs.lock().unwrap()[name]["status"]["upload"].clone()
    }

    /// Returns how often a status was written.
    pub fn writes(&self) -> u64 {
        *self.writes.borrow()
    }

    /// Changes a job, as another client would do.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.get_mut(name).unwrap();
        change(job);
        next_version(job);
        self.changes.send_replace(());
    }

    /// Deletes a job.
    pub fn delete(&self, name: &str) {
        self.jobs.lock().unwrap().remove(name);
        self.changes.send_replace(());
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.changes.receiver_count()
    }

    /// The events of one job after a version, as the API server streams them.
    fn watch(self: Arc<Self>, name: &str, version: &str) -> Body {
        let mut last = self.jobs.lock().unwrap()[name].clone();
        last["metadata"]["resourceVersion"] = version.into();
        let start = (self.changes.subscribe(), last);
        Body::from_stream(futures::stream::unfold(start, move |(mut changes, last)| {
            let this = Arc::clone(&self);
            async move {
                loop {
                    let now = this.jobs.lock().unwrap().get(last["metadata"]["name"].as_str()?).cloned();
                    let (kind, object) = match now {
                        Some(now)
                            if now["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"] =>
                        {
                            changes.changed().await.ok()?;
                            continue;
                        }
                        Some(now) => ("MODIFIED", now),
                        None => ("DELETED", last),
                    };
                    let line = format!("{}\n", json!({"type": kind, "object": object}));
                    return Some((Ok::<_, std::io::Error>(Bytes::from(line)), (changes, object)));
                }
            }
        }))
    }

    /// Waits until the upload of a job is in the wanted state.
    pub async fn wait_for(&self, name: &str, condition: impl Fn(&Value) -> bool) {
        let mut writes = self.writes.subscribe();
        while !condition(&self.upload(name)) {
            writes.changed().await.unwrap();
        }
    }

    fn apply(&self, name: &str, patch: &Value) -> (StatusCode, Value) {
        let mut jobs = self.jobs.lock().unwrap();
        let Some(job) = jobs.get_mut(name) else { return failure(StatusCode::NOT_FOUND) };
        if patch["metadata"]["resourceVersion"] != job["metadata"]["resourceVersion"] {
            return failure(StatusCode::CONFLICT);
        }
        job["status"]["upload"] = patch["status"]["upload"].clone();
        next_version(job);
        self.writes.send_modify(|writes| *writes += 1);
        self.changes.send_replace(());
        (StatusCode::OK, job.clone())
    }
}

fn next_version(job: &mut Value) {
    let version: u64 = job["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    job["metadata"]["resourceVersion"] = (version + 1).to_string().into();
}

fn failure(code: StatusCode) -> (StatusCode, Value) {
    let number = code.as_u16();
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": code.to_string(), "reason": "", "code": number}),
    )
}

async fn serve(State(this): State<Arc<Kubernetes>>, method: Method, uri: Uri, body: Bytes) -> Response<Body> {
    let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let (&Method::GET, Some(&"ingestjobs")) = (&method, path.last()) {
        let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&uri).unwrap();
        let name = query["fieldSelector"].strip_prefix("metadata.name=").unwrap();
        return this.watch(name, &query["resourceVersion"]).into_response();
    }
    let (code, answer) = match (method.as_str(), &path[3..]) {
        ("GET", ["namespaces", _, "ingestmodels", "purchases"]) => (StatusCode::OK, this.model.clone()),
        ("GET", ["namespaces", _, "controllerrevisions", name]) => {
            let data = json!({"columns": this.model["spec"]["columns"]});
            (
                StatusCode::OK,
                json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name}, "revision": 1, "data": data}),
            )
        }
        ("GET", ["namespaces", _, "ingestjobs", name]) => match this.jobs.lock().unwrap().get(*name) {
            Some(job) => (StatusCode::OK, job.clone()),
            None => failure(StatusCode::NOT_FOUND),
        },
        ("POST", ["namespaces", _, "ingestjobs"]) => {
            let name = body["metadata"]["name"].as_str().unwrap().to_owned();
            (StatusCode::CREATED, this.insert(&name, json!({"spec": body["spec"]})))
        }
        ("PATCH", ["namespaces", _, "ingestjobs", name, "status"]) => this.apply(name, &body),
        other => panic!("no such route: {other:?}"),
    };
    (code, axum::Json(answer)).into_response()
}
