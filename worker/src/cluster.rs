//! The worker's four calls to the Kubernetes API server. It lists and watches nothing.

use crds::job::{Counts, ErrorSummary, LoadProblem};
use crds::{IngestJob, IngestModel, RevisionData, managers};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde_json::json;

use crate::error::Failure;

/// The objects of one namespace.
#[derive(Clone, Debug)]
pub struct Cluster {
    jobs: Api<IngestJob>,
    models: Api<IngestModel>,
    revisions: Api<ControllerRevision>,
}

impl Cluster {
    /// The objects of `namespace`.
    #[must_use]
    pub fn new(client: &kube::Client, namespace: &str) -> Self {
        Self {
            jobs: Api::namespaced(client.clone(), namespace),
            models: Api::namespaced(client.clone(), namespace),
            revisions: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Returns the job; `None` if it does not exist or another job has its name.
    pub async fn job(&self, name: &str, uid: &str) -> Result<Option<IngestJob>, Failure> {
        match self.jobs.get(name).await {
            Ok(job) => Ok(Some(job).filter(|job| job.metadata.uid.as_deref() == Some(uid))),
            Err(error) if is_absent(&error, name) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the model.
    pub async fn model(&self, name: &str) -> Result<IngestModel, Failure> {
        self.models.get(name).await.map_err(|error| {
            if is_absent(&error, name) { Failure::ModelMissing(name.to_owned()) } else { error.into() }
        })
    }

    /// Returns the revision that a job is checked against.
    pub async fn revision(&self, name: &str) -> Result<RevisionData, Failure> {
        let revision = self.revisions.get(name).await.map_err(|error| {
            if is_absent(&error, name) { Failure::RevisionMissing(name.to_owned()) } else { error.into() }
        })?;
        let data = revision.data.map(|data| data.0).unwrap_or_default();
        serde_json::from_value(data)
            .map_err(|why| Failure::RevisionUnusable { name: name.to_owned(), why: why.to_string() })
    }

    /// Writes the worker's part of a job's status, if the job has not changed since it was read (`resourceVersion`,
    /// `uid`). The part is always complete: server-side apply removes fields that are left out.
    pub async fn apply_progress(&self, job: &IngestJob, progress: &Progress<'_>) -> Result<(), Failure> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({
            "apiVersion": format!("{}/{}", crds::GROUP, crds::VERSION),
            "kind": "IngestJob",
            "metadata": {
                "name": name,
                "uid": job.metadata.uid,
                "resourceVersion": job.metadata.resource_version,
            },
            "status": progress,
        });
        let manager = PatchParams::apply(managers::WORKER).force();
        self.jobs.patch_status(name, &manager, &Patch::Apply(patch)).await?;
        Ok(())
    }
}

/// The worker's part of a job's status.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress<'a> {
    /// The sums of the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The most frequent errors.
    pub error_summary: &'a [ErrorSummary],
    /// Why chunks cannot be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_problem: Option<LoadProblem>,
}

/// Returns whether the object itself does not exist. A 404 that names no object means that the API server does not
/// serve its kind (the CRD is being replaced). That is no reason to end a job.
fn is_absent(error: &kube::Error, name: &str) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404
        && status.details.as_ref().is_some_and(|details| details.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_that_has_ended_is_not_sent_so_that_the_server_removes_it() {
        let progress = Progress { counts: Some(Counts::default()), error_summary: &[], load_problem: None };
        let sent = serde_json::to_value(&progress).unwrap();
        assert!(sent.get("loadProblem").is_none() && sent.get("counts").is_some());
        assert_eq!(sent["errorSummary"], json!([]));
    }

    #[test]
    fn an_unknown_kind_is_not_reported_as_a_missing_object() {
        let error = |status: serde_json::Value| kube::Error::Api(serde_json::from_value(status).unwrap());
        let missing = error(json!({"code": 404, "reason": "NotFound", "details": {"name": "j1"}}));
        assert!(is_absent(&missing, "j1"));
        assert!(!is_absent(&missing, "j2"));
        assert!(!is_absent(&error(json!({"code": 404, "message": "404 page not found"})), "j1"));
    }
}
