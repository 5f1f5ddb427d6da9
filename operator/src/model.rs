//! The reconcile of an `IngestModel`: dereference, validate, build, apply, and the scaling of its workers.

pub mod apply;
pub mod build;
pub mod cleanup;
pub mod dereference;
pub mod model_state;
pub mod revisions;
pub mod status;
pub mod validate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::IngestModel;
use jiff::{SignedDuration, Timestamp};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use self::model_state::{Fault, MEASURE, Measured, ModelState, RESYNC};
use self::status::Workers;
use self::validate::ValidModel;
use crate::context::{Context, Guarded, ModelKey};
use crate::ddl::run::DdlError;
use crate::events::EventNote;
use crate::scale::decide::{History, Inputs, decide};
use crate::topic::TopicError;

const KIND: &str = "IngestModel";
/// The first measurement is made after this time: neither `Ready` nor the first worker waits for it.
const SOON: SignedDuration = SignedDuration::from_millis(50);

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
            Self::Kube(error) if apply::is_conflict(error) => "Conflict",
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
    let now = ctx.now();
    let valid = validate::validate(model, &ctx.settings.clickhouse.clickhouse_database);
    cleanup::run(ctx, model, valid.as_ref().ok(), cleanup::step(model, now)).await?;
    if model.metadata.deletion_timestamp.is_some() {
        forget(ctx, key);
        return Ok(Action::await_change());
    }
    match valid {
        Ok(valid) => {
            let mut state = ctx.model_states.take(key);
            let done = reconcile_valid(ctx, key, model, &valid, &mut state, now).await;
            ctx.model_states.put(key.clone(), state);
            done
        }
        Err(problem) => {
            ctx.metrics.error(KIND, crds::state::reasons::MODEL_INVALID);
            let old = model.status.clone().unwrap_or_default();
            let new = status::of_invalid(&old, model.metadata.generation, &problem.to_string(), now);
            publish_status(ctx, model, &old, &new).await?;
            Ok(Action::await_change())
        }
    }
}

/// Reconciles a valid model: make what it needs, measure, scale, report.
async fn reconcile_valid(
    ctx: &Context,
    key: &ModelKey,
    model: &IngestModel,
    valid: &ValidModel,
    state: &mut ModelState,
    now: Timestamp,
) -> Result<Action, ModelError> {
    let about = model.object_ref(&());
    if state.is_stale(&valid.of, now) {
        let (ensured, events) = apply::ensure(ctx, valid, now).await?;
        state.failures = if ensured.table.is_ok() && ensured.topic.is_ok() { 0 } else { state.failures + 1 };
        state.ensured = Some(ensured);
        // This also undoes changes of others to the objects.
        state.applied = None;
        for event in events {
            ctx.events.publish(event, &about).await;
        }
    }
    let Some(ensured) = state.ensured.clone() else { return Ok(Action::requeue(Duration::from_secs(1))) };
    let deployment = dereference::deployment(ctx, valid);
    let replicas = deployment.as_ref().and_then(|d| d.spec.as_ref()?.replicas).unwrap_or(0);
    ctx.tables.set(key, Some(valid.table.name.clone()));
    let jobs = dereference::open_jobs(ctx, valid);
    let active = jobs.active;
    // Dead letters that are requeued appear as lag.
    let busy = active || jobs.blocked || replicas > valid.workers.min || waiting(state) > 0;
    let idle = state.history.as_ref().is_none_or(|history| history.wanted() == 0);
    let first = state.measured.is_none();
    if first {
        // Kafka may take seconds to answer the first query for the lag. Neither `Ready` nor the first worker waits for
        // it.
        state.measured = Some(Measured { at: Timestamp::UNIX_EPOCH, active, lag: None, rows: None });
    } else if !(active && idle) && state.is_measure_due(active, busy, now) {
        state.measured = Some(measure(ctx, key, valid, &ensured, active, now).await);
    }

    let history = state.history.get_or_insert_with(|| History::found(replicas, now));
    let inputs = Inputs {
        min: valid.workers.min,
        max: valid.workers.max,
        chunks_per_worker: valid.workers.chunks_per_worker,
        cooldown: SignedDuration::from_secs(valid.workers.cooldown_seconds.into()),
        paused: valid.paused,
        active,
        lag: state.measured.as_ref().and_then(|m| m.lag.as_deref()),
        now,
    };
    let before = history.wanted();
    let (wanted, why, next) = decide(&inputs, history);
    state.history = Some(next);

    // No worker is made before its table and topic exist. After that, an outage stops none.
    let mut fault = None;
    if (ensured.table.is_ok() && ensured.topic.is_ok()) || deployment.is_some() {
        let seen = deployment.as_ref().and_then(|d| d.metadata.generation);
        match apply::workers(ctx, valid, wanted, state.applied.as_ref(), seen).await {
            Ok(applied) => state.applied = Some(applied),
            Err(error) => {
                ctx.metrics.error(KIND, "WorkersRefused");
                let message = format!(
                    "failed to apply the workers' objects: {error}; see the operator's rights (RBAC) and quotas"
                );
                fault = Some(Fault { reason: "WorkersRefused", message });
                state.applied = None;
            }
        }
        if wanted != before && fault.is_none() {
            let note = format!("workers {before} -> {wanted}: {}", why.as_str());
            tracing::info!(model = valid.name, namespace = valid.namespace, "{note}");
            ctx.events.publish(EventNote::scaled(wanted, note), &about).await;
        }
    }
    let lag = state.measured.as_ref().and_then(|m| m.lag.as_ref()).map(|lag| lag.iter().sum());
    ctx.metrics.scaled(&valid.namespace, &valid.name, wanted, lag);

    let old = model.status.clone().unwrap_or_default();
    let workers = Workers { wanted, why, deployment: deployment.as_deref(), fault: fault.as_ref() };
    let new = status::of_valid(valid, &old, &ensured, state.measured.as_ref(), &workers, now);
    publish_status(ctx, model, &old, &new).await?;

    if wanted == 0 && !active && !jobs.blocked {
        ctx.lag.forget(&valid.topic.name);
    }
    let mut wait = if active || jobs.blocked || wanted > valid.workers.min || waiting(state) > 0 {
        MEASURE
    } else {
        RESYNC
    };
    if first {
        wait = SOON;
    }
    if state.failures > 0 {
        wait = wait.min(state.retry_after());
    }
    if fault.is_some() {
        wait = wait.min(SignedDuration::from_secs(5));
    }
    Ok(Action::requeue(wait.unsigned_abs()))
}

