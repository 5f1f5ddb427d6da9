//! How ClickHouse handles a load: many partitions, refusals that do not go away, blocks that would be too large.
#![allow(missing_docs, reason = "a test")]

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::processes::{forget_peaks, usage};
use e2e::wait::until;
use e2e::{Namespace, Target, target};
use serde_json::Value;

fn model(ns: &Namespace, target: &Target, spec: &str) -> Result<String> {
    ns.apply(&format!(
        "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: m}}, spec: {spec}}}"
    ))?;
    Ok(target.model_ready(&ns.name, "m")?["table"].as_str().context("a table")?.to_owned())
}

fn create(target: &Target, ns: &Namespace, file: &str) -> Result<String> {
    let output = target.batch(&ns.name, &["job", "create", "m", file])?.ok()?;
    Ok(output.split_whitespace().nth(1).context("job … created.")?.to_owned())
}

/// Writes `id,day` with one row per day, starting with 1970-01-02.
fn days(count: u32) -> String {
    let mut text = "id,day\n".to_owned();
    for day in 1..=count {
        let _ = writeln!(text, "{day},{}", 86_400 * u64::from(day) + 1_000_000_000);
    }
    text
}

const PARTITIONED: &str = "{columns: [{name: id, type: UInt32}, {name: day, type: DateTime}], table: {partitionBy: toYYYYMMDD(day)}}";

#[test]
fn a_file_of_four_hundred_days_loads_into_a_table_partitioned_by_day() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "days")?;
    let table = model(&ns, &target, PARTITIONED)?;
    let job = create(&target, &ns, &ns.file("days.csv", days(400))?)?;
    let status = target.job_end(&ns.name, &job, Duration::from_secs(60))?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &400.into()), "{status}");
    assert_eq!(target.sql(&format!("SELECT count(), uniqExact(_row) FROM {table}"))?, "400\t400");
    Ok(())
}

#[test]
fn chunks_that_clickhouse_refuses_are_parked_and_other_jobs_continue() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "parked")?;
    let table = model(&ns, &target, PARTITIONED)?;
    let refused = create(&target, &ns, &ns.file("many.csv", days(6000))?)?;
    let loads = create(&target, &ns, &ns.file("few.csv", days(2))?)?;
    let status = target.job_end(&ns.name, &loads, Duration::from_secs(60))?;
    assert_eq!(status["state"], "SUCCESS", "a job beside it loads: {status}");
    let blocked = until("the job to be BLOCKED", Duration::from_secs(120), || {
        let job = target.get(&["ij", "-n", &ns.name, &refused])?.context("the job")?;
        Ok((job["status"]["state"] == "BLOCKED").then(|| job["status"].clone()))
    })?;
    let message = blocked["message"].as_str().unwrap_or_default();
    assert!(message.contains("batch dlq"), "it says what to do: {message}");

    let list = target.batch(&ns.name, &["dlq", "list", "m", "-o", "json"])?.ok()?;
    let list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array().or(list.as_array()).context("a list")?;
    assert_eq!(items.len(), 1, "{list}");
    assert_eq!(items[0]["job"], Value::from(refused.as_str()), "{list}");

    // If the chunks are requeued, they are refused again. If they are dropped, the job ends.
    target.batch(&ns.name, &["dlq", "requeue", "m", "--yes"])?.ok()?;
    until("the job to be BLOCKED again", Duration::from_secs(120), || {
        let job = target.get(&["ij", "-n", &ns.name, &refused])?.context("the job")?;
        Ok((job["status"]["state"] == "BLOCKED").then_some(()))
    })?;
    target.batch(&ns.name, &["dlq", "drop", "m", "--yes"])?.ok()?;
    let status = target.job_end(&ns.name, &refused, Duration::from_secs(60))?;
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&"FAILED".into(), &"ChunksDropped".into()),
        "{status}"
    );
    assert_eq!(target.sql(&format!("SELECT count() FROM {table}"))?, "2", "nothing of it was loaded");
    Ok(())
}

