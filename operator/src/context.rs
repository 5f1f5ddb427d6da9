//! The context of every reconcile: clients, stores, and what the operator remembers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crds::job::Counts;
use crds::sql::TableName;
use crds::{IngestJob, IngestModel, ModelId};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt};
use parking_lot::Mutex;

use crate::backoff::Backoff;
use crate::ddl::run::SharedTables;
use crate::events::Events;
use crate::gate::Gate;
use crate::history::{LabelKey, LoadedJob};
use crate::inline::InlineSender;
use crate::label::Labels;
use crate::ledger::Reading;
use crate::lookup::Lookup;
use crate::lost::Suspicion;
use crate::model_state::ModelState;
use crate::objects::{Guarded, JobKey, ModelKey};
use crate::scale::lag::{LagReader, Positions};
use crate::settings::Settings;
use crate::telemetry::metrics::OperatorMetrics;
use crate::topic::Topics;
use crate::worker_env::{Installation, WorkerEnv};

/// The context of every reconcile.
pub struct Context {
    /// Kubernetes.
    pub client: Client,
    /// The operator's settings.
    pub settings: Settings,
    /// ClickHouse.
    pub clickhouse: clickhouse::Client,
    /// The tables that all models share.
    pub shared_tables: SharedTables,
    /// Kafka's topics.
    pub topics: Topics,
    /// Kafka's consumer groups.
    pub lag: LagReader,
    /// The environment of every worker.
    pub worker_env: WorkerEnv,
    /// Sends inline sources to the upload API.
    pub inline: InlineSender,
    /// Which job holds which label.
    pub labels: Labels,
    /// Which labels earlier jobs have loaded.
    pub label_history: Lookup<LabelKey, Option<LoadedJob>>,
    /// What the ledger has about jobs that lack chunks.
    pub ledger_readings: Lookup<(), Reading>,
    /// The receipts that were made: for each, the counts with which it was made.
    pub receipts: Lookup<(), Counts>,
    /// How far the topic of each model is consumed.
    pub positions: Known<ModelKey, Arc<Positions>>,
    /// The table of each model that was seen. It has deleted models too, because their jobs still end.
    pub tables: Known<ModelKey, TableName>,
    /// When the operator first saw that the upload of a job is complete, by uid. It is kept until the state of the job
    /// changes.
    pub completions: Known<String, Timestamp>,
    /// Since when no more chunks can arrive for jobs that lack chunks, by uid.
    pub suspicions: Known<String, Suspicion>,
    /// Writes Events, for people.
    pub events: Events,
    /// Metrics, for monitoring.
    pub metrics: OperatorMetrics,
    /// All models, as last seen.
    pub models: Store<Guarded<IngestModel>>,
    /// All jobs, as last seen.
    pub jobs: Store<Guarded<IngestJob>>,
    /// The Deployments that the operator made, as last seen.
    pub deployments: Store<Deployment>,
    /// Opens when `models` is complete.
    pub models_known: Gate,
    /// Opens when `jobs` is complete.
    pub jobs_known: Gate,
    /// Opens when `deployments` is complete.
    pub deployments_known: Gate,
    /// Failures in a row of each model.
    pub model_failures: Backoff<ModelKey>,
    /// Failures in a row of each job.
    pub job_failures: Backoff<JobKey>,
    /// What the operator knows about each model besides its object. A reconcile takes this state out and puts it back
    /// at its end: only one reconcile of an object runs at a time, and no lock is held while it waits.
    pub model_states: ModelStates,
}

impl Context {
    /// Returns the current time. The clock is read only here.
    #[must_use]
    #[allow(clippy::unused_self, reason = "whoever reads the clock has a context: pure code has none")]
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Returns the settings that the workers of all models share.
    #[must_use]
    pub fn installation(&self) -> Installation<'_> {
        Installation { settings: &self.settings, env: &self.worker_env }
    }

    /// Returns the table of the job's model. If the model was never seen, it is the default table.
    #[must_use]
    pub fn table_of(&self, job: &IngestJob) -> Option<TableName> {
        let (namespace, model) = (job.namespace()?, &job.spec.model_ref.name);
        self.tables.get(&ModelKey::new(model).within(&namespace)).or_else(|| {
            let table = ModelId::of(&namespace, model).default_table();
            TableName::new(&self.settings.clickhouse.clickhouse_database, &table).ok()
        })
    }
}

/// What the operator knows about each object of a kind.
#[derive(Debug)]
pub struct Known<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Known<K, V> {
    /// Returns what is known about the object.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.lock().get(key).cloned()
    }

    /// Replaces what is known about the object. `None` deletes it.
    pub fn set<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&self, key: &Q, value: Option<V>)
    where
        K: std::borrow::Borrow<Q>,
    {
        let mut map = self.0.lock();
        match value {
            Some(value) => drop(map.insert(key.to_owned(), value)),
            None => drop(map.remove(key)),
        }
    }
}

/// What the operator knows about each model besides its object.
#[derive(Default)]
pub struct ModelStates(Mutex<HashMap<ModelKey, ModelState>>);

impl ModelStates {
    /// Takes the state of a model out. It is empty if the model is not known.
    pub fn take(&self, key: &ModelKey) -> ModelState {
        self.0.lock().remove(key).unwrap_or_default()
    }

    /// Puts the state of a model back.
    pub fn put(&self, key: ModelKey, memory: ModelState) {
        self.0.lock().insert(key, memory);
    }
}
