//! The dead letters of a model: routes that list, requeue and drop the batches that `ClickHouse` refuses.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use crds::ModelId;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::dead_letters::requeue::requeue as requeue_batches;
use crate::dead_letters::{ParkedBatch, Which, drop_batch, parked};
use crate::error::{ApiError, ErrorBody};
use crate::names::{Name, Namespace};
use crate::routes::{InNamespace, MaybeQuery, names, query};
use crate::state::Shared;

/// A selection of batches; without a field it is all batches of the model.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// Only the batches of this job: its name or its uid
    job: Option<String>,
    /// Only the batch that begins with this chunk
    first_chunk: Option<u32>,
}

/// Parked batches of a model, oldest first, at most 1,000.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ParkedBatches {
    /// The batches.
    items: Vec<ParkedBatch>,
}

/// The outcome of a requeue.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RequeuedBatches {
    /// Batches whose chunks Kafka has again; workers process them soon.
    requeued: Vec<ParkedBatch>,
    /// Batches of which the dead-letter topic no longer has all chunks: they can only be dropped.
    gone: Vec<ParkedBatch>,
}

/// Batches that were dropped.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DroppedBatches {
    /// The batches.
    dropped: Vec<ParkedBatch>,
}

/// List the dead letters of a model
#[utoipa::path(get, path = "/v1/namespaces/{ns}/models/{model}/dead-letters", tag = "dead letters",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "The model's name or id"), Chosen),
    responses((status = 200, body = ParkedBatches), (status = 404, body = ErrorBody, description = "ModelNotFound"),
        (status = 503, body = ErrorBody, description = "ClickHouseUnavailable")))]
pub async fn all(
    State(app): State<Shared>,
    path: InNamespace,
    chosen: MaybeQuery<Chosen>,
) -> Result<Json<ParkedBatches>, ApiError> {
    let items = found(&app, &names(path)?, chosen).await?.1;
    Ok(Json(ParkedBatches { items }))
}

/// Show a dead letter
#[utoipa::path(get, path = "/v1/namespaces/{ns}/models/{model}/dead-letters/{uid}/{first_chunk}", tag = "dead letters",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "The model's name or id"),
        ("uid" = String, Path, description = "The job's uid"), ("first_chunk" = u32, Path, description = "The batch's first chunk")),
    responses((status = 200, body = ParkedBatch), (status = 404, body = ErrorBody, description = "ModelNotFound, DeadLetterNotFound"),
        (status = 503, body = ErrorBody, description = "ClickHouseUnavailable")))]
pub async fn one(
    State(app): State<Shared>,
    path: Result<Path<(String, String, String, u32)>, PathRejection>,
) -> Result<Json<ParkedBatch>, ApiError> {
    let Path((namespace, model, uid, first_chunk)) = path.map_err(|e| ApiError::BadRequest(e.body_text()))?;
    let of = (Namespace::parse(&namespace)?, Name::parse(&model)?);
    let which = Which { job: Some(uid.clone()), first_chunk: Some(first_chunk) };
    let model = app.model(&of.0, &of.1).await?;
    let found = parked(&app.tables, &namespace, &model.name_any(), &which).await?;
    let found = found.into_iter().find(|batch| batch.uid == uid);
    found.map(Json).ok_or(ApiError::DeadLetterNotFound { uid, first_chunk })
}

/// Send dead letters again
///
/// Their chunks are sent to the model's topic unchanged. Workers skip chunks that are already loaded. First fix what
/// `reason` and `message` name, or the batches are parked again.
#[utoipa::path(post, path = "/v1/namespaces/{ns}/models/{model}/dead-letters/requeue", tag = "dead letters",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "The model's name or id"), Chosen),
    responses((status = 200, body = RequeuedBatches), (status = 404, body = ErrorBody, description = "ModelNotFound"),
        (status = 409, body = ErrorBody, description = "DeadLettersGone: none of them can be sent again"),
        (status = 503, body = ErrorBody, description = "ClickHouseUnavailable, KafkaUnavailable")))]
pub async fn requeue(
    State(app): State<Shared>,
    path: InNamespace,
    chosen: MaybeQuery<Chosen>,
) -> Result<Json<RequeuedBatches>, ApiError> {
    let of = names(path)?;
    let (id, batches) = found(&app, &of, chosen).await?;
    let done = requeue_batches(app.kafka.clone(), id.topic(), id.dead_letter_topic(), batches).await?;
    tracing::info!(model = %of.1, sent = done.sent.len(), gone = done.missing.len(), "dead letters requeued");
    if done.sent.is_empty() && !done.missing.is_empty() {
        return Err(ApiError::DeadLettersGone(format!(
            "topic '{}' no longer has the chunks of these {} batches; drop them, and load their jobs' files again",
            id.dead_letter_topic(),
            done.missing.len()
        )));
    }
    Ok(Json(RequeuedBatches { requeued: done.sent, gone: done.missing }))
}

/// Drop dead letters: their rows are not loaded, and their jobs end as `ChunksDropped`
#[utoipa::path(post, path = "/v1/namespaces/{ns}/models/{model}/dead-letters/drop", tag = "dead letters",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "The model's name or id"), Chosen),
    responses((status = 200, body = DroppedBatches), (status = 404, body = ErrorBody, description = "ModelNotFound"),
        (status = 503, body = ErrorBody, description = "ClickHouseUnavailable")))]
pub async fn drop_batches(
    State(app): State<Shared>,
    path: InNamespace,
    chosen: MaybeQuery<Chosen>,
) -> Result<Json<DroppedBatches>, ApiError> {
    let of = names(path)?;
    let dropped = found(&app, &of, chosen).await?.1;
    for batch in &dropped {
        drop_batch(&app.tables, batch).await?;
    }
    tracing::info!(model = %of.1, batches = dropped.len(), "dead letters dropped");
    Ok(Json(DroppedBatches { dropped }))
}

/// Returns the selected batches that are parked, and the id of their model.
async fn found(
    app: &Shared,
    (namespace, model): &(Namespace, Name),
    chosen: MaybeQuery<Chosen>,
) -> Result<(ModelId, Vec<ParkedBatch>), ApiError> {
    let Chosen { job, first_chunk } = query(chosen)?;
    let model = app.model(namespace, model).await?.name_any();
    let batches = parked(&app.tables, namespace.as_str(), &model, &Which { job, first_chunk }).await?;
    Ok((ModelId::of(namespace.as_str(), &model), batches))
}
