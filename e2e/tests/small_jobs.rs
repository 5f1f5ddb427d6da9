//! A small job at the same time as a large one of the same model.
#![allow(missing_docs, reason = "a test")]

use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use e2e::wait::until;
use e2e::{Namespace, Target, data};

#[test]
fn a_job_of_two_rows_does_not_wait_for_a_large_one_of_the_same_model() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "small")?;
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\nspec:\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    target.model_ready(&ns.name, "m")?;
    let small = ns.file("small.csv", "event_id,timestamp,amount\n1,1716045542,1\n2,1716045543,2\n")?;
    let (reader, writer) = io::pipe()?;
    let enough = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let written = scope.spawn(|| write_until(&enough, writer));
        let large = File::from(OwnedFd::from(reader));
        let loading = scope.spawn(|| target.batch_from(&ns.name, &["job", "create", "m", "-"], large));
        let checked = two_rows_during_the_large_job(&target, &ns.name, &small);
        enough.store(true, Ordering::Relaxed);
        loading.join().map_err(|_| anyhow!("a thread panicked"))??.ok()?;
        let rows = written.join().map_err(|_| anyhow!("a thread panicked"))??;
        let status = target.job_end(&ns.name, &checked?, Duration::from_secs(120))?;
        assert_eq!(status["counts"]["ok"], rows, "{status}");
        Ok(())
    })
}

/// Writes narrow rows as fast as the upload accepts them, until `enough` is set. Returns their number.
fn write_until(enough: &AtomicBool, mut file: PipeWriter) -> io::Result<u64> {
    let mut rows = vec![];
    data::narrow_csv(&mut rows, 10_000, 0)?;
    let header = rows.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    file.write_all(&rows[..header])?;
    let mut written = 0;
    while !enough.load(Ordering::Relaxed) {
        file.write_all(&rows[header..])?;
        written += 10_000;
    }
    Ok(written)
}

/// Loads two rows when rows of the large job are in the table. Returns the name of the large job.
fn two_rows_during_the_large_job(target: &Target, namespace: &str, small: &str) -> Result<String> {
    let large = until("the large job to be under way", Duration::from_secs(60), || {
        let jobs = target.list(&["ij", "-n", namespace])?;
        let under_way = |job: &&serde_json::Value| job["status"]["counts"]["chunksDone"].as_i64() > Some(0);
        Ok(jobs.iter().find(under_way).and_then(|job| job["metadata"]["name"].as_str().map(str::to_owned)))
    })?;
    let start = Instant::now();
    target.batch(namespace, &["job", "create", "m", small, "--wait"])?.ok()?;
    println!("two rows took {:?}", start.elapsed());
    let job = target.get(&["ij", "-n", namespace, &large])?.context("the large job")?;
    ensure!(job["status"]["state"] == "UPLOADING", "the large job does not run any more: {job}");
    Ok(large)
}
