//! What a job refers to, as the watches last saw it: its model, an earlier job with the same label, and what
//! background tasks found out about the job.

use std::sync::Arc;

use crds::job::Counts;
use crds::state::{JobState, reasons};
use crds::{IngestJob, IngestModel};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::context::Context;
use crate::history::LabelKey;
use crate::label::LabelState;
use crate::ledger::Reading;
use crate::lost::Suspicion;
use crate::objects::{Guarded, JobKey, ModelKey};
use crate::scale::lag::Positions;

/// What a decision about a job depends on besides the job itself.
#[derive(Clone, Debug, Default)]
pub struct Dereferenced {
    /// The model, if there is one that can be read.
    pub model: Option<Arc<Guarded<IngestModel>>>,
    /// Whether the job may have its label.
    pub label: LabelState,
    /// Why the inline file has not reached the upload API.
    pub inline_problem: Option<String>,
    /// How far the model's topic is consumed.
    pub positions: Option<Arc<Positions>>,
    /// When the operator first saw that the upload is complete, while the state is still UPLOADING.
    pub complete_since: Option<Timestamp>,
    /// Since when no more of the job's missing chunks can arrive.
    pub suspicion: Option<Suspicion>,
    /// The last answer of the ledger, if it was asked.
    pub ledger: Option<Reading>,
    /// The counts with which the last receipt was made.
    pub receipt_made_at: Option<Counts>,
}

/// Collects the facts. If no current job has the label, it is looked up in the history, in the background.
#[must_use]
pub fn facts(ctx: &Context, job: &IngestJob, now: Timestamp) -> Dereferenced {
    let namespace = job.namespace().unwrap_or_default();
    let uid = job.uid().unwrap_or_default();
    let model = ModelKey::new(&job.spec.model_ref.name).within(&namespace);
    Dereferenced {
        model: ctx.models.get(&model),
        label: label(ctx, job, &namespace, &uid),
        inline_problem: ctx.inline.problem(&uid),
        positions: ctx.positions.get(&model),
        complete_since: complete_since(ctx, job, &uid, now),
        suspicion: ctx.suspicions.get(&uid),
        ledger: ctx.ledger_readings.answer(&uid),
        receipt_made_at: ctx.receipts.answer(&uid),
    }
}

/// The key of a job in the stores.
#[must_use]
pub fn key(job: &IngestJob) -> JobKey {
    ObjectRef::new(&job.name_any()).within(&job.namespace().unwrap_or_default())
}

fn complete_since(ctx: &Context, job: &IngestJob, uid: &str, now: Timestamp) -> Option<Timestamp> {
    let status = job.status.as_ref()?;
    let is_new =
        status.state == Some(JobState::Uploading) && status.upload.as_ref().is_some_and(|u| u.complete);
    let since = is_new.then(|| ctx.completions.get(uid).unwrap_or(now));
    ctx.completions.set(uid, since);
    since
}

fn label(ctx: &Context, job: &IngestJob, namespace: &str, uid: &str) -> LabelState {
    let waits = job
        .status
        .as_ref()
        .is_none_or(|s| s.model_revision.is_none() && !s.state.is_some_and(JobState::is_end));
    let Some(label) = job.spec.label.as_ref().filter(|_| waits) else { return LabelState::Free };
    let jobs = ctx.jobs.state();
    if let Some(first) = ctx.labels.first(job, jobs.iter().filter_map(|job| job.0.as_ref().ok())) {
        return LabelState::Taken(format!("job '{first}' has the same label and model"));
    }
    match ctx.label_history.answer(uid) {
        Some(None) => LabelState::Free,
        Some(Some(loaded)) => LabelState::Taken(format!(
            "the label was already loaded by job '{}' at {}",
            loaded.name, loaded.ended
        )),
        None => {
            let model = job.spec.model_ref.name.clone();
            let question = LabelKey { namespace: namespace.to_owned(), model, label: label.clone() };
            ctx.label_history.ask(uid, key(job), question);
            ctx.label_history.problem(uid).map_or(LabelState::Asked, LabelState::Unavailable)
        }
    }
}

/// Returns whether the model cannot be served because its spec is invalid.
#[must_use]
pub fn is_invalid(model: &IngestModel) -> bool {
    let conditions = model.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    conditions
        .iter()
        .any(|c| c.type_ == crds::status::conditions::READY && c.reason == reasons::MODEL_INVALID)
}
