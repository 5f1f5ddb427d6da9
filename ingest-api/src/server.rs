//! From settings to a server that runs until it is told to stop.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use connect::{Health, Metrics};
use crds::TableName;
use crds::tables::REJECTED_ROWS;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::metrics::ApiMetrics;
use crate::openapi::router;
use crate::settings::Settings;
use crate::state::{App, Running, Shared};
use crate::upload::produce::Kafka;

/// How often Kubernetes and Kafka are asked whether they are there.
const PROBE: Duration = Duration::from_secs(5);
/// How long uploads have to write their last word once they were stopped.
const LAST_WORD: Duration = Duration::from_secs(8);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The producer's settings are wrong.
    #[error("failed to set up the Kafka producer: {0}; check the KAFKA_ settings")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The database is no name.
    #[error("CLICKHOUSE_DATABASE: {0}")]
    Database(#[from] crds::sql::BadIdent),
}

/// All that requests share, made by the settings. Nothing is connected yet.
pub fn app(
    settings: Settings,
    kube: kube::Client,
    stop: watch::Receiver<bool>,
) -> Result<Shared, StartError> {
    let mut registry = Registry::default();
    let metrics = ApiMetrics::register(&mut registry);
    Ok(Arc::new(App {
        kafka: Arc::new(Kafka::new(&settings)?),
        clickhouse: settings.clickhouse.client(),
        rejected_rows: TableName::new(&settings.clickhouse.clickhouse_database, REJECTED_ROWS)?,
        uploads: Arc::new(Semaphore::new(settings.max_uploads)),
        kube,
        settings,
        metrics,
        exposed: Metrics::new(registry),
        running: Running::default(),
        stop,
        new_id: random_id,
        health: Health::default(),
    }))
}

/// Serves until `told` resolves. Then nothing new is accepted, uploads may go on for the grace period, and what is left
/// of them stops at an acknowledged chunk.
pub async fn serve(
    app: Shared,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    told: impl Future<Output = io::Result<()>> + Send + 'static,
) -> io::Result<()> {
    let probe = tokio::spawn(probe(app.clone()));
    let (closing, closed) = watch::channel(false);
    let until = {
        let mut closed = closed.clone();
        async move { drop(closed.wait_for(|c| *c).await) }
    };
    let server =
        tokio::spawn(axum::serve(listener, router(app.clone())).with_graceful_shutdown(until).into_future());
    told.await?;
    probe.abort();
    app.health.not_ready("stopping");
    closing.send_replace(true);
    let all = u32::try_from(app.settings.max_uploads).unwrap_or(u32::MAX);
    if timeout(app.settings.shutdown_grace(), app.uploads.acquire_many(all)).await.is_err() {
        tracing::warn!("uploads are still running: stopping them where they are");
        stop.send_replace(true);
        let _ = timeout(LAST_WORD, app.uploads.acquire_many(all)).await;
    }
    // Answers leave; a connection that only idles is not waited for.
    match timeout(Duration::from_secs(1), server).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Ok(()),
    }
}

/// Keeps `/readyz` true to whether an upload could begin.
async fn probe(app: Shared) {
    let mut tick = interval(PROBE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match (app.kube.apiserver_version().await, app.kafka.reachable().await) {
            (Err(error), _) => app.health.not_ready(format!("the kubernetes API cannot be reached: {error}")),
            (_, Err(error)) => app.health.not_ready(error.to_string()),
            (Ok(_), Ok(())) => app.health.ready(),
        }
    }
}

/// `std` seeds each of its hashers from the system's randomness.
fn random_id() -> u32 {
    let random = RandomState::new().hash_one(());
    u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default()
}
