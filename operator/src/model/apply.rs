//! Writes what a model wants, in this order: revision, table and topic; the objects that workers run with; the
//! workers; the status.

use std::fmt::Debug;

use crds::{IngestModel, IngestModelStatus, managers};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::model_state::{Applied, Ensured, Fault, fingerprint};
use super::validate::ValidModel;
use super::{build, dereference, revisions};
use crate::context::{Context, Guarded};
use crate::ddl;
use crate::ddl::run::DdlError;
use crate::ddl::shared::Ttls;
use crate::events::EventNote;

/// Server-side apply with force: only the model decides the fields that the operator sets on an object.
#[must_use]
pub fn params() -> PatchParams {
    PatchParams::apply(managers::OPERATOR).force()
}

/// Makes revision, table and topic. Only errors of the API server are returned as errors; errors of ClickHouse and
/// Kafka are reported in conditions. Both are tried, even if the other is not available.
pub async fn ensure(
    ctx: &Context,
    model: &ValidModel,
    now: Timestamp,
) -> kube::Result<(Ensured, Vec<EventNote>)> {
    // The revision comes first: nothing may refer to it before it exists.
    revision(ctx, model).await?;
    let (table, topic, dead_letters) = tokio::join!(
        tables(ctx, model),
        ctx.topics.ensure(&model.topic),
        ctx.topics.ensure(&model.dead_letters),
    );
    let mut events = vec![];
    let table = match table {
        Ok(statements) => {
            if !statements.is_empty() {
                events.push(EventNote::normal("TableAltered", statements.join("; ")));
            }
            Ok(())
        }
        Err(error) => Err(fault(ctx, error.reason(), &error)),
    };
    let topic = topic.and_then(|partitions| dead_letters.map(|_| partitions));
    let topic = topic.map_err(|error| fault(ctx, error.reason(), &error));
    Ok((Ensured { of: model.of.clone(), at: now, table, topic }, events))
}

/// Makes the shared tables and the table of the model.
async fn tables(ctx: &Context, model: &ValidModel) -> Result<Vec<String>, DdlError> {
    let ttls = Ttls::of(&ctx.settings, ctx.topics.longest_retention());
    let installation = &ctx.settings.clickhouse.clickhouse_database;
    ctx.shared_tables.ensure(&ctx.clickhouse, installation, ttls).await?;
    ddl::run::ensure(&ctx.clickhouse, &model.table).await
}

/// Applies what differs from what was applied last. `seen` is the generation of the Deployment as the watch shows it.
pub async fn workers(
    ctx: &Context,
    model: &ValidModel,
    replicas: i32,
    last: Option<&Applied>,
    seen: Option<i64>,
) -> kube::Result<Applied> {
    let base = build::base(model, &ctx.settings, &ctx.worker_env);
    let base_hash = fingerprint(&base);
    let secret_version = match last {
        Some(last) if last.base == base_hash => last.secret_version.clone(),
        _ => {
            // The role binding comes before the pods, so that none starts without its rights.
            apply(ctx, &base.service_account).await?;
            apply(ctx, &base.role_binding).await?;
            apply(ctx, &base.secret).await?.resource_version().unwrap_or_default()
        }
    };
    let wanted = build::deployment(model, &ctx.settings, &ctx.worker_env, replicas, &secret_version);
    let deployment = fingerprint(&wanted);
    if let Some(last) = last {
        let changed_by_others = seen.is_none() || seen > last.generation;
        if last.base == base_hash && last.deployment == deployment && !changed_by_others {
            return Ok(last.clone());
        }
    }
    let generation = apply(ctx, &wanted).await?.metadata.generation;
    Ok(Applied { base: base_hash, secret_version, deployment, generation })
}

/// Writes the complete status of a model: the operator is its only writer.
pub async fn status(ctx: &Context, model: &IngestModel, status: &IngestModelStatus) -> kube::Result<()> {
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

async fn revision(ctx: &Context, model: &ValidModel) -> kube::Result<()> {
    let all = dereference::revisions(ctx, model).await?;
    let mut numbered = None;
    if let Some(number) = revisions::number(&all, &model.revision.name) {
        numbered = Some(apply(ctx, &build::controller_revision(model, number)).await?);
    }
    tracing::debug!(model = model.name, revision = model.revision.name, new = numbered.is_some(), "revision");
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &model.namespace);
    for name in
        revisions::superfluous(&all, &model.revision.name, &dereference::open_jobs(ctx, model).revisions)
    {
        match api.delete(&name, &DeleteParams::default()).await {
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

/// Returns whether the API server answered that there is no such object.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Returns whether the API server answered that the object has changed.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn fault(ctx: &Context, reason: &'static str, error: &dyn std::error::Error) -> Fault {
    ctx.metrics.error("IngestModel", reason);
    Fault { reason, message: error.to_string() }
}
