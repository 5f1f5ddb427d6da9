//! Everything the API can refuse, with its status, its stable reason and what to do about it.
//!
//! **Promise:** every error body is `{"error": {"reason", "message"}}`, and `reason` is one of a bounded set.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crds::job::UploadError;
use serde::Serialize;

/// The header that says from which byte an upload goes on.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request itself is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// No such route.
    #[error("there is nothing at this path; /docs shows what there is")]
    RouteNotFound,
    /// The route has other methods.
    #[error("this path does not take this method; /docs shows which it takes")]
    MethodNotAllowed,
    /// No such model.
    #[error(
        "there is no model '{model}' in namespace '{namespace}'; create it, or look at GET /v1/namespaces/{namespace}/models"
    )]
    ModelNotFound {
        /// The namespace.
        namespace: String,
        /// Name or id, as it was asked for.
        model: String,
    },
    /// No such job.
    #[error(
        "there is no job '{job}' in namespace '{namespace}'; look at GET /v1/namespaces/{namespace}/jobs"
    )]
    JobNotFound {
        /// The namespace.
        namespace: String,
        /// The job's name.
        job: String,
    },
    /// No such namespace, or something else that Kubernetes did not find.
    #[error("{0}; create it first")]
    NamespaceNotFound(String),
    /// A model of this name is there.
    #[error("there is a model '{0}' already; delete it first, or change it with kubectl apply")]
    ModelExists(String),
    /// A job of this name is there.
    #[error("there is a job '{0}' already; leave the name out or choose another")]
    JobExists(String),
    /// Another job of the model has the label.
    #[error(
        "the label '{label}' belongs to job '{job}' of this model; look at that job, or use another label"
    )]
    LabelTaken {
        /// The label.
        label: String,
        /// The job that has it.
        job: String,
    },
    /// The job takes no bytes any more.
    #[error("job '{job}' has ended ({state}); make a new job")]
    JobEnded {
        /// The job's name.
        job: String,
        /// Its state, with the reason where there is one.
        state: String,
    },
    /// The job has all its bytes.
    #[error("the upload of job '{0}' is complete; make a new job for another file")]
    UploadComplete(String),
    /// Somebody else is feeding the job.
    #[error("job '{0}' is being uploaded by another request; wait for it, or make a new job")]
    UploadRunning(String),
    /// The upload does not go on from where it broke.
    #[error(
        "the upload goes on at byte {expected} of the file; send it from there, with the header Upload-Offset: {expected}"
    )]
    OffsetMismatch {
        /// The byte from which it goes on.
        expected: u64,
    },
    /// An inline job is given other bytes.
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
    /// The body's type is none we read.
    #[error(
        "the content type '{0}' is not read; use text/csv, text/tab-separated-values, application/x-ndjson or application/json, and Content-Encoding for gzip, zstd, bzip2 and xz"
    )]
    UnsupportedType(String),
    /// The body's encoding is none we read, or not here.
    #[error(
        "the content encoding '{0}' is not read here; use gzip, zstd, bzip2, xz or none, and none where an upload goes on"
    )]
    UnsupportedEncoding(String),
    /// As many uploads as the installation takes at once.
    #[error("{0} uploads are running, the most this server takes at once; try again soon")]
    TooManyUploads(usize),
    /// Kafka is away.
    #[error("kafka cannot be reached ({0}); nothing acknowledged is lost, try again soon")]
    KafkaUnavailable(String),
    /// The API server is away.
    #[error("the kubernetes API cannot be reached ({0}); try again soon")]
    KubernetesUnavailable(String),
    /// ClickHouse is away.
    #[error("clickhouse cannot be reached ({0}); try again soon")]
    ClickHouseUnavailable(String),
    /// The operator has not pinned the job.
    #[error("{0}; try again soon")]
    ModelNotReady(String),
    /// The server is stopping.
    #[error("the server is stopping; try again soon, from the byte that HEAD tells")]
    Stopping,
    /// The body ended before its end.
    #[error("the body broke off; send it again from the byte that HEAD tells")]
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
    /// A mistake of ours.
    #[error("{0}")]
    Internal(String),
}

/// What is wrong with a file as a whole: it ends its job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileProblem {
    /// Stable, `CamelCase`, from a bounded set.
    pub reason: &'static str,
    /// For people, and what to do.
    pub message: String,
}

impl FileProblem {
    /// As the job's status tells it, within the bounds of its fields.
    #[must_use]
    pub fn as_status(&self) -> UploadError {
        UploadError { reason: self.reason.to_owned(), message: self.message.chars().take(4096).collect() }
    }
}

impl From<rows::HeaderError> for FileProblem {
    fn from(error: rows::HeaderError) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}

