//! Routes that list, show and cancel jobs. An upload makes jobs, see [`super::uploads`].

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use crds::ModelId;
use kube::api::{ListParams, Patch, PatchParams};
use serde::Deserialize;

use crate::error::{ApiError, ErrorBody, kubernetes_or};
use crate::routes::wait::{preferred_seconds, until_stopped};
use crate::routes::{InNamespace, MaybeQuery, list, names, namespace, object, query};
use crate::state::Shared;

/// A selection of jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only the jobs of this model: its name or its id
    model: Option<String>,
}

/// List the jobs of a namespace
#[utoipa::path(get, path = "/v1/namespaces/{ns}/jobs", tag = "jobs",
    params(("ns" = String, Path, description = "The namespace"), Which),
    responses((status = 200, body = ref("#/components/schemas/IngestJobList"))))]
pub async fn all(
    State(app): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    which: MaybeQuery<Which>,
) -> Result<Response, ApiError> {
    let (namespace, which) = (namespace(path)?, query(which)?);
    let mut jobs = app.jobs(&namespace).list(&ListParams::default()).await?.items;
    if let Some(model) = which.model {
        let named = |name: &str| name == model || ModelId::of(namespace.as_str(), name).as_str() == model;
        jobs.retain(|job| named(&job.spec.model_ref.name));
    }
    Ok(list(jobs))
}

/// Show a job
///
/// With `Prefer: wait=N` the answer comes when the job has ended or is BLOCKED, or after N seconds (at most 60) with the job
/// as it is then.
#[utoipa::path(get, path = "/v1/namespaces/{ns}/jobs/{job}", tag = "jobs",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "Its name"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: how many seconds to wait for the end of the job (RFC 7240)")),
    responses((status = 200, body = ref("#/components/schemas/IngestJob")), (status = 404, body = ErrorBody, description = "JobNotFound")))]
pub async fn one(
    State(app): State<Shared>,
    path: InNamespace,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (namespace, name) = names(path)?;
    let job = app.job(&namespace, &name).await?;
    let job = until_stopped(&app, &namespace, job, preferred_seconds(&headers)).await?;
    Ok(object(StatusCode::OK, job))
}

/// Cancel a job; rows that are already loaded stay
#[utoipa::path(post, path = "/v1/namespaces/{ns}/jobs/{job}/cancel", tag = "jobs",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "Its name")),
    responses((status = 200, body = ref("#/components/schemas/IngestJob")), (status = 404, body = ErrorBody, description = "JobNotFound"),
        (status = 409, body = ErrorBody, description = "JobEnded")))]
pub async fn cancel(State(app): State<Shared>, path: InNamespace) -> Result<Response, ApiError> {
    let (namespace, job) = names(path)?;
    let found = app.job(&namespace, &job).await?;
    if let Some(state) = found.status.and_then(|s| s.state).filter(|state| state.is_end()) {
        return Err(ApiError::JobEnded { job: job.to_string(), state: state.as_str().into() });
    }
    let cancel = Patch::Merge(serde_json::json!({"spec": {"cancel": true}}));
    let not_found = || ApiError::JobNotFound { namespace: namespace.to_string(), job: job.to_string() };
    let params = PatchParams::default();
    let cancelled = app
        .jobs(&namespace)
        .patch(job.as_str(), &params, &cancel)
        .await
        .map_err(kubernetes_or(404, not_found))?;
    Ok(object(StatusCode::OK, cancelled))
}
