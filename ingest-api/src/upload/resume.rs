//! Decides whether and where an upload may continue, and what its status keeps for that. Pure: the input is the status,
//! the output a decision.

use crds::chunk::checksum_part;
use crds::job::{BatchStatus, UploadStatus};
use rows_split::{Chunk, Position};
use rows_types::{BatchStart, Digest};

use crate::error::{ApiError, FileProblem};

/// Where an upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The position of the body in the file.
    pub at: Position,
    /// The file's header as it is in the file, if the upload continues and the file has one.
    pub header: Option<String>,
}

impl Begin {
    /// The first byte of the file.
    pub const START: Self = Self { at: Position::START, header: None };
}

/// Where the body begins, according to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Its `Upload-Offset`.
    pub offset: Option<u64>,
    /// Its `Upload-Digest`: the digest of the bytes before the offset.
    pub digest: Option<Digest>,
}

/// Decides from what is acknowledged (`status`) and what the client offers.
///
/// `replayable` means that the body certainly has the same bytes each time (an inline source). It may be sent again
/// from its start: each chunk is cut as before, and the workers recognize it.
pub fn decide(
    job: &str,
    status: &UploadStatus,
    offered: Offered,
    replayable: bool,
) -> Result<Begin, ApiError> {
    if status.complete {
        return Err(ApiError::UploadComplete(job.to_owned()));
    }
    if let Some(error) = &status.error {
        return Err(ApiError::JobEnded { job: job.to_owned(), state: error.reason.clone() });
    }
    let expected = unsigned(status.offset);
    match offered.offset {
        None if status.chunks == 0 || replayable => Ok(Begin::START),
        Some(0) if status.chunks == 0 => Ok(Begin::START),
        Some(offset) if offset == expected && status.chunks > 0 => {
            let at = position(status)?;
            if offered.digest.is_some_and(|digest| digest != at.digest) {
                return Err(ApiError::DifferentFile(job.to_owned()));
            }
            Ok(Begin { at, header: status.header.clone() })
        }
        _ => Err(ApiError::OffsetMismatch { expected }),
    }
}

/// Returns the position at which the file continues after what is acknowledged.
fn position(status: &UploadStatus) -> Result<Position, FileProblem> {
    let unknown = || FileProblem {
        reason: "NotResumable",
        message: "status.upload does not have the offset at which the file continues; make a new job".into(),
    };
    let batch = status.batch.ok_or_else(unknown)?;
    let digest = status.digest.as_deref().and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
    Ok(Position {
        offset: unsigned(status.offset),
        next_chunk: u32::try_from(status.chunks).map_err(|_| unknown())?,
        next_row: unsigned(status.next_row),
        batch: BatchStart {
            number: u32::try_from(batch.number).map_err(|_| unknown())?,
            first_chunk: u32::try_from(batch.first_chunk).map_err(|_| unknown())?,
            first_row: unsigned(batch.first_row),
        },
        batch_weight: unsigned(batch.weight),
        digest,
    })
}

/// Notes that chunk number `chunk`, and so everything before `position`, is acknowledged. If a file is sent again from
/// its start, what was acknowledged before remains.
pub fn acknowledge(status: &mut UploadStatus, position: &Position, (chunk, digest): (u32, Digest)) {
    if signed(position.offset) <= status.offset {
        return;
    }
    status.checksum = status.checksum.wrapping_add(checksum_part(digest, chunk));
    status.bytes = signed(position.offset);
    status.offset = signed(position.offset);
    status.rows = signed(position.next_row.saturating_sub(1));
    status.chunks = i64::from(position.next_chunk);
    status.next_row = signed(position.next_row);
    status.digest = Some(position.digest.to_string());
    status.batch = Some(BatchStatus {
        number: i64::from(position.batch.number),
        first_chunk: i64::from(position.batch.first_chunk),
        first_row: signed(position.batch.first_row),
        weight: signed(position.batch_weight),
    });
}

/// Notes the place of a chunk of the job in the topic.
pub fn note_offset(status: &mut UploadStatus, partition: i32, offset: i64) {
    let (Ok(at), Some(Ok(partitions))) = (usize::try_from(partition), status.partitions.map(usize::try_from))
    else {
        return;
    };
    status.last_offsets.resize(partitions, -1);
    if let Some(last) = status.last_offsets.get_mut(at) {
        *last = offset.max(*last);
    }
}

/// Notes that the complete file was read and acknowledged.
pub fn complete(status: &mut UploadStatus, bytes: u64, digest: Digest) {
    status.complete = true;
    (status.bytes, status.offset) = (signed(bytes), signed(bytes));
    status.digest = Some(digest.to_string());
    (status.header, status.batch) = (None, None);
}

/// Returns `status.upload.firstChunk` for a file: the digest of its first chunk, and whether that is the only one.
#[must_use]
pub fn first_chunk(chunk: &Chunk) -> String {
    let only = if chunk.last { "/only" } else { "" };
    format!("{}{only}", chunk.digest)
}

