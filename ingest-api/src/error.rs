//! All errors of the API, with their HTTP status, their stable reason and what to do.
//!
//! **Promise:** every error body is `{"error": {"reason", "message"}}`, and `reason` is one of a bounded set.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crds::state::reasons;
use serde::Serialize;

mod file;
mod kubernetes;

pub use self::file::FileProblem;
pub use self::kubernetes::kubernetes_or;

/// The header with the byte from which an upload continues.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// The header with the digest of the bytes before [`UPLOAD_OFFSET`].
pub const UPLOAD_DIGEST: HeaderName = HeaderName::from_static("upload-digest");

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such route.
    #[error("there is nothing at this path; /docs shows what there is")]
    RouteNotFound,
    /// The route does not have this method.
    #[error("this path does not take this method; /docs shows which it takes")]
    MethodNotAllowed,
    /// There is no such model.
    #[error(
        "there is no model '{model}' in namespace '{namespace}'; create it, or look at GET /v1/namespaces/{namespace}/models"
    )]
    ModelNotFound {
        /// The namespace.
        namespace: String,
        /// The name or id in the request.
        model: String,
    },
    /// There is no such job.
    #[error(
        "there is no job '{job}' in namespace '{namespace}'; look at GET /v1/namespaces/{namespace}/jobs"
    )]
    JobNotFound {
        /// The namespace.
        namespace: String,
        /// The job's name.
        job: String,
    },
    /// There is no such namespace, or Kubernetes did not find another object.
    #[error("{0}; create it first")]
    NamespaceNotFound(String),
    /// A model of this name exists already.
    #[error("there is a model '{0}' already; delete it first, or change it with kubectl apply")]
    ModelExists(String),
    /// A job of this name exists already.
    #[error("there is a job '{0}' already; leave the name out or choose another")]
    JobExists(String),
    /// Another job of the model has the label, or a job in the history had it.
    #[error(
        "the label '{label}' belongs to job '{job}' of this model ({state}); look at that job, or use another label"
    )]
    LabelTaken {
        /// The label.
        label: String,
        /// The job that has it.
        job: String,
        /// The state of the job.
        state: String,
    },
    /// Another request makes a job with the label, or deletes one again.
    #[error("another request is making a job with the label '{0}'; try again soon")]
    LabelBusy(String),
    /// The job no longer accepts bytes.
    #[error("job '{job}' has ended ({state}); make a new job")]
    JobEnded {
        /// The job's name.
        job: String,
        /// Its state, with the reason if it has one.
        state: String,
    },
    /// The job has all its bytes.
    #[error("the upload of job '{0}' is complete; make a new job for another file")]
    UploadComplete(String),
    /// A later request has taken up the upload.
    #[error(
        "another request has taken up the upload of job '{0}'; this one has ended. If it was yours, continue at the byte that HEAD shows"
    )]
    UploadSuperseded(String),
    /// The upload began with another file.
    #[error(
        "the upload of job '{0}' began with another file; send the same file again, or make a new job for this one"
    )]
    DifferentFile(String),
    /// The client sends too slowly.
    #[error(
        "the client sent less than {rate} bytes a second for {seconds} s; continue at the byte that HEAD shows, or make a new job"
    )]
    UploadTooSlow {
        /// The least rate, in bytes a second.
        rate: u64,
        /// The time over which it was measured, in seconds.
        seconds: u64,
    },
    /// The upload does not continue at the byte at which it was interrupted.
    #[error(
        "the upload continues at byte {expected} of the file; send it from there, with the header Upload-Offset: {expected}"
    )]
    OffsetMismatch {
        /// The byte at which it continues.
        expected: u64,
    },
    /// The bytes that are sent for an inline job are not those of its spec.
    #[error(
        "job '{0}' has its bytes in spec.source.inline; send exactly these, or make a job with source.upload"
    )]
    SourceMismatch(String),
    /// The file is larger than the installation allows.
    #[error("the file is larger than {limit} bytes, the most this installation takes; split it")]
    UploadTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The API does not read this content type.
    #[error(
        "the content type '{0}' is not read; use {types}, and Content-Encoding for gzip, zstd, bzip2 and xz",
        types = content_types()
    )]
    UnsupportedType(String),
    /// The API does not read this content encoding, or not in this request.
    #[error(
        "the content encoding '{0}' is not read here; use gzip, zstd, bzip2, xz or none, and none to continue an upload"
    )]
    UnsupportedEncoding(String),
    /// The server already runs as many uploads as it can, by their number or by their memory.
    #[error("as many uploads are running as this server has {0} for; try again soon")]
    TooManyUploads(&'static str),
    /// The upload needs more memory than the server may use.
    #[error(
        "the upload needs {needs} MiB of memory and the server may use {budget} MiB (MEMORY_BUDGET_MIB); raise that, lower spec.chunkBytes of the model, or compress the file with a smaller dictionary"
    )]
    UploadNeedsMemory {
        /// What the upload needs, in MiB.
        needs: u64,
        /// What all uploads may use, in MiB.
        budget: u64,
    },
    /// Kafka cannot be reached.
    #[error("kafka cannot be reached ({0}); nothing acknowledged is lost, try again soon")]
    KafkaUnavailable(String),
    /// The API server of Kubernetes cannot be reached.
    #[error("the kubernetes API cannot be reached ({0}); try again soon")]
    KubernetesUnavailable(String),
    /// ClickHouse cannot be reached.
    #[error("clickhouse cannot be reached ({0}); try again soon")]
    ClickHouseUnavailable(String),
    /// The model cannot take jobs yet.
    #[error("{0}; try again soon")]
    ModelNotReady(String),
    /// The model is paused: its new jobs do not start.
    #[error("{0}; set spec.paused of the model to false first")]
    ModelPaused(String),
    /// The model's spec cannot be used: its new jobs do not start.
    #[error("{0}; correct the model first")]
    ModelInvalid(String),
    /// The dead-letter topic no longer has the chunks of parked batches.
    #[error("{0}")]
    DeadLettersGone(String),
    /// The job has no parked batch that begins with this chunk.
    #[error("there is no parked batch that begins with chunk {first_chunk} of job uid '{uid}'")]
    DeadLetterNotFound {
        /// The job's uid.
        uid: String,
        /// The batch's first chunk.
        first_chunk: u32,
    },
    /// The server is stopping.
    #[error("the server is stopping; try again soon, from the byte that HEAD shows")]
    Stopping,
    /// The body was interrupted before its end.
    #[error("the body broke off; send it again from the byte that HEAD shows")]
    UploadInterrupted,
    /// The file itself cannot be loaded.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// Kubernetes found the object invalid.
    #[error("{0}")]
    Invalid(String),
    /// Kubernetes refused it.
    #[error("{0}")]
    Forbidden(String),
    /// An error of this program.
    #[error("{0}")]
    Internal(String),
}

