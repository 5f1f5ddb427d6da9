//! Jobs of two rows: how long one takes, and how many end per second when many are created at the same time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use e2e::{Namespace, Target, data};

/// The number of clients that run at the same time.
const CLIENTS: u32 = 16;
const ROWS: &str = "event_id,timestamp,amount\n1,1716045542,1\n2,1716045543,2\n";

/// Runs jobs one after the other, then `jobs` at the same time.
pub fn run(target: &Target, ns: &Namespace<'_>, jobs: u32) -> Result<()> {
    let file = ns.file("two-rows.csv", ROWS)?;
    println!("\n## Jobs of two rows\n");
    model(target, ns, "cold", "{min: 0, max: 1}")?;
    let cold = one(target, &ns.name, "cold", &file)?;
    model(target, ns, "warm", "{min: 1, max: 1}")?;
    one(target, &ns.name, "warm", &file)?;
    let mut warm = (0..10).map(|_| one(target, &ns.name, "warm", &file)).collect::<Result<Vec<_>>>()?;
    warm.sort_unstable();
    println!("from no worker: {cold:.2?}; warm: {:.2?}, at least {:.2?}", warm[5], warm[0]);
    many(target, &ns.name, &file, jobs)
}

/// Creates `jobs` jobs with [`CLIENTS`] clients. Each client waits until its job has ended.
fn many(target: &Target, ns: &str, file: &str, jobs: u32) -> Result<()> {
    let before = (api_requests(target)?, queries(target)?);
    let (next, start) = (AtomicU32::new(0), Instant::now());
    let client = || -> Result<Vec<Duration>> {
        let mut took = vec![];
        while next.fetch_add(1, Ordering::Relaxed) < jobs {
            took.push(one(target, ns, "warm", file)?);
        }
        Ok(took)
    };
    let mut took = thread::scope(|scope| -> Result<Vec<Duration>> {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut all = vec![];
        for client in clients {
            all.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(all)
    })?;
    let wall = start.elapsed();
    took.sort_unstable();
    ensure!(!took.is_empty(), "no job");
    let after = (api_requests(target)?, queries(target)?);
    println!(
        "{jobs} jobs by {CLIENTS} clients: {:.1} jobs/s; p50 {:.2?}, p99 {:.2?}; a job takes {:.1} requests to the API server and {:.1} ClickHouse queries",
        f64::from(jobs) / wall.as_secs_f64(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        (after.0 - before.0) / f64::from(jobs),
        (after.1 - before.1) / f64::from(jobs),
    );
    Ok(())
}

fn one(target: &Target, ns: &str, model: &str, file: &str) -> Result<Duration> {
    let start = Instant::now();
    target.batch(ns, &["job", "create", model, file, "--wait"])?.ok()?;
    Ok(start.elapsed())
}

fn model(target: &Target, ns: &Namespace<'_>, name: &str, workers: &str) -> Result<()> {
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: {name}}}\nspec:\n  workers: {workers}\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    target.model_ready(&ns.name, name).map(drop)
}

/// Returns the number of requests that the API server has answered, without its own requests and without long ones.
fn api_requests(target: &Target) -> Result<f64> {
    let metrics = target.kubectl(&["get", "--raw", "/metrics"])?;
    let ours = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && line.contains("ingest.batch-on-kafka.io")
            && !line.contains("WATCH")
    });
    Ok(ours.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

/// Returns the number of queries that ClickHouse has started.
fn queries(target: &Target) -> Result<f64> {
    Ok(target.sql("SELECT value FROM system.events WHERE event = 'Query'")?.parse()?)
}
