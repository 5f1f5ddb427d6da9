//! Sending a file as a job: streamed in constant memory, and taken up again where a connection broke.
//!
//! The job's name is chosen here, before the first byte leaves: an answer that never arrives would else take it along.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use crds::IngestJob;
use crds::job::UploadError;
use crds::model::{Format, InputSpec};
use futures::stream::{Stream, StreamExt};
use indicatif::ProgressBar;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, StatusCode};
use serde_json::Value;

use crate::client::{Client, Failure};
use crate::source::Source;

/// Attempts without any progress until the upload is given up; with their pauses about 15 seconds.
const ATTEMPTS: u32 = 6;

/// One file on its way to be a job.
pub struct Upload<'a> {
    pub client: &'a Client,
    pub model: &'a str,
    /// Of the job.
    pub name: &'a str,
    pub label: Option<&'a str>,
    pub input: Option<&'a InputSpec>,
    pub source: &'a Source,
    pub bar: &'a ProgressBar,
}

/// What is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    /// From this byte of the unpacked file, as UTF-8.
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

/// 8 random hex digits, the name of a job that is given none.
pub fn random_name() -> String {
    // The keys of std's hash maps come from the operating system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random & 0xffff_ffff)
}

impl Upload<'_> {
    /// Sends the file and gives the job as the API answers it, once every byte is in Kafka.
    pub async fn send(&self) -> Result<Value> {
        let mut step = Step::Create;
        let mut attempt = 0;
        loop {
            let failure = match self.attempt(step).await? {
                Ok(job) => return Ok(job),
                Err(failure) => failure,
            };
            // Somebody, or this very upload when its connection was already thought lost, moved the job on: ask again.
            let conflict = failure.status() == Some(StatusCode::CONFLICT);
            let moved = conflict && (step != Step::Create || attempt > 0);
            if !failure.is_transient() && !moved {
                return Err(failure.into());
            }
            if matches!((&failure, step), (Failure::Unreachable { .. }, Step::Create)) && attempt == 0 {
                return Err(failure.into());
            }
            if !self.source.is_repeatable() {
                let advice = "standard input cannot be read twice: put the bytes in a file and send that, as another job";
                return Err(anyhow::Error::from(failure).context(advice));
            }
            attempt += 1;
            let next = match self.find_step(&failure, &mut attempt).await? {
                Next::Done(job) => return Ok(job),
                Next::Step(next) => next,
            };
            if next.offset() > step.offset() {
                attempt = 0;
            }
            step = next;
        }
    }

    /// One request. The outer error is of this machine: a file that cannot be read.
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
                self.bar.set_position(0);
                let mut headers = self.content_type();
                if let Some(length) = self.source.length {
                    headers.push((CONTENT_LENGTH.as_str(), length.to_string()));
                }
                if let Some(encoding) = self.source.packing.content_encoding() {
                    headers.push((CONTENT_ENCODING.as_str(), encoding.to_owned()));
                }
                let body = counted(self.source.packed().await?, self.bar.clone());
                Ok(self.client.create_job(url, &headers, body).await)
            }
            Step::Resume(offset) => {
                let mut headers = self.content_type();
                match self.source.text_length {
                    Some(length) => {
                        headers.push((CONTENT_LENGTH.as_str(), length.saturating_sub(offset).to_string()));
                        self.bar.set_position(offset);
                    }
                    // The length of what is unpacked is not known: the bar then only counts.
                    None => self.bar.unset_length(),
                }
                let body = counted(self.source.unpacked_stream(offset)?, self.bar.clone());
                Ok(self.client.resume(self.name, offset, &headers, body).await)
            }
        }
    }

    fn content_type(&self) -> Vec<(&'static str, String)> {
        let value = match self.input.and_then(|i| i.format) {
            Some(Format::Csv) => "text/csv",
            Some(Format::JsonLines) => "application/x-ndjson",
            Some(Format::Json) => "application/json",
            Some(Format::Tsv) | None => "application/octet-stream",
        };
        vec![(CONTENT_TYPE.as_str(), value.to_owned())]
    }

    /// Waits, then asks the API what became of the job. Counts each vain question as an attempt.
    async fn find_step(&self, failure: &Failure, attempt: &mut u32) -> Result<Next> {
        let mut pause = failure.retry_after();
        let mut why = failure.to_string();
        loop {
            if *attempt >= ATTEMPTS {
                bail!(
                    "{why}\ngave up after {ATTEMPTS} attempts; `batch job status {}` tells whether it was begun",
                    self.name
                );
            }
            let pause = pause.take().unwrap_or_else(|| Duration::from_millis(250 << *attempt));
            // Not through the bar, which is silent where there is no terminal.
            self.bar.suspend(|| eprintln!("{why}; trying again in {:.1} s", pause.as_secs_f64()));
            tokio::time::sleep(pause).await;
            match self.ask().await? {
                Ok(next) => return Ok(next),
                Err(failure) if failure.is_transient() => {
                    *attempt += 1;
                    why = failure.to_string();
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// What became of the job.
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
            return Ok(Err(Failure::Refused { status, reason, message, retry_after: None }));
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
