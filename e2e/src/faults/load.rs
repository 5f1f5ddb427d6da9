//! One load, from its file to the last byte sent, whatever fails meanwhile.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::expected::prefix_digest;
use super::inputs::{self, Format};
use super::plan::{Client, JobPlan, model};
use super::system::System;
use super::watcher::Watcher;
use crate::wait::until;

/// The file of a job, and the other file if one is sent on purpose.
pub struct Files {
    /// The file of the job.
    pub file: PathBuf,
    /// The other file.
    pub other: Option<PathBuf>,
}

/// Writes the files of a job.
pub fn write_files(system: &System, job: &JobPlan) -> Result<Files> {
    let shape = model(&job.model).context("a model of the run")?.shape;
    let write = |name: String, seed: u64| -> Result<PathBuf> {
        let path = system.folder.join(name);
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let (format, rows, bad, days) = (job.format, job.rows, job.bad, job.days);
        inputs::write(&mut out, &inputs::File { shape, format, rows, bad, days, seed })?;
        out.flush()?;
        Ok(path)
    };
    let extension = job.format.extension();
    let file = write(format!("{}.{extension}", job.name), job.seed)?;
    let other = match job.client {
        Client::OtherFile { .. } => Some(write(format!("{}-other.{extension}", job.name), job.seed + 1)?),
        _ => None,
    };
    Ok(Files { file, other })
}

/// One load that runs.
pub struct Load<'a> {
    /// The parts that it uses.
    pub system: &'a System,
    /// The watcher of its status.
    pub watcher: &'a Watcher,
    /// Its plan.
    pub job: &'a JobPlan,
    /// The files to send.
    pub files: &'a Files,
    /// The time when it is given up.
    pub end: Instant,
    /// The number of uploads that were resumed.
    pub resumed: &'a AtomicU64,
}

/// The answer to an upload.
struct Answer {
    /// The HTTP status; 0: there was no answer.
    code: u16,
    body: String,
}