#[test]
fn refused_chunks_are_loaded_once_when_they_are_requeued_after_the_cause_is_fixed() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "requeued")?;
    let table = model(&ns, &target, "{columns: [{name: id, type: UInt32}, {name: day, type: DateTime}]}")?;
    target.sql(&format!("ALTER TABLE {table} ADD CONSTRAINT late CHECK id > 10"))?;
    let job = create(&target, &ns, &ns.file("days.csv", days(400))?)?;
    let blocked = until("the job to be BLOCKED", Duration::from_secs(120), || {
        let job = target.get(&["ij", "-n", &ns.name, &job])?.context("the job")?;
        Ok((job["status"]["state"] == "BLOCKED").then(|| job["status"].clone()))
    })?;
    assert_eq!(blocked["counts"]["ok"], 0, "{blocked}");
    target.sql(&format!("ALTER TABLE {table} DROP CONSTRAINT late"))?;
    target.batch(&ns.name, &["dlq", "requeue", "m", "--yes"])?.ok()?;
    let status = target.job_end(&ns.name, &job, Duration::from_secs(60))?;
    assert_eq!(status["state"], "SUCCESS", "{status}");
    let rows = until("the receipt", Duration::from_secs(30), || {
        let job = target.get(&["ij", "-n", &ns.name, &job])?.context("the job")?;
        Ok(job["status"]["receipt"]["tableRows"].as_u64())
    })?;
    assert_eq!(rows, 400);
    target.batch(&ns.name, &["job", "verify", &job])?.ok()?;
    assert_eq!(target.sql(&format!("SELECT count(), uniqExact(_row) FROM {table}"))?, "400\t400");
    Ok(())
}

#[test]
fn sparse_json_lines_for_a_wide_table_load_in_little_memory() -> Result<()> {
    const ROWS: u64 = 930_000;
    let target = Target::load()?;
    let ns = Namespace::new(&target, "sparse")?;
    let mut columns = "{name: id, type: UInt64}".to_owned();
    for column in 0..100 {
        let _ = write!(columns, ", {{name: f{column}, type: Float64, nullable: true}}");
    }
    let table = model(&ns, &target, &format!("{{columns: [{columns}], input: {{format: JSONLines}}}}"))?;
    let mut text = String::new();
    for row in 0..ROWS {
        let _ = writeln!(text, "{{\"id\":{row}}}");
    }
    let file = ns.file("sparse.jsonl", text)?;
    forget_peaks()?;
    let job = create(&target, &ns, &file)?;
    let status = target.job_end(&ns.name, &job, Duration::from_secs(180))?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &ROWS.into()), "{status}");
    assert_eq!(
        target.sql(&format!("SELECT count(), uniqExact(id) FROM {table}"))?,
        format!("{ROWS}\t{ROWS}")
    );
    let peak = usage()?.get("worker").context("the worker")?.peak_mib;
    assert!(peak < 300.0, "the worker took {peak} MiB");
    Ok(())
}

#[test]
fn settings_that_break_exactly_once_or_that_stop_inserts_are_refused() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "settings")?;
    let table = [
        "settings: {replicated_deduplication_window_seconds: '1'}",
        "settings: {table_readonly: '1'}",
        "settings: {parts_to_throw_insert: '0'}",
        "settings: {max_parts_in_total: '0'}",
        "ttl: a + INTERVAL 1 DAY",
    ];
    for (at, table) in table.into_iter().enumerate() {
        ns.apply(&format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {{name: m{at}}},
               spec: {{columns: [{{name: a, type: String}}], table: {{{table}}}}}}}"
        ))?;
        let ready = until("the model to be looked at", Duration::from_secs(30), || {
            let model = target.get(&["im", "-n", &ns.name, &format!("m{at}")])?.context("the model")?;
            Ok(target::condition(&model, "Ready").cloned())
        })?;
        assert_eq!(
            (&ready["status"], &ready["reason"]),
            (&"False".into(), &"ModelInvalid".into()),
            "{table}: {ready}"
        );
    }
    Ok(())
}