async fn measure(
    ctx: &Context,
    key: &ModelKey,
    valid: &ValidModel,
    ensured: &model_state::Ensured,
    active: bool,
    now: Timestamp,
) -> Measured {
    let lag = async {
        match ctx.lag.read(&valid.topic.name, *ensured.topic.as_ref().ok()?, now).await {
            Ok(positions) => {
                let lag = positions.lag();
                ctx.positions.set(key, Some(Arc::new(positions)));
                Some(lag)
            }
            Err(error) => {
                ctx.metrics.error(KIND, "LagUnknown");
                tracing::warn!(model = valid.name, namespace = valid.namespace, %error, "lag is unknown");
                None
            }
        }
    };
    let rows = async {
        ensured.table.as_ref().ok()?;
        crate::ddl::run::count_rows(&ctx.clickhouse, &valid.table.name).await.ok().flatten()
    };
    let (lag, rows) = tokio::join!(lag, rows);
    Measured { at: now, active, lag, rows }
}

fn waiting(state: &ModelState) -> i64 {
    state.measured.as_ref().and_then(|m| m.lag.as_ref()).map_or(0, |lag| lag.iter().sum())
}

/// Writes the status and publishes an Event, if anything changed.
async fn publish_status(
    ctx: &Context,
    model: &IngestModel,
    old: &crds::IngestModelStatus,
    new: &crds::IngestModelStatus,
) -> Result<(), ModelError> {
    if old == new {
        return Ok(());
    }
    match apply::status(ctx, model, new).await {
        // The model was deleted or created again meanwhile: the watch reports it.
        Err(error) if apply::is_not_found(&error) || apply::is_conflict(&error) => return Ok(()),
        other => other?,
    }
    if let Some(event) = status::ready_event(old, new) {
        tracing::info!(
            model = model.name_any(),
            namespace = model.namespace(),
            reason = event.reason,
            note = event.note,
            "ready changed"
        );
        ctx.events.publish(event, &model.object_ref(&())).await;
    }
    Ok(())
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
