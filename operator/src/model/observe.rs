//! What a plan depends on besides the model: its revisions, its Deployment, its jobs, lag and rows.

use std::collections::HashSet;
use std::sync::Arc;

use crds::state::JobState;
use crds::{IngestJob, labels};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::api::{Api, ListParams};
use kube::runtime::reflector::ObjectRef;

use super::validate::ValidModel;
use crate::context::Context;
use crate::ddl;
use crate::model_state::{Ensured, Measured, ModelState};

/// What was read for a plan.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// All revisions of the model. They are read only when revision, table and topic must be made (again).
    pub revisions: Option<Vec<ControllerRevision>>,
    /// The Deployment of the workers, as last seen.
    pub deployment: Option<Arc<Deployment>>,
    /// The open jobs, as last seen.
    pub jobs: OpenJobs,
}

impl Observed {
    /// Returns how many workers the Deployment has.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.deployment.as_ref().and_then(|d| d.spec.as_ref()?.replicas).unwrap_or(0)
    }

    /// Returns the generation of the Deployment.
    #[must_use]
    pub fn generation(&self) -> Option<i64> {
        self.deployment.as_ref()?.metadata.generation
    }

    /// Returns whether lag and rows must be read. The first worker of a job does not wait for them.
    #[must_use]
    pub fn is_measure_due(&self, min_workers: i32, state: &ModelState, now: Timestamp) -> bool {
        let active = self.jobs.active;
        // Dead letters that are requeued appear as lag.
        let waiting = state.lag().is_some_and(|lag| lag > 0);
        let busy = active || self.jobs.blocked || self.replicas() > min_workers || waiting;
        let starts = active && state.history.as_ref().is_none_or(|history| history.wanted() == 0);
        !starts && state.is_measure_due(active, busy, now)
    }
}

/// Reads what a plan depends on. New values of lag and rows replace those in `state`.
///
/// They are not read when revision, table and topic must be made, because the reading depends on the result.
pub async fn observe(
    ctx: &Context,
    model: &ValidModel,
    state: &mut ModelState,
    now: Timestamp,
) -> kube::Result<Observed> {
    let revisions = if state.is_stale(&model.of, now) { Some(revisions(ctx, model).await?) } else { None };
    let observed = Observed { revisions, deployment: deployment(ctx, model), jobs: open_jobs(ctx, model) };
    if let (None, Some(ensured)) = (&observed.revisions, &state.ensured)
        && observed.is_measure_due(model.workers.min, state, now)
    {
        state.measured = Some(measure(ctx, model, ensured, observed.jobs.active, now).await);
    }
    Ok(observed)
}

async fn measure(
    ctx: &Context,
    model: &ValidModel,
    ensured: &Ensured,
    active: bool,
    now: Timestamp,
) -> Measured {
    let lag = async {
        match ctx.lag.read(&model.topic.name, *ensured.topic.as_ref().ok()?, now).await {
            Ok(positions) => {
                let lag = positions.lag();
                ctx.positions.set(&model.key(), Some(Arc::new(positions)));
                Some(lag)
            }
            Err(error) => {
                ctx.metrics.error(super::KIND, "LagUnknown");
                tracing::warn!(model = model.name, namespace = model.namespace, %error, "lag is unknown");
                None
            }
        }
    };
    let rows = async {
        ensured.table.as_ref().ok()?;
        ddl::run::count_rows(&ctx.clickhouse, &model.table.name).await.ok().flatten()
    };
    let (lag, rows) = tokio::join!(lag, rows);
    Measured { at: now, active, lag, rows }
}

/// Returns the existing revisions of the model.
async fn revisions(ctx: &Context, model: &ValidModel) -> kube::Result<Vec<ControllerRevision>> {
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &model.namespace);
    let selector = format!("{}={}", labels::MODEL_ID, model.id);
    Ok(api.list(&ListParams::default().labels(&selector)).await?.items)
}

fn deployment(ctx: &Context, model: &ValidModel) -> Option<Arc<Deployment>> {
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

fn open_jobs(ctx: &Context, model: &ValidModel) -> OpenJobs {
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
