//! The two paths of the quick start, with each tool that a user has: `batch`, `curl`, and only `kubectl`.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Namespace, Target};

const MODEL: &str = "
apiVersion: ingest.batch-on-kafka.io/v1alpha1
kind: IngestModel
metadata: {name: purchases}
spec:
  columns:
  - {name: event_id, type: String}
  - {name: timestamp, type: UInt32}
  - {name: amount, type: Float64}
";
const GOOD: &str = "event_id,timestamp,amount\n1,1716045542,12.5\n2,1716045543,8.0\n";
const BAD: &str = "event_id,timestamp,amount\n1001abcd,,1\n1002,soon,-\n1003,1716045544,3.5\n";
const END: Duration = Duration::from_secs(60);

#[test]
fn batch_loads_a_good_file_and_explains_a_bad_one() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "batch")?;
    let model =
        ns.file("model.json", r#"{"event_id": "String", "timestamp": "UInt32", "amount": "Float64"}"#)?;
    let created = target.batch(&ns.name, &["model", "create", "purchases", &model])?.ok()?;
    let created: serde_json::Value = serde_json::from_str(&created)?;
    assert_eq!(created["schema"], r#"{"event_id": "String", "timestamp": "UInt32", "amount": "Float64"}"#);
    let id = created["id"].as_str().context("an id")?.to_owned();

    // A model can also be named by its id, as in the first version of this project.
    let good = ns.file("data.csv", GOOD)?;
    let created = target.batch(&ns.name, &["job", "create", &id, &good, "--wait"])?.ok()?;
    let job = created.split_whitespace().nth(1).context("job … created.")?.to_owned();
    assert!(created.starts_with(&format!("job {job} created.\n")), "{created}");
    let shown = target.batch(&ns.name, &["job", "status", &job])?.ok()?;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[0],
        "JOB      MODEL       STATE           TOTAL   OK      ERRORS  PROGRESS      WAITING  PROCESSING"
    );
    let row =
        format!("{job} purchases   SUCCESS               2       2       0 [#################] 100%   00:");
    assert!(lines[1].starts_with(&row), "{shown}");
    assert_eq!(
        target.sql(&format!("SELECT * FROM data_{id} ORDER BY event_id"))?,
        "1\t1716045542\t12.5\n2\t1716045543\t8"
    );

    let bad = ns.file("bad.csv", BAD)?;
    let output = target.batch(&ns.name, &["job", "create", "purchases", &bad, "--wait"])?;
    assert_eq!(output.code, 1, "rejects are an exit code of 1: {output:?}");
    let job = output.stdout.split_whitespace().nth(1).context("job … created.")?;
    let status = target.job_end(&ns.name, job, END)?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"PARTIAL_SUCCESS".into(), &1.into()));
    let rejected = target.batch(&ns.name, &["job", "rejected", job])?.ok()?;
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(lines[0], "ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE");
    assert!(lines[1].starts_with("1,1001abcd,timestamp,UInt32,MISSING_VALUE,,\""), "{rejected}");
    assert!(lines[2].starts_with("2,1002,amount,Float64,INVALID_TYPE,-,\""), "{rejected}");
    assert!(lines[3].starts_with("2,1002,timestamp,UInt32,INVALID_TYPE,soon,\""), "{rejected}");
    assert_eq!(lines.len(), 4, "{rejected}");
    Ok(())
}

#[test]
fn a_file_without_a_required_column_has_a_reject_for_each_row() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "missing")?;
    ns.apply(MODEL)?;
    let file = ns.file("bad.csv", "event_id,amount\n1001abcd,1\n")?;
    target.model_ready(&ns.name, "purchases")?;
    let output = target.batch(&ns.name, &["job", "create", "purchases", &file, "--wait"])?;
    let job = output.stdout.split_whitespace().nth(1).context("job … created.")?;
    let status = target.job_end(&ns.name, job, END)?;
    assert_eq!((&status["state"], &status["reason"]), (&"FAILED".into(), &"AllRowsRejected".into()));
    assert_eq!(
        target.batch(&ns.name, &["job", "rejected", job])?.ok()?,
        "ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE\n\
         1,1001abcd,timestamp,UInt32,MISSING_COLUMN,,\"The required column 'timestamp' is missing\"\n"
    );
    Ok(())
}

