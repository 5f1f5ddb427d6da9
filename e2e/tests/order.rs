//! The order in which model and job are created, and what happens to them later.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::target::condition;
use e2e::wait::until;
use e2e::{Namespace, Target};

const END: Duration = Duration::from_secs(60);

fn model(columns: &str) -> String {
    format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\nspec:\n  \
         workers: {{cooldownSeconds: 1}}\n  columns: [{columns}]\n"
    )
}

fn job(name: &str, file: &str) -> String {
    format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {{name: {name}}}\nspec:\n  \
         modelRef: {{name: m}}\n  source: {{inline: {file:?}}}\n"
    )
}

#[test]
fn a_job_before_its_model_waits_with_a_reason_and_starts_when_it_appears() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "order")?;
    ns.apply(&job("early", "a\n1\n"))?;
    until("the job to wait for its model", END, || {
        let object = target.get(&["ij", "-n", &ns.name, "early"])?.context("the job")?;
        Ok((object["status"]["state"] == "PENDING" && object["status"]["reason"] == "ModelNotFound")
            .then_some(()))
    })?;
    ns.apply(&model("{name: a, type: UInt8}"))?;
    let status = target.job_end(&ns.name, "early", END)?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &1.into()));
    Ok(())
}

#[test]
fn workers_go_from_zero_to_one_and_back() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "scale")?;
    ns.apply(&model("{name: a, type: UInt8}"))?;
    target.model_ready(&ns.name, "m")?;
    let replicas = || -> Result<u64> {
        let list = target.list(&["deployments", "-n", &ns.name])?;
        Ok(list.iter().filter_map(|d| d["spec"]["replicas"].as_u64()).sum())
    };
    assert_eq!(replicas()?, 0, "no worker without work");
    ns.apply(&job("j", "a\n1\n"))?;
    until("a worker", END, || Ok((replicas()? == 1).then_some(())))?;
    target.job_end(&ns.name, "j", END)?;
    until("no worker", END, || Ok((replicas()? == 0).then_some(())))
}

#[test]
fn a_column_added_to_the_model_is_added_to_the_table_and_old_rows_stay() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "column")?;
    ns.apply(&model("{name: a, type: UInt8}"))?;
    ns.apply(&job("one", "a\n1\n"))?;
    target.job_end(&ns.name, "one", END)?;
    ns.apply(&model("{name: a, type: UInt8}, {name: b, type: String, default: none}"))?;
    let table = target.model_ready(&ns.name, "m")?["table"].as_str().context("a table")?.to_owned();
    ns.apply(&job("two", "a,b\n2,x\n"))?;
    let status = target.job_end(&ns.name, "two", END)?;
    assert_eq!(status["state"], "SUCCESS", "{status}");
    assert_eq!(target.sql(&format!("SELECT * FROM {table} ORDER BY a"))?, "1\tnone\n2\tx");
    assert_eq!(target.list(&["controllerrevisions", "-n", &ns.name])?.len(), 2);
    Ok(())
}

#[test]
fn a_wrong_type_name_is_refused_with_the_column_and_stops_no_other_model() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "type")?;
    ns.apply(&model("{name: a, type: UInt8}, {name: price, type: Flot64}"))?;
    let message = until("the model to be refused", END, || {
        let object = target.get(&["im", "-n", &ns.name, "m"])?.context("the model")?;
        let Some(ready) = condition(&object, "Ready") else { return Ok(None) };
        Ok((ready["reason"] == "ModelInvalid")
            .then(|| ready["message"].as_str().unwrap_or_default().to_owned()))
    })?;
    assert!(message.contains("price") && message.contains("Flot64"), "{message}");
    let other = model("{name: a, type: UInt8}").replace("name: m}", "name: other}");
    ns.apply(&other)?;
    target.model_ready(&ns.name, "other").map(drop)
}
