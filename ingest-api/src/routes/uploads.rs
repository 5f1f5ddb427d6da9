//! The bytes of a job: with a job that is made for them (`POST`), for a job that is there (`PUT`), and how far they
//! are (`HEAD`).
//!
//! **Promise:** what can be refused is refused before a byte of the body is read, so a client that sends
//! `Expect: 100-continue` is spared sending it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crds::IngestJob;
use crds::job::MAX_INLINE_BYTES;
use kube::ResourceExt;
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{ApiError, ErrorBody, UPLOAD_OFFSET};
use crate::names::Namespace;
use crate::new_job::{self, NewJob};
use crate::routes::{InNamespace, MaybeQuery, names, object, query};
use crate::state::{App, Claim, Shared};
use crate::upload::body::linger;
use crate::upload::cut::START;
use crate::upload::decode::Encoding;
use crate::upload::prepare::{pinned, prepare};
use crate::upload::progress::ended;
use crate::upload::request::UploadHeaders;
use crate::upload::resume::{self, Begin};
use crate::upload::stream::Upload;

/// Whether an upload is complete: `?1` or `?0`, a boolean of RFC 9651.
pub const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

/// Load a file: make a job and send the file as the body
///
/// Answers when Kafka has every chunk. The `Location` header names the job, also where the upload failed after it was
/// made: then `HEAD …/data` tells from which byte `PUT …/data` goes on.
#[utoipa::path(post, path = "/v1/namespaces/{ns}/models/{model}/jobs", tag = "uploads",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "The model's name or id"), NewJob,
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd`, `bzip2` or `xz`")),
    request_body(content = String, content_type = "text/csv", description = "The file, in UTF-8 or, with a byte-order mark, UTF-16; `Content-Type: text/csv`, `text/tab-separated-values`, `application/x-ndjson` (one object a line) or `application/json` (one array) tells its format"),
    responses((status = 201, body = ref("#/components/schemas/IngestJob"), headers(("Location" = String, description = "The job's path"))),
        (status = 404, body = ErrorBody, description = "ModelNotFound"),
        (status = 409, body = ErrorBody, description = "JobExists, LabelTaken"),
        (status = 413, body = ErrorBody, description = "UploadTooLarge"),
        (status = 415, body = ErrorBody, description = "UnsupportedMediaType, UnsupportedEncoding"),
        (status = 422, body = ErrorBody, description = "HeaderMismatch, EmptyFile, BinaryFile, RecordTooLong, MalformedGzip, MalformedUtf16, …: the job is FAILED with this reason"),
        (status = 429, body = ErrorBody, description = "TooManyUploads; see Retry-After"),
        (status = 503, body = ErrorBody, description = "KafkaUnavailable, ModelNotReady, …; see Retry-After")))]
pub async fn post(
    State(app): State<Shared>,
    path: InNamespace,
    new: MaybeQuery<NewJob>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let made = match make(&app, path, new, &head.headers).await {
        Ok(made) => made,
        Err(error) => return refuse(error, body, &head.headers),
    };
    let location = format!("/v1/namespaces/{}/jobs/{}", made.namespace, made.job.name_any());
    let mut response =
        match ready(&app, &made.namespace, &made.job, &made.headers, made.begin, made.held).await {
            Ok(upload) => answer(upload.run(body).await, StatusCode::CREATED),
            Err(error) => refuse(error, body, &head.headers),
        };
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A job that takes bytes now, from this request alone.
struct Admitted {
    namespace: Namespace,
    headers: UploadHeaders,
    job: IngestJob,
    begin: Begin,
    held: Held,
}

type Held = (Claim, OwnedSemaphorePermit);

async fn make(
    app: &Shared,
    path: InNamespace,
    new: MaybeQuery<NewJob>,
    headers: &HeaderMap,
) -> Result<Admitted, ApiError> {
    let ((namespace, model), new) = (names(path)?, query(new)?);
    let headers = UploadHeaders::parse(headers, app.settings.upload_limit())?;
    let permit = admit(app)?;
    let job = new_job::create(app, &namespace, &model, new, headers.format).await?;
    let name = job.name_any();
    let claim = app.running.claim(&format!("{namespace}/{name}")).ok_or(ApiError::UploadRunning(name))?;
    match pinned(app, &namespace, job.clone()).await {
        Ok(job) => Ok(Admitted {
            namespace,
            headers,
            job,
            begin: Begin { at: START, header: None },
            held: (claim, permit),
        }),
        Err(error) => {
            // Nothing of its file was read: the client may come again with the same name and label.
            new_job::take_back(app, &namespace, &job).await;
            Err(error)
        }
    }
}

/// Send the file of a job that is there, or the rest of it
///
/// `Upload-Offset` must be what `HEAD` tells; then the body is the file from that byte on, not packed, and as UTF-8 where
/// the file is UTF-16. A job with `spec.source.inline` takes exactly these bytes, and takes them again.
#[utoipa::path(put, path = "/v1/namespaces/{ns}/jobs/{job}/data", tag = "uploads",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "The job's name"),
        ("Upload-Offset" = Option<u64>, Header, description = "The byte of the file with which the body begins"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd`, `bzip2` or `xz`; not where an upload goes on")),
    request_body(content = String, content_type = "text/csv", description = "The file"),
    responses((status = 200, body = ref("#/components/schemas/IngestJob")),
        (status = 404, body = ErrorBody, description = "JobNotFound"),
        (status = 409, body = ErrorBody, description = "OffsetMismatch (with Upload-Offset), UploadComplete, UploadRunning, JobEnded, SourceMismatch"),
        (status = 413, body = ErrorBody, description = "UploadTooLarge"),
        (status = 415, body = ErrorBody, description = "UnsupportedMediaType, UnsupportedEncoding"),
        (status = 422, body = ErrorBody, description = "As for POST"),
        (status = 429, body = ErrorBody, description = "TooManyUploads; see Retry-After"),
        (status = 503, body = ErrorBody, description = "KafkaUnavailable, ModelNotReady, …; see Retry-After")))]
