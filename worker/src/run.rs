//! Runs the worker with all its parts, from the first call to the last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use connect::{Health, shutdown, status_server};
use crds::TableName;
use crds::model::Engine;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::budget::{Budget, Lane};
use crate::buffers::Buffers;
use crate::cluster::Cluster;
use crate::collect::Collector;
use crate::consume::Consume;
use crate::consume::config::consumer_config;
use crate::dead_letter::DeadLetters;
use crate::health_tracker::HealthTracker;
use crate::insert::{Inserter, Names};
use crate::jobs::Jobs;
use crate::ledger::Ledger;
use crate::load::{Loader, LoaderParts};
use crate::metrics::Metrics;
use crate::pipeline::Stages;
use crate::plan::Targets;
use crate::report::Reporter;
use crate::reread::Reread;
use crate::retry::Retry;
use crate::settings::Settings;
use crate::stop::{self, Stop};
use crate::tracker::Tracker;

/// The most time from the signal to stop to the end, even if work is not finished then.
const LONGEST_STOP: Duration = Duration::from_secs(18);
/// How often the worker checks whether ClickHouse can be reached.
const PING: Duration = Duration::from_secs(15);
/// How often the open batches are checked.
const SWEEP: Duration = Duration::from_secs(1);
/// How often the worker reads from the API server whether the job of an idle batch and its upload continue.
const REFRESH: Duration = Duration::from_secs(5);
/// The most bytes that are kept in free buffers.
const FREE_BUFFERS: usize = 64 << 20;
/// How many chunks wait between two stages.
const BETWEEN_STAGES: usize = 4;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// The errors that only a restart can fix.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let (stopper, stop) = stop::channel();
    let (metrics, registry) = Metrics::register();
    let health = Health::default();
    let health_tracker = HealthTracker::new(health.clone(), &["clickhouse"]);
    health_tracker.heartbeat();

    let mut background = JoinSet::new();
    let port = settings.metrics_port;
    background.spawn(async move {
        status_server::serve(port, health, registry)
            .await
            .with_context(|| format!("failed to serve port {port}"))
    });
    let watched = health_tracker.clone();
    background.spawn(async move {
        watched.watch().await;
        Ok(())
    });

    let mut work = Box::pin(work(settings, stop, health_tracker, metrics));
    tokio::select! {
        done = &mut work => return done,
        Some(ended) = background.join_next() => ended??,
        signalled = shutdown::signalled() => signalled.context("failed to listen for signals")?,
    }
    stopper.stop();
    if let Ok(done) = tokio::time::timeout(LONGEST_STOP, work).await {
        done?;
    } else {
        tracing::warn!("stopping although not everything is finished; others will do it again");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn work(
    settings: Settings,
    stop: Stop,
    health_tracker: HealthTracker,
    metrics: Metrics,
) -> anyhow::Result<()> {
    let retry = Retry::new(stop.clone(), health_tracker.clone(), metrics.clone());
    let client = settings.clickhouse_client();
    let database = &settings.clickhouse.clickhouse_database;
    let ledger = Ledger::new(client.clone(), database)?;
    let mut config = kube::Config::infer().await.context("failed to find the Kubernetes API server")?;
    // A server that hangs does not answer at all.
    config.read_timeout = Some(Duration::from_secs(30));
    let kube = kube::Client::try_from(config).context("failed to set up the Kubernetes client")?;
    let cluster = Cluster::new(&kube, &settings.model_namespace);

    let (name, id) = (settings.model_name.as_str(), settings.model_id());
    let read = tokio::try_join!(
        retry.run("model", || async {
            let model = cluster.model(name).await?;
            let table = model.spec.table.unwrap_or_default();
            let table_name = table.name.unwrap_or_else(|| id.default_table());
            let replaces =
                matches!(table.engine, Engine::ReplacingMergeTree | Engine::ReplicatedReplacingMergeTree);
            Ok((TableName::new(table.database.as_deref().unwrap_or(database), &table_name)?, replaces))
        }),
        retry.run("clickhouse", || ledger.ping()),
    );
    let Ok(((table, replaces), ())) = read else { return Ok(()) };
    tracing::info!(model = name, %id, table = table.plain(), topic = id.topic(), "working");

    let kafka = settings.kafka.client_config(&settings.pod_name);
    let dead_letters =
        DeadLetters::new(kafka.clone(), id.dead_letter_topic(), retry.clone(), metrics.clone());
    let buffers = Buffers::new(FREE_BUFFERS);
    let names = Names { model: name, namespace: &settings.model_namespace };
    let budget = Budget::new(u64::from(settings.worker_batch_mib) << 20);
    let stages = Arc::new(Stages {
        jobs: Arc::new(Jobs::new(ledger.clone(), cluster.clone(), name)),
        targets: Arc::new(Targets::new(cluster.clone(), table.clone())),
        collector: Arc::new(Collector::new(budget, metrics.clone())),
        inserter: Inserter::new(client, database, &table, names, &settings.pod_name)?,
        retry: retry.clone(),
        metrics: metrics.clone(),
        dead_letters: Arc::new(dead_letters),
        buffers: buffers.clone(),
    });
    let (bulk, bulk_deliveries) = mpsc::channel(BETWEEN_STAGES);
    let (small, small_deliveries) = mpsc::channel(BETWEEN_STAGES);
    let (prepare, prepared) = mpsc::channel(BETWEEN_STAGES);
    let (complete, batches) = mpsc::unbounded_channel();
    let (progress, updates) = mpsc::unbounded_channel();

    let consume = Consume {
        topic: id.topic(),
        config: consumer_config(kafka.clone(), &id.topic(), settings.worker_prefetch_kib),
        tracker: Arc::new(Tracker::default()),
        bulk,
        small,
        buffers: buffers.clone(),
        stop: stop.clone(),
        health: health_tracker,
        metrics: metrics.clone(),
        collector: stages.collector.clone(),
        runtime: Handle::current(),
    };
    let loader = LoaderParts {
        inserter: stages.inserter.clone(),
        jobs: stages.jobs.clone(),
        targets: stages.targets.clone(),
        collector: stages.collector.clone(),
        dead_letters: stages.dead_letters.clone(),
        reread: Reread::new(kafka, id.topic()),
        retry: retry.clone(),
        metrics: metrics.clone(),
        buffers,
        replaces,
        progress: progress.clone(),
    };
    let kafka = thread("kafka", move || consume.run().context("failed to consume from Kafka"))?;
    let (checking, to_report) = (stages.clone(), progress.clone());
    let check = thread("check", move || {
        checking.check(prepared, &complete, &to_report);
        Ok(())
    })?;

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    tasks.spawn(ran(ping(ledger.clone(), retry.clone())));
    tasks.spawn(ran(sweep(stages.collector.clone(), stages.jobs.clone(), stop.clone())));
    let to_check = prepare.clone();
    tasks.spawn(ran(stages.clone().prepare(Lane::Bulk, bulk_deliveries, to_check, progress.clone())));
    tasks.spawn(ran(stages.prepare(Lane::Small, small_deliveries, prepare, progress)));
    tasks.spawn(ran(Loader::new(loader, settings.worker_inserts as usize).run(batches)));
    tasks.spawn(ran(Reporter { ledger, cluster, retry, metrics }.run(updates)));
    tasks.spawn(async move { check.await.context("the checking thread died")? });
    tasks.spawn(async move { kafka.await.context("kafka's thread died")? });
    while let Some(ended) = tasks.join_next().await {
        ended??;
        anyhow::ensure!(stop.is_set(), "a stage of the worker ended unasked");
    }
    Ok(())
}

/// Checks the open batches: whether the partition was revoked, the job has ended, or the rest of the batch no longer
/// exists.
async fn sweep(collector: Arc<Collector>, jobs: Arc<Jobs>, stop: Stop) {
    let sweeping = async {
        let mut refreshed = HashMap::new();
        loop {
            tokio::time::sleep(SWEEP).await;
            let now = Instant::now();
            let idle = collector.idle_jobs(now);
            refreshed.retain(|uid, _| idle.iter().any(|job| job.uid == *uid));
            for job in idle {
                let before = refreshed.get(&job.uid).copied();
                if !job.has_ended() && before.is_none_or(|before| now.duration_since(before) >= REFRESH) {
                    jobs.refresh(&job).await;
                    refreshed.insert(job.uid.clone(), now);
                }
            }
            collector.sweep(now);
        }
    };
    tokio::select! {
        () = sweeping => {}
        () = stop.wait() => {}
    }
}

/// Calls ClickHouse regularly, so that an idle worker also knows whether it can be reached.
async fn ping(ledger: Ledger, retry: Retry) {
    let asking = async {
        loop {
            tokio::time::sleep(PING).await;
            if retry.run("clickhouse", || ledger.ping()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = retry.stop().wait() => {}
    }
}

async fn ran(stage: impl Future<Output = ()>) -> anyhow::Result<()> {
    stage.await;
    Ok(())
}

/// Starts a thread whose end can be awaited. An error of the receiver means that the thread died.
fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ = sender.send(work());
    })?;
    Ok(receiver)
}
