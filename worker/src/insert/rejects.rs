//! The bad cells.

use std::borrow::Cow;

use bytes::Bytes;
use crds::ChunkHeader;
use rows::{Outcome, Reject};

use super::row_binary::RowBinary;
use super::{Inserter, RowRange};
use crate::check::Names;
use crate::error::Failure;
use crate::ledger::in_time;
use crate::plan::Target;

/// What is written of each.
pub const COLUMNS: [&str; 13] = [
    "job_id",
    "event_id",
    "column",
    "error",
    "type",
    "observed",
    "message",
    "row",
    "model",
    "chunk",
    "record",
    "job_uid",
    "namespace",
];

/// Of one batch no more bytes of bad cells are stored, so that a file that is wrong throughout cannot take the worker's
/// memory: some 100,000 cells. All are counted.
pub const MAX_BYTES: usize = 16 << 20;
/// Nor more cells: an insert of more rows would be more than one block, and so no longer all or nothing.
pub const MAX_CELLS: u64 = 1_000_000;

/// How many bad cells of a chunk are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectLimits {
    /// So many,
    pub cells: u64,
    /// and no more once there are so many bytes.
    pub bytes: usize,
}

/// Bad cells as rows of `rejected_rows`.
#[derive(Clone, Debug, Default)]
pub struct RejectRows {
    /// How many.
    pub count: u64,
    /// The rows, as `RowBinary`.
    pub bytes: Bytes,
}

impl RejectLimits {
    /// What a batch that keeps `cells` bad cells in `bytes` bytes may still keep, of a job with this quota.
    #[must_use]
    pub fn remaining(cells: u64, bytes: usize, quota: u64) -> Self {
        Self { cells: MAX_CELLS.saturating_sub(cells).min(quota), bytes: MAX_BYTES.saturating_sub(bytes) }
    }
}

/// The bad cells that are to be stored: the first within the limits, in the order of the file.
#[cold]
#[must_use]
pub fn collect(
    outcome: &Outcome<'_>,
    header: &ChunkHeader,
    target: &Target,
    names: Names<'_>,
    limits: RejectLimits,
) -> RejectRows {
    let (mut rows, mut count) = (RowBinary::default(), 0);
    if limits.cells > 0 && limits.bytes > 0 {
        for reject in outcome.rejects() {
            write(&mut rows, &reject, header, target, names);
            count += 1;
            if count >= limits.cells || rows.len() >= limits.bytes {
                break;
            }
        }
    }
    RejectRows { count, bytes: rows.into_bytes() }
}

fn write(rows: &mut RowBinary, reject: &Reject<'_>, header: &ChunkHeader, target: &Target, names: Names<'_>) {
    let (column, privacy) = (reject.column, &target.privacy);
    // Only a column of the model has a type.
    let known = !reject.ty.is_empty();
    let message: Cow<'_, str> = privacy.message(column, known, &reject.observed, &reject.message);
    rows.text(&header.name)
        .text(&privacy.event_id(&reject.event_id))
        .text(column)
        .text(reject.code.as_str())
        .text(reject.ty)
        .text(&privacy.observed(column, known, &reject.observed))
        .text(&message)
        .u64(reject.row)
        .text(names.model)
        .u32(header.chunk)
        .text(privacy.record(&reject.record))
        .text(&header.job)
        .text(names.namespace);
}

impl Inserter {
    /// Inserts bad cells of a batch under a token.
    pub async fn rejects(&self, token: String, rejects: &[Bytes]) -> Result<(), Failure> {
        self.send(&self.rejects, token, rejects).await
    }

    /// How many bad cells of these rows are stored: not always those sent, for an earlier attempt, made when the job had
    /// more quota or less, may have been stored before it was cut off.
    pub async fn stored_rejects(&self, rows: &RowRange) -> Result<u64, Failure> {
        in_time(self.ranged(&self.stored_rejects, rows).fetch_one()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_keeps_is_bounded_over_all_its_chunks_and_by_the_quota_of_its_job() {
        let limits = RejectLimits::remaining;
        assert_eq!(limits(0, 0, 10), RejectLimits { cells: 10, bytes: MAX_BYTES });
        assert_eq!(limits(MAX_CELLS - 1, MAX_BYTES - 2, u64::MAX), RejectLimits { cells: 1, bytes: 2 });
        assert_eq!(limits(MAX_CELLS + 5, MAX_BYTES + 5, 10), RejectLimits { cells: 0, bytes: 0 });
    }
}
