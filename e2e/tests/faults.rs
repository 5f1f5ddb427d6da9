//! Real faults during a load: no row is lost, and no row is loaded twice.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::wait::until;
use e2e::{Namespace, Target, data};

const ROWS: u64 = 3_000_000;

#[test]
fn a_worker_killed_in_the_middle_of_a_load_loses_and_duplicates_nothing() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "kill")?;
    // Small chunks, so that there are many batches and the fault occurs in the middle of the load.
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\n\
         spec:\n  chunkBytes: 32768\n  workers: {{max: 1}}\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    let mut file = vec![];
    let bad = data::narrow_csv(&mut file, ROWS, 100)?;
    let file = ns.file("rows.csv", file)?;
    let table = target.model_ready(&ns.name, "m")?["table"].as_str().context("a table")?.to_owned();
    let created = target.batch(&ns.name, &["job", "create", "m", &file])?.ok()?;
    let job = created.split_whitespace().nth(1).context("job … created.")?;
    until("the load to be under way", Duration::from_secs(60), || {
        let object = target.get(&["ij", "-n", &ns.name, job])?.context("the job")?;
        Ok((object["status"]["counts"]["chunksDone"].as_u64() > Some(0)).then_some(()))
    })?;
    let selector = "app.kubernetes.io/name=batch-worker";
    // Without a grace period, the kubelet kills it with SIGKILL.
    target.kubectl(&["delete", "pod", "-n", &ns.name, "-l", selector, "--grace-period=0", "--force"])?;
    let state =
        |object: &serde_json::Value| object["status"]["state"].as_str().unwrap_or_default().to_owned();
    let killed_at = target.get(&["ij", "-n", &ns.name, job])?.context("the job")?;
    // The operator writes PROCESSING up to 300 ms after the end of the upload.
    let under_way = ["UPLOADING", "PROCESSING"].contains(&state(&killed_at).as_str());
    assert!(under_way, "it was killed in the middle: {killed_at}");

    let status = target.job_end(&ns.name, job, Duration::from_secs(120))?;
    let counts = &status["counts"];
    assert_eq!((&counts["ok"], &counts["errors"]), (&(ROWS - bad).into(), &bad.into()), "{status}");
    let stored = target.sql(&format!("SELECT count(), uniqExact(_row) FROM {table}"))?;
    assert_eq!(stored, format!("{0}\t{0}", ROWS - bad), "what the table holds");
    let rejected = target
        .sql(&format!("SELECT count() = uniqExact(row, column) FROM rejected_rows WHERE job_id = '{job}'"))?;
    assert_eq!(rejected, "1", "no bad cell is reported twice");
    Ok(())
}
