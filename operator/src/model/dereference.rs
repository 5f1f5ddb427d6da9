//! What a model refers to, read from the cluster: its revisions, its Deployment, its jobs.

use std::collections::HashSet;
use std::sync::Arc;

use crds::state::JobState;
use crds::{IngestJob, labels};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::api::{Api, ListParams};
use kube::runtime::reflector::ObjectRef;

use super::validate::ValidModel;
use crate::context::Context;

/// Returns the existing revisions of a model.
pub async fn revisions(ctx: &Context, model: &ValidModel) -> kube::Result<Vec<ControllerRevision>> {
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &model.namespace);
    let selector = format!("{}={}", labels::MODEL_ID, model.id);
    Ok(api.list(&ListParams::default().labels(&selector)).await?.items)
}

/// The Deployment of a model's workers, as last seen.
#[must_use]
pub fn deployment(ctx: &Context, model: &ValidModel) -> Option<Arc<Deployment>> {
    ctx.deployments.get(&ObjectRef::new(&model.id.worker()).within(&model.namespace))
}

/// The jobs of a model that are pinned to a revision and have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenJobs {
    /// The revisions that they are pinned to.
    pub revisions: HashSet<String>,
    /// Whether one needs a worker.
    pub active: bool,
    /// Whether one waits for a person to decide about its dead letters. It needs a worker only after they are
    /// requeued.
    pub blocked: bool,
}

/// The open jobs of a model, as last seen.
#[must_use]
pub fn open_jobs(ctx: &Context, model: &ValidModel) -> OpenJobs {
    let jobs = ctx.jobs.state();
    let jobs = jobs.iter().filter_map(|job| job.0.as_ref().ok());
    open(jobs.filter(|job| belongs(job, model)))
}

fn open<'a>(jobs: impl Iterator<Item = &'a IngestJob>) -> OpenJobs {
    let mut out = OpenJobs::default();
    for job in jobs {
        let Some(revision) = pinned_revision(job) else { continue };
        if !out.revisions.contains(revision) {
            out.revisions.insert(revision.to_owned());
        }
        let is_blocked = job.status.as_ref().is_some_and(|status| status.state == Some(JobState::Blocked));
        out.blocked |= is_blocked;
        out.active |= !is_blocked;
    }
    out
}

fn belongs(job: &IngestJob, model: &ValidModel) -> bool {
    job.metadata.namespace.as_deref() == Some(model.namespace.as_str())
        && job.spec.model_ref.name == model.name
}

/// Returns the revision to which a job is pinned, unless the job has ended.
fn pinned_revision(job: &IngestJob) -> Option<&str> {
    let status = job.status.as_ref()?;
    let ended = status.state.is_some_and(JobState::is_end);
    status.model_revision.as_deref().filter(|_| !ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: &str) -> IngestJob {
        serde_yaml::from_str(&format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {{name: j}},
              spec: {{modelRef: {{name: m}}, source: {{upload: {{}}}}}}, status: {{{status}}}}}"
        ))
        .unwrap()
    }

    #[test]
    fn a_blocked_job_keeps_its_revision_and_needs_no_worker() {
        let blocked = job("state: BLOCKED, modelRevision: r1");
        let running = job("state: PROCESSING, modelRevision: r2");
        let ended = job("state: SUCCESS, modelRevision: r3");
        let waiting = job("state: PENDING");
        let all = open([&blocked, &running, &ended, &waiting].into_iter());
        assert_eq!(all.revisions, HashSet::from(["r1".to_owned(), "r2".to_owned()]));
        assert!(all.active && all.blocked);
        let only = open([&blocked, &ended].into_iter());
        assert!(!only.active && only.blocked);
    }
}
