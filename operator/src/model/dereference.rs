//! What a model points to, read from the cluster: its revisions, its Deployment, its jobs.

use std::collections::HashSet;
use std::sync::Arc;

use crds::{IngestJob, labels};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::api::{Api, ListParams};
use kube::runtime::reflector::ObjectRef;

use super::validate::ValidModel;
use crate::context::Context;

/// The revisions of a model that there are.
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

/// The revisions to which jobs of a model are pinned that have not ended.
#[must_use]
pub fn pinned(ctx: &Context, model: &ValidModel) -> HashSet<String> {
    ctx.jobs
        .state()
        .iter()
        .filter_map(|job| job.0.as_ref().ok())
        .filter(|job| belongs(job, model))
        .filter_map(|job| pinned_revision(job).map(str::to_owned))
        .collect()
}

fn belongs(job: &IngestJob, model: &ValidModel) -> bool {
    job.metadata.namespace.as_deref() == Some(model.namespace.as_str())
        && job.spec.model_ref.name == model.name
}

/// The revision a job is pinned to, unless it has ended.
fn pinned_revision(job: &IngestJob) -> Option<&str> {
    let status = job.status.as_ref()?;
    let ended = status.state.is_some_and(crds::state::JobState::is_end);
    status.model_revision.as_deref().filter(|_| !ended)
}
