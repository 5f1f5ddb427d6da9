//! The problems that make a complete file unusable.

use crds::job::UploadError;

/// A problem that makes a complete file unusable. It ends the job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileProblem {
    /// Stable, `CamelCase`, from a bounded set.
    pub reason: &'static str,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

impl FileProblem {
    /// Returns the problem for the job's status, cut to the limits of its fields.
    #[must_use]
    pub fn as_status(&self) -> UploadError {
        UploadError { reason: self.reason.to_owned(), message: self.message.chars().take(4096).collect() }
    }
}

impl From<rows_split::HeaderError> for FileProblem {
    fn from(error: rows_split::HeaderError) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}
