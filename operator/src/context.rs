//! What every reconcile has at hand: clients, stores, memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crds::{IngestJob, IngestModel};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::backoff::Backoff;
use crate::events::Events;
use crate::gate::Gate;
use crate::inline::InlineSender;
use crate::job::labels::Labels;
use crate::model::memory::Memory;
use crate::scale::lag::LagReader;
use crate::settings::Settings;
use crate::telemetry::metrics::OperatorMetrics;
use crate::topic::Topics;
use crate::worker_env::WorkerEnv;

/// An object of ours as a watch gives it: one that does not decode must not stop the watch of the others.
pub type Guarded<K> = DeserializeGuard<K>;
/// The key of a model in stores and maps.
pub type ModelKey = ObjectRef<Guarded<IngestModel>>;
/// The key of a job in stores and maps.
pub type JobKey = ObjectRef<Guarded<IngestJob>>;

/// What every reconcile has at hand.
pub struct Context {
    /// Kubernetes.
    pub client: Client,
    /// The operator's settings.
    pub settings: Settings,
    /// ClickHouse.
    pub clickhouse: clickhouse::Client,
    /// Kafka's topics.
    pub topics: Topics,
    /// Kafka's consumer groups.
    pub lag: LagReader,
    /// What every worker is told.
    pub worker_env: WorkerEnv,
    /// Sends inline sources to the upload API.
    pub inline: InlineSender,
    /// Which job holds which label.
    pub labels: Labels,
    /// Tells people.
    pub events: Events,
    /// Tells machines.
    pub metrics: OperatorMetrics,
    /// All models, as last seen.
    pub models: Store<Guarded<IngestModel>>,
    /// All jobs, as last seen.
    pub jobs: Store<Guarded<IngestJob>>,
    /// The Deployments that the operator made, as last seen.
    pub deployments: Store<Deployment>,
    /// Open once `models` is whole.
    pub models_known: Gate,
    /// Open once `jobs` is whole.
    pub jobs_known: Gate,
    /// Open once `deployments` is whole.
    pub deployments_known: Gate,
    /// Failures in a row of each model.
    pub model_failures: Backoff<ModelKey>,
    /// Failures in a row of each job.
    pub job_failures: Backoff<JobKey>,
    /// What is known of each model besides its object. Taken out while the model is worked on: one reconcile of an
    /// object runs at a time, and no lock is held while it waits.
    pub memories: Memories,
}

impl Context {
    /// The one place where the clock is read.
    #[must_use]
    #[allow(clippy::unused_self, reason = "whoever reads the clock has a context: pure code has none")]
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What is known of each model besides its object.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<ModelKey, Memory>>);

impl Memories {
    /// Takes a model's memory out; empty if there is none.
    pub fn take(&self, key: &ModelKey) -> Memory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default()
    }

    /// Puts it back.
    pub fn put(&self, key: ModelKey, memory: Memory) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, memory);
    }
}
