//! A small job beside a large one of the same model.
#![allow(missing_docs, reason = "a test")]

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::wait::until;
use e2e::{Namespace, Target, data};

const ROWS: u64 = 6_000_000;

#[test]
fn a_job_of_two_rows_does_not_wait_for_a_large_one_of_the_same_model() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "small")?;
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\nspec:\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    target.model_ready(&ns.name, "m")?;
    let mut file = vec![];
    data::narrow_csv(&mut file, ROWS, 0)?;
    let large = ns.file("large.csv", file)?;
    let small = ns.file("small.csv", "event_id,timestamp,amount\n1,1716045542,1\n2,1716045543,2\n")?;
    thread::scope(|scope| -> Result<()> {
        let loading = scope.spawn(|| target.batch(&ns.name, &["job", "create", "m", &large]));
        let large_job = until("the large job to be under way", Duration::from_secs(60), || {
            let jobs = target.list(&["ij", "-n", &ns.name])?;
            let under_way = |j: &&serde_json::Value| j["status"]["counts"]["chunksDone"].as_i64() > Some(0);
            Ok(jobs.iter().find(under_way).and_then(|j| j["metadata"]["name"].as_str().map(str::to_owned)))
        })?;
        let start = Instant::now();
        target.batch(&ns.name, &["job", "create", "m", &small, "--wait"])?.ok()?;
        let took = start.elapsed();
        let job = target.get(&["ij", "-n", &ns.name, &large_job])?.context("the large job")?;
        let state = job["status"]["state"].as_str().unwrap_or_default().to_owned();
        println!("two rows took {took:?} while the large job was {state}");
        assert!(["UPLOADING", "PROCESSING"].contains(&state.as_str()), "the large job still runs: {job}");
        loading.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??.ok()?;
        let status = target.job_end(&ns.name, &large_job, Duration::from_secs(120))?;
        assert_eq!(status["counts"]["ok"], ROWS, "{status}");
        Ok(())
    })
}
