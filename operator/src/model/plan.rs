//! Decides everything that a reconcile of a model writes. Pure: no client, no clock.
//!
//! [`plan`] decides from what was observed. Whether table and topic could be made, and whether the API server accepted
//! the workers, is known only after that: [`report`] makes the status from the outcome.

use crds::{IngestModel, IngestModelStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};

use super::build::{self, Base};
use super::cleanup;
use super::observe::Observed;
use super::revisions;
use super::status::{self, Workers};
use super::validate::{ModelProblem, ValidModel};
use crate::events::EventNote;
use crate::model_state::{Applied, Ensured, Fault, MEASURE, ModelState, RESYNC, fingerprint};
use crate::scale::decide::{History, Inputs, Why, decide};
use crate::worker_env::Installation;

/// After table and topic are made, lag and rows are read after this time: neither `Ready` nor the first worker waits
/// for Kafka, which may take seconds to answer the first query.
const SOON: SignedDuration = SignedDuration::from_millis(50);
/// After this time it is tried again to apply objects that the API server refused.
const REFUSED: SignedDuration = SignedDuration::from_secs(5);

/// What a reconcile writes.
#[derive(Debug)]
pub struct Actions<'a> {
    /// What to do with the finalizer, before everything else.
    pub finalizer: cleanup::Step,
    /// What to do after that.
    pub then: Then<'a>,
}

/// What to do with a model.
#[derive(Debug)]
pub enum Then<'a> {
    /// It is being deleted: forget it.
    Forget,
    /// It is invalid: only report it. What exists stays.
    Refuse(Box<Report>),
    /// It is valid.
    Run(Box<Run<'a>>),
}

/// What to write for a valid model, in the order of the fields.
#[derive(Debug)]
pub struct Run<'a> {
    /// The model.
    pub model: &'a ValidModel,
    /// Make revision, table and topics (again). `None`: they were made a short time ago.
    pub make: Option<Make>,
    /// The objects of the workers. `None`: they are as they were applied last.
    pub objects: Option<Objects>,
    /// How many workers there should be.
    pub wanted: i32,
    /// Why this number.
    pub why: Why,
    /// What the next scaling decision depends on.
    pub history: History,
    /// The Event about a change of the number.
    pub scaled: Option<EventNote>,
    /// Whether nothing needs the lag any more, so that its client can be closed.
    pub close_lag: bool,
    /// When to reconcile again, if everything succeeds.
    pub wait: SignedDuration,
    /// No worker is made before its table and topic exist. After that, an outage stops none.
    has_workers: bool,
}

/// The revision to write before table and topics are made.
#[derive(Debug)]
pub struct Make {
    /// The revision. `None`: it is already the newest.
    pub revision: Option<ControllerRevision>,
    /// The names of the revisions to delete.
    pub superfluous: Vec<String>,
}

/// The objects of the workers that differ from what was applied last.
#[derive(Debug)]
pub enum Objects {
    /// All. The Deployment is made after the Secret, because its pods have the version of the Secret.
    All(Box<Base>),
    /// Only the Deployment, with what was applied last.
    Deployment(Box<Deployment>, Applied),
}

/// What to report about a model.
#[derive(Debug)]
pub struct Report {
    /// The new status. `None`: it has not changed.
    pub status: Option<IngestModelStatus>,
    /// The Event about a change of `Ready`.
    pub event: Option<EventNote>,
    /// When to reconcile again. `None`: when something changes.
    pub wait: Option<SignedDuration>,
}

impl Report {
    fn new(old: &IngestModelStatus, new: IngestModelStatus, wait: Option<SignedDuration>) -> Self {
        let event = status::ready_event(old, &new);
        Self { status: (*old != new).then_some(new), event, wait }
    }
}

impl Run<'_> {
    /// Returns whether the objects of the workers may be applied.
    #[must_use]
    pub fn may_apply(&self, ensured: Option<&Ensured>) -> bool {
        self.has_workers || ensured.is_some_and(Ensured::is_complete)
    }
}

