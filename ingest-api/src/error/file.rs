//! What is wrong with a file as a whole.

use crds::job::UploadError;

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
