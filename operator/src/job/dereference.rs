//! What a job points to, as the watches last saw it: its model, and an earlier job with the same label.

use std::sync::Arc;

use crds::state::reasons;
use crds::{IngestJob, IngestModel};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::context::{Context, Guarded};

/// What a job is judged by besides itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The model, if there is one that can be read.
    pub model: Option<Arc<Guarded<IngestModel>>>,
    /// The job that had the label first.
    pub twin: Option<String>,
    /// Why the inline file has not reached the upload API.
    pub inline_problem: Option<String>,
}

/// Reads them.
#[must_use]
pub fn facts(ctx: &Context, job: &IngestJob) -> Facts {
    let namespace = job.namespace().unwrap_or_default();
    let waits = job.status.as_ref().is_none_or(|s| s.model_revision.is_none());
    let twin = if waits && job.spec.label.is_some() {
        let jobs = ctx.jobs.state();
        ctx.labels.first(job, jobs.iter().filter_map(|job| job.0.as_ref().ok()))
    } else {
        None
    };
    Facts {
        model: ctx.models.get(&ObjectRef::new(&job.spec.model_ref.name).within(&namespace)),
        twin,
        inline_problem: job.uid().and_then(|uid| ctx.inline.problem(&uid)),
    }
}

/// Whether the model's spec was found wanting.
#[must_use]
pub fn is_invalid(model: &IngestModel) -> bool {
    let conditions = model.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    conditions
        .iter()
        .any(|c| c.type_ == crds::status::conditions::READY && c.reason == reasons::MODEL_INVALID)
}