/// Decides what to write.
#[must_use]
pub fn plan<'a>(
    model: &IngestModel,
    valid: &'a Result<ValidModel, ModelProblem>,
    state: &ModelState,
    observed: &Observed,
    installation: Installation<'_>,
    now: Timestamp,
) -> Actions<'a> {
    let finalizer = cleanup::step(model, now);
    if model.metadata.deletion_timestamp.is_some() {
        return Actions { finalizer, then: Then::Forget };
    }
    let then = match valid {
        Ok(valid) => Then::Run(Box::new(run(valid, state, observed, installation, now))),
        Err(problem) => {
            let old = model.status.clone().unwrap_or_default();
            let new = status::of_invalid(&old, model.metadata.generation, &problem.to_string(), now);
            Then::Refuse(Box::new(Report::new(&old, new, None)))
        }
    };
    Actions { finalizer, then }
}

fn run<'a>(
    model: &'a ValidModel,
    state: &ModelState,
    observed: &Observed,
    installation: Installation<'_>,
    now: Timestamp,
) -> Run<'a> {
    let jobs = &observed.jobs;
    let make = observed.revisions.as_ref().map(|all| Make {
        revision: revisions::number(all, &model.revision.name)
            .map(|number| build::controller_revision(model, number)),
        superfluous: revisions::superfluous(all, &model.revision.name, &jobs.revisions),
    });

    let found = History::found(observed.replicas(), now);
    let history = state.history.as_ref().unwrap_or(&found);
    let inputs = Inputs {
        min: model.workers.min,
        max: model.workers.max,
        chunks_per_worker: model.workers.chunks_per_worker,
        cooldown: SignedDuration::from_secs(model.workers.cooldown_seconds.into()),
        paused: model.paused,
        active: jobs.active,
        lag: state.measured.as_ref().and_then(|m| m.lag.as_deref()),
        now,
    };
    let before = history.wanted();
    let (wanted, why, next) = decide(&inputs, history);
    let note = format!("workers {before} -> {wanted}: {}", why.as_str());

    // To make everything again also undoes changes of others to the objects.
    let last = state.applied.as_ref().filter(|_| make.is_none());
    let is_open = jobs.active || jobs.blocked;
    let waiting = state.lag().is_some_and(|lag| lag > 0);
    let measure_soon = make.is_some()
        && (state.measured.is_none() || observed.is_measure_due(model.workers.min, state, now));
    let wait = match (measure_soon, is_open || wanted > model.workers.min || waiting) {
        (true, _) => SOON,
        (false, true) => MEASURE,
        (false, false) => RESYNC,
    };
    Run {
        model,
        objects: objects(model, installation, wanted, last, observed.generation()),
        make,
        wanted,
        why,
        history: next,
        scaled: (wanted != before).then(|| EventNote::scaled(wanted, note)),
        close_lag: wanted == 0 && !is_open,
        wait,
        has_workers: observed.deployment.is_some(),
    }
}

/// Returns the objects that differ from what was applied last, or that others changed after that. `seen` is the
/// generation of the Deployment as the watch shows it.
fn objects(
    model: &ValidModel,
    installation: Installation<'_>,
    replicas: i32,
    last: Option<&Applied>,
    seen: Option<i64>,
) -> Option<Objects> {
    let base = build::base(model, installation);
    let Some(last) = last.filter(|last| last.base == fingerprint(&base)) else {
        return Some(Objects::All(Box::new(base)));
    };
    let deployment = build::deployment(model, installation, replicas, &last.secret_version);
    let is_changed_by_others = seen.is_none() || seen > last.generation;
    (is_changed_by_others || last.deployment != fingerprint(&deployment))
        .then(|| Objects::Deployment(Box::new(deployment), last.clone()))
}

/// Decides what to report about a valid model. `state` has the result of making table and topic. `fault` is why the
/// objects of the workers could not be applied.
#[must_use]
pub fn report(
    model: &IngestModel,
    run: &Run<'_>,
    state: &ModelState,
    deployment: Option<&Deployment>,
    fault: Option<&Fault>,
    now: Timestamp,
) -> Report {
    let mut wait = run.wait;
    if state.failures > 0 {
        wait = wait.min(state.retry_after());
    }
    if fault.is_some() {
        wait = wait.min(REFUSED);
    }
    let old = model.status.clone().unwrap_or_default();
    // Without a result, the plan was to make it, and an error of the API server ended the reconcile.
    let Some(ensured) = &state.ensured else { return Report { status: None, event: None, wait: Some(wait) } };
    let workers = Workers { wanted: run.wanted, why: run.why, deployment, fault };
    let new = status::of_valid(run.model, &old, ensured, state.measured.as_ref(), &workers, now);
    Report::new(&old, new, Some(wait))
}

#[cfg(test)]
mod tests;
