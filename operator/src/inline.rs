//! Sends the file that a job has inline to the upload API, which cuts it like any other file. The operator itself does
//! not cut files.
//!
//! The upload API writes the result of the file into the status of the job. This module only repeats the request until
//! the job has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use reqwest::{Client, Url};

use crate::backoff;
use crate::query::causes;

/// The longest time of one try.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// A job's inline file.
#[derive(Clone, Debug)]
pub struct InlineFile {
    /// The job's uid.
    pub uid: String,
    /// The job's namespace.
    pub namespace: String,
    /// The job's name.
    pub name: String,
    /// The file.
    pub content: String,
}

/// The state of the tries for one job.
#[derive(Clone, Debug, Default)]
struct Attempt {
    running: bool,
    failures: u32,
    not_before: Option<Timestamp>,
    problem: Option<String>,
}

type Attempts = Arc<Mutex<HashMap<String, Attempt>>>;

/// Sends inline files. Each job has at most one request at a time.
pub struct InlineSender {
    client: Client,
    api: Url,
    attempts: Attempts,
}

/// Why the sender cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The setting is not a URL.
    #[error("API_URL '{0}' is not a URL like http://batch-ingest-api:8000")]
    Url(String),
    /// The HTTP client.
    #[error("failed to set up HTTP: {0}")]
    Client(#[from] reqwest::Error),
}

impl InlineSender {
    /// `api_url` is the address of the upload API.
    pub fn new(api_url: &str) -> Result<Self, SenderError> {
        let api = Url::parse(api_url).ok().filter(|url| !url.cannot_be_a_base());
        Ok(Self {
            client: Client::builder()
                .timeout(REQUEST_TIMEOUT)
                .connect_timeout(Duration::from_secs(5))
                .build()?,
            api: api.ok_or_else(|| SenderError::Url(api_url.to_owned()))?,
            attempts: Attempts::default(),
        })
    }

    /// Starts to send a file in the background. Does nothing while the file is being sent, or soon after the last try.
    pub fn send(&self, file: InlineFile, now: Timestamp) {
        if !begin(&self.attempts, &file.uid, now) {
            return;
        }
        let (client, url, attempts) =
            (self.client.clone(), url(&self.api, &file), Arc::clone(&self.attempts));
        let started = Instant::now();
        tokio::spawn(async move {
            let answer = put(&client, url, file.content).await;
            if let Err(problem) = &answer {
                tracing::warn!(job = file.name, namespace = file.namespace, problem, "inline file not sent");
            }
            finish(&attempts, &file.uid, answer, now.saturating_add(started.elapsed()).unwrap_or(now));
        });
    }

    /// Returns why the file of a job was not sent, if the last try failed.
    #[must_use]
    pub fn problem(&self, uid: &str) -> Option<String> {
        self.attempts.lock().get(uid)?.problem.clone()
    }

    /// Forgets a job that has ended or is deleted.
    pub fn forget(&self, uid: &str) {
        self.attempts.lock().remove(uid);
    }
}

/// Returns whether a try may start now, and marks it as started.
fn begin(attempts: &Attempts, uid: &str, now: Timestamp) -> bool {
    let mut attempts = attempts.lock();
    let attempt = attempts.entry(uid.to_owned()).or_default();
    if attempt.running || attempt.not_before.is_some_and(|at| now < at) {
        return false;
    }
    attempt.running = true;
    true
}

fn finish(attempts: &Attempts, uid: &str, answer: Result<(), String>, now: Timestamp) {
    let mut attempts = attempts.lock();
    // The entry was deleted meanwhile: the job has ended.
    let Some(attempt) = attempts.get_mut(uid) else { return };
    attempt.running = false;
    // This is also done after a success: another try is useful only after the job's status shows the upload.
    attempt.failures += 1;
    let wait = SignedDuration::try_from(backoff::delay(attempt.failures)).unwrap_or(SignedDuration::ZERO);
    attempt.not_before = now.saturating_add(wait).ok();
    attempt.problem = answer.err();
}

/// Returns `/v1/namespaces/{namespace}/jobs/{name}/data`, below the path of the API.
fn url(api: &Url, file: &InlineFile) -> Url {
    let mut url = api.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "namespaces", &file.namespace, "jobs", &file.name, "data"]);
    }
    url
}

async fn put(client: &Client, url: Url, content: String) -> Result<(), String> {
    let answer = client
        .put(url)
        .body(content)
        .send()
        .await
        .map_err(|e| format!("failed to reach the upload API: {}", causes(&e)))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let text: String = answer.text().await.unwrap_or_default().chars().take(500).collect();
    Err(format!("the upload API answered {status}: {}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_file_is_sent_once_at_a_time_and_retried_after_a_growing_wait() {
        let attempts = Attempts::default();
        assert!(begin(&attempts, "u", at(0)));
        assert!(!begin(&attempts, "u", at(0)), "it is being sent");
        finish(&attempts, "u", Err("refused".into()), at(0));
        assert!(!begin(&attempts, "u", at(0)), "it failed moments ago");
        assert!(begin(&attempts, "u", at(1)));
        finish(&attempts, "u", Err("refused".into()), at(1));
        assert!(!begin(&attempts, "u", at(2)));
        assert!(begin(&attempts, "u", at(3)));
        assert!(begin(&attempts, "other", at(3)));
    }

    #[test]
    fn the_url_of_the_upload_is_that_of_the_job() {
        let file = InlineFile {
            uid: "u".into(),
            namespace: "shop".into(),
            name: "a/b".into(),
            content: String::new(),
        };
        let url = |api: &str| url(&Url::parse(api).unwrap(), &file).to_string();
        assert_eq!(url("http://api:8000"), "http://api:8000/v1/namespaces/shop/jobs/a%2Fb/data");
        assert_eq!(url("http://host/batch/"), "http://host/batch/v1/namespaces/shop/jobs/a%2Fb/data");
        assert!(InlineSender::new("nonsense").is_err());
    }
}