impl ApiError {
    /// Stable, `CamelCase`, from a bounded set: the same in the body and in metrics.
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
            Self::JobEnded { .. } => "JobEnded",
            Self::UploadComplete(_) => "UploadComplete",
            Self::UploadRunning(_) => "UploadRunning",
            Self::OffsetMismatch { .. } => "OffsetMismatch",
            Self::SourceMismatch(_) => "SourceMismatch",
            Self::UploadTooLarge { .. } => "UploadTooLarge",
            Self::UnsupportedType(_) => "UnsupportedMediaType",
            Self::UnsupportedEncoding(_) => "UnsupportedEncoding",
            Self::TooManyUploads(_) => "TooManyUploads",
            Self::KafkaUnavailable(_) => "KafkaUnavailable",
            Self::KubernetesUnavailable(_) => "KubernetesUnavailable",
            Self::ClickHouseUnavailable(_) => "ClickHouseUnavailable",
            Self::ModelNotReady(_) => "ModelNotReady",
            Self::Stopping => "Stopping",
            Self::UploadInterrupted => "UploadInterrupted",
            Self::File(problem) => problem.reason,
            Self::Invalid(_) => "Invalid",
            Self::Forbidden(_) => "Forbidden",
            Self::Internal(_) => "Internal",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::UploadInterrupted => StatusCode::BAD_REQUEST,
            Self::RouteNotFound
            | Self::NamespaceNotFound(_)
            | Self::ModelNotFound { .. }
            | Self::JobNotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ModelExists(_)
            | Self::JobExists(_)
            | Self::LabelTaken { .. }
            | Self::JobEnded { .. }
            | Self::UploadComplete(_)
            | Self::UploadRunning(_)
            | Self::OffsetMismatch { .. }
            | Self::SourceMismatch(_) => StatusCode::CONFLICT,
            Self::UploadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType(_) | Self::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyUploads(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::KafkaUnavailable(_)
            | Self::KubernetesUnavailable(_)
            | Self::ClickHouseUnavailable(_)
            | Self::ModelNotReady(_)
            | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::File(_) | Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds after which trying again makes sense.
    fn retry_after(&self) -> Option<HeaderValue> {
        let seconds = match self.status() {
            StatusCode::TOO_MANY_REQUESTS => "2",
            StatusCode::SERVICE_UNAVAILABLE => "5",
            _ => return None,
        };
        Some(HeaderValue::from_static(seconds))
    }
}

/// What Kubernetes said, as ours. What is not found is for the caller to name, see [`kubernetes_or`].
impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::KubernetesUnavailable(error.to_string());
        };
        let namespace = is_namespace(&status);
        let code = status.code;
        let message = if status.message.is_empty() { status.reason } else { status.message };
        match code {
            404 if namespace => Self::NamespaceNotFound(message),
            400 => Self::BadRequest(message),
            401 | 403 => Self::Forbidden(message),
            422 => Self::Invalid(message),
            404 | 409 => Self::Internal(message),
            _ => Self::KubernetesUnavailable(message),
        }
    }
}

/// What Kubernetes said, with a name for the status `code` (404 or 409).
pub fn kubernetes_or(code: u16, named: impl FnOnce() -> ApiError) -> impl FnOnce(kube::Error) -> ApiError {
    move |error| match &error {
        kube::Error::Api(status) if status.code == code && !is_namespace(status) => named(),
        _ => error.into(),
    }
}

/// Whether it speaks of a namespace, rather than of what is in it.
fn is_namespace(status: &kube::core::Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
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
    /// Stable, `CamelCase`, for machines.
    #[schema(value_type = String, example = "ModelNotFound")]
    pub reason: Cow<'static, str>,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

/// The reason of an error, left on its response for the metrics.
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

    fn kubernetes(code: u16, message: &str) -> kube::Error {
        let status = kube::core::Status { code, message: message.into(), ..Default::default() };
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn what_kubernetes_finds_invalid_comes_back_with_its_own_words() {
        let error = ApiError::from(kubernetes(422, "spec: rowKey must be the name of a column"));
        assert_eq!((error.status().as_u16(), error.reason()), (422, "Invalid"));
        assert_eq!(error.to_string(), "spec: rowKey must be the name of a column");
    }

    #[test]
    fn what_kubernetes_does_not_find_is_named_by_the_caller_and_nothing_else_is() {
        let named = || ApiError::JobNotFound { namespace: "shop".into(), job: "j".into() };
        assert_eq!(kubernetes_or(404, named)(kubernetes(404, "x")).reason(), "JobNotFound");
        assert_eq!(kubernetes_or(404, named)(kubernetes(403, "x")).reason(), "Forbidden");
        assert_eq!(kubernetes_or(404, named)(kubernetes(500, "x")).reason(), "KubernetesUnavailable");
    }

    #[test]
    fn a_namespace_that_is_not_there_is_not_taken_for_what_would_be_in_it() {
        let status = serde_json::json!({"code": 404, "details": {"name": "shop", "kind": "namespaces"}});
        let status: kube::core::Status = serde_json::from_value(status).unwrap();
        let named = || ApiError::JobNotFound { namespace: "shop".into(), job: "j".into() };
        let error = kubernetes_or(404, named)(kube::Error::Api(Box::new(status)));
        assert_eq!((error.status().as_u16(), error.reason()), (404, "NamespaceNotFound"));
    }

    #[test]
    fn who_should_come_back_is_told_when_and_from_where() {
        let busy = ApiError::TooManyUploads(16).into_response();
        assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (429, &HeaderValue::from(2)));
        let away = ApiError::KafkaUnavailable("x".into()).into_response();
        assert_eq!((away.status().as_u16(), &away.headers()["retry-after"]), (503, &HeaderValue::from(5)));
        let moved = ApiError::OffsetMismatch { expected: 4096 }.into_response();
        assert_eq!(
            (moved.status().as_u16(), &moved.headers()["upload-offset"]),
            (409, &HeaderValue::from(4096))
        );
    }
}
