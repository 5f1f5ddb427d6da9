//! Writes what was planned, in this order: revision, table and topic; the objects that workers run with; the workers;
//! the status.

use std::fmt::Debug;

use crds::{IngestModel, IngestModelStatus};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::api::{Api, DeleteParams, Patch};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::plan::{Make, Objects, Report, Run};
use super::validate::ValidModel;
use super::{KIND, build};
use crate::context::Context;
use crate::ddl;
use crate::ddl::run::DdlError;
use crate::ddl::shared::Ttls;
use crate::events::EventNote;
use crate::model_state::{Applied, Ensured, Fault, ModelState, fingerprint};
use crate::objects::{Guarded, is_conflict, is_not_found, params};

/// Writes what a valid model needs, and remembers in `state` what was made. Returns what went wrong when the objects
/// of the workers were applied.
///
/// Only errors of the API server are returned as errors; errors of ClickHouse and Kafka are in `state.ensured`.
pub async fn run(
    ctx: &Context,
    model: &IngestModel,
    run: &Run<'_>,
    state: &mut ModelState,
    now: Timestamp,
) -> kube::Result<Option<Fault>> {
    let valid = run.model;
    if let Some(make) = &run.make {
        // The revision comes first: nothing may refer to it before it exists.
        revision(ctx, valid, make).await?;
        let (ensured, altered) = ensure(ctx, valid, now).await;
        state.failures = if ensured.is_complete() { 0 } else { state.failures + 1 };
        state.ensured = Some(ensured);
        state.applied = None;
        publish(ctx, model, altered).await;
    }
    state.history = Some(run.history.clone());
    ctx.tables.set(&valid.key(), Some(valid.table.name.clone()));
    let mut fault = None;
    if run.may_apply(state.ensured.as_ref()) {
        match workers(ctx, run).await {
            Ok(Some(applied)) => state.applied = Some(applied),
            Ok(None) => {}
            Err(error) => {
                ctx.metrics.error(KIND, "WorkersRefused");
                let message = format!(
                    "failed to apply the workers' objects: {error}; see the operator's rights (RBAC) and quotas"
                );
                fault = Some(Fault { reason: "WorkersRefused", message });
                state.applied = None;
            }
        }
        if let (Some(event), None) = (&run.scaled, &fault) {
            tracing::info!(model = valid.name, namespace = valid.namespace, "{}", event.note);
            publish(ctx, model, Some(event.clone())).await;
        }
    }
    ctx.metrics.scaled(&valid.namespace, &valid.name, run.wanted, state.lag());
    if run.close_lag {
        ctx.lag.forget(&valid.topic.name);
    }
    Ok(fault)
}

/// Writes the status and publishes an Event, if anything changed.
pub async fn report(ctx: &Context, model: &IngestModel, report: Report) -> kube::Result<()> {
    let Some(new) = &report.status else { return Ok(()) };
    match status(ctx, model, new).await {
        // The model was deleted or created again meanwhile: the watch reports it.
        Err(error) if is_not_found(&error) || is_conflict(&error) => return Ok(()),
        other => other?,
    }
    if let Some(event) = &report.event {
        tracing::info!(
            model = model.name_any(),
            namespace = model.namespace(),
            reason = event.reason,
            note = event.note,
            "ready changed"
        );
    }
    publish(ctx, model, report.event).await;
    Ok(())
}

async fn publish(ctx: &Context, model: &IngestModel, event: Option<EventNote>) {
    if let Some(event) = event {
        ctx.events.publish(event, &model.object_ref(&())).await;
    }
}