/// Converts a number for a status.
#[must_use]
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position {
        offset: 400,
        next_chunk: 3,
        next_row: 31,
        batch: BatchStart { number: 1, first_chunk: 2, first_row: 21 },
        batch_weight: 77,
        digest: Digest::from_u64(9),
    };

    const CHUNK: (u32, Digest) = (3, Digest::from_u64(5));

    fn acknowledged() -> UploadStatus {
        let mut status =
            UploadStatus { header: Some("a,b".into()), partitions: Some(3), ..UploadStatus::default() };
        acknowledge(&mut status, &AT, CHUNK);
        status
    }

    fn at(offset: u64) -> Offered {
        Offered { offset: Some(offset), digest: None }
    }

    fn reason(status: &UploadStatus, offered: Offered, replayable: bool) -> &'static str {
        decide("j", status, offered, replayable).unwrap_err().reason()
    }

    #[test]
    fn an_upload_continues_only_at_the_byte_after_the_last_acknowledged_chunk_and_in_its_batch() {
        let begin = decide("j", &acknowledged(), at(400), false).unwrap();
        assert_eq!(begin, Begin { at: AT, header: Some("a,b".into()) });
        for wrong in [at(0), at(399), at(401), Offered::default()] {
            assert_eq!(reason(&acknowledged(), wrong, false), "OffsetMismatch", "{wrong:?}");
        }
    }

    #[test]
    fn an_upload_continues_only_with_the_file_it_started_with() {
        let with = |digest| Offered { offset: Some(400), digest: Some(Digest::from_u64(digest)) };
        assert!(decide("j", &acknowledged(), with(9), false).is_ok());
        assert_eq!(reason(&acknowledged(), with(8), false), "DifferentFile");
    }

    #[test]
    fn a_status_without_the_start_of_its_batch_is_not_continued() {
        let without = [
            UploadStatus { batch: None, ..acknowledged() },
            UploadStatus { digest: None, ..acknowledged() },
            UploadStatus { digest: Some("x".into()), ..acknowledged() },
        ];
        for status in without {
            assert_eq!(reason(&status, at(400), false), "NotResumable");
        }
    }

    #[test]
    fn an_upload_without_an_acknowledged_chunk_starts_at_byte_0() {
        for offered in [Offered::default(), at(0)] {
            assert_eq!(decide("j", &UploadStatus::default(), offered, false).unwrap(), Begin::START);
        }
        assert_eq!(reason(&UploadStatus::default(), at(5), false), "OffsetMismatch");
    }

    #[test]
    fn identical_bytes_may_be_sent_twice_and_the_status_does_not_go_back() {
        let mut status = acknowledged();
        assert_eq!(decide("j", &status, Offered::default(), true).unwrap(), Begin::START);
        acknowledge(&mut status, &Position { offset: 100, next_chunk: 1, ..Position::START }, CHUNK);
        assert_eq!(status, acknowledged());
        acknowledge(&mut status, &Position { offset: 500, next_chunk: 4, next_row: 41, ..AT }, CHUNK);
        assert_eq!((status.offset, status.chunks, status.rows), (500, 4, 40));
        assert_eq!(status.checksum, 2 * checksum_part(CHUNK.1, CHUNK.0), "each chunk is added once");
    }

    #[test]
    fn the_last_offset_of_each_partition_is_kept_across_attempts() {
        let mut status = acknowledged();
        for (partition, offset) in [(1, 7), (2, 3), (1, 5), (9, 1), (-1, 1)] {
            note_offset(&mut status, partition, offset);
        }
        assert_eq!(status.last_offsets, [-1, 7, 3]);
        complete(&mut status, 420, Digest::from_u64(1));
        assert_eq!(status.last_offsets, [-1, 7, 3]);
        assert_eq!((status.complete, status.bytes, status.batch), (true, 420, None));
        assert_eq!(status.digest.as_deref(), Some("crc64nvme:0000000000000001"));
    }

    #[test]
    fn an_upload_that_has_ended_accepts_no_more_bytes() {
        assert_eq!(
            reason(&UploadStatus { complete: true, ..acknowledged() }, at(400), false),
            "UploadComplete"
        );
        let error = Some(crds::job::UploadError { reason: "EmptyFile".into(), message: "m".into() });
        let failed = UploadStatus { error, ..UploadStatus::default() };
        assert_eq!(reason(&failed, Offered::default(), true), "JobEnded");
    }

    #[test]
    fn a_file_of_one_chunk_differs_from_a_longer_one_that_starts_with_the_same_chunk() {
        let chunk = |last| Chunk {
            number: 0,
            first_row: 1,
            rows: 1,
            bytes: Vec::new(),
            batch: Position::START.batch,
            ends_batch: last,
            last,
            digest: Digest::from_u64(1),
        };
        assert_eq!(first_chunk(&chunk(false)), "crc64nvme:0000000000000001");
        assert_eq!(first_chunk(&chunk(true)), "crc64nvme:0000000000000001/only");
    }
}