pub async fn put(State(app): State<Shared>, path: InNamespace, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match feed(&app, path, &head.headers).await {
        Ok(Fed::Body(upload)) => answer(upload.run(body).await, StatusCode::OK),
        Ok(Fed::Inline(upload, text)) => send_inline(*upload, text, body).await,
        Ok(Fed::Before(job)) => object(StatusCode::OK, *job),
        Err(error) => refuse(error, body, &head.headers),
    }
}

/// Where the bytes of a job that is there come from.
enum Fed {
    Body(Box<Upload>),
    Inline(Box<Upload>, String),
    /// They came before, and this request says the same again.
    Before(Box<IngestJob>),
}

async fn feed(app: &Shared, path: InNamespace, headers: &HeaderMap) -> Result<Fed, ApiError> {
    let (namespace, name) = names(path)?;
    let mut headers = UploadHeaders::parse(headers, app.settings.upload_limit())?;
    let permit = admit(app)?;
    // The claim comes before the look at the status, so that nobody moves it in between.
    let claim = app.running.claim(&format!("{namespace}/{name}"));
    let job = app.job(&namespace, &name).await?;
    let claim = claim.ok_or_else(|| ApiError::UploadRunning(name.to_string()))?;
    let inline = job.spec.source.inline.clone();
    let status = job.status.as_ref().and_then(|s| s.upload.clone()).unwrap_or_default();
    if inline.is_some() && status.complete {
        // The operator asks again when it has not heard the answer.
        return Ok(Fed::Before(Box::new(job)));
    }
    if let Some(ended) = ended(&job) {
        return Err(ended);
    }
    let begin = resume::decide(name.as_str(), &status, headers.offset, inline.is_some())?;
    if inline.is_some() {
        (headers.encoding, headers.length) = (Encoding::Identity, None);
    }
    let job = pinned(app, &namespace, job).await?;
    let upload = Box::new(ready(app, &namespace, &job, &headers, begin, (claim, permit)).await?);
    Ok(match inline {
        Some(text) => Fed::Inline(upload, text),
        None => Fed::Body(upload),
    })
}

/// How far the upload of a job is
#[utoipa::path(head, path = "/v1/namespaces/{ns}/jobs/{job}/data", tag = "uploads",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "The job's name")),
    responses((status = 204, headers(("Upload-Offset" = u64, description = "The byte from which the upload goes on"),
            ("Upload-Complete" = String, description = "`?1` when it is complete, else `?0`"))),
        (status = 404, description = "JobNotFound")))]
pub async fn head(State(app): State<Shared>, path: InNamespace) -> Result<Response, ApiError> {
    let (namespace, job) = names(path)?;
    let upload = app.job(&namespace, &job).await?.status.and_then(|s| s.upload).unwrap_or_default();
    let offset = HeaderValue::from(upload.offset);
    let complete = HeaderValue::from_static(if upload.complete { "?1" } else { "?0" });
    let cache = HeaderValue::from_static("no-store");
    let headers = [(UPLOAD_OFFSET, offset), (UPLOAD_COMPLETE, complete), (header::CACHE_CONTROL, cache)];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// One of the uploads the server takes at once.
fn admit(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    if *app.stop.borrow() {
        return Err(ApiError::Stopping);
    }
    let permit = Arc::clone(&app.uploads).try_acquire_owned();
    permit.map_err(|_| ApiError::TooManyUploads(app.settings.max_uploads))
}

/// A pinned job, made ready to take bytes.
async fn ready(
    app: &Shared,
    namespace: &Namespace,
    job: &IngestJob,
    headers: &UploadHeaders,
    begin: Begin,
    held: Held,
) -> Result<Upload, ApiError> {
    let prepared = prepare(app, namespace, job, headers, begin).await?;
    Ok(Upload { app: app.clone(), prepared, length: headers.length, held })
}

/// The bytes of an inline job are in its spec. They are sent from there, once it is seen that the body says the same:
/// then a retry is certain to be cut into the same chunks.
async fn send_inline(upload: Upload, text: String, body: Body) -> Response {
    match to_bytes(body, MAX_INLINE_BYTES + 1).await {
        Ok(bytes) if bytes == text.as_bytes() => answer(upload.run(Body::from(text)).await, StatusCode::OK),
        _ => ApiError::SourceMismatch(upload.prepared.job.name).into_response(),
    }
}

fn answer(result: Result<IngestJob, ApiError>, status: StatusCode) -> Response {
    match result {
        Ok(job) => object(status, job),
        Err(error) => error.into_response(),
    }
}

/// Refuses an upload. The body is not touched where the client waits for a word before it sends it; where it is on its
/// way, some of it is taken so that the answer arrives.
fn refuse(error: ApiError, body: Body, headers: &HeaderMap) -> Response {
    if !headers.contains_key(header::EXPECT) {
        tokio::spawn(linger(body));
    }
    error.into_response()
}