/// Makes table and topics. They are tried independently of each other.
async fn ensure(ctx: &Context, model: &ValidModel, now: Timestamp) -> (Ensured, Option<EventNote>) {
    let (table, topic, dead_letters) = tokio::join!(
        tables(ctx, model),
        ctx.topics.ensure(&model.topic),
        ctx.topics.ensure(&model.dead_letters),
    );
    let mut altered = None;
    let table = match table {
        Ok(statements) => {
            if !statements.is_empty() {
                altered = Some(EventNote::normal("TableAltered", statements.join("; ")));
            }
            Ok(())
        }
        Err(error) => Err(fault(ctx, error.reason(), &error)),
    };
    let topic = topic.and_then(|partitions| dead_letters.map(|_| partitions));
    let topic = topic.map_err(|error| fault(ctx, error.reason(), &error));
    (Ensured { of: model.of.clone(), at: now, table, topic }, altered)
}

/// Makes the shared tables and the table of the model.
async fn tables(ctx: &Context, model: &ValidModel) -> Result<Vec<String>, DdlError> {
    let ttls = Ttls::of(&ctx.settings, ctx.topics.longest_retention());
    let installation = &ctx.settings.clickhouse.clickhouse_database;
    ctx.shared_tables.ensure(&ctx.clickhouse, installation, ttls).await?;
    ddl::run::ensure(&ctx.clickhouse, &model.table).await
}

/// Applies the objects of the workers. Returns what was applied, if anything was.
async fn workers(ctx: &Context, run: &Run<'_>) -> kube::Result<Option<Applied>> {
    Ok(match &run.objects {
        None => None,
        Some(Objects::Deployment(wanted, last)) => {
            let generation = apply(ctx, &**wanted).await?.metadata.generation;
            Some(Applied { deployment: fingerprint(wanted), generation, ..last.clone() })
        }
        Some(Objects::All(base)) => {
            // The role binding comes before the pods, so that none starts without its rights.
            apply(ctx, &base.service_account).await?;
            apply(ctx, &base.role_binding).await?;
            let secret_version = apply(ctx, &base.secret).await?.resource_version().unwrap_or_default();
            let wanted = build::deployment(run.model, ctx.installation(), run.wanted, &secret_version);
            let generation = apply(ctx, &wanted).await?.metadata.generation;
            Some(Applied {
                base: fingerprint(base),
                secret_version,
                deployment: fingerprint(&wanted),
                generation,
            })
        }
    })
}

/// Writes the complete status of a model: the operator is its only writer.
async fn status(ctx: &Context, model: &IngestModel, status: &IngestModelStatus) -> kube::Result<()> {
    let api: Api<Guarded<IngestModel>> =
        Api::namespaced(ctx.client.clone(), &model.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": IngestModel::api_version(&()),
        "kind": IngestModel::kind(&()),
        // With the uid, a model that was created again with the same name does not get the status of the old one.
        "metadata": {"name": model.name_any(), "uid": model.uid()},
        "status": status,
    });
    api.patch_status(&model.name_any(), &params(), &Patch::Apply(patch)).await?;
    Ok(())
}

async fn revision(ctx: &Context, model: &ValidModel, make: &Make) -> kube::Result<()> {
    if let Some(revision) = &make.revision {
        apply(ctx, revision).await?;
    }
    let (name, is_new) = (&model.revision.name, make.revision.is_some());
    tracing::debug!(model = model.name, revision = name, new = is_new, "revision");
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &model.namespace);
    for name in &make.superfluous {
        match api.delete(name, &DeleteParams::default()).await {
            Err(error) if !is_not_found(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn apply<K>(ctx: &Context, object: &K) -> kube::Result<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    api.patch(&object.name_any(), &params(), &Patch::Apply(object)).await
}

/// Deletes the Deployment of a model's workers, if it exists.
pub async fn delete_workers(ctx: &Context, model: &ValidModel) -> kube::Result<()> {
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &model.namespace);
    match api.delete(&model.id.worker(), &DeleteParams::default()).await {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

fn fault(ctx: &Context, reason: &'static str, error: &dyn std::error::Error) -> Fault {
    ctx.metrics.error(KIND, reason);
    Fault { reason, message: error.to_string() }
}
