//! Sends a file as a job: streamed in constant memory, and resumed after a broken connection.
//!
//! The CLI chooses the name of the job before it sends the first byte. If the API chose it, it would be lost with an
//! answer that does not arrive.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use crds::IngestJob;
use crds::job::UploadError;
use crds::model::InputSpec;
use futures::stream::{Stream, StreamExt};
use indicatif::ProgressBar;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, StatusCode};
use rows_types::Digest;
use serde_json::Value;

use crate::client::{Client, Failure, Refusal};
use crate::pieces;
use crate::source::Source;

mod retry;

use retry::{ATTEMPTS, Decision, Retries};

type Headers = Vec<(&'static str, String)>;

/// One file that is sent as a job.
pub struct Upload<'a> {
    pub client: &'a Client,
    pub model: &'a str,
    /// The name of the job.
    pub name: &'a str,
    pub label: Option<&'a str>,
    pub input: Option<&'a InputSpec>,
    pub source: &'a Source,
    pub bar: &'a ProgressBar,
}

/// What to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    /// From this byte of the decompressed file, as UTF-8.
    Resume(u64),
}

impl Step {
    fn offset(self) -> u64 {
        match self {
            Self::Create => 0,
            Self::Resume(offset) => offset,
        }
    }
}

/// Returns 8 random hex digits, the name of a job if the user gives none.
pub fn random_name() -> String {
    // The keys of std's hash maps are random numbers of the operating system.
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random & 0xffff_ffff)
}

