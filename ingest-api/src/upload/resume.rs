//! Whether and where an upload may go on. Pure: the status in, a decision out.

use crds::job::UploadStatus;
use rows::Position;

use crate::error::ApiError;
use crate::upload::cut::START;

/// Where an upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Where the body begins in the file.
    pub at: Position,
    /// The file's header as it stands in the file, where the upload goes on and the file has one.
    pub header: Option<String>,
}

/// Decides by what is acknowledged (`status`) and what the client says (`offset`: its `Upload-Offset`).
///
/// `replayable` means that the body is certain to be the same bytes each time (an inline source): it may be sent again
/// from its start, for then each chunk is cut as before and the workers know it.
pub fn decide(
    job: &str,
    status: &UploadStatus,
    offset: Option<u64>,
    replayable: bool,
) -> Result<Begin, ApiError> {
    let fresh = Begin { at: START, header: None };
    if status.complete {
        return Err(ApiError::UploadComplete(job.to_owned()));
    }
    if let Some(error) = &status.error {
        return Err(ApiError::JobEnded { job: job.to_owned(), state: error.reason.clone() });
    }
    let expected = unsigned(status.offset);
    match offset {
        None if status.chunks == 0 || replayable => Ok(fresh),
        Some(0) if status.chunks == 0 => Ok(fresh),
        Some(offset) if offset == expected && status.chunks > 0 => {
            let next_chunk = u32::try_from(status.chunks).map_err(|e| ApiError::Internal(e.to_string()))?;
            let at = Position { offset, next_chunk, next_row: unsigned(status.next_row) };
            Ok(Begin { at, header: status.header.clone() })
        }
        _ => Err(ApiError::OffsetMismatch { expected }),
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged() -> UploadStatus {
        UploadStatus {
            chunks: 3,
            rows: 30,
            next_row: 31,
            offset: 400,
            header: Some("a,b".into()),
            ..UploadStatus::default()
        }
    }

    fn reason(status: &UploadStatus, offset: Option<u64>, replayable: bool) -> &'static str {
        decide("j", status, offset, replayable).unwrap_err().reason()
    }

    #[test]
    fn an_upload_goes_on_only_from_the_byte_after_the_last_acknowledged_chunk() {
        let begin = decide("j", &acknowledged(), Some(400), false).unwrap();
        let at = Position { offset: 400, next_chunk: 3, next_row: 31 };
        assert_eq!(begin, Begin { at, header: Some("a,b".into()) });
        for wrong in [Some(0), Some(399), Some(401), None] {
            assert_eq!(reason(&acknowledged(), wrong, false), "OffsetMismatch", "{wrong:?}");
        }
    }

    #[test]
    fn an_upload_of_which_nothing_is_acknowledged_begins_at_its_start() {
        for offset in [None, Some(0)] {
            assert_eq!(decide("j", &UploadStatus::default(), offset, false).unwrap().at, START);
        }
        assert_eq!(reason(&UploadStatus::default(), Some(5), false), "OffsetMismatch");
    }

    #[test]
    fn bytes_that_are_certain_to_be_the_same_may_be_sent_again() {
        assert_eq!(decide("j", &acknowledged(), None, true).unwrap().at, START);
    }

    #[test]
    fn an_upload_that_has_ended_takes_nothing_more() {
        assert_eq!(
            reason(&UploadStatus { complete: true, ..acknowledged() }, Some(400), false),
            "UploadComplete"
        );
        let error = Some(crds::job::UploadError { reason: "EmptyFile".into(), message: "m".into() });
        assert_eq!(reason(&UploadStatus { error, ..UploadStatus::default() }, None, true), "JobEnded");
    }
}