/// Returns the usual content type of each format, for a message.
fn content_types() -> String {
    let mut types: Vec<&str> = rows_types::FORMATS.iter().map(|info| info.content_types[0]).collect();
    let last = types.pop().unwrap_or_default();
    format!("{} or {last}", types.join(", "))
}

impl ApiError {
    /// Returns the reason. It is stable, `CamelCase`, from a bounded set, and the same in the body and in the metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::RouteNotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::ModelNotFound { .. } => "ModelNotFound",
            Self::JobNotFound { .. } => "JobNotFound",
            Self::NamespaceNotFound(_) => "NamespaceNotFound",
            Self::ModelExists(_) => "ModelExists",
            Self::JobExists(_) => "JobExists",
            Self::LabelTaken { .. } => "LabelTaken",
            Self::LabelBusy(_) => "LabelBusy",
            Self::JobEnded { .. } => "JobEnded",
            Self::UploadComplete(_) => "UploadComplete",
            Self::UploadSuperseded(_) => "UploadSuperseded",
            Self::DifferentFile(_) => "DifferentFile",
            Self::UploadTooSlow { .. } => "UploadTooSlow",
            Self::OffsetMismatch { .. } => "OffsetMismatch",
            Self::SourceMismatch(_) => "SourceMismatch",
            Self::UploadTooLarge { .. } => "UploadTooLarge",
            Self::UnsupportedType(_) => "UnsupportedMediaType",
            Self::UnsupportedEncoding(_) => "UnsupportedEncoding",
            Self::TooManyUploads(_) => "TooManyUploads",
            Self::UploadNeedsMemory { .. } => "UploadNeedsMemory",
            Self::KafkaUnavailable(_) => "KafkaUnavailable",
            Self::KubernetesUnavailable(_) => "KubernetesUnavailable",
            Self::ClickHouseUnavailable(_) => "ClickHouseUnavailable",
            Self::ModelNotReady(_) => reasons::MODEL_NOT_READY,
            Self::ModelPaused(_) => reasons::MODEL_PAUSED,
            Self::ModelInvalid(_) => reasons::MODEL_INVALID,
            Self::DeadLettersGone(_) => "DeadLettersGone",
            Self::DeadLetterNotFound { .. } => "DeadLetterNotFound",
            Self::Stopping => "Stopping",
            Self::UploadInterrupted => "UploadInterrupted",
            Self::File(problem) => problem.reason,
            Self::Invalid(_) => "Invalid",
            Self::Forbidden(_) => "Forbidden",
            Self::Internal(_) => "Internal",
        }
    }

    /// Returns the HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::UploadInterrupted => StatusCode::BAD_REQUEST,
            Self::RouteNotFound
            | Self::NamespaceNotFound(_)
            | Self::ModelNotFound { .. }
            | Self::JobNotFound { .. }
            | Self::DeadLetterNotFound { .. } => StatusCode::NOT_FOUND,
            Self::UploadTooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ModelExists(_)
            | Self::JobExists(_)
            | Self::LabelTaken { .. }
            | Self::JobEnded { .. }
            | Self::UploadComplete(_)
            | Self::UploadSuperseded(_)
            | Self::DifferentFile(_)
            | Self::DeadLettersGone(_)
            | Self::OffsetMismatch { .. }
            | Self::SourceMismatch(_) => StatusCode::CONFLICT,
            Self::UploadTooLarge { .. } | Self::UploadNeedsMemory { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType(_) | Self::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyUploads(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::KafkaUnavailable(_)
            | Self::KubernetesUnavailable(_)
            | Self::ClickHouseUnavailable(_)
            | Self::ModelNotReady(_)
            | Self::ModelPaused(_)
            | Self::LabelBusy(_)
            | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::File(_) | Self::Invalid(_) | Self::ModelInvalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns after how many seconds another attempt makes sense.
    fn retry_after(&self) -> Option<HeaderValue> {
        let seconds = match self.status() {
            _ if matches!(self, Self::LabelBusy(_)) => "1",
            StatusCode::TOO_MANY_REQUESTS => "2",
            StatusCode::SERVICE_UNAVAILABLE => "5",
            _ => return None,
        };
        Some(HeaderValue::from_static(seconds))
    }
}

/// The body of an error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// Stable, `CamelCase`, for programs.
    #[schema(value_type = String, example = "ModelNotFound")]
    pub reason: Cow<'static, str>,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

/// The reason of an error. It is attached to the response for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct ErrorReason(pub &'static str);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, reason) = (self.status(), self.reason());
        if status.is_server_error() {
            tracing::warn!(reason, error = %self, "answered {status}");
        }
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if let Self::OffsetMismatch { expected } = self {
            headers.insert(UPLOAD_OFFSET, expected.into());
        }
        let body = ErrorBody { error: ErrorDetail { reason: reason.into(), message: self.to_string() } };
        let mut response = (status, headers, Json(body)).into_response();
        response.extensions_mut().insert(ErrorReason(reason));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_about_a_content_type_lists_those_that_are_read() {
        let error = ApiError::UnsupportedType("x".into()).to_string();
        assert_eq!(
            error,
            "the content type 'x' is not read; use text/csv, text/tab-separated-values, application/x-ndjson or \
             application/json, and Content-Encoding for gzip, zstd, bzip2 and xz"
        );
    }

    #[test]
    fn an_error_that_can_be_retried_has_retry_after_or_the_offset() {
        let busy = ApiError::TooManyUploads("memory").into_response();
        assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (429, &HeaderValue::from(2)));
        let label = ApiError::LabelBusy("x".into()).into_response();
        assert_eq!((label.status().as_u16(), &label.headers()["retry-after"]), (503, &HeaderValue::from(1)));
        let unavailable = ApiError::KafkaUnavailable("x".into()).into_response();
        assert_eq!(
            (unavailable.status().as_u16(), &unavailable.headers()["retry-after"]),
            (503, &HeaderValue::from(5))
        );
        let moved = ApiError::OffsetMismatch { expected: 4096 }.into_response();
        assert_eq!(
            (moved.status().as_u16(), &moved.headers()["upload-offset"]),
            (409, &HeaderValue::from(4096))
        );
    }
}
