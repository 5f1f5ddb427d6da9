//! The reconcile of an `IngestModel`, in four steps, each in its own file.
//!
//! *validate* makes typed values from the object. *observe* reads what the plan depends on. *plan* decides everything
//! that is written. *apply* writes it; the status comes last, because it has the outcome. *validate* and *plan* are
//! pure and get the time as an argument: the clock is read once for each reconcile.

pub mod apply;
pub mod build;
pub mod cleanup;
pub mod observe;
pub mod plan;
pub mod revisions;
pub mod status;
pub mod validate;

use std::sync::Arc;
use std::time::Instant;

use crds::IngestModel;
use jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use self::observe::Observed;
use self::plan::Then;
use crate::context::Context;
use crate::ddl::run::DdlError;
use crate::events::EventNote;
use crate::model_state::ModelState;
use crate::objects::{Guarded, ModelKey, is_conflict};
use crate::topic::TopicError;

const KIND: &str = "IngestModel";

/// Why a reconcile must be repeated. A problem of the model itself is not an error: its conditions report it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The API server.
    #[error("failed to talk to the API server: {0}")]
    Kube(#[from] kube::Error),
    /// ClickHouse failed to drop a table.
    #[error(transparent)]
    Ddl(#[from] DdlError),
    /// Kafka failed to delete a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
}

impl ModelError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Kube(error) if is_conflict(error) => "Conflict",
            Self::Kube(_) => "KubernetesUnavailable",
            Self::Ddl(error) => error.reason(),
            Self::Topic(error) => error.reason(),
        }
    }
}

/// Changes the cluster to what the model specifies.
pub async fn reconcile(object: Arc<Guarded<IngestModel>>, ctx: Arc<Context>) -> Result<Action, ModelError> {
    let started = Instant::now();
    // A decision made before all jobs are known could stop workers that are needed.
    ctx.jobs_known.passed().await;
    ctx.deployments_known.passed().await;
    let key = ModelKey::from_obj(&*object);
    let done = match &object.0 {
        Ok(model) => reconcile_model(model, &key, &ctx).await,
        Err(invalid) => {
            undecodable(&object, invalid, &ctx).await;
            Ok(Action::await_change())
        }
    };
    if done.is_ok() {
        ctx.model_failures.reset(&key);
    }
    ctx.metrics.reconciled(KIND, started.elapsed());
    done
}

/// How long to wait after an error.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the controller calls")]
pub fn on_error(object: Arc<Guarded<IngestModel>>, error: &ModelError, ctx: Arc<Context>) -> Action {
    let wait = ctx.model_failures.failed(ModelKey::from_obj(&*object));
    ctx.metrics.error(KIND, error.reason());
    tracing::warn!(model = object.name_any(), namespace = object.namespace(), %error, ?wait, "reconcile failed");
    Action::requeue(wait)
}

async fn reconcile_model(model: &IngestModel, key: &ModelKey, ctx: &Context) -> Result<Action, ModelError> {
    let mut state = ctx.model_states.take(key);
    let done = observe_plan_apply(ctx, model, &mut state, ctx.now()).await;
    ctx.model_states.put(key.clone(), state);
    if done.is_ok() && model.metadata.deletion_timestamp.is_some() {
        forget(ctx, key);
    }
    done
}

async fn observe_plan_apply(
    ctx: &Context,
    model: &IngestModel,
    state: &mut ModelState,
    now: Timestamp,
) -> Result<Action, ModelError> {
    let valid = validate::validate(model, &ctx.settings.clickhouse.clickhouse_database);
    let observed = match &valid {
        Ok(valid) if model.metadata.deletion_timestamp.is_none() => {
            observe::observe(ctx, valid, state, now).await?
        }
        _ => Observed::default(),
    };
    let actions = plan::plan(model, &valid, state, &observed, ctx.installation(), now);
    cleanup::run(ctx, model, valid.as_ref().ok(), actions.finalizer).await?;
    let report = match actions.then {
        Then::Forget => return Ok(Action::await_change()),
        Then::Refuse(report) => {
            ctx.metrics.error(KIND, crds::state::reasons::MODEL_INVALID);
            *report
        }
        Then::Run(run) => {
            let fault = apply::run(ctx, model, &run, state, now).await?;
            plan::report(model, &run, state, observed.deployment.as_deref(), fault.as_ref(), now)
        }
    };
    let wait = report.wait;
    apply::report(ctx, model, report).await?;
    Ok(wait.map_or_else(Action::await_change, |wait| Action::requeue(wait.unsigned_abs())))
}

/// Reports an object that the CRD accepted but the operator cannot read, on the object itself. Other objects are not
/// affected.
async fn undecodable(object: &Guarded<IngestModel>, invalid: &InvalidObject, ctx: &Context) {
    ctx.metrics.error(KIND, "Undecodable");
    tracing::warn!(
        model = object.name_any(),
        namespace = object.namespace(),
        error = invalid.error,
        "cannot be read"
    );
    ctx.events
        .publish(
            EventNote::warning(crds::state::reasons::MODEL_INVALID, &invalid.error),
            &object.object_ref(&()),
        )
        .await;
}

/// Forgets a model that is deleted or is being deleted.
pub fn forget(ctx: &Context, key: &ModelKey) {
    drop(ctx.model_states.take(key));
    ctx.positions.set(key, None);
    ctx.model_failures.reset(key);
    let namespace = key.namespace.as_deref().unwrap_or_default();
    ctx.metrics.forget(namespace, &key.name);
    ctx.lag.forget(&crds::ModelId::of(namespace, &key.name).topic());
}
