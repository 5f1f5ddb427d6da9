//! The allowed ends of a job, by its file, its plan and the faults that affected it. Pure.

use super::expected::Expected;
use super::plan::{Client, JobPlan};

/// The faults that affected a job between its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFaults {
    /// It was cancelled.
    pub cancelled: bool,
    /// Its topic, or the records in it, were deleted.
    pub records_lost: bool,
}

/// A state and its reason.
pub type End = (&'static str, &'static str);

/// Returns the correct ends.
#[must_use]
pub fn allowed(job: &JobPlan, expected: &Expected, faults: JobFaults) -> Vec<End> {
    let mut ends = vec![];
    let too_many = job.max_errors.is_some_and(|most| expected.bad() > most);
    ends.push(match (expected.good, expected.bad()) {
        _ if too_many => ("FAILED", "TooManyErrors"),
        (_, 0) => ("SUCCESS", "AllRowsLoaded"),
        (0, _) => ("FAILED", "AllRowsRejected"),
        _ => ("PARTIAL_SUCCESS", "SomeRowsRejected"),
    });
    if faults.cancelled {
        ends.push(("CANCELLED", "Cancelled"));
    }
    if faults.records_lost {
        ends.push(("FAILED", "ChunksLost"));
    }
    if matches!(job.client, Client::OtherFile { .. }) {
        ends.push(("FAILED", "ChunkConflict"));
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::inputs::{Bad, Format};

    fn job(client: Client, max_errors: Option<u64>) -> JobPlan {
        JobPlan {
            name: "j".into(),
            model: "narrow".into(),
            format: Format::Csv,
            rows: 10,
            bad: Bad::None,
            days: 1,
            seed: 1,
            start_ms: 0,
            client,
            max_errors,
        }
    }

    fn file(good: u64, bad: u64) -> Expected {
        Expected { rows: good + bad, good, ..Expected::default() }
    }

    #[test]
    fn a_job_without_faults_has_one_allowed_end() {
        let ends =
            |good, bad, most| allowed(&job(Client::Batch, most), &file(good, bad), JobFaults::default());
        assert_eq!(ends(3, 0, None), [("SUCCESS", "AllRowsLoaded")]);
        assert_eq!(ends(3, 1, None), [("PARTIAL_SUCCESS", "SomeRowsRejected")]);
        assert_eq!(ends(0, 1, None), [("FAILED", "AllRowsRejected")]);
        assert_eq!(ends(3, 2, Some(1)), [("FAILED", "TooManyErrors")]);
        assert_eq!(ends(3, 2, Some(2)), [("PARTIAL_SUCCESS", "SomeRowsRejected")]);
    }

    #[test]
    fn a_cancellation_lost_records_and_another_file_allow_one_more_end_each() {
        let faults = JobFaults { cancelled: true, records_lost: true };
        let client = Client::OtherFile { kbytes_per_second: 1, after_ms: 1 };
        let ends = allowed(&job(client, None), &file(1, 0), faults);
        assert_eq!(
            ends,
            [
                ("SUCCESS", "AllRowsLoaded"),
                ("CANCELLED", "Cancelled"),
                ("FAILED", "ChunksLost"),
                ("FAILED", "ChunkConflict")
            ]
        );
    }
}
