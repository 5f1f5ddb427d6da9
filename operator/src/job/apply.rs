//! Writes what was decided about a job.

use crds::job::Counts;
use crds::{IngestJob, IngestJobStatus, managers};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::context::Context;
use crate::objects::{Guarded, params};

fn api(ctx: &Context, job: &IngestJob) -> Api<Guarded<IngestJob>> {
    Api::namespaced(ctx.client.clone(), &job.namespace().unwrap_or_default())
}

/// Returns the operator's part of a job's status. The fields of other writers are left out: the operator would become
/// their owner if it sent them.
#[must_use]
pub fn own_part(status: IngestJobStatus) -> IngestJobStatus {
    IngestJobStatus { upload: None, counts: None, error_summary: vec![], load_problem: None, ..status }
}

/// Writes the operator's part of the status. With `exclusive`, it is written only if the object has not changed since
/// the decision. If it has changed, the API server answers 409, and the job is reconciled again.
pub async fn status(
    ctx: &Context,
    job: &IngestJob,
    status: &IngestJobStatus,
    exclusive: bool,
) -> kube::Result<()> {
    let patch = patch(job, &json!(status), exclusive);
    api(ctx, job).patch_status(&job.name_any(), &params(), &Patch::Apply(patch)).await?;
    Ok(())
}

/// Writes the workers' part of the status with counts from the ledger, for a job whose workers report no more. The
/// field manager is that of the workers, so that they can continue from there. It is written only if the object has
/// not changed since it was read.
pub async fn counts(ctx: &Context, job: &IngestJob, counts: &Counts) -> kube::Result<()> {
    let manager = PatchParams::apply(managers::WORKER).force();
    let patch = patch(job, &workers_part(job, counts), true);
    api(ctx, job).patch_status(&job.name_any(), &manager, &Patch::Apply(patch)).await?;
    Ok(())
}

/// Returns the workers' part with other counts. It has all fields, because server-side apply removes those that are
/// left out. A problem that is not fatal is removed when no chunk is parked any more.
fn workers_part(job: &IngestJob, counts: &Counts) -> Value {
    let status = job.status.clone().unwrap_or_default();
    let problem = status.load_problem.filter(|problem| problem.fatal || counts.chunks_parked > 0);
    let mut part = json!({"counts": counts, "errorSummary": status.error_summary});
    if let Some(problem) = problem {
        part["loadProblem"] = json!(problem);
    }
    part
}

fn patch(job: &IngestJob, status: &Value, exclusive: bool) -> Value {
    let mut metadata = json!({"name": job.name_any(), "uid": job.uid()});
    if exclusive {
        metadata["resourceVersion"] = json!(job.resource_version());
    }
    json!({
        "apiVersion": IngestJob::api_version(&()),
        "kind": IngestJob::kind(&()),
        "metadata": metadata,
        "status": status,
    })
}

/// Deletes the job, but no other job with the same name.
pub async fn delete(ctx: &Context, job: &IngestJob) -> kube::Result<()> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions { uid: job.uid(), resource_version: None }),
        ..DeleteParams::default()
    };
    api(ctx, job).delete(&job.name_any(), &params).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: &str) -> IngestJob {
        serde_yaml::from_str(&format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {{name: j, uid: u, resourceVersion: '7'}},
              spec: {{modelRef: {{name: m}}, source: {{upload: {{}}}}}}, status: {{{status}}}}}"
        ))
        .unwrap()
    }

    const SUMMARY: &str =
        "errorSummary: [{column: a, error: INVALID_TYPE, count: 1, firstRow: 1, sample: aa}]";

    #[test]
    fn counts_from_the_ledger_keep_the_other_fields_of_the_workers() {
        let job = job(&format!(
            "state: BLOCKED, counts: {{total: 1, ok: 1, errors: 0, chunksDone: 1}}, {SUMMARY}, loadProblem: {{reason: R, message: m}}"
        ));
        let counts = |chunks_parked| Counts { chunks_done: 3, chunks_parked, ..Counts::default() };
        let still = workers_part(&job, &counts(1));
        assert_eq!(
            (still["counts"]["chunksDone"].as_i64(), still["loadProblem"]["reason"].as_str()),
            (Some(3), Some("R"))
        );
        assert_eq!(still["errorSummary"][0]["column"], "a");
        assert!(workers_part(&job, &counts(0)).get("loadProblem").is_none(), "nothing is parked any more");
        let patch = patch(&job, &still, true);
        assert_eq!(patch["metadata"], json!({"name": "j", "uid": "u", "resourceVersion": "7"}));
    }

    #[test]
    fn the_operator_sends_no_field_of_other_managers_and_keeps_the_receipt() {
        let job = job(&format!(
            "state: SUCCESS, upload: {{bytes: 1}}, counts: {{total: 1, ok: 1, errors: 0, chunksDone: 1}}, {SUMMARY},
             loadProblem: {{reason: R, message: m}}, receipt: {{rows: 1, ok: 1, rejected: 0, tableRows: 1, chunks: 1, checkedTime: t}}"
        ));
        let part = json!(own_part(job.status.unwrap()));
        let mut fields: Vec<&str> = part.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["receipt", "state"]);
    }
}
