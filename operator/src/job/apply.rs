//! Writing what was decided about a job.

use crds::{IngestJob, IngestJobStatus};
use kube::api::{Api, DeleteParams, Patch, Preconditions, PropagationPolicy};
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::context::{Context, Guarded};
use crate::model::apply::params;

fn api(ctx: &Context, job: &IngestJob) -> Api<Guarded<IngestJob>> {
    Api::namespaced(ctx.client.clone(), &job.namespace().unwrap_or_default())
}

/// Writes the operator's part of the status. With `exclusive`, only over the very object it was decided on: else the
/// API server answers 409, and the job is looked at again.
pub async fn status(
    ctx: &Context,
    job: &IngestJob,
    status: &IngestJobStatus,
    exclusive: bool,
) -> kube::Result<()> {
    let mut metadata = json!({"name": job.name_any(), "uid": job.uid()});
    if exclusive {
        metadata["resourceVersion"] = json!(job.resource_version());
    }
    let patch = json!({
        "apiVersion": IngestJob::api_version(&()),
        "kind": IngestJob::kind(&()),
        "metadata": metadata,
        "status": status,
    });
    api(ctx, job).patch_status(&job.name_any(), &params(), &Patch::Apply(patch)).await?;
    Ok(())
}

/// Deletes the job, and no other that has its name.
pub async fn delete(ctx: &Context, job: &IngestJob) -> kube::Result<()> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions { uid: job.uid(), resource_version: None }),
        ..DeleteParams::default()
    };
    api(ctx, job).delete(&job.name_any(), &params).await?;
    Ok(())
}
