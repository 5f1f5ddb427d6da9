//! What all requests share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use connect::{Health, Metrics};
use crds::{IngestJob, IngestModel, ModelId, RevisionData};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use tokio::sync::watch;

use crate::admission::Lane;
use crate::clickhouse::Tables;
use crate::error::{ApiError, kubernetes_or};
use crate::metrics::ApiMetrics;
use crate::names::{Name, Namespace};
use crate::settings::Settings;
use crate::upload::produce::Kafka;

/// [`App`], shared.
pub type Shared = Arc<App>;

/// What all requests share.
pub struct App {
    /// The server's settings.
    pub settings: Settings,
    /// The Kubernetes API.
    pub kube: kube::Client,
    /// The producer.
    pub kafka: Arc<Kafka>,
    /// What is read in `ClickHouse`.
    pub tables: Tables,
    /// What is counted.
    pub metrics: ApiMetrics,
    /// The text of `/metrics`.
    pub exposed: Metrics,
    /// Permits and memory of uploads.
    pub uploads: Lane,
    /// Those of inline jobs.
    pub inline: Lane,
    /// Revisions that were read.
    pub revisions: Revisions,
    /// Labels that are looked for here.
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

/// Revisions by namespace and name. What is in a revision never changes, and its name is made of it.
#[derive(Debug, Default)]
pub struct Revisions(Mutex<HashMap<String, Arc<RevisionData>>>);

/// Revisions that are kept.
const KEPT_REVISIONS: usize = 64;

impl Revisions {
    /// The revision under a key, if it was read.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Arc<RevisionData>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a revision that was read.
    pub fn keep(&self, key: String, data: RevisionData) -> Arc<RevisionData> {
        let data = Arc::new(data);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_REVISIONS {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&data));
        data
    }
}

/// Resolves when the value is true, or nobody can change it any more.
pub async fn turned(value: &mut watch::Receiver<bool>) {
    let _ = value.wait_for(|value| *value).await;
}

/// Things of which only one may be under way at a time in this process: labels while they are looked for.
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
    fn a_key_is_claimed_once_at_a_time_and_again_after_it_was_dropped() {
        let running = Running::default();
        let first = running.claim("u1");
        assert!(first.is_some() && running.claim("u1").is_none() && running.claim("u2").is_some());
        drop(first);
        assert!(running.claim("u1").is_some());
    }
}
