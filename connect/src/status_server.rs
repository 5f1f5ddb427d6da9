//! `/healthz`, `/readyz` and `/metrics` of a program that serves nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Whether a program is alive and ready, with the reason if it is not.
///
/// A program is alive until [`Health::dead`] is called, and not ready until [`Health::ready`] is called.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<HealthState>>);

#[derive(Debug)]
struct HealthState {
    dead: Option<String>,
    unready: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(HealthState { dead: None, unready: Some("starting".into()) })))
    }
}

impl Health {
    /// Marks the program as ready.
    pub fn ready(&self) {
        self.with(|state| state.unready = None);
    }

    /// Marks the program as not ready, with the reason.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.with(|state| state.unready = Some(why.into()));
    }

    /// Marks the program as dead, with the reason: only a restart helps.
    pub fn dead(&self, why: impl Into<String>) {
        self.with(|state| state.dead = Some(why.into()));
    }

    /// Returns 200 or 503 for `/healthz`, with the text of the response.
    #[must_use]
    pub fn liveness(&self) -> (StatusCode, String) {
        self.with(|state| answer(state.dead.as_ref()))
    }

    /// Returns 200 or 503 for `/readyz`, with the text of the response.
    #[must_use]
    pub fn readiness(&self) -> (StatusCode, String) {
        self.with(|state| answer(state.dead.as_ref().or(state.unready.as_ref())))
    }

    fn with<T>(&self, f: impl FnOnce(&mut HealthState) -> T) -> T {
        f(&mut self.0.lock())
    }
}

fn answer(problem: Option<&String>) -> (StatusCode, String) {
    match problem {
        None => (StatusCode::OK, "ok\n".into()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// The metrics of a program: a registry that is filled at the start and read by `/metrics`.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// Wraps `registry`, in which all metrics are registered.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// Returns the response of `/metrics`, as OpenMetrics text.
    #[must_use]
    pub fn response(&self) -> impl IntoResponse + use<> {
        let mut text = String::new();
        match encode(&mut text, &self.0) {
            Ok(()) => {
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response()
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// Returns the three routes.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(|State((health, _)): State<(Health, Metrics)>| async move { health.liveness() }),
        )
        .route(
            "/readyz",
            get(|State((health, _)): State<(Health, Metrics)>| async move { health.readiness() }),
        )
        .route(
            "/metrics",
            get(|State((_, metrics)): State<(Health, Metrics)>| async move { metrics.response() }),
        )
        .with_state((health, metrics))
}

/// Serves the three routes on all addresses until the future is dropped.
pub async fn serve(port: u16, health: Health, metrics: Metrics) -> std::io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router(health, metrics)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ready_only_once_it_reports_so_and_never_when_it_is_dead() {
        let health = Health::default();
        assert_eq!(health.readiness(), (StatusCode::SERVICE_UNAVAILABLE, "starting\n".into()));
        assert_eq!(health.liveness().0, StatusCode::OK);
        health.ready();
        assert_eq!(health.readiness().0, StatusCode::OK);
        health.dead("no poll for 60 s");
        assert_eq!(health.readiness(), (StatusCode::SERVICE_UNAVAILABLE, "no poll for 60 s\n".into()));
    }
}
