//! The bad cells.

use std::borrow::Cow;

use bytes::Bytes;
use crds::ChunkHeader;
use rows::{Outcome, Reject};

use super::Inserter;
use super::row_binary::RowBinary;
use crate::error::Failure;
use crate::ledger::in_time;
use crate::plan::Target;

/// What is written of each.
pub const COLUMNS: [&str; 12] = [
    "job_id", "event_id", "column", "error", "type", "observed", "message", "row", "model", "chunk",
    "record", "job_uid",
];

/// Of one chunk no more bytes of bad cells are stored, so that a file that is wrong throughout cannot take the worker's
/// memory: some 100,000 cells. All are counted.
const MOST_BYTES: usize = 16 << 20;
/// Nor more cells: an insert of more rows would be more than one block, and so no longer all or nothing.
const MOST_CELLS: u64 = 1_000_000;

/// Bad cells as rows of `rejected_rows`.
#[derive(Clone, Debug, Default)]
pub struct RejectRows {
    /// How many.
    pub count: u64,
    bytes: Bytes,
}

impl RejectRows {
    /// The rows, as `RowBinary`.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// The bad cells that are to be stored: the first `room`, in the order of the file.
#[cold]
#[must_use]
pub fn collect(
    outcome: &Outcome<'_>,
    header: &ChunkHeader,
    target: &Target,
    model: &str,
    room: u64,
) -> RejectRows {
    let room = room.min(MOST_CELLS);
    let (mut rows, mut count) = (RowBinary::default(), 0);
    if room > 0 {
        for reject in outcome.rejects() {
            write(&mut rows, &reject, header, target, model);
            count += 1;
            if count >= room || rows.len() >= MOST_BYTES {
                break;
            }
        }
    }
    RejectRows { count, bytes: rows.into_bytes() }
}

fn write(rows: &mut RowBinary, reject: &Reject<'_>, header: &ChunkHeader, target: &Target, model: &str) {
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
        .text(model)
        .u32(header.chunk)
        .text(privacy.record(&reject.record))
        .text(&header.job);
}

impl Inserter {
    /// The model's name, as it stands in each row.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Inserts bad cells under the chunk's token for them. Returns how many of the chunk are stored: not always those
    /// sent, for an earlier attempt, made when the job had more room or less, may have been stored before it was cut off.
    pub async fn rejects(&self, header: &ChunkHeader, rejects: &RejectRows) -> Result<u64, Failure> {
        if rejects.count > 0 {
            self.send(&self.rejects, format!("{}/r", header.token()), rejects.bytes.clone()).await?;
        }
        let stored = self
            .client
            .query(&self.stored)
            .param("job", &header.job)
            .param("chunk", header.chunk)
            .param("first", header.first_row)
            .param("end", header.first_row + u64::from(header.rows));
        in_time(stored.fetch_one()).await
    }
}
