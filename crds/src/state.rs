//! The rules for the state of a job, as pure functions.

use crate::job::{Counts, LoadProblem, UploadStatus};
use crate::model::{ErrorPolicy, OnExceeded};

pub use crate::job::JobState;

/// Why a job is in its state: the values of `status.reason`, except those that come from the upload.
pub mod reasons {
    /// The model does not exist yet.
    pub const MODEL_NOT_FOUND: &str = "ModelNotFound";
    /// The model has no table or topic yet.
    pub const MODEL_NOT_READY: &str = "ModelNotReady";
    /// The model's spec cannot be used.
    pub const MODEL_INVALID: &str = "ModelInvalid";
    /// The model is paused.
    pub const MODEL_PAUSED: &str = "ModelPaused";
    /// No byte has arrived yet.
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
    /// There are more bad rows than the error policy allows.
    pub const TOO_MANY_ERRORS: &str = "TooManyErrors";
    /// The upload was not complete in time.
    pub const UPLOAD_EXPIRED: &str = "UploadExpired";
    /// The owner stopped the job.
    pub const CANCELLED: &str = "Cancelled";
    /// ClickHouse refuses chunks; they wait in the dead-letter topic.
    pub const CHUNKS_PARKED: &str = "ChunksParked";
    /// A person dropped chunks that ClickHouse refused.
    pub const CHUNKS_DROPPED: &str = "ChunksDropped";
    /// Chunks of two files have the same numbers.
    pub const CHUNK_CONFLICT: &str = "ChunkConflict";
    /// Kafka no longer has chunks that were not loaded.
    pub const CHUNKS_LOST: &str = "ChunksLost";
}

/// The number of checked rows from which the ratio counts before the job has ended.
const RATIO_NEEDS_ROWS: i64 = 1000;

/// Returns the state of a pinned job, with its reason, as far as upload, counts and the workers' problem determine it.
///
/// A job is done when every chunk of a complete upload is in the ledger, and the sums of rows and digests are equal.
/// More chunks or rows, or another sum of digests, are a conflict. The caller handles deadlines, cancellation and lost
/// chunks: they need a clock, the spec and Kafka.
#[must_use]
pub fn of_progress(
    upload: &UploadStatus,
    counts: &Counts,
    problem: Option<&LoadProblem>,
    policy: &ErrorPolicy,
) -> (JobState, String) {
    if let Some(error) = &upload.error {
        return (JobState::Failed, error.reason.clone());
    }
    if let Some(problem) = problem.filter(|problem| problem.fatal) {
        return (JobState::Failed, problem.reason.clone());
    }
    if is_conflict(upload, counts) {
        return (JobState::Failed, reasons::CHUNK_CONFLICT.into());
    }
    let done = is_done(upload, counts);
    if too_many_errors(counts, policy, done) {
        return (JobState::Failed, reasons::TOO_MANY_ERRORS.into());
    }
    let processed = counts.chunks_done + counts.chunks_parked + counts.chunks_dropped;
    let (state, reason) = if done {
        match (counts.ok, counts.errors) {
            (_, 0) => (JobState::Success, reasons::ALL_ROWS_LOADED),
            (0, _) => (JobState::Failed, reasons::ALL_ROWS_REJECTED),
            _ => (JobState::PartialSuccess, reasons::SOME_ROWS_REJECTED),
        }
    } else if upload.complete && processed == upload.chunks && counts.chunks_parked > 0 {
        (JobState::Blocked, reasons::CHUNKS_PARKED)
    } else if upload.complete && processed == upload.chunks && counts.chunks_dropped > 0 {
        (JobState::Failed, reasons::CHUNKS_DROPPED)
    } else if upload.complete {
        (JobState::Processing, reasons::PROCESSING)
    } else if upload.bytes == 0 {
        (JobState::Uploading, reasons::WAITING_FOR_UPLOAD)
    } else {
        (JobState::Uploading, reasons::UPLOADING)
    };
    (state, reason.into())
}

/// Returns whether every chunk of a complete upload is in the ledger, and the sums of rows and digests are equal.
#[must_use]
pub fn is_done(upload: &UploadStatus, counts: &Counts) -> bool {
    upload.complete
        && counts.chunks_done == upload.chunks
        && counts.total == upload.rows
        && counts.checksum == upload.checksum
}