impl Upload<'_> {
    /// Sends the file. Returns the job as the API answers it, when every byte is in Kafka.
    pub async fn send(&self) -> Result<Value> {
        let mut step = Step::Create;
        let mut retries = Retries::default();
        loop {
            let failure = match self.attempt(step).await? {
                Ok(job) => return Ok(job),
                Err(failure) => failure,
            };
            let decision = retries.decide(&failure, step, Instant::now());
            if matches!(decision, Decision::Retry { .. }) && !self.source.is_repeatable() {
                let advice = "standard input cannot be read twice: put the bytes in a file and send that, as another job";
                return Err(anyhow::Error::from(failure).context(advice));
            }
            let next = match self.next(failure, decision, &mut retries).await? {
                Next::Done(job) => return Ok(job),
                Next::Step(next) => next,
            };
            if next.offset() > step.offset() {
                retries.progress();
            }
            step = next;
        }
    }

    /// Sends one request. The outer error is local: a file that cannot be read.
    async fn attempt(&self, step: Step) -> Result<Result<Value, Failure>> {
        match step {
            Step::Create => {
                let mut url = self.client.url(&["models", self.model, "jobs"]);
                url.query_pairs_mut().append_pair("name", self.name);
                if let Some(label) = self.label {
                    url.query_pairs_mut().append_pair("label", label);
                }
                if let Some(input) = self.input {
                    url.query_pairs_mut().append_pair("input", &serde_json::to_string(input)?);
                }
                let (headers, body) = self.complete_file()?;
                Ok(self.client.create_job(url, &headers, body).await)
            }
            // The complete file is sent as it is on the disk, as with a new job.
            Step::Resume(0) => {
                let (headers, body) = self.complete_file()?;
                Ok(self.client.resume(self.name, 0, Digest::default(), &headers, body).await)
            }
            Step::Resume(offset) => {
                let source = self.source.clone();
                let resumed = tokio::task::spawn_blocking(move || source.resumed(offset));
                let (digest, rest) = resumed.await.context("failed to read the file")??;
                let mut headers = self.content_type();
                match self.source.text_length {
                    Some(length) => {
                        headers.push((CONTENT_LENGTH.as_str(), length.saturating_sub(offset).to_string()));
                        self.bar.set_position(offset);
                    }
                    // The decompressed length is not known: the bar then only counts.
                    None => self.bar.unset_length(),
                }
                let body = counted(pieces::from_thread(rest), self.bar.clone());
                Ok(self.client.resume(self.name, offset, digest, &headers, body).await)
            }
        }
    }

    /// Returns the headers and the body of the complete file, as it is on the disk.
    fn complete_file(&self) -> Result<(Headers, Body)> {
        self.bar.set_position(0);
        let mut headers = self.content_type();
        if let Some(length) = self.source.length {
            headers.push((CONTENT_LENGTH.as_str(), length.to_string()));
        }
        if let Some(encoding) = self.source.compression.content_encoding() {
            headers.push((CONTENT_ENCODING.as_str(), encoding.to_owned()));
        }
        Ok((headers, counted(self.source.raw_bytes()?, self.bar.clone())))
    }

    fn content_type(&self) -> Headers {
        let format = self.input.and_then(|input| input.format);
        let value = format.map_or("application/octet-stream", |format| format.info().content_types[0]);
        vec![(CONTENT_TYPE.as_str(), value.to_owned())]
    }

    /// Acts on the decision after a failure: returns the failure, or pauses and asks where to continue.
    async fn next(&self, mut failure: Failure, decision: Decision, retries: &mut Retries) -> Result<Next> {
        let mut decision = decision;
        loop {
            let (pause, ask) = match decision {
                Decision::GiveUp => return Err(self.with_advice(failure)),
                Decision::AttemptsExhausted => {
                    bail!(
                        "{failure}\ngave up after {ATTEMPTS} attempts; `batch job status {}` shows whether it was begun",
                        self.name
                    );
                }
                Decision::Retry { pause, ask, message } => {
                    if let Some(message) = message {
                        // Not through the bar, because it is silent without a terminal.
                        self.bar.suspend(|| eprintln!("{failure}; {message}"));
                    }
                    (pause, ask)
                }
            };
            tokio::time::sleep(pause).await;
            if !ask {
                return Ok(Next::Step(Step::Create));
            }
            failure = match self.ask().await? {
                Ok(next) => return Ok(next),
                Err(failure) => failure,
            };
            decision = retries.decide_unanswered(&failure);
        }
    }

    /// Adds to the failure what to do, if the API cannot know it.
    fn with_advice(&self, failure: Failure) -> anyhow::Error {
        let name = self.name;
        let advice = match failure.reason() {
            "DifferentFile" => format!(
                "the file is not the one that the upload of job {name} began with: it changed meanwhile, or the job is \
                 another client's; stop that job with `batch job cancel {name}`, and load the file as a new job, with \
                 another name or label where it has one"
            ),
            "UploadSuperseded" => format!(
                "another client has taken over the upload of job {name}; `batch job status {name} --watch` follows it"
            ),
            _ => return failure.into(),
        };
        anyhow::Error::from(failure).context(advice)
    }

    /// Asks for the state of the job.
    async fn ask(&self) -> Result<Result<Next, Failure>> {
        let value: Value = match self.client.get(&["jobs", self.name]).await {
            Ok(value) => value,
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => {
                return Ok(Ok(Next::Step(Step::Create)));
            }
            Err(failure) => return Ok(Err(failure)),
        };
        let job: IngestJob =
            serde_json::from_value(value.clone()).context("failed to read the API's answer")?;
        let status = job.status.unwrap_or_default();
        let upload = status.upload.unwrap_or_default();
        if let Some(UploadError { reason, message }) = upload.error {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(Err(Failure::Refused(Refusal {
                status,
                reason,
                message,
                retry_after: None,
                made: true,
            })));
        }
        if upload.complete {
            return Ok(Ok(Next::Done(value)));
        }
        if let Some(state) = status.state.filter(|s| s.is_end()) {
            let (reason, message) = (status.reason.unwrap_or_default(), status.message.unwrap_or_default());
            bail!("the job is {} before its file is complete: {reason}: {message}", state.as_str());
        }
        Ok(self.client.offset(self.name).await.map(|offset| Next::Step(Step::Resume(offset))))
    }
}

enum Next {
    Done(Value),
    Step(Step),
}

fn counted(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, bar: ProgressBar) -> Body {
    Body::wrap_stream(stream.inspect(move |item| {
        if let Ok(bytes) = item {
            bar.inc(bytes.len() as u64);
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_names_are_8_hex_digits_and_differ() {
        let (a, b) = (random_name(), random_name());
        assert!(crds::ModelId::looks_like(&a) && a != b, "{a} {b}");
    }
}
