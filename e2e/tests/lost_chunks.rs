//! Records that disappear from Kafka before they are loaded: the job reports it, and nothing waits for them.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::wait::until;
use e2e::{Namespace, Target, data, kafka};

const PARTITIONS: u32 = 3;

#[test]
fn a_job_whose_records_were_deleted_ends_and_names_the_chunks() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "lost")?;
    let model = |paused: bool| {
        format!(
            "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\n\
             spec:\n  paused: {paused}\n  chunkBytes: 65536\n  topic: {{partitions: {PARTITIONS}}}\n  \
             workers: {{cooldownSeconds: 1}}\n  columns:{}\n",
            data::NARROW_COLUMNS
        )
    };
    ns.apply(&model(false))?;
    let topic = target.model_ready(&ns.name, "m")?["topic"].as_str().context("a topic")?.to_owned();
    ns.apply(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {name: j}\n\
         spec: {modelRef: {name: m}, source: {upload: {}}}\n",
    )?;
    until("the job to wait for its upload", Duration::from_secs(30), || {
        let job = target.get(&["ij", "-n", &ns.name, "j"])?.context("the job")?;
        Ok((job["status"]["state"] == "UPLOADING").then_some(()))
    })?;
    ns.apply(&model(true))?;
    until("the workers to be gone", Duration::from_secs(60), || {
        Ok(target.list(&["pods", "-n", &ns.name])?.is_empty().then_some(()))
    })?;

    let mut file = vec![];
    data::narrow_csv(&mut file, 10_000, 0)?;
    let file = ns.file("rows.csv", file)?;
    let path = format!("/v1/namespaces/{}/jobs/j/data", ns.name);
    target.api(&["-f", "-X", "PUT", "-H", "Content-Type: text/csv", "-T", &file], &path)?.ok()?;
    kafka::delete_records(&target, &topic, PARTITIONS)?;
    ns.apply(&model(false))?;

    let status = target.job_end(&ns.name, "j", Duration::from_secs(120))?;
    assert_eq!((&status["state"], &status["reason"]), (&"FAILED".into(), &"ChunksLost".into()), "{status}");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("0-"), "it names the chunks: {message}");
    until("the workers to go", Duration::from_secs(60), || {
        Ok(target.list(&["pods", "-n", &ns.name])?.is_empty().then_some(()))
    })?;
    let model = target.get(&["im", "-n", &ns.name, "m"])?.context("the model")?;
    assert_eq!(model["status"]["lag"], 0, "deleted records are no lag: {model}");
    Ok(())
}
