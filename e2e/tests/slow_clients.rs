//! Clients that send hardly anything: they hold no upload for long, and no other upload waits for them.
#![allow(missing_docs, reason = "a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::wait::until;
use e2e::{Namespace, Target};

/// As many uploads as held every permit of the upload API before it had a minimum rate.
const CLIENTS: usize = 16;

/// An upload that claims to have a million bytes and sends one a second.
struct Trickle(TcpStream);

impl Trickle {
    fn new(target: &Target, ns: &Namespace, job: &str) -> Result<Self> {
        let url = target.api_url()?;
        let address = url.strip_prefix("http://").context("an address")?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            stream,
            "PUT /v1/namespaces/{}/jobs/{job}/data HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\na\n",
            ns.name
        )?;
        Ok(Self(stream))
    }

    /// Sends one more byte and waits a second for an answer; gives its status code.
    fn answer(&mut self) -> Result<Option<u16>> {
        // The server may have closed the connection behind its answer, which is read below.
        let _ = self.0.write_all(b"1");
        let mut answer = [0; 512];
        match self.0.read(&mut answer) {
            Ok(0) => bail!("the connection was closed without an answer"),
            Ok(length) => {
                let text = String::from_utf8_lossy(&answer[..length]);
                Ok(Some(text.split(' ').nth(1).context("a status line")?.parse()?))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The status code of the answer, which must come within so many seconds.
    fn answer_within(&mut self, seconds: u32) -> Result<u16> {
        for _ in 0..seconds {
            if let Some(code) = self.answer()? {
                return Ok(code);
            }
        }
        bail!("no answer after {seconds} seconds")
    }
}

fn waiting_jobs(target: &Target, ns: &Namespace, count: usize) -> Result<Vec<String>> {
    ns.apply("{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestModel, metadata: {name: m}, spec: {columns: [{name: a, type: String}]}}")?;
    target.model_ready(&ns.name, "m")?;
    let jobs: Vec<String> = (0..count).map(|n| format!("j{n}")).collect();
    let yaml = jobs.iter().map(|job| {
        format!(
            "---\napiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {{name: {job}}}\n\
             spec: {{modelRef: {{name: m}}, source: {{upload: {{}}}}}}\n"
        )
    });
    ns.apply(&yaml.collect::<String>())?;
    until("the jobs to wait for their uploads", Duration::from_secs(60), || {
        let jobs = target.list(&["ij", "-n", &ns.name])?;
        Ok((jobs.iter().filter(|job| job["status"]["state"] == "UPLOADING").count() == count).then_some(()))
    })?;
    Ok(jobs)
}

#[test]
fn sixteen_clients_that_send_too_slowly_block_no_other_upload_and_are_refused() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "trickle")?;
    let jobs = waiting_jobs(&target, &ns, CLIENTS)?;
    let mut clients: Vec<Trickle> =
        jobs.iter().map(|job| Trickle::new(&target, &ns, job)).collect::<Result<_>>()?;

    // Another upload and an inline job continue at the same time.
    let file = ns.file("rows.csv", "a\nx\ny\n")?;
    target.batch(&ns.name, &["job", "create", "m", &file, "--wait"])?.ok()?;
    ns.apply(
        "{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {name: inline}, \
         spec: {modelRef: {name: m}, source: {inline: \"a\\nz\\n\"}}}",
    )?;
    let status = target.job_end(&ns.name, "inline", Duration::from_secs(30))?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &1.into()), "{status}");

    // Each of them is refused, and its job is free for a client that sends.
    let codes = clients.iter_mut().map(|client| client.answer_within(90)).collect::<Result<Vec<_>>>()?;
    assert_eq!(codes, [408; CLIENTS]);
    let path = format!("/v1/namespaces/{}/jobs/{}/data", ns.name, jobs[0]);
    target.api(&["-f", "-X", "PUT", "-H", "Content-Type: text/csv", "-T", &file], &path)?.ok()?;
    let status = target.job_end(&ns.name, &jobs[0], Duration::from_secs(30))?;
    assert_eq!((&status["state"], &status["counts"]["ok"]), (&"SUCCESS".into(), &2.into()), "{status}");
    Ok(())
}

#[test]
fn a_cancelled_job_ends_its_upload() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "cancelled")?;
    let jobs = waiting_jobs(&target, &ns, 1)?;
    let mut client = Trickle::new(&target, &ns, &jobs[0])?;
    assert_eq!(client.answer()?, None, "the upload is under way");
    target.batch(&ns.name, &["job", "cancel", &jobs[0]])?.ok()?;
    let code = client.answer_within(15)?;
    assert_eq!(code, 409);
    let status = target.job_end(&ns.name, &jobs[0], Duration::from_secs(30))?;
    assert_eq!(status["state"], "CANCELLED", "{status}");
    Ok(())
}
