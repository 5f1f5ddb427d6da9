//! The bad cells of a batch: collect, insert and count.

use std::borrow::Cow;

use bytes::Bytes;
use crds::ChunkHeader;
use rows_check::{Outcome, Reject};

use super::row_binary::RowBinary;
use super::{Inserter, Names, RowRange};
use crate::error::Failure;
use crate::ledger::in_time;
use crate::plan::Target;

/// The columns that are written for each bad cell.
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

/// The most bytes of bad cells that are stored of one batch, about 100,000 cells. So a file with errors in every row
/// cannot use up the worker's memory. All bad cells are counted.
pub const MAX_BYTES: usize = 16 << 20;
/// The most bad cells that are stored of one batch: an insert of more rows would be more than one block, and so no
/// longer stored completely or not at all.
pub const MAX_CELLS: u64 = 1_000_000;

/// How many bad cells of a chunk are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectLimits {
    /// At most this number of cells.
    pub cells: u64,
    /// No more cells when this number of bytes is reached.
    pub bytes: usize,
}

/// Bad cells as rows of `rejected_rows`.
#[derive(Clone, Debug, Default)]
pub struct RejectRows {
    /// The number of the bad cells.
    pub count: u64,
    /// The rows, as `RowBinary`.
    pub bytes: Bytes,
}

impl RejectLimits {
    /// Returns what a batch that keeps `cells` bad cells in `bytes` bytes may still keep, if its job has this quota.
    #[must_use]
    pub fn remaining(cells: u64, bytes: usize, quota: u64) -> Self {
        Self { cells: MAX_CELLS.saturating_sub(cells).min(quota), bytes: MAX_BYTES.saturating_sub(bytes) }
    }
}

/// Returns the bad cells to store: the first ones within the limits, in the order of the file.
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
    // Only columns of the model have a type.
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
    /// Inserts bad cells of a batch with a token.
    pub async fn rejects(&self, token: String, rejects: &[Bytes]) -> Result<(), Failure> {
        self.send(&self.rejects, token, rejects).await
    }

    /// Returns how many bad cells of these rows are stored. The number can differ from the number that was sent: an
    /// earlier attempt, for which the job had more or less quota, may have been stored before it was interrupted.
    pub async fn stored_rejects(&self, rows: &RowRange) -> Result<u64, Failure> {
        in_time(self.ranged(&self.stored_rejects, rows).fetch_one()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rejects_of_a_batch_are_bounded_over_all_its_chunks_and_by_the_quota_of_its_job() {
        let limits = RejectLimits::remaining;
        assert_eq!(limits(0, 0, 10), RejectLimits { cells: 10, bytes: MAX_BYTES });
        assert_eq!(limits(MAX_CELLS - 1, MAX_BYTES - 2, u64::MAX), RejectLimits { cells: 1, bytes: 2 });
        assert_eq!(limits(MAX_CELLS + 5, MAX_BYTES + 5, 10), RejectLimits { cells: 0, bytes: 0 });
    }
}
