//! The worker put together, from the first call to the last.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use connect::{Health, shutdown, status_server};
use crds::TableName;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::buffers::Buffers;
use crate::cluster::Cluster;
use crate::consume::{Consume, consumer_config};
use crate::dead_letter::DeadLetters;
use crate::insert::Inserter;
use crate::jobs::Jobs;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::pipeline::Stages;
use crate::plan::Targets;
use crate::report::Reporter;
use crate::retry::Retry;
use crate::settings::Settings;
use crate::stop::{self, Stop};
use crate::tracker::Tracker;
use crate::vitals::Vitals;

/// From the order to stop to the end, whatever is still open then.
const LONGEST_STOP: Duration = Duration::from_secs(18);
/// How often ClickHouse is asked whether it is there.
const PING: Duration = Duration::from_secs(15);
/// Chunks and blocks on their way through the stages.
const BUFFERS: usize = 8;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What only a restart can mend.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let (stopper, stop) = stop::channel();
    let (metrics, served) = Metrics::register();
    let health = Health::default();
    let vitals = Vitals::new(health.clone(), &["clickhouse"]);
    vitals.beat();

    let mut background = JoinSet::new();
    let port = settings.metrics_port;
    background.spawn(async move {
        status_server::serve(port, health, served)
            .await
            .with_context(|| format!("failed to serve port {port}"))
    });
    let watched = vitals.clone();
    background.spawn(async move {
        watched.watch().await;
        Ok(())
    });

    let mut work = Box::pin(work(settings, stop, vitals, metrics));
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

async fn work(settings: Settings, stop: Stop, vitals: Vitals, metrics: Metrics) -> anyhow::Result<()> {
    let retry = Retry::new(stop.clone(), vitals.clone(), metrics.clone());
    let client = settings.clickhouse_client();
    let database = &settings.clickhouse.clickhouse_database;
    let ledger = Ledger::new(client.clone(), database)?;
    let mut config = kube::Config::infer().await.context("failed to find the Kubernetes API server")?;
    // A server that hangs says nothing at all.
    config.read_timeout = Some(Duration::from_secs(30));
    let kube = kube::Client::try_from(config).context("failed to set up the Kubernetes client")?;
    let cluster = Cluster::new(&kube, &settings.model_namespace);

    let (name, id) = (settings.model_name.as_str(), settings.model_id());
    let read = tokio::try_join!(
        retry.run("model", || async {
            let model = cluster.model(name).await?;
            let table = model.spec.table.unwrap_or_default();
            let table_name = table.name.unwrap_or_else(|| id.default_table());
            Ok(TableName::new(table.database.as_deref().unwrap_or(database), &table_name)?)
        }),
        retry.run("clickhouse", || ledger.ping()),
    );
    let Ok((table, ())) = read else { return Ok(()) };
    tracing::info!(model = name, %id, table = table.plain(), topic = id.topic(), "working");

    let kafka = settings.kafka.client_config(&settings.pod_name);
    let dead_letters =
        DeadLetters::new(kafka.clone(), id.dead_letter_topic(), retry.clone(), metrics.clone());
    let buffers = Buffers::new(BUFFERS);
    let stages = Arc::new(Stages {
        jobs: Jobs::new(ledger.clone(), cluster.clone(), name),
        targets: Targets::new(cluster.clone(), table),
        inserter: Inserter::new(client, database, name, &settings.pod_name)?,
        retry: retry.clone(),
        metrics: metrics.clone(),
        dead_letters: Arc::new(dead_letters),
        buffers: buffers.clone(),
    });
    let (deliver, deliveries) = mpsc::channel(1);
    let (prepare, prepared) = mpsc::channel(1);
    let (judge, judged) = mpsc::channel(1);
    let (tell, news) = mpsc::unbounded_channel();

    let consume = Consume {
        topic: id.topic(),
        config: consumer_config(kafka, &id.topic(), settings.worker_prefetch_kib),
        tracker: Arc::new(Tracker::default()),
        next: deliver,
        buffers,
        stop: stop.clone(),
        vitals,
        metrics: metrics.clone(),
        runtime: Handle::current(),
    };
    let kafka = thread("kafka", move || consume.run().context("failed to consume from Kafka"))?;
    let (checking, runtime) = (stages.clone(), Handle::current());
    let check = thread("check", move || {
        checking.check(prepared, &judge, &runtime);
        Ok(())
    })?;

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    tasks.spawn(ran(ping(ledger.clone(), retry.clone())));
    tasks.spawn(ran(stages.clone().prepare(deliveries, prepare, tell.clone())));
    tasks.spawn(ran(stages.insert(judged, tell, settings.worker_inserts as usize)));
    tasks.spawn(ran(Reporter { ledger, cluster, retry, metrics }.run(news)));
    tasks.spawn(async move { check.await.context("the checking thread died")? });
    tasks.spawn(async move { kafka.await.context("kafka's thread died")? });
    while let Some(ended) = tasks.join_next().await {
        ended??;
        anyhow::ensure!(stop.is_set(), "a stage of the worker ended unasked");
    }
    Ok(())
}

/// Asks ClickHouse now and then, so that a worker with nothing to do knows too whether it is there.
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

/// A thread whose end can be awaited; an error on the receiver says that it died.
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