#[test]
fn curl_alone_loads_a_file() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "curl")?;
    ns.apply(MODEL)?;
    target.model_ready(&ns.name, "purchases")?;
    let file = ns.file("data.csv", GOOD)?;
    let path = format!("/v1/namespaces/{}/models/purchases/jobs", ns.name);
    let upload = format!("@{file}");
    let args = ["-X", "POST", "-H", "Content-Type: text/csv", "--data-binary", upload.as_str()];
    let answer = target.api(&args, &path)?.ok()?;
    let job: serde_json::Value = serde_json::from_str(&answer).with_context(|| answer.clone())?;
    let name = job["metadata"]["name"].as_str().with_context(|| answer.clone())?;
    assert_eq!(job["status"]["upload"]["rows"], 2);
    let status = target.job_end(&ns.name, name, END)?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &2.into()));
    Ok(())
}

#[test]
fn kubectl_alone_loads_rows_that_are_in_the_job() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "kubectl")?;
    ns.apply(MODEL)?;
    ns.apply(&inline_job("by-hand", GOOD))?;
    target.kubectl(&["wait", "-n", &ns.name, "--for=condition=Complete", "ij/by-hand", "--timeout=60s"])?;
    let table = target.kubectl(&["get", "-n", &ns.name, "ingestjobs"])?;
    let head: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        head,
        ["NAME", "MODEL", "STATE", "TOTAL", "OK", "ERRORS", "PROGRESS", "WAITING", "PROCESSING", "AGE"]
    );
    let row: Vec<&str> = table.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row[..7], ["by-hand", "purchases", "SUCCESS", "2", "2", "0", "100%"]);
    Ok(())
}

#[test]
fn every_row_can_be_traced_to_its_job_and_line() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "lineage")?;
    ns.apply(MODEL)?;
    ns.apply(&inline_job("traced", BAD))?;
    target.job_end(&ns.name, "traced", END)?;
    let table = target.model_ready(&ns.name, "purchases")?["table"].as_str().context("a table")?.to_owned();
    let uid = target.kubectl(&["get", "-n", &ns.name, "ij/traced", "-o", "jsonpath={.metadata.uid}"])?;
    assert_eq!(target.sql(&format!("SELECT event_id, _job, _row FROM {table}"))?, format!("1003\t{uid}\t3"));
    assert_eq!(target.sql(&format!("SELECT * FROM {table}"))?, "1003\t1716045544\t3.5");
    Ok(())
}

#[test]
fn a_gzipped_file_loads_as_a_plain_one_does() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "gz")?;
    ns.apply(MODEL)?;
    target.model_ready(&ns.name, "purchases")?;
    let file = ns.file("data.csv", GOOD)?;
    target.shell.run("gzip", &[&file])?.ok()?;
    target.batch(&ns.name, &["job", "create", "purchases", &format!("{file}.gz"), "--wait"])?.ok().map(drop)
}

#[test]
fn json_lines_load_as_csv_does() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "jsonl")?;
    ns.apply(MODEL)?;
    target.model_ready(&ns.name, "purchases")?;
    let lines = "{\"amount\": 12.5, \"event_id\": \"1\", \"timestamp\": 1716045542}\n{\"event_id\": \"2\", \"timestamp\": \"x\", \"amount\": 1}\n";
    let file = ns.file("data.jsonl", lines)?;
    let output = target.batch(&ns.name, &["job", "create", "purchases", &file, "--wait"])?;
    let job = output.stdout.split_whitespace().nth(1).with_context(|| output.stderr.clone())?;
    let status = target.job_end(&ns.name, job, END)?;
    assert_eq!((&status["counts"]["ok"], &status["counts"]["errors"]), (&1.into(), &1.into()));
    Ok(())
}

fn inline_job(name: &str, file: &str) -> String {
    let indented = file.trim_end().replace('\n', "\n      ");
    format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {{name: {name}}}\nspec:\n  \
         modelRef: {{name: purchases}}\n  source:\n    inline: |\n      {indented}\n"
    )
}
