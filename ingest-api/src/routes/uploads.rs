//! Routes for the bytes of a job: `POST` makes a job for them, `PUT` sends them to an existing job, and `HEAD` shows
//! the progress.
//!
//! **Promise:** a request is refused before a byte of its body is read, if the reason is known by then. So a client
//! that sends `Expect: 100-continue` need not send the body.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crds::job::{IngestJob, MAX_INLINE_BYTES};
use crds::model::IngestModel;
use kube::ResourceExt;
use tokio::time::timeout;

use crate::admission::{Admission, Lane, Permit};
use crate::error::{ApiError, ErrorBody, UPLOAD_DIGEST, UPLOAD_OFFSET};
use crate::names::{Name, Namespace};
use crate::new_job::{self, NewJob};
use crate::routes::{InNamespace, MaybeQuery, names, object, query};
use crate::state::Shared;
use crate::upload::body::linger;
use crate::upload::decode::Encoding;
use crate::upload::memory::need;
use crate::upload::pin::pinned;
use crate::upload::prepare::{chunk_bytes, prepare};
use crate::upload::progress::{Progress, ended};
use crate::upload::request::UploadHeaders;
use crate::upload::resume::{self, Begin};
use crate::upload::stream::Upload;

/// How often a request tries to take up an upload while other requests do the same.
const TRIES: u32 = 8;
/// The most time for the body of an inline job.
const INLINE_TIMEOUT: Duration = Duration::from_secs(10);
/// Whether an upload is complete: `?1` or `?0`, a boolean of RFC 9651.
pub const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

/// Load a file: make a job and send the file as the body
///
/// The answer comes when Kafka has every chunk. The `Location` header names the job. It is also sent if the upload
/// failed after the job was made: then `HEAD …/data` shows from which byte `PUT …/data` continues.
#[utoipa::path(post, path = "/v1/namespaces/{ns}/models/{model}/jobs", tag = "uploads",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "The model's name or id"), NewJob,
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd`, `bzip2` or `xz`")),
    request_body(content = String, content_type = "text/csv", description = "The file, in UTF-8 or, with a byte-order mark, UTF-16; `Content-Type: text/csv`, `text/tab-separated-values`, `application/x-ndjson` (one object a line) or `application/json` (one array) says its format"),
    responses((status = 201, body = ref("#/components/schemas/IngestJob"), headers(("Location" = String, description = "The job's path"))),
        (status = 404, body = ErrorBody, description = "ModelNotFound"),
        (status = 408, body = ErrorBody, description = "UploadTooSlow: continue with PUT"),
        (status = 409, body = ErrorBody, description = "JobExists, LabelTaken, UploadSuperseded"),
        (status = 413, body = ErrorBody, description = "UploadTooLarge, UploadNeedsMemory"),
        (status = 415, body = ErrorBody, description = "UnsupportedMediaType, UnsupportedEncoding"),
        (status = 422, body = ErrorBody, description = "HeaderMismatch, EmptyFile, BinaryFile, RecordTooLong, ChunkTooLarge, MalformedGzip, MalformedUtf16, …: the job is FAILED with this reason; ModelInvalid: there is no job"),
        (status = 429, body = ErrorBody, description = "TooManyUploads; see Retry-After"),
        (status = 503, body = ErrorBody, description = "KafkaUnavailable, ModelNotReady, ModelPaused, LabelBusy, …; see Retry-After")))]
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
    let mut response = match made.ready(&app).await {
        Ok(upload) => answer(upload.run(body).await, StatusCode::CREATED),
        Err(error) => refuse(error, body, &head.headers),
    };
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A new job that is pinned, with the permit and the memory for its upload.
struct Made {
    namespace: Namespace,
    headers: UploadHeaders,
    model: IngestModel,
    job: IngestJob,
    admission: Admission,
}

async fn make(
    app: &Shared,
    path: InNamespace,
    new: MaybeQuery<NewJob>,
    headers: &HeaderMap,
) -> Result<Made, ApiError> {
    let ((namespace, model), new) = (names(path)?, query(new)?);
    new.check()?;
    let headers = UploadHeaders::parse(headers, app.settings.upload_limit())?;
    let permit = enter(app, &app.uploads).await?;
    let model = app.model(&namespace, &model).await?;
    let bytes = need(headers.encoding, u64::from(model.spec.chunk_bytes), headers.length);
    let admission = permit.reserve(bytes).await?;
    let job = new_job::create(app, &namespace, &model, new, headers.format).await?;
    match pinned(app, &namespace, job.clone()).await {
        Ok(job) => Ok(Made { namespace, headers, model, job, admission }),
        Err(error) => {
            // Nothing of its file was read: the client can try again with the same name and label.
            new_job::delete_unused(app, &namespace, &job).await;
            Err(error)
        }
    }
}

impl Made {
    /// Returns the upload, ready to receive bytes. The first write, which comes before the first chunk, claims the
    /// upload; before that there is no other request to exclude.
    async fn ready(self, app: &Shared) -> Result<Upload, ApiError> {
        let Self { namespace, headers, model, job, admission } = self;
        let prepared = prepare(app, &namespace, &model, &job, &headers, Begin::START).await?;
        let progress = Progress::new(app.kube.clone(), prepared.job.clone(), &prepared.status);
        Ok(Upload { app: app.clone(), prepared, progress, length: headers.length, admission })
    }
}

/// Send the file of an existing job, or the rest of it
///
/// `Upload-Offset` must be the value from `HEAD`. Then the body is the file from that byte on, not compressed, and in
/// UTF-8 if the file is in UTF-16. A request takes over an upload that is running: the other request ends with
/// `UploadSuperseded`. A job with `spec.source.inline` accepts exactly these bytes, and accepts them again.
#[utoipa::path(put, path = "/v1/namespaces/{ns}/jobs/{job}/data", tag = "uploads",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "The job's name"),
        ("Upload-Offset" = Option<u64>, Header, description = "The byte of the file with which the body begins"),
        ("Upload-Digest" = Option<String>, Header, description = "The digest of the bytes before it, `crc64nvme:` and 16 hexadecimal digits: another file is refused"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd`, `bzip2` or `xz`; not to continue an upload")),
    request_body(content = String, content_type = "text/csv", description = "The file"),
    responses((status = 200, body = ref("#/components/schemas/IngestJob")),
        (status = 404, body = ErrorBody, description = "JobNotFound"),
        (status = 408, body = ErrorBody, description = "UploadTooSlow: continue at the offset that HEAD returns"),
        (status = 409, body = ErrorBody, description = "OffsetMismatch (with Upload-Offset), DifferentFile, UploadComplete, UploadSuperseded, JobEnded, SourceMismatch"),
        (status = 413, body = ErrorBody, description = "UploadTooLarge, UploadNeedsMemory"),
        (status = 415, body = ErrorBody, description = "UnsupportedMediaType, UnsupportedEncoding"),
        (status = 422, body = ErrorBody, description = "As for POST"),
        (status = 429, body = ErrorBody, description = "TooManyUploads; see Retry-After"),
        (status = 503, body = ErrorBody, description = "KafkaUnavailable, ModelNotReady, …; see Retry-After")))]