impl Load<'_> {
    /// Sends the file until the job has all of it, or has ended.
    pub fn send(&self) -> Result<()> {
        if self.job.client == Client::Inline {
            return self.apply();
        }
        if self.job.max_errors.is_some() {
            // Only a manifest can set `errorPolicy`. The file is sent after it.
            self.create()?;
        }
        self.first_attempt()?;
        self.finish()
    }

    fn first_attempt(&self) -> Result<()> {
        let made = self.job.max_errors.is_some();
        let file = self.files.file.as_path();
        match self.job.client {
            Client::Inline => {}
            Client::Batch if !made => {
                let path = file.to_string_lossy();
                let args = ["job", "create", &self.job.model, &path, "--name", &self.job.name];
                // The result is ignored: `finish` sends what is missing.
                self.system.batch(&args)?;
            }
            Client::Batch => drop(self.upload(made, file, 0)?),
            Client::Curl { kbytes_per_second } => drop(self.upload(made, file, kbytes_per_second)?),
            Client::Killed { kbytes_per_second, after_ms } => {
                self.killed(made, kbytes_per_second, after_ms)?;
            }
            Client::OtherFile { kbytes_per_second, after_ms } => {
                self.killed(made, kbytes_per_second, after_ms)?;
                if let Some(other) = &self.files.other {
                    self.send_other(other)?;
                }
            }
        }
        Ok(())
    }

    /// Sends the other file as if it were the rest of this one. The offset changes while chunks of the killed upload
    /// are still acknowledged.
    fn send_other(&self, other: &Path) -> Result<()> {
        for _ in 0..5 {
            let Some(offset) = self.offset() else { return Ok(()) };
            let answer = self.resume(other, offset)?;
            if !answer.body.contains("OffsetMismatch") && !answer.body.contains("UploadRunning") {
                return Ok(());
            }
            self.watcher.next_update(&self.job.name, Duration::from_millis(300));
        }
        Ok(())
    }

    /// Sends the complete file in one request: together with the job, or for a job that exists.
    fn upload(&self, made: bool, file: &Path, kbytes_per_second: u64) -> Result<Answer> {
        self.answer(self.start(made, file, kbytes_per_second)?)
    }

    fn killed(&self, made: bool, kbytes_per_second: u64, after_ms: u64) -> Result<()> {
        let mut child = self.start(made, &self.files.file, kbytes_per_second)?;
        // An error means that it still runs; then it is killed.
        let _ = until("the upload to end", Duration::from_millis(after_ms), || Ok(child.try_wait()?));
        let _ = child.kill();
        child.wait()?;
        Ok(())
    }

    fn start(&self, made: bool, file: &Path, kbytes_per_second: u64) -> Result<Child> {
        let (namespace, job) = (&self.system.namespace, &self.job.name);
        let (method, path) = if made {
            ("PUT", format!("/v1/namespaces/{namespace}/jobs/{job}/data"))
        } else {
            ("POST", format!("/v1/namespaces/{namespace}/models/{}/jobs?name={job}", self.job.model))
        };
        let mut command = self.curl(method, &path);
        if kbytes_per_second > 0 {
            command.args(["--limit-rate", &format!("{kbytes_per_second}K")]);
        }
        command.arg("--upload-file").arg(file).spawn().context("failed to start curl")
    }

    /// Makes a `curl` command. The last line of its output is the HTTP status.
    fn curl(&self, method: &str, path: &str) -> Command {
        let mut command = Command::new("curl");
        command
            .args([
                "-sS",
                "--connect-timeout",
                "5",
                "--max-time",
                "900",
                "--speed-limit",
                "1",
                "--speed-time",
                "60",
            ])
            .args(["-X", method, "-w", "\n%{http_code}", "-H"])
            .arg(format!("Content-Type: {}", self.job.format.content_type()))
            .arg(format!("{}{path}", self.system.api_url))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    fn answer(&self, child: Child) -> Result<Answer> {
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
        let answer = Answer { code: code.trim().parse().unwrap_or(0), body: body.to_owned() };
        let log = format!(
            "{} {} {}\n",
            self.job.name,
            answer.code,
            answer.body.chars().take(300).collect::<String>()
        );
        let path = self.system.folder.join("answers.log");
        File::options().create(true).append(true).open(path)?.write_all(log.as_bytes())?;
        Ok(answer)
    }

    /// Sends what is missing until the job has everything.
    fn finish(&self) -> Result<()> {
        let mut file = self.files.file.as_path();
        let mut other = self.files.other.as_deref();
        let mut made = self.job.max_errors.is_some();
        loop {
            if self.is_sent() {
                return Ok(());
            }
            if Instant::now() >= self.end {
                bail!("job {}: its upload is not complete", self.job.name);
            }
            let answer = match self.offset() {
                Some(offset) => {
                    self.resumed.fetch_add(1, Ordering::Relaxed);
                    self.resume(file, offset)?
                }
                // The API deletes a job again if its upload could not start. The job is then created again.
                None if !made || self.is_deleted() => self.upload(false, file, 0)?,
                None => Answer { code: 0, body: String::new() },
            };
            made = made || self.watcher.seen(&self.job.name).is_some();
            // The API answers that the job has the digest of the other file: then the other file is the file of this
            // job.
            if answer.code == 409 && answer.body.contains("DifferentFile") {
                match other.take() {
                    Some(path) => file = path,
                    None => bail!("job {}: neither file is taken: {}", self.job.name, answer.body),
                }
            }
            if (200..300).contains(&answer.code) {
                self.watcher.wait(&self.job.name, Instant::now() + Duration::from_secs(20), |seen| {
                    seen.status.upload.complete || seen.status.ended()
                });
            } else {
                self.watcher.next_update(&self.job.name, Duration::from_millis(400));
            }
        }
    }

    /// Sends the rest of a file, with the digest of the part that is left out.
    fn resume(&self, file: &Path, offset: u64) -> Result<Answer> {
        let path = format!("/v1/namespaces/{}/jobs/{}/data", self.system.namespace, self.job.name);
        let mut body = File::open(file)?;
        // After the end of the other file there is nothing to send.
        let offset = offset.min(body.metadata()?.len());
        body.seek(SeekFrom::Start(offset))?;
        let mut command = self.curl("PUT", &path);
        command.args(["-H", &format!("Upload-Offset: {offset}")]);
        if offset > 0 {
            command.args(["-H", &format!("Upload-Digest: {}", prefix_digest(file, offset)?)]);
        }
        let child =
            command.args(["--upload-file", "-"]).stdin(body).spawn().context("failed to start curl")?;
        self.answer(child)
    }

    /// Returns the offset at which the upload continues. `None` if the API does not answer, or knows no such job.
    fn offset(&self) -> Option<u64> {
        let path = format!("/v1/namespaces/{}/jobs/{}/data", self.system.namespace, self.job.name);
        let url = format!("{}{path}", self.system.api_url);
        let args = ["-sS", "--head", "--fail", "--connect-timeout", "5", "--max-time", "30", &url];
        let output = self.system.target.shell.run("curl", &args).ok()?.ok().ok()?;
        let value = |name: &str| {
            output.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        value("upload-offset")?.parse().ok()
    }

    /// Returns whether the API server answers that there is no such job.
    fn is_deleted(&self) -> bool {
        let args = ["ingestjob", "-n", self.system.namespace.as_str(), self.job.name.as_str()];
        self.system.target.get(&args).is_ok_and(|found| found.is_none())
    }

    fn is_sent(&self) -> bool {
        self.watcher
            .seen(&self.job.name)
            .is_some_and(|seen| seen.status.upload.complete || seen.status.ended())
    }

    /// Creates the job without its file.
    fn create(&self) -> Result<()> {
        self.manifest("upload: {}")
    }

    /// Creates the job with its file in it.
    fn apply(&self) -> Result<()> {
        let text = fs::read_to_string(&self.files.file)?;
        self.manifest(&format!("inline: {}", serde_json::to_string(&text)?))
    }

    fn manifest(&self, source: &str) -> Result<()> {
        let JobPlan { name, model, format, max_errors, .. } = self.job;
        let format = if *format == Format::Csv { "CSV" } else { "JSONLines" };
        let policy = max_errors
            .map(|most| format!("  errorPolicy: {{maxErrors: {most}, maxStoredErrors: {STORED_ERRORS}}}\n"))
            .unwrap_or_default();
        let yaml = format!(
            "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestJob\nmetadata: {{name: {name}}}\nspec:\n  \
             modelRef: {{name: {model}}}\n  input: {{format: {format}}}\n{policy}  source:\n    {source}\n"
        );
        let left = self.end.saturating_duration_since(Instant::now());
        // `create`, because the annotation of `apply` could not hold a file.
        self.system.keep_trying("to make a job", left, || {
            let args = ["create", "-n", &self.system.namespace, "-f", "-"];
            let output = self.system.target.shell.run_with("kubectl", &args, Some(&yaml))?;
            if output.stderr.contains("AlreadyExists") { Ok(()) } else { output.ok().map(drop) }
        })
    }
}

/// `maxStoredErrors` of every model and job of a run.
pub const STORED_ERRORS: u64 = 1_000_000;
