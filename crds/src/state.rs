//! When a job is in which state, as pure rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::job::{Counts, UploadStatus};
use crate::model::{ErrorPolicy, OnExceeded};

/// The states of a job. The last four are its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// Waits for its model.
    Pending,
    /// Pinned to a revision; bytes are awaited or arriving.
    Uploading,
    /// All bytes are in Kafka.
    Processing,
    /// Every row was loaded.
    Success,
    /// Some rows were loaded, some rejected.
    PartialSuccess,
    /// No row was loaded, or the job was given up.
    Failed,
    /// Stopped by its owner.
    Cancelled,
}

impl JobState {
    /// As it is written in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Uploading => "UPLOADING",
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::PartialSuccess => "PARTIAL_SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Success | Self::PartialSuccess | Self::Failed | Self::Cancelled)
    }
}

/// Why a job is in its state: the values of `status.reason`, beside those that the upload names.
pub mod reasons {
    /// The model is not there yet.
    pub const MODEL_NOT_FOUND: &str = "ModelNotFound";
    /// The model has no table or topic yet.
    pub const MODEL_NOT_READY: &str = "ModelNotReady";
    /// The model's spec cannot be served.
    pub const MODEL_INVALID: &str = "ModelInvalid";
    /// The model is paused.
    pub const MODEL_PAUSED: &str = "ModelPaused";
    /// No byte has come yet.
    pub const WAITING_FOR_UPLOAD: &str = "WaitingForUpload";
    /// Bytes are arriving.
    pub const UPLOADING: &str = "Uploading";
    /// Chunks are being checked and loaded.
    pub const PROCESSING: &str = "Processing";
    /// Every row was loaded.
    pub const ALL_ROWS_LOADED: &str = "AllRowsLoaded";
    /// Some rows were rejected.
    pub const SOME_ROWS_REJECTED: &str = "SomeRowsRejected";
    /// Every row was rejected.
    pub const ALL_ROWS_REJECTED: &str = "AllRowsRejected";
    /// More bad rows than the error policy allows.
    pub const TOO_MANY_ERRORS: &str = "TooManyErrors";
    /// The upload was not complete in time.
    pub const UPLOAD_EXPIRED: &str = "UploadExpired";
    /// Stopped by its owner.
    pub const CANCELLED: &str = "Cancelled";
}

/// Rows that must be judged before a ratio says anything, unless the job has ended.
const RATIO_NEEDS_ROWS: i64 = 1000;

/// The state that upload and counts alone call for, once a job is pinned, with its reason.
///
/// Deadlines and cancellation are the caller's: they need a clock and the spec.
#[must_use]
pub fn of_progress(upload: &UploadStatus, counts: &Counts, policy: &ErrorPolicy) -> (JobState, String) {
    let done = upload.complete && counts.total >= upload.rows;
    if let Some(error) = &upload.error {
        return (JobState::Failed, error.reason.clone());
    }
    if too_many_errors(counts, policy, done) {
        return (JobState::Failed, reasons::TOO_MANY_ERRORS.into());
    }
    let (state, reason) = match (done, upload.complete) {
        (false, false) if upload.bytes == 0 => (JobState::Uploading, reasons::WAITING_FOR_UPLOAD),
        (false, false) => (JobState::Uploading, reasons::UPLOADING),
        (false, true) => (JobState::Processing, reasons::PROCESSING),
        (true, _) if counts.errors == 0 => (JobState::Success, reasons::ALL_ROWS_LOADED),
        (true, _) if counts.ok == 0 => (JobState::Failed, reasons::ALL_ROWS_REJECTED),
        (true, _) => (JobState::PartialSuccess, reasons::SOME_ROWS_REJECTED),
    };
    (state, reason.into())
}

