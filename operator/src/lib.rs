//! The operator. It watches `IngestModel` and `IngestJob`, creates tables, topics and workers, and moves jobs through
//! their states. It never reads a file, except for inline files, which it sends to the upload API.
//!
//! Each reconcile has four steps, each in its own file. *validate* makes typed and complete values from the object.
//! *observe* (of a model) or *dereference* (of a job) reads what else the decision depends on. *plan* or *build* decides
//! everything that is written. *apply* writes it. Validating and deciding are pure and get the time as an argument.

mod backoff;
mod clock;
mod context;
mod ddl;
mod events;
mod gate;
mod history;
mod inline;
mod job;
mod label;
mod ledger;
mod lookup;
mod lost;
mod model;
mod model_state;
mod objects;
mod query;
mod receipt;
mod scale;
mod settings;
mod telemetry;
mod topic;
mod watch;
mod worker_env;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use connect::{Health, LogArgs, Metrics, status_server};
use futures::FutureExt;
use futures::channel::mpsc::UnboundedSender;
use kube::Client;
use kube::runtime::reflector::store;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::context::Context;
use crate::history::LabelKey;
use crate::lookup::Request;
use crate::objects::JobKey;

pub use settings::Settings;

/// When the operator is asked to stop, running reconciles may take this long.
const GRACE: Duration = Duration::from_secs(10);
/// For how long questions about jobs are collected before they are asked. A job waits for the answer about its label
/// before it starts.
const LABEL_WINDOW: Duration = Duration::from_millis(10);
const LEDGER_WINDOW: Duration = Duration::from_millis(50);
const RECEIPT_WINDOW: Duration = Duration::from_millis(200);

/// Runs the operator until `stop` is done.
///
/// Kafka and ClickHouse need not be available: the conditions of the models report it. The API server must be
/// available.
pub async fn run(
    settings: Settings,
    log: LogArgs,
    client: Client,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // reqwest has no TLS provider of its own. If another one is already installed, it is used.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ca = settings.kafka.kafka_ssl_ca.as_deref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("failed to read KAFKA_SSL_CA '{path}'"))
    });
    let mut registry = Registry::default();
    let (models, model_writer) = store();
    let (jobs, job_writer) = store();
    let (deployments, deployment_writer) = store();
    let (label_history, labels_asked) = lookup::Lookup::new("labels");
    let (ledger_readings, ledger_asked) = lookup::Lookup::new("ledger");
    let (receipts, receipts_asked) = lookup::Lookup::new("receipts");
    let (call_jobs, jobs_called) = futures::channel::mpsc::unbounded();
    let ctx = Arc::new(context::Context {
        worker_env: worker_env::WorkerEnv::new(&settings, &log, ca.transpose()?),
        clickhouse: settings.clickhouse.client(),
        shared_tables: ddl::run::SharedTables::default(),
        topics: topic::Topics::new(&settings.kafka)
            .context("failed to set up Kafka: see the KAFKA_ settings")?,
        lag: scale::lag::LagReader::new(settings.kafka.clone()),
        inline: inline::InlineSender::new(&settings.api_url)?,
        labels: label::Labels::default(),
        label_history,
        ledger_readings,
        receipts,
        positions: context::Known::default(),
        tables: context::Known::default(),
        completions: context::Known::default(),
        suspicions: context::Known::default(),
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
        model_states: context::ModelStates::default(),
        client,
        settings,
    });
    let health = Health::default();
    let port = ctx.settings.metrics_port;
    let server = status_server::serve(port, health.clone(), Metrics::new(registry));
    let writers = watch::Writers { models: model_writer, jobs: job_writer, deployments: deployment_writer };
    let stop = stop.shared();
    let asked = Asked { labels: labels_asked, ledger: ledger_asked, receipts: receipts_asked };
    let lookups = answer(&ctx, asked, &call_jobs);
    let controllers = watch::run(Arc::clone(&ctx), writers, (call_jobs.clone(), jobs_called), stop.clone());
    // A reconcile that waits for a watch that never answers must not keep the program running.
    let time_is_up = async {
        stop.await;
        tokio::time::sleep(GRACE).await;
    };
    tracing::info!(port, "operator started");
    tokio::select! {
        done = server => done.with_context(|| format!("failed to serve metrics on port {port} (METRICS_PORT)"))?,
        () = controllers => tracing::info!("operator stopped"),
        done = lookups => done?,
        () = time_is_up => tracing::warn!("stopped before the running work was done; it is repeated at the next start"),
        () = report_readiness(&ctx, &health) => {}
    }
    Ok(())
}

/// The questions about jobs that are answered in the background.
struct Asked {
    labels: UnboundedReceiver<Request<LabelKey>>,
    ledger: UnboundedReceiver<Request<()>>,
    receipts: UnboundedReceiver<Request<()>>,
}

/// Answers questions about jobs and triggers a reconcile of the jobs that asked. Returns only if the name of the
/// database is invalid.
async fn answer(ctx: &Context, asked: Asked, call: &UnboundedSender<JobKey>) -> anyhow::Result<()> {
    let database = &ctx.settings.clickhouse.clickhouse_database;
    let name = || format!("CLICKHOUSE_DATABASE '{database}'");
    let history = history::History::new(database).with_context(name)?;
    let ledger = ledger::read::Ledger::new(database).with_context(name)?;
    let receipts = receipt::Receipts::new(database).with_context(name)?;
    let labels =
        ctx.label_history.serve(asked.labels, LABEL_WINDOW, call.clone(), async |requests: &[_]| {
            history.loaded(&ctx.clickhouse, requests).await
        });
    let lines =
        ctx.ledger_readings.serve(asked.ledger, LEDGER_WINDOW, call.clone(), async |requests: &[_]| {
            read_ledger(ctx, &ledger, requests).await
        });
    let receipts =
        ctx.receipts.serve(asked.receipts, RECEIPT_WINDOW, call.clone(), async |requests: &[_]| {
            receipts.make(ctx, requests).await
        });
    tokio::join!(labels, lines, receipts);
    Ok(())
}

/// Reads the lines of each job from the ledger.
async fn read_ledger(
    ctx: &Context,
    ledger: &ledger::read::Ledger,
    requests: &[Request<()>],
) -> Result<HashMap<String, ledger::Reading>, query::QueryError> {
    let at = ctx.now();
    let uids: Vec<&str> = requests.iter().map(|request| request.uid.as_str()).collect();
    let mut lines = ledger.lines(&ctx.clickhouse, &uids).await?;
    let reading = |uid: &&str| {
        let lines = lines.remove(*uid).unwrap_or_default().into();
        ((*uid).to_owned(), ledger::Reading { at, lines })
    };
    Ok(uids.iter().map(reading).collect())
}

/// Reports ready when all three watches have their first answer. Never returns.
async fn report_readiness(ctx: &Context, health: &Health) {
    health.not_ready(
        "the watches of IngestModels, IngestJobs and Deployments have no answer yet: are the CRDs there?",
    );
    tokio::join!(ctx.models_known.passed(), ctx.jobs_known.passed(), ctx.deployments_known.passed());
    tracing::info!("all watches answer");
    health.ready();
    std::future::pending::<()>().await;
}
