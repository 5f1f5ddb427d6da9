//! The operator: it watches `IngestModel` and `IngestJob`, makes tables, topics and workers, and moves jobs through their
//! states. It never sees a byte of a file, but for the inline ones, which it hands to the upload API.
//!
//! Each reconcile has four steps, each a file: *dereference* reads what the object points to, *validate* makes typed and
//! complete values of it, *build* decides everything that is wanted, *apply* writes it. The two in the middle are pure and
//! get the clock as an argument.

mod backoff;
mod clock;
mod context;
mod ddl;
mod events;
mod gate;
mod inline;
mod job;
mod model;
mod scale;
mod settings;
mod telemetry;
mod topic;
mod watch;
mod worker_env;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use connect::{Health, LogArgs, Metrics, status_server};
use futures::FutureExt;
use kube::Client;
use kube::runtime::reflector::store;
use prometheus_client::registry::Registry;

pub use settings::Settings;

/// How long what is being worked on may take when the operator is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the operator until `stop` is done.
///
/// Kafka and ClickHouse need not be there: conditions of the models say so. The API server must be.
pub async fn run(
    settings: Settings,
    log: LogArgs,
    client: Client,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // reqwest brings no TLS provider of its own; whoever installed one before is right too.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ca = settings.kafka.kafka_ssl_ca.as_deref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("failed to read KAFKA_SSL_CA '{path}'"))
    });
    let mut registry = Registry::default();
    let (models, model_writer) = store();
    let (jobs, job_writer) = store();
    let (deployments, deployment_writer) = store();
    let ctx = Arc::new(context::Context {
        worker_env: worker_env::WorkerEnv::new(&settings, &log, ca.transpose()?),
        clickhouse: settings.clickhouse.client(),
        topics: topic::Topics::new(&settings.kafka)
            .context("failed to set up Kafka: see the KAFKA_ settings")?,
        lag: scale::lag::LagReader::new(settings.kafka.clone()),
        inline: inline::InlineSender::new(&settings.api_url)?,
        labels: job::labels::Labels::default(),
        events: events::Events::new(client.clone(), settings.pod_name.clone()),
        metrics: telemetry::metrics::OperatorMetrics::register(&mut registry),
        models,
        jobs,
        deployments,
        models_known: gate::Gate::default(),
        jobs_known: gate::Gate::default(),
        deployments_known: gate::Gate::default(),
        model_failures: backoff::Backoff::default(),
        job_failures: backoff::Backoff::default(),
        memories: context::Memories::default(),
        client,
        settings,
    });
    let health = Health::default();
    let port = ctx.settings.metrics_port;
    let server = status_server::serve(port, health.clone(), Metrics::new(registry));
    let writers = watch::Writers { models: model_writer, jobs: job_writer, deployments: deployment_writer };
    let stop = stop.shared();
    let controllers = watch::run(Arc::clone(&ctx), writers, stop.clone());
    // A reconcile that waits for a watch which never answers must not hold the program for ever.
    let patience = async {
        stop.await;
        tokio::time::sleep(GRACE).await;
    };
    tracing::info!(port, "operator started");
    tokio::select! {
        done = server => done.with_context(|| format!("failed to serve metrics on port {port} (METRICS_PORT)"))?,
        () = controllers => tracing::info!("operator stopped"),
        () = patience => tracing::warn!("stopped with work in hand: it is done again at the next start"),
        () = say_when_ready(&ctx, &health) => {}
    }
    Ok(())
}

/// Ready once all three watches have their first answer; never returns.
async fn say_when_ready(ctx: &context::Context, health: &Health) {
    health.not_ready(
        "the watches of IngestModels, IngestJobs and Deployments have no answer yet: are the CRDs there?",
    );
    tokio::join!(ctx.models_known.passed(), ctx.jobs_known.passed(), ctx.deployments_known.passed());
    tracing::info!("all watches answer");
    health.ready();
    std::future::pending::<()>().await;
}