pub async fn put(State(app): State<Shared>, path: InNamespace, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match Box::pin(prepare_upload(&app, path, &head.headers)).await {
        Ok(UploadSource::Body(upload)) => answer(upload.run(body).await, StatusCode::OK),
        Ok(UploadSource::Inline(upload, text)) => send_inline(*upload, text, body).await,
        Ok(UploadSource::AlreadyComplete(job)) => object(StatusCode::OK, *job),
        Err(error) => refuse(error, body, &head.headers),
    }
}

/// Where the bytes of an existing job come from, if any are missing.
enum UploadSource {
    Body(Box<Upload>),
    Inline(Box<Upload>, String),
    /// All bytes were received before, and this request repeats the upload.
    AlreadyComplete(Box<IngestJob>),
}

async fn prepare_upload(
    app: &Shared,
    path: InNamespace,
    headers: &HeaderMap,
) -> Result<UploadSource, ApiError> {
    let (namespace, name) = names(path)?;
    let mut headers = UploadHeaders::parse(headers, app.settings.upload_limit())?;
    let mut job = app.job(&namespace, &name).await?;
    let inline = job.spec.source.inline.clone();
    let lane = if inline.is_some() { &app.inline } else { &app.uploads };
    let permit = enter(app, lane).await?;
    if let Some(text) = &inline {
        (headers.encoding, headers.length) = (Encoding::Identity, Some(text.len() as u64));
    }
    let model = app.model(&namespace, &Name::parse(&job.spec.model_ref.name)?).await?;
    let admission = permit.reserve(need(headers.encoding, chunk_bytes(&model, &job), headers.length)).await?;
    for _ in 0..TRIES {
        let upload = job.status.as_ref().and_then(|s| s.upload.clone()).unwrap_or_default();
        if inline.is_some() && upload.complete {
            // The operator repeats a request if it did not receive the answer.
            return Ok(UploadSource::AlreadyComplete(Box::new(job)));
        }
        if let Some(ended) = ended(&job) {
            return Err(ended);
        }
        resume::decide(name.as_str(), &upload, headers.offered, inline.is_some())?;
        let pinned = pinned(app, &namespace, job).await?;
        // This decision uses the version of the job to which the epoch is written.
        let upload = pinned.status.as_ref().and_then(|s| s.upload.clone()).unwrap_or_default();
        let begin = resume::decide(name.as_str(), &upload, headers.offered, inline.is_some())?;
        let prepared = prepare(app, &namespace, &model, &pinned, &headers, begin).await?;
        let mut progress = Progress::new(app.kube.clone(), prepared.job.clone(), &prepared.status);
        // A request that has the upload now is excluded before a byte is read. If no request ever had it, the first
        // write does this.
        if upload.epoch == 0 || progress.claim(&prepared.status).await? {
            let length = headers.length;
            let upload = Box::new(Upload { app: app.clone(), prepared, progress, length, admission });
            return Ok(match inline {
                Some(text) => UploadSource::Inline(upload, text),
                None => UploadSource::Body(upload),
            });
        }
        job = app.job(&namespace, &name).await?;
    }
    Err(ApiError::UploadSuperseded(name.to_string()))
}

