//! The upload API over HTTP: URLs, requests, and errors with a message that says what to do.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};
use rows_types::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest time for the answer to a small request.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The header with the offset, in bytes of the decompressed file, at which an upload continues.
const UPLOAD_OFFSET: &str = "upload-offset";
/// The header with the digest of the bytes before the offset.
const UPLOAD_DIGEST: &str = "upload-digest";

/// The API, and the namespace of every request.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    namespace: String,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No program listens at the address.
    #[error("failed to reach the upload API at {url}: {why}; {}", advice(url))]
    Unreachable { url: Url, why: String },
    /// The connection broke before the answer was complete.
    #[error("the connection to the upload API broke: {why}")]
    Broken { why: String },
    /// The API refused the request.
    #[error("{}: {}", .0.reason, .0.message)]
    Refused(Refusal),
    /// This version cannot read the answer.
    #[error(
        "failed to read the answer of {url} ({why}); is it the address of the upload API, of this version?"
    )]
    Unreadable { url: Url, why: String },
}

/// The answer of the API when it refuses a request.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    /// CamelCase, for programs.
    pub reason: String,
    /// For people. It says what to do.
    pub message: String,
    /// How long the API asked to wait.
    pub retry_after: Option<Duration>,
    /// Whether a job may have been created before the request was refused.
    pub made: bool,
}

impl Failure {
    /// Returns whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused(refusal) => matches!(refusal.status.as_u16(), 408 | 429 | 502 | 503 | 504),
            Self::Unreadable { .. } => false,
        }
    }

    /// Returns the answer of the API, if it refused the request.
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }

    /// Returns the HTTP status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Returns the reason of a refusal. It is empty for other failures.
    pub fn reason(&self) -> &str {
        self.refusal().map_or("", |refusal| &refusal.reason)
    }

    /// Returns how long the API asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after
    }
}

impl Client {
    /// Makes a client of the API at `api_url`. It does not connect yet.
    pub fn new(api_url: &str, namespace: &str) -> Result<Self> {
        let why = || format!("'{api_url}' is no address of an API; write it like http://localhost:8000");
        let base = Url::parse(api_url).with_context(why)?;
        if !matches!(base.scheme(), "http" | "https") {
            bail!(why());
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("batch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .tcp_keepalive(Duration::from_secs(15))
            .build()
            .context("failed to set up HTTP; are the machine's CA certificates in order?")?;
        Ok(Self { http, base, namespace: namespace.to_owned() })
    }

    /// Returns the namespace of every request.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns `/v1/namespaces/NAMESPACE/…`, with each segment escaped.
    pub fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // URLs with http or https can always be extended.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", "namespaces", &self.namespace]).extend(segments);
        }
        url
    }

    pub async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, Failure> {
        self.get_from(self.url(segments)).await
    }

