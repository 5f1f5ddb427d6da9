//! What can happen to an upload: it breaks, another file arrives, many arrive at the same time.
#![allow(missing_docs, reason = "a test")]

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::processes::{forget_peaks, kill, usage};
use e2e::wait::until;
use e2e::{Namespace, Target, data};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

/// Some of these tests kill every upload API, so only one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
}

/// Makes a model with small chunks, and a job with the name `j` that waits for its upload. Returns the table.
fn waiting_job(target: &Target, ns: &Namespace, columns: &str) -> Result<String> {
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\n\
         spec:\n  chunkBytes: 4096\n  columns:{columns}\n"
    ))?;
    let table = target.model_ready(&ns.name, "m")?["table"].as_str().context("a table")?.to_owned();
    ns.apply(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {name: j}\n\
         spec: {modelRef: {name: m}, source: {upload: {}}}\n",
    )?;
    until("the job to wait for its upload", Duration::from_secs(30), || {
        let job = target.get(&["ij", "-n", &ns.name, "j"])?.context("the job")?;
        Ok((job["status"]["state"] == "UPLOADING").then_some(()))
    })?;
    Ok(table)
}

/// Starts a slow upload of a file.
fn slow_upload(target: &Target, ns: &Namespace, file: &str) -> Result<Child> {
    let url = format!("{}/v1/namespaces/{}/jobs/j/data", target.api_url()?, ns.name);
    let args = ["-sS", "--limit-rate", "20k", "-X", "PUT", "-H", "Content-Type: text/csv", "-T", file, &url];
    Ok(Command::new("curl").args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Sends a file in one request. Returns the HTTP status and the body.
fn upload(target: &Target, ns: &Namespace, file: &str, headers: &[&str]) -> Result<(String, Value)> {
    let mut args = vec!["-X", "PUT", "-w", "\n%{http_code}", "-H", "Content-Type: text/csv", "-T", file];
    for header in headers {
        args.extend(["-H", header]);
    }
    let text = target.api(&args, &format!("/v1/namespaces/{}/jobs/j/data", ns.name))?.ok()?;
    let (body, code) = text.rsplit_once('\n').context("a status code")?;
    Ok((code.to_owned(), serde_json::from_str(body).with_context(|| text.clone())?))
}

fn api_is_back(target: &Target) -> Result<()> {
    until("the upload API to be back", Duration::from_secs(60), || {
        Ok(target.api(&["-f"], "/readyz")?.ok().ok().map(drop))
    })
}

/// Sends the first rows of the file, then kills every process of the upload API.
fn killed_in_mid_upload(target: &Target, ns: &Namespace, file: &str) -> Result<()> {
    let mut curl = slow_upload(target, ns, file)?;
    until("the first chunk to be claimed", Duration::from_secs(30), || {
        let job = target.get(&["ij", "-n", &ns.name, "j"])?.context("the job")?;
        Ok(job["status"]["upload"]["firstChunk"].is_string().then_some(()))
    })?;
    kill("ingest-api")?;
    curl.wait()?;
    api_is_back(target)
}

fn rows(prefix: &str, count: u64) -> String {
    let line = |row| format!("{prefix}{row:07},{},1.5\n", 1_716_045_542 + row);
    std::iter::once("event_id,timestamp,amount\n".to_owned()).chain((0..count).map(line)).collect()
}

#[test]
fn another_file_after_a_killed_upload_is_refused_and_the_first_one_continues() -> Result<()> {
    let _alone = alone();
    let target = Target::load()?;
    let ns = Namespace::new(&target, "mix")?;
    let table = waiting_job(&target, &ns, data::NARROW_COLUMNS)?;
    let first = ns.file("first.csv", rows("a", 4000))?;
    let second = ns.file("second.csv", rows("b", 400))?;
    killed_in_mid_upload(&target, &ns, &first)?;

    let (code, answer) = upload(&target, &ns, &second, &[])?;
    ensure!(code == "409", "{code} {answer}");
    let reason = answer["error"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(["DifferentFile", "OffsetMismatch"].contains(&reason.as_str()), "{answer}");

    let answer = target.api(&["-I"], &format!("/v1/namespaces/{}/jobs/j/data", ns.name))?.ok()?;
    let offset =
        answer.lines().find_map(|l| l.to_lowercase().strip_prefix("upload-offset: ").map(str::to_owned));
    let offset: usize = offset.context("an offset")?.trim().parse()?;
    let rest = ns.file("rest.csv", &rows("a", 4000)[offset..])?;
    let (code, answer) = upload(&target, &ns, &rest, &[&format!("Upload-Offset: {offset}")])?;
    ensure!(code == "200", "{code} {answer}");
    let status = target.job_end(&ns.name, "j", Duration::from_secs(60))?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &4000.into()), "{status}");
    let stored = target.sql(&format!("SELECT count(), countIf(startsWith(event_id, 'a')) FROM {table}"))?;
    assert_eq!(stored, "4000\t4000");
    Ok(())
}

#[test]
fn batch_continues_by_itself_when_every_upload_api_is_killed_during_an_upload() -> Result<()> {
    let _alone = alone();
    let target = Target::load()?;
    let ns = Namespace::new(&target, "resume")?;
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\n\
         spec:\n  chunkBytes: 65536\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    let table = target.model_ready(&ns.name, "m")?["table"].as_str().context("a table")?.to_owned();
    let mut file = vec![];
    data::narrow_csv(&mut file, 12_000_000, 0)?;
    let file = ns.file("rows.csv", file)?;
    let status = thread::scope(|scope| -> Result<Value> {
        let loading = scope.spawn(|| target.batch(&ns.name, &["job", "create", "m", &file, "--wait"]));
        until("the upload to be under way", Duration::from_secs(30), || {
            let jobs = target.list(&["ij", "-n", &ns.name])?;
            Ok(jobs.iter().any(|j| j["status"]["upload"]["chunks"].as_i64() > Some(0)).then_some(()))
        })?;
        kill("ingest-api")?;
        let output = loading.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??.ok()?;
        let job = output.split_whitespace().nth(1).context("job … created.")?.to_owned();
        target.job_end(&ns.name, &job, Duration::from_secs(60))
    })?;
    assert_eq!(
        (&status["state"], &status["counts"]["ok"]),
        (&"SUCCESS".into(), &12_000_000.into()),
        "{status}"
    );
    assert!(status["upload"]["epoch"].as_i64() > Some(1), "it was taken up again: {status}");
    let stored = target.sql(&format!("SELECT count(), uniqExact(_row) FROM {table}"))?;
    assert_eq!(stored, "12000000\t12000000");
    Ok(())
}

#[test]
fn sixteen_uploads_at_once_stay_within_the_memory_of_the_upload_api() -> Result<()> {
    let _alone = alone();
    let target = Target::load()?;
    let ns = Namespace::new(&target, "sixteen")?;
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: m}}\nspec:\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    target.model_ready(&ns.name, "m")?;
    let mut file = vec![];
    data::narrow_csv(&mut file, 1_000_000, 0)?;
    let plain = ns.file("rows.csv", &file)?;
    forget_peaks()?;
    let created: Vec<Result<String>> = thread::scope(|scope| {
        let one = || -> Result<String> {
            let output = target.batch(&ns.name, &["job", "create", "m", &plain])?.ok()?;
            Ok(output.split_whitespace().nth(1).context("job … created.")?.to_owned())
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked"))).collect()
    });
    let peak = usage()?.get("ingest-api").context("the upload API")?.peak_mib;
    for job in created {
        let status = target.job_end(&ns.name, &job?, Duration::from_secs(180))?;
        assert_eq!(status["counts"]["ok"], 1_000_000, "{status}");
    }
    assert!(peak < 150.0, "the upload API took {peak} MiB");
    Ok(())
}

#[test]
fn an_inline_source_may_have_as_many_characters_as_the_crd_allows() -> Result<()> {
    let _alone = alone();
    let target = Target::load()?;
    let ns = Namespace::new(&target, "inline")?;
    ns.apply("{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {name: m}, spec: {columns: [{name: a, type: String}]}}")?;
    target.model_ready(&ns.name, "m")?;
    let line = "ä".repeat(998);
    let lines = format!("      {line}\n").repeat(262);
    let job = "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {name: j}\n\
               spec:\n  modelRef: {name: m}\n  input: {header: false}\n  source:\n    inline: |\n";
    let file = ns.file("job.yaml", format!("{job}{lines}"))?;
    target.kubectl(&["create", "-n", &ns.name, "-f", &file])?;
    let status = target.job_end(&ns.name, "j", Duration::from_secs(60))?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &262.into()), "{status}");
    Ok(())
}
