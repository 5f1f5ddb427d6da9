//! The server: from its settings to its end on a signal.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use connect::{Health, Metrics};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::admission::Lane;
use crate::clickhouse::Tables;
use crate::listen;
use crate::metrics::ApiMetrics;
use crate::openapi::router;
use crate::produce::Kafka;
use crate::routes::wait::WAITERS;
use crate::settings::Settings;
use crate::state::{App, Revisions, Running, Shared};

/// How often Kubernetes and Kafka are checked.
const PROBE: Duration = Duration::from_secs(5);
/// How long stopped uploads have for their last writes.
const LAST_WRITES: Duration = Duration::from_secs(8);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The producer's settings are wrong.
    #[error("failed to set up the Kafka producer: {0}; check the KAFKA_ settings")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The name of the database is invalid.
    #[error("CLICKHOUSE_DATABASE: {0}")]
    Database(#[from] crds::sql::BadIdent),
}

/// Makes what all requests have in common, from the settings. It does not connect yet.
pub fn app(
    settings: Settings,
    kube: kube::Client,
    stop: watch::Receiver<bool>,
) -> Result<Shared, StartError> {
    let mut registry = Registry::default();
    let metrics = ApiMetrics::register(&mut registry);
    Ok(Arc::new(App {
        kafka: Arc::new(Kafka::new(&settings)?),
        tables: Tables::new(&settings.clickhouse)?,
        uploads: Lane::new(settings.max_uploads, settings.memory_budget()),
        inline: Lane::inline(),
        waiters: Semaphore::new(WAITERS),
        kube,
        settings,
        metrics,
        exposed: Metrics::new(registry),
        revisions: Revisions::default(),
        running: Running::default(),
        stop,
        new_id: random_id,
        health: Health::default(),
    }))
}

/// Serves until `signal` resolves. Then it accepts no new connection. Uploads may continue for the grace period; those
/// that still run then stop at an acknowledged chunk.
pub async fn serve(
    app: Shared,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    signal: impl Future<Output = io::Result<()>> + Send + 'static,
) -> io::Result<()> {
    let probe = tokio::spawn(probe(app.clone()));
    let (closing, closed) = watch::channel(false);
    let server = tokio::spawn(listen::serve(listener, router(app.clone()), closed));
    signal.await?;
    probe.abort();
    app.health.not_ready("stopping");
    closing.send_replace(true);
    let idle = || async { (app.uploads.idle().await, app.inline.idle().await) };
    if timeout(app.settings.shutdown_grace(), idle()).await.is_err() {
        tracing::warn!("uploads are still running: stopping them where they are");
        stop.send_replace(true);
        let _ = timeout(LAST_WRITES, idle()).await;
    }
    // The last answers are sent. An idle connection is not waited for.
    match timeout(Duration::from_secs(1), server).await {
        Ok(ended) => ended.map_err(io::Error::other),
        Err(_) => Ok(()),
    }
}

/// Updates `/readyz`: whether an upload could begin.
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

/// Returns a random number: `std` seeds each hasher from the randomness of the system.
fn random_id() -> u32 {
    let random = RandomState::new().hash_one(());
    u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default()
}