/// Returns whether the ledger has chunks or rows that the upload did not send.
fn is_conflict(upload: &UploadStatus, counts: &Counts) -> bool {
    let all_chunks = counts.chunks_done >= upload.chunks;
    upload.complete
        && (counts.chunks_done > upload.chunks
            || counts.total > upload.rows
            || (all_chunks && (counts.total != upload.rows || counts.checksum != upload.checksum)))
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

/// Returns how much of a job is done, in percent without fraction. 100 is only returned at its end.
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

    /// An upload with one row in each chunk.
    fn upload(complete: bool, rows: i64) -> UploadStatus {
        UploadStatus { complete, rows, chunks: rows, bytes: rows * 10, ..UploadStatus::default() }
    }

    fn counts(ok: i64, errors: i64) -> Counts {
        Counts { total: ok + errors, ok, errors, chunks_done: ok + errors, ..Counts::default() }
    }

    fn state(upload: &UploadStatus, counts: &Counts, policy: &ErrorPolicy) -> (JobState, String) {
        of_progress(upload, counts, None, policy)
    }

    #[test]
    fn a_job_ends_only_when_every_chunk_of_a_complete_upload_is_in_the_ledger() {
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
    fn rows_or_chunks_that_the_upload_did_not_send_are_a_conflict() {
        let policy = ErrorPolicy::default();
        let chunks = |chunks_done, total| Counts { chunks_done, total, ok: total, ..Counts::default() };
        assert_eq!(state(&upload(true, 3), &chunks(3, 2), &policy).1, "ChunkConflict", "rows are missing");
        assert_eq!(state(&upload(true, 3), &chunks(2, 4), &policy).1, "ChunkConflict", "more rows");
        assert_eq!(state(&upload(true, 3), &chunks(4, 3), &policy).1, "ChunkConflict", "more chunks");
        assert_eq!(state(&upload(true, 3), &chunks(2, 3), &policy).1, "Processing", "a chunk is missing");
        assert_eq!(state(&upload(false, 3), &chunks(4, 4), &policy).1, "Uploading", "the upload continues");
        let other = Counts { checksum: 1, ..chunks(3, 3) };
        assert_eq!(state(&upload(true, 3), &other, &policy).1, "ChunkConflict", "chunks of another file");
    }

    #[test]
    fn parked_chunks_block_a_job_once_the_others_are_done_and_dropped_ones_end_it() {
        let policy = ErrorPolicy::default();
        let counts = |done, parked, dropped| Counts {
            chunks_done: done,
            total: done,
            ok: done,
            chunks_parked: parked,
            chunks_dropped: dropped,
            ..Counts::default()
        };
        assert_eq!(state(&upload(true, 3), &counts(1, 1, 0), &policy).1, "Processing");
        assert_eq!(
            state(&upload(true, 3), &counts(2, 1, 0), &policy),
            (JobState::Blocked, "ChunksParked".to_owned())
        );
        assert_eq!(
            state(&upload(true, 3), &counts(2, 0, 1), &policy),
            (JobState::Failed, "ChunksDropped".to_owned())
        );
    }

    #[test]
    fn a_fatal_problem_of_the_workers_ends_a_job_and_another_does_not() {
        let problem = |fatal| LoadProblem { reason: "ChunkConflict".into(), message: "…".into(), fatal };
        let of =
            |problem| of_progress(&upload(true, 2), &counts(1, 0), Some(&problem), &ErrorPolicy::default());
        assert_eq!(of(problem(true)), (JobState::Failed, "ChunkConflict".to_owned()));
        assert_eq!(of(problem(false)), (JobState::Processing, "Processing".to_owned()));
    }

    #[test]
    fn an_error_of_the_upload_is_the_reason() {
        let mut broken = upload(false, 1);
        broken.error = Some(UploadError { reason: "HeaderMismatch".into(), message: "…".into() });
        assert_eq!(
            state(&broken, &counts(0, 0), &ErrorPolicy::default()),
            (JobState::Failed, "HeaderMismatch".into())
        );
    }

    #[test]
    fn too_many_errors_abort_unless_the_policy_is_continue() {
        let mut policy = ErrorPolicy { max_errors: Some(1), ..ErrorPolicy::default() };
        assert_eq!(state(&upload(true, 9), &counts(3, 2), &policy).1, "TooManyErrors");
        assert_eq!(state(&upload(true, 9), &counts(3, 1), &policy).1, "Processing");
        policy.on_exceeded = OnExceeded::Continue;
        assert_eq!(state(&upload(true, 9), &counts(3, 2), &policy).1, "Processing");
    }

    #[test]
    fn a_ratio_counts_only_once_enough_rows_are_checked() {
        let policy = ErrorPolicy { max_error_ratio: Some(0.1), ..ErrorPolicy::default() };
        assert_eq!(state(&upload(true, 9999), &counts(1, 1), &policy).1, "Processing");
        assert_eq!(state(&upload(true, 9999), &counts(500, 500), &policy).1, "TooManyErrors");
        assert_eq!(state(&upload(true, 2), &counts(1, 1), &policy).1, "TooManyErrors");
    }

    #[test]
    fn a_hundred_per_cent_is_reported_only_at_the_end() {
        assert_eq!(percent(&upload(true, 1000), &counts(999, 0), false), 99);
        assert_eq!(percent(&upload(true, 2), &counts(2, 0), true), 100);
        assert_eq!(percent(&upload(false, 1000), &counts(500, 0), false), 0);
    }
}