    /// Asks the API to answer when the object stops changing, or after `seconds` seconds (`Prefer: wait`, RFC 7240).
    pub async fn get_waiting<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        seconds: u32,
    ) -> Result<T, Failure> {
        let request = self.http.get(self.url(segments));
        let within = ANSWER_WITHIN + Duration::from_secs(u64::from(seconds));
        self.json(request.header("prefer", format!("wait={seconds}")).timeout(within)).await
    }

    pub async fn get_from<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        self.json(self.http.get(url).timeout(ANSWER_WITHIN)).await
    }

    pub async fn post<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, Failure> {
        self.post_to(self.url(segments)).await
    }

    pub async fn post_to<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        self.json(self.http.post(url).timeout(ANSWER_WITHIN)).await
    }

    pub async fn post_json<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.json(self.http.post(self.url(segments)).timeout(ANSWER_WITHIN).json(body)).await
    }

    pub async fn delete(&self, segments: &[&str]) -> Result<(), Failure> {
        self.answer(self.http.delete(self.url(segments)).timeout(ANSWER_WITHIN)).await.map(drop)
    }

    /// Returns a text body of any length, to be read as it arrives.
    pub async fn stream(&self, url: Url) -> Result<Response, Failure> {
        self.answer(self.http.get(url)).await
    }

    /// Creates a job from a body. There is no time limit, because a large file takes long.
    pub async fn create_job(
        &self,
        url: Url,
        headers: &[(&str, String)],
        body: Body,
    ) -> Result<Value, Failure> {
        self.json(with_headers(self.http.post(url), headers).body(body)).await
    }

    /// Returns the offset at which the upload of a job continues.
    pub async fn offset(&self, job: &str) -> Result<u64, Failure> {
        let url = self.url(&["jobs", job, "data"]);
        let answer = self.answer(self.http.request(Method::HEAD, url.clone()).timeout(ANSWER_WITHIN)).await?;
        let offset = answer.headers().get(UPLOAD_OFFSET).and_then(|v| v.to_str().ok()?.parse().ok());
        offset.ok_or_else(|| Failure::Unreadable { url, why: "no Upload-Offset".to_owned() })
    }

    /// Sends the rest of a job's file. `digest` is the digest of its first `offset` bytes.
    pub async fn resume(
        &self,
        job: &str,
        offset: u64,
        digest: Digest,
        headers: &[(&str, String)],
        body: Body,
    ) -> Result<Value, Failure> {
        let request = self.http.put(self.url(&["jobs", job, "data"]));
        let request = request.header(UPLOAD_OFFSET, offset).header(UPLOAD_DIGEST, digest.to_string());
        self.json(with_headers(request, headers).body(body)).await
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let answer = self.answer(request).await?;
        let url = answer.url().clone();
        let body = answer.bytes().await.map_err(|e| self.failure(&e))?;
        serde_json::from_slice(&body).map_err(|e| Failure::Unreadable { url, why: e.to_string() })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = request.send().await.map_err(|e| self.failure(&e))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let why = innermost(error);
        if error.is_connect() {
            Failure::Unreachable { url: self.base.clone(), why }
        } else {
            Failure::Broken { why }
        }
    }
}

fn advice(url: &Url) -> &'static str {
    if url.scheme() == "https" {
        "set --api-url or BATCH_API_URL; a certificate that the system does not know is trusted when the environment \
         variable SSL_CERT_FILE names the CA's file"
    } else {
        "set --api-url or BATCH_API_URL, or forward its port: \
         kubectl -n batch-system port-forward service/batch-on-kafka-api 8000"
    }
}

fn with_headers(request: RequestBuilder, headers: &[(&str, String)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

async fn refusal(answer: Response) -> Failure {
    let status = answer.status();
    let url = answer.url().clone();
    let made = answer.headers().contains_key(LOCATION);
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    let body = answer.bytes().await.unwrap_or_default();
    let error = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let text = |key: &str| error["error"][key].as_str().map(str::to_owned);
    // A proxy between the CLI and the API does not know how far the request came.
    let made = made || text("reason").is_none();
    let reason = text("reason").unwrap_or_else(|| format!("HTTP {status}"));
    let message = text("message")
        .unwrap_or_else(|| format!("{url} answered without saying why; is it the upload API?"));
    Failure::Refused(Refusal { status, reason, message, retry_after: seconds.map(Duration::from_secs), made })
}

/// Returns the innermost error: reqwest only says "error sending request" and has the cause in its sources.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    anyhow::Chain::new(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::new(url, "shop")
    }

    #[test]
    fn addresses_are_made_of_escaped_segments_under_any_prefix() {
        let url = |base: &str| client(base).unwrap().url(&["jobs", "a/b ?", "data"]).to_string();
        assert_eq!(url("http://h:8000"), "http://h:8000/v1/namespaces/shop/jobs/a%2Fb%20%3F/data");
        assert_eq!(url("https://h/ingest/"), "https://h/ingest/v1/namespaces/shop/jobs/a%2Fb%20%3F/data");
    }

    #[test]
    fn what_is_no_http_address_is_refused_with_an_example() {
        for bad in ["localhost:8000", "ftp://h", "", "//h"] {
            let message = format!("{:#}", client(bad).unwrap_err());
            assert!(message.contains("write it like http://localhost:8000"), "{bad}: {message}");
        }
    }
}
