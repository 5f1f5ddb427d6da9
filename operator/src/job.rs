//! The reconcile of an `IngestJob`: it changes the state, and never reads the file.

pub mod apply;
pub mod build;
pub mod dereference;
mod text;
pub mod validate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::IngestJob;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use self::build::{Ask, Next, Write};
use self::validate::Phase;
use crate::context::Context;
use crate::events::EventNote;
use crate::inline::InlineFile;
use crate::objects::{Guarded, JobKey, is_conflict, is_not_found};

const KIND: &str = "IngestJob";
/// The object has changed since it was read: the watch delivers the new one soon.
const SOON: Duration = Duration::from_millis(100);

/// Why a reconcile must be repeated.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The API server.
    #[error("failed to talk to the API server: {0}")]
    Kube(#[from] kube::Error),
}

impl JobError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Kube(_) => "KubernetesUnavailable",
        }
    }
}

/// Reconciles a job.
pub async fn reconcile(object: Arc<Guarded<IngestJob>>, ctx: Arc<Context>) -> Result<Action, JobError> {
    let started = Instant::now();
    // Until all models are known, no model can be reported as missing.
    ctx.models_known.passed().await;
    let done = match &object.0 {
        Ok(job) => reconcile_job(job, &ctx).await,
        Err(invalid) => {
            ctx.metrics.error(KIND, "Undecodable");
            tracing::warn!(
                job = object.name_any(),
                namespace = object.namespace(),
                error = invalid.error,
                "cannot be read"
            );
            ctx.events
                .publish(EventNote::warning("JobInvalid", &invalid.error), &object.object_ref(&()))
                .await;
            Ok(Action::await_change())
        }
    };
    if done.is_ok() {
        ctx.job_failures.reset(&JobKey::from_obj(&*object));
    }
    ctx.metrics.reconciled(KIND, started.elapsed());
    done
}

/// How long to wait after an error.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the controller calls")]
pub fn on_error(object: Arc<Guarded<IngestJob>>, error: &JobError, ctx: Arc<Context>) -> Action {
    let wait = ctx.job_failures.failed(JobKey::from_obj(&*object));
    ctx.metrics.error(KIND, error.reason());
    tracing::warn!(job = object.name_any(), namespace = object.namespace(), %error, ?wait, "reconcile failed");
    Action::requeue(wait)
}

async fn reconcile_job(job: &IngestJob, ctx: &Context) -> Result<Action, JobError> {
    if job.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = ctx.now();
    let facts = dereference::facts(ctx, job, now);
    let valid = validate::validate(job, &facts, now);
    let done = match build::next(&valid, now) {
        Next::Delete => apply::delete(ctx, job).await.map(|()| Action::await_change()),
        Next::Write(write) => self::write(ctx, job, &valid, *write, now).await,
    };
    match done {
        Err(error) if is_not_found(&error) => Ok(Action::await_change()),
        Err(error) if is_conflict(&error) => Ok(Action::requeue(SOON)),
        other => Ok(other?),
    }
}

async fn write(
    ctx: &Context,
    job: &IngestJob,
    valid: &validate::ValidJob,
    write: Write,
    now: Timestamp,
) -> kube::Result<Action> {
    let uid = job.uid().unwrap_or_default();
    ctx.suspicions.set(&uid, write.suspicion);
    if let Some(counts) = write.counts {
        tracing::info!(job = job.name_any(), namespace = job.namespace(), ?counts, "counts from the ledger");
        apply::counts(ctx, job, &counts).await?;
        // The write of the counts triggers the watch, which reconciles the job again.
        return Ok(write.requeue_after.map_or_else(Action::await_change, Action::requeue));
    }
    if write.status != valid.status {
        apply::status(ctx, job, &write.status, write.exclusive).await?;
        if let Some(event) = write.event {
            announce(ctx, job, &write.status, event).await;
        }
    }
    match write.ask {
        Some(Ask::Ledger) => ctx.ledger_readings.ask(&uid, dereference::key(job), ()),
        Some(Ask::Receipt) => ctx.receipts.ask(&uid, dereference::key(job), ()),
        None => {}
    }
    if valid.phase != Phase::Waiting {
        ctx.label_history.forget(&uid);
    }
    if matches!(valid.phase, Phase::Ended(_)) {
        ctx.ledger_readings.forget(&uid);
    }
    if let (true, Some(content)) = (write.send_inline, &job.spec.source.inline) {
        let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
        ctx.inline.send(InlineFile { uid, namespace, name, content: content.clone() }, now);
    } else {
        ctx.inline.forget(&uid);
    }
    Ok(write.requeue_after.map_or_else(Action::await_change, Action::requeue))
}

/// Forgets a deleted job.
pub fn forget(ctx: &Context, uid: &str) {
    ctx.inline.forget(uid);
    ctx.labels.release(uid);
    ctx.completions.set(uid, None);
    ctx.suspicions.set(uid, None);
    ctx.label_history.forget(uid);
    ctx.ledger_readings.forget(uid);
    ctx.receipts.forget(uid);
}

async fn announce(ctx: &Context, job: &IngestJob, status: &crds::IngestJobStatus, event: EventNote) {
    tracing::info!(
        job = job.name_any(),
        namespace = job.namespace(),
        state = status.state.map(crds::state::JobState::as_str),
        reason = event.reason,
        note = event.note,
        "job"
    );
    if let Some(state) = status.state.filter(|state| state.is_end()) {
        ctx.metrics.ended(state.as_str());
    }
    ctx.events.publish(event, &job.object_ref(&())).await;
}
