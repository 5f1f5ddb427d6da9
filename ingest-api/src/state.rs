//! What all requests share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use connect::{Health, Metrics};
use crds::{IngestJob, IngestModel, ModelId, TableName};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use tokio::sync::{Semaphore, watch};

use crate::error::{ApiError, kubernetes_or};
use crate::metrics::ApiMetrics;
use crate::names::{Name, Namespace};
use crate::settings::Settings;
use crate::upload::produce::Kafka;

/// [`App`], shared.
pub type Shared = Arc<App>;

/// What all requests share.
pub struct App {
    /// What the server was told at its start.
    pub settings: Settings,
    /// The Kubernetes API.
    pub kube: kube::Client,
    /// The producer.
    pub kafka: Arc<Kafka>,
    /// To read rejected rows.
    pub clickhouse: clickhouse::Client,
    /// Where rejected rows are.
    pub rejected_rows: TableName,
    /// What is counted.
    pub metrics: ApiMetrics,
    /// The text of `/metrics`.
    pub exposed: Metrics,
    /// One permit an upload.
    pub uploads: Arc<Semaphore>,
    /// What is being uploaded here.
    pub running: Running,
    /// Turns true when uploads have to stop at the next acknowledged chunk.
    pub stop: watch::Receiver<bool>,
    /// Where the names of jobs come from.
    pub new_id: fn() -> u32,
    /// Whether Kubernetes and Kafka were there when they were last asked.
    pub health: Health,
}

impl App {
    /// The jobs of a namespace.
    #[must_use]
    pub fn jobs(&self, namespace: &Namespace) -> Api<IngestJob> {
        Api::namespaced(self.kube.clone(), namespace.as_str())
    }

    /// The models of a namespace.
    #[must_use]
    pub fn models(&self, namespace: &Namespace) -> Api<IngestModel> {
        Api::namespaced(self.kube.clone(), namespace.as_str())
    }

    /// The job of that name.
    pub async fn job(&self, namespace: &Namespace, job: &Name) -> Result<IngestJob, ApiError> {
        let named = || ApiError::JobNotFound { namespace: namespace.to_string(), job: job.to_string() };
        self.jobs(namespace).get(job.as_str()).await.map_err(kubernetes_or(404, named))
    }

    /// The model of that name or id.
    pub async fn model(&self, namespace: &Namespace, model: &Name) -> Result<IngestModel, ApiError> {
        let models = self.models(namespace);
        if let Some(found) = models.get_opt(model.as_str()).await? {
            return Ok(found);
        }
        let mut found = None;
        if ModelId::looks_like(model.as_str()) {
            let is_it =
                |m: &IngestModel| ModelId::of(namespace.as_str(), &m.name_any()).as_str() == model.as_str();
            found = models.list(&ListParams::default()).await?.items.into_iter().find(is_it);
        }
        found.ok_or_else(|| ApiError::ModelNotFound {
            namespace: namespace.to_string(),
            model: model.to_string(),
        })
    }
}

/// Things of which only one may be under way at a time: uploads by their job's uid, labels while they are looked up.
///
/// In this process only: a second replica is seen through the job's status.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    /// The right to go on, given back when it is dropped; `None` while somebody else has it.
    #[must_use]
    pub fn claim(&self, key: &str) -> Option<Claim> {
        self.with(|keys| keys.insert(key.to_owned()))
            .then(|| Claim { running: self.clone(), key: key.to_owned() })
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See [`Running::claim`].
#[derive(Debug)]
pub struct Claim {
    running: Running,
    key: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.running.with(|keys| keys.remove(&self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_one_upload_at_a_time_and_may_have_another_after_it() {
        let running = Running::default();
        let first = running.claim("u1");
        assert!(first.is_some() && running.claim("u1").is_none() && running.claim("u2").is_some());
        drop(first);
        assert!(running.claim("u1").is_some());
    }
}
