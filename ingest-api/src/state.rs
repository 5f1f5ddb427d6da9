//! What all requests have in common.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use connect::{Health, Metrics};
use crds::{IngestJob, IngestModel, ModelId, RevisionData};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::admission::Lane;
use crate::clickhouse::Tables;
use crate::error::{ApiError, kubernetes_or};
use crate::metrics::ApiMetrics;
use crate::names::{Name, Namespace};
use crate::produce::Kafka;
use crate::settings::Settings;

/// [`App`], shared.
pub type Shared = Arc<App>;

/// What all requests have in common.
pub struct App {
    /// The server's settings.
    pub settings: Settings,
    /// The Kubernetes API.
    pub kube: kube::Client,
    /// The producer.
    pub kafka: Arc<Kafka>,
    /// The tables that are read in `ClickHouse`.
    pub tables: Tables,
    /// The metrics.
    pub metrics: ApiMetrics,
    /// The text of `/metrics`.
    pub exposed: Metrics,
    /// The permits and the memory of uploads.
    pub uploads: Lane,
    /// The permits and the memory of inline jobs.
    pub inline: Lane,
    /// The permits of requests that wait for the end of a job.
    pub waiters: Semaphore,
    /// The revisions that were read.
    pub revisions: Revisions,
    /// The labels that a request of this process looks for.
    pub running: Running,
    /// Becomes true when uploads must stop at the next acknowledged chunk.
    pub stop: watch::Receiver<bool>,
    /// Returns a random number for the name of a job.
    pub new_id: fn() -> u32,
    /// Whether Kubernetes and Kafka could be reached at the last check.
    pub health: Health,
}

impl App {
    /// Returns the API for the jobs of a namespace.
    #[must_use]
    pub fn jobs(&self, namespace: &Namespace) -> Api<IngestJob> {
        Api::namespaced(self.kube.clone(), namespace.as_str())
    }

    /// Returns the API for the models of a namespace.
    #[must_use]
    pub fn models(&self, namespace: &Namespace) -> Api<IngestModel> {
        Api::namespaced(self.kube.clone(), namespace.as_str())
    }

    /// Returns the job with this name.
    pub async fn job(&self, namespace: &Namespace, job: &Name) -> Result<IngestJob, ApiError> {
        let named = || ApiError::JobNotFound { namespace: namespace.to_string(), job: job.to_string() };
        self.jobs(namespace).get(job.as_str()).await.map_err(kubernetes_or(404, named))
    }

    /// Returns the model with this name or id.
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

/// A cache of revisions by namespace and name. The content of a revision never changes, because its name contains a
/// hash of it.
#[derive(Debug, Default)]
pub struct Revisions(Mutex<HashMap<String, Arc<RevisionData>>>);

/// How many revisions are kept.
const KEPT_REVISIONS: usize = 64;

impl Revisions {
    /// Returns the revision with this key, if it was read.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Arc<RevisionData>> {
        self.0.lock().get(key).cloned()
    }

    /// Keeps a revision that was read, and returns it.
    pub fn keep(&self, key: String, data: RevisionData) -> Arc<RevisionData> {
        let data = Arc::new(data);
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_REVISIONS {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&data));
        data
    }
}

/// Resolves when the value is true, or when it can no longer change because its sender was dropped.
pub async fn until_true(value: &mut watch::Receiver<bool>) {
    let _ = value.wait_for(|value| *value).await;
}

/// Keys that only one request of this process may hold at a time: labels while a request looks for them.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    /// Claims a key until the returned value is dropped; `None` while another request holds it.
    #[must_use]
    pub fn claim(&self, key: &str) -> Option<Claim> {
        self.with(|keys| keys.insert(key.to_owned()))
            .then(|| Claim { running: self.clone(), key: key.to_owned() })
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        f(&mut self.0.lock())
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
    fn a_key_is_claimed_once_at_a_time_and_can_be_claimed_after_it_was_dropped() {
        let running = Running::default();
        let first = running.claim("u1");
        assert!(first.is_some() && running.claim("u1").is_none() && running.claim("u2").is_some());
        drop(first);
        assert!(running.claim("u1").is_some());
    }
}