/// Show the progress of a job's upload
#[utoipa::path(head, path = "/v1/namespaces/{ns}/jobs/{job}/data", tag = "uploads",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "The job's name")),
    responses((status = 204, headers(("Upload-Offset" = u64, description = "The byte at which the upload continues"),
            ("Upload-Digest" = String, description = "The digest of the bytes before it"),
            ("Upload-Complete" = String, description = "`?1` when it is complete, else `?0`"))),
        (status = 404, description = "JobNotFound")))]
pub async fn head(State(app): State<Shared>, path: InNamespace) -> Result<Response, ApiError> {
    let (namespace, job) = names(path)?;
    let upload = app.job(&namespace, &job).await?.status.and_then(|s| s.upload).unwrap_or_default();
    let offset = HeaderValue::from(upload.offset);
    let digest = upload.digest.unwrap_or_else(|| rows_types::Digest::default().to_string());
    let digest = HeaderValue::try_from(digest).map_err(|e| ApiError::Internal(e.to_string()))?;
    let complete = HeaderValue::from_static(if upload.complete { "?1" } else { "?0" });
    let cache = HeaderValue::from_static("no-store");
    let headers = [
        (UPLOAD_OFFSET, offset),
        (UPLOAD_DIGEST, digest),
        (UPLOAD_COMPLETE, complete),
        (header::CACHE_CONTROL, cache),
    ];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Returns a permit, unless the server stops.
async fn enter(app: &Shared, lane: &Lane) -> Result<Permit, ApiError> {
    if *app.stop.borrow() { Err(ApiError::Stopping) } else { lane.enter().await }
}

/// The bytes of an inline job are in its spec. They are sent from there if the body is equal to them: then a retry is
/// certain to be cut into the same chunks.
async fn send_inline(upload: Upload, text: String, body: Body) -> Response {
    match timeout(INLINE_TIMEOUT, to_bytes(body, MAX_INLINE_BYTES + 1)).await {
        Ok(Ok(bytes)) if bytes == text.as_bytes() => {
            answer(upload.run(Body::from(text)).await, StatusCode::OK)
        }
        Err(_) => ApiError::UploadInterrupted.into_response(),
        _ => ApiError::SourceMismatch(upload.prepared.job.name).into_response(),
    }
}

fn answer(result: Result<IngestJob, ApiError>, status: StatusCode) -> Response {
    match result {
        Ok(job) => object(status, job),
        Err(error) => error.into_response(),
    }
}

/// Refuses an upload. If the client waits for `100 Continue`, the body is not read. If the client is already sending, a
/// part of the body is read so that the answer arrives.
fn refuse(error: ApiError, body: Body, headers: &HeaderMap) -> Response {
    if !headers.contains_key(header::EXPECT) {
        tokio::spawn(linger(body));
    }
    error.into_response()
}