fn too_many_errors(counts: &Counts, policy: &ErrorPolicy, done: bool) -> bool {
    if policy.on_exceeded == OnExceeded::Continue {
        return false;
    }
    let many = policy.max_errors.is_some_and(|max| counts.errors > max);
    #[allow(clippy::cast_precision_loss, reason = "a share of rows needs no 53rd bit")]
    let share = policy.max_error_ratio.is_some_and(|max| {
        (done || counts.total >= RATIO_NEEDS_ROWS) && counts.errors as f64 > max * counts.total as f64
    });
    many || share
}

/// How much of a job is done, in whole per cent: 100 only at its end.
#[must_use]
pub fn percent(upload: &UploadStatus, counts: &Counts, ended: bool) -> i64 {
    if ended {
        return 100;
    }
    match (upload.complete, upload.rows) {
        (true, rows) if rows > 0 => (counts.total * 100 / rows).clamp(0, 99),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::UploadError;

    fn upload(complete: bool, rows: i64) -> UploadStatus {
        UploadStatus { complete, rows, bytes: rows * 10, ..UploadStatus::default() }
    }

    fn counts(ok: i64, errors: i64) -> Counts {
        Counts { total: ok + errors, ok, errors, ..Counts::default() }
    }

    fn state(upload: &UploadStatus, counts: &Counts, policy: &ErrorPolicy) -> (JobState, String) {
        of_progress(upload, counts, policy)
    }

    #[test]
    fn a_job_ends_only_when_every_row_of_a_complete_upload_was_judged() {
        let policy = ErrorPolicy::default();
        let cases = [
            (upload(false, 0), counts(0, 0), JobState::Uploading, "WaitingForUpload"),
            (upload(false, 2), counts(2, 0), JobState::Uploading, "Uploading"),
            (upload(true, 3), counts(2, 0), JobState::Processing, "Processing"),
            (upload(true, 3), counts(3, 0), JobState::Success, "AllRowsLoaded"),
            (upload(true, 3), counts(2, 1), JobState::PartialSuccess, "SomeRowsRejected"),
            (upload(true, 3), counts(0, 3), JobState::Failed, "AllRowsRejected"),
            (upload(true, 0), counts(0, 0), JobState::Success, "AllRowsLoaded"),
        ];
        for (upload, counts, expected, reason) in cases {
            assert_eq!(state(&upload, &counts, &policy), (expected, reason.to_owned()));
        }
    }

    #[test]
    fn what_the_upload_found_wrong_is_the_reason() {
        let mut broken = upload(false, 1);
        broken.error = Some(UploadError { reason: "HeaderMismatch".into(), message: "…".into() });
        assert_eq!(
            state(&broken, &counts(0, 0), &ErrorPolicy::default()),
            (JobState::Failed, "HeaderMismatch".into())
        );
    }

    #[test]
    fn too_many_errors_abort_unless_the_policy_says_continue() {
        let mut policy = ErrorPolicy { max_errors: Some(1), ..ErrorPolicy::default() };
        assert_eq!(state(&upload(true, 9), &counts(3, 2), &policy).1, "TooManyErrors");
        assert_eq!(state(&upload(true, 9), &counts(3, 1), &policy).1, "Processing");
        policy.on_exceeded = OnExceeded::Continue;
        assert_eq!(state(&upload(true, 9), &counts(3, 2), &policy).1, "Processing");
    }

    #[test]
    fn a_ratio_is_judged_late_enough_to_mean_something() {
        let policy = ErrorPolicy { max_error_ratio: Some(0.1), ..ErrorPolicy::default() };
        assert_eq!(state(&upload(true, 9999), &counts(1, 1), &policy).1, "Processing");
        assert_eq!(state(&upload(true, 9999), &counts(500, 500), &policy).1, "TooManyErrors");
        assert_eq!(state(&upload(true, 2), &counts(1, 1), &policy).1, "TooManyErrors");
    }

    #[test]
    fn a_hundred_per_cent_is_said_only_at_the_end() {
        assert_eq!(percent(&upload(true, 1000), &counts(999, 0), false), 99);
        assert_eq!(percent(&upload(true, 2), &counts(2, 0), true), 100);
        assert_eq!(percent(&upload(false, 1000), &counts(500, 0), false), 0);
    }
}
