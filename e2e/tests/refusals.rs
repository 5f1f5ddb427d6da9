//! What cannot be loaded is reported with a clear error or state, and no job or request hangs.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Namespace, Target};
use serde_json::Value;

const MODEL: &str = "
apiVersion: ingest.batch-on-kafka.io/v1alpha1
kind: IngestModel
metadata: {name: m}
spec:
  columns: [{name: a, type: UInt8}, {name: b, type: String}]
";

/// Uploads bytes to model `m` with curl. Returns the HTTP status and the body.
fn upload(target: &Target, ns: &Namespace, bytes: &[u8], headers: &[&str]) -> Result<(String, Value)> {
    let file = format!("@{}", ns.file("body", bytes)?);
    let mut args =
        vec!["-X", "POST", "-w", "\n%{http_code}", "--data-binary", &file, "-H", "Content-Type: text/csv"];
    for header in headers {
        args.extend(["-H", header]);
    }
    let text = target.api(&args, &format!("/v1/namespaces/{}/models/m/jobs", ns.name))?.ok()?;
    let (body, code) = text.rsplit_once('\n').context("a status code")?;
    Ok((code.to_owned(), serde_json::from_str(body).with_context(|| text.clone())?))
}

/// Checks that the file is refused with this reason, both in the answer of the API and later in the state of the job.
fn refused(target: &Target, ns: &Namespace, bytes: &[u8], headers: &[&str], reason: &str) -> Result<()> {
    let (code, answer) = upload(target, ns, bytes, headers)?;
    assert!(code.starts_with('4'), "{code} {answer}");
    assert_eq!(answer["error"]["reason"], reason, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.len() > 20, "a message that says what to do: {message}");
    for job in target.list(&["ingestjobs", "-n", &ns.name])? {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let status = target.job_end(&ns.name, name, Duration::from_secs(30))?;
        assert_eq!((&status["state"], &status["reason"]), (&"FAILED".into(), &reason.into()), "{status}");
    }
    Ok(())
}

fn with_model(what: &str, then: impl FnOnce(&Target, &Namespace) -> Result<()>) -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, what)?;
    ns.apply(MODEL)?;
    target.model_ready(&ns.name, "m")?;
    then(&target, &ns)
}

#[test]
fn an_unknown_model_is_a_404_that_names_it() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "unknown")?;
    let (code, answer) = upload(&target, &ns, b"a,b\n1,x\n", &[])?;
    assert_eq!((code.as_str(), &answer["error"]["reason"]), ("404", &"ModelNotFound".into()));
    assert_eq!(target.list(&["ingestjobs", "-n", &ns.name])?.len(), 0, "no job is made for it");
    let output = target.batch(&ns.name, &["job", "create", "nope", &ns.file("x.csv", "a\n1\n")?])?;
    assert!(output.code == 2 && output.stderr.contains("nope"), "{output:?}");
    Ok(())
}

#[test]
fn a_malformed_gzip_fails_the_job() -> Result<()> {
    with_model("gzip", |target, ns| {
        refused(target, ns, b"not gzip at all", &["Content-Encoding: gzip"], "MalformedGzip")
    })
}

#[test]
fn an_empty_file_fails_the_job() -> Result<()> {
    with_model("empty", |target, ns| refused(target, ns, b"", &[], "EmptyFile"))
}

#[test]
fn a_binary_file_fails_the_job() -> Result<()> {
    let elf: Vec<u8> = [b"\x7fELF\x02\x01\x01\x00\x00\x00".as_slice(), &[0; 600]].concat();
    with_model("binary", |target, ns| refused(target, ns, &elf, &[], "BinaryFile"))
}

#[test]
fn a_header_without_a_matching_name_fails_the_job() -> Result<()> {
    with_model("header", |target, ns| refused(target, ns, b"x,y\n1,2\n", &[], "HeaderMismatch"))
}

#[test]
fn a_file_with_only_a_header_is_a_success_with_no_rows() -> Result<()> {
    with_model("headeronly", |target, ns| {
        let (code, job) = upload(target, ns, b"a,b\n", &[])?;
        assert_eq!(code, "201", "{job}");
        let name = job["metadata"]["name"].as_str().context("a name")?;
        let status = target.job_end(&ns.name, name, Duration::from_secs(30))?;
        assert_eq!((&status["state"], &status["upload"]["rows"]), (&"SUCCESS".into(), &0.into()), "{status}");
        Ok(())
    })
}

#[test]
fn an_inline_source_beyond_the_limit_is_refused_by_the_api_server() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "inline")?;
    let big = "1,x\\n".repeat(70_000);
    let job = format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {{name: big}}\nspec:\n  \
         modelRef: {{name: m}}\n  source: {{inline: \"a,b\\n{big}\"}}\n"
    );
    let args = ["create", "-n", &ns.name, "-f", "-"];
    let output = target.shell.run_with("kubectl", &args, Some(&job))?;
    assert!(
        output.code != 0 && output.stderr.contains("spec.source.inline"),
        "{}",
        &output.stderr[..output.stderr.len().min(600)]
    );
    Ok(())
}

#[test]
fn a_label_is_loaded_once() -> Result<()> {
    with_model("label", |target, ns| {
        let file = ns.file("x.csv", "a,b\n1,x\n")?;
        let create = || target.batch(&ns.name, &["job", "create", "m", &file, "--label", "2026-11-23/x"]);
        let first = create()?.ok()?;
        let first = first.split_whitespace().nth(1).context("job … created.")?;
        let second = create()?;
        assert!(second.code == 2 && second.stderr.contains(first), "the first is named: {second:?}");
        target.job_end(&ns.name, first, Duration::from_secs(60))?;
        target.kubectl(&["delete", "ij", "-n", &ns.name, first])?;
        let second = create()?;
        assert!(second.code == 2 && second.stderr.contains(first), "also once it is deleted: {second:?}");
        Ok(())
    })
}
