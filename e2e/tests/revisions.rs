//! The revision that a job is checked with is deleted: that job reports it, and no other job waits for it.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::wait::until;
use e2e::{Namespace, Target};

fn model(paused: bool, columns: &[&str]) -> String {
    let columns: Vec<String> = columns.iter().map(|name| format!("{{name: {name}, type: String}}")).collect();
    format!(
        "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: m}}, \
         spec: {{paused: {paused}, columns: [{}]}}}}",
        columns.join(", ")
    )
}

/// A job whose file is in Kafka while the model has no workers; gives its name and revision.
fn uploaded_job(target: &Target, ns: &Namespace) -> Result<(String, String)> {
    ns.apply(&model(false, &["a"]))?;
    target.model_ready(&ns.name, "m")?;
    ns.apply(
        "{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {name: old}, \
         spec: {modelRef: {name: m}, source: {upload: {}}}}",
    )?;
    let revision = until("the job to wait for its upload", Duration::from_secs(30), || {
        let job = target.get(&["ij", "-n", &ns.name, "old"])?.context("the job")?;
        let revision = job["status"]["modelRevision"].as_str().map(str::to_owned);
        Ok(revision.filter(|_| job["status"]["state"] == "UPLOADING"))
    })?;
    ns.apply(&model(true, &["a"]))?;
    until("the workers to be gone", Duration::from_secs(60), || {
        Ok(target.list(&["pods", "-n", &ns.name])?.is_empty().then_some(()))
    })?;
    let file = ns.file("old.csv", "a\nx\n")?;
    let path = format!("/v1/namespaces/{}/jobs/old/data", ns.name);
    target.api(&["-f", "-X", "PUT", "-H", "Content-Type: text/csv", "-T", &file], &path)?.ok()?;
    Ok(("old".to_owned(), revision))
}

/// Loads a file of one row with both columns; gives the name of its job.
fn load_new(target: &Target, ns: &Namespace) -> Result<()> {
    let file = ns.file("new.csv", "a,b\ny,z\n")?;
    target.batch(&ns.name, &["job", "create", "m", &file, "--wait"])?.ok().map(drop)
}

#[test]
fn a_job_whose_revision_was_deleted_is_blocked_and_others_load() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "revision")?;
    let (old, revision) = uploaded_job(&target, &ns)?;
    ns.apply(&model(true, &["a", "b"]))?;
    until("the next revision", Duration::from_secs(30), || {
        let revisions = target.list(&["controllerrevisions", "-n", &ns.name])?;
        Ok((revisions.len() > 1).then_some(()))
    })?;
    target.kubectl(&["delete", "controllerrevision", "-n", &ns.name, &revision])?;
    ns.apply(&model(false, &["a", "b"]))?;

    load_new(&target, &ns)?;
    let status = until("the job to be BLOCKED", Duration::from_secs(120), || {
        let job = target.get(&["ij", "-n", &ns.name, &old])?.context("the job")?;
        Ok((job["status"]["state"] == "BLOCKED").then(|| job["status"].clone()))
    })?;
    let text = status.to_string();
    assert!(text.contains("RevisionMissing") && text.contains(&revision), "it says why: {text}");
    target.batch(&ns.name, &["dlq", "drop", "m", "--yes"])?.ok()?;
    let status = target.job_end(&ns.name, &old, Duration::from_secs(60))?;
    assert_eq!(status["reason"], "ChunksDropped", "{status}");
    Ok(())
}

#[test]
fn a_model_that_was_deleted_and_recreated_loads_new_jobs_and_ends_the_old_one() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "again")?;
    let (old, _) = uploaded_job(&target, &ns)?;
    target.kubectl(&["delete", "im", "-n", &ns.name, "m"])?;
    ns.apply(&model(false, &["a", "b"]))?;
    let table = target.model_ready(&ns.name, "m")?["table"].as_str().context("a table")?.to_owned();

    load_new(&target, &ns)?;
    let status = target.job_end(&ns.name, &old, Duration::from_secs(120))?;
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&"FAILED".into(), &"ModelNotFound".into()),
        "{status}"
    );
    assert_eq!(target.sql(&format!("SELECT a, b FROM {table}"))?, "y\tz", "nothing of it was loaded");
    Ok(())
}
