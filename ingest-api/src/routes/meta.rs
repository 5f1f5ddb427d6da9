//! Routes for health, metrics and the page that shows the API.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::error::ApiError;
use crate::state::Shared;

/// A page that shows `/openapi.json`. It loads nothing from other servers.
const DOCS: &str = include_str!("docs.html");

/// Whether the process is alive
#[utoipa::path(get, path = "/healthz", tag = "meta", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn healthz(State(app): State<Shared>) -> (StatusCode, String) {
    app.health.liveness()
}

/// Whether Kubernetes and Kafka can be reached, so that an upload can begin
#[utoipa::path(get, path = "/readyz", tag = "meta",
    responses((status = 200, content_type = "text/plain", body = String), (status = 503, content_type = "text/plain", body = String)))]
pub async fn readyz(State(app): State<Shared>) -> (StatusCode, String) {
    app.health.readiness()
}

/// Metrics, as text
#[utoipa::path(get, path = "/metrics", tag = "meta", responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub async fn metrics(State(app): State<Shared>) -> Response {
    app.exposed.response().into_response()
}

/// The OpenAPI document, as a page for people
#[utoipa::path(get, path = "/docs", tag = "meta", responses((status = 200, content_type = "text/html", body = String)))]
pub async fn docs() -> Response {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(DOCS)).into_response()
}

/// The answer for a path that is not a route.
pub async fn nothing() -> ApiError {
    ApiError::RouteNotFound
}

/// The answer for a method that the route does not have.
pub async fn other_method() -> ApiError {
    ApiError::MethodNotAllowed
}
