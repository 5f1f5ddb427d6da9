//! The metrics of the server. Every label has a bounded set of values: a route is the declared one, never the path.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::error::ErrorReason;

/// The labels of a request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

/// The label of an error.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ErrorLabels {
    reason: &'static str,
}

/// The server's metrics.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    requests: Family<RequestLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    /// Uploads that are running.
    pub uploads: Gauge,
    /// Bytes of acknowledged chunks.
    pub bytes: Counter,
    /// Rows of acknowledged chunks.
    pub rows: Counter,
    /// Chunks acknowledged.
    pub chunks: Counter,
    /// The time from the call of the producer to the acknowledgement of Kafka.
    pub produce: Histogram,
}

impl ApiMetrics {
    /// Registers all metrics under `batch_api_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            errors: Family::default(),
            uploads: Gauge::default(),
            bytes: Counter::default(),
            rows: Counter::default(),
            chunks: Counter::default(),
            produce: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
        };
        let ours = registry.sub_registry_with_prefix("batch_api");
        ours.register("requests", "Requests answered", metrics.requests.clone());
        ours.register("errors", "Requests answered with an error, by its reason", metrics.errors.clone());
        ours.register("uploads_in_flight", "Uploads that are running", metrics.uploads.clone());
        ours.register("upload_bytes", "Bytes of chunks that Kafka acknowledged", metrics.bytes.clone());
        ours.register("upload_rows", "Rows of chunks that Kafka acknowledged", metrics.rows.clone());
        ours.register("upload_chunks", "Chunks that Kafka acknowledged", metrics.chunks.clone());
        ours.register_with_unit(
            "produce_duration",
            "From handing a chunk to the producer until Kafka has it",
            Unit::Seconds,
            metrics.produce.clone(),
        );
        metrics
    }
}

/// Counts each request by its route, and each error by its reason.
pub async fn count(State(metrics): State<ApiMetrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = known_method(request.method().as_str());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    metrics.requests.get_or_create(&RequestLabels { route, method, status }).inc();
    if let Some(ErrorReason(reason)) = response.extensions().get() {
        metrics.errors.get_or_create(&ErrorLabels { reason }).inc();
    }
    response
}

/// Returns the method, or `other`: a client may send any word as a method.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"].into_iter().find(|m| *m == method).unwrap_or("other")
}
