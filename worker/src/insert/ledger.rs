//! The line in the ledger with the outcome of a batch.

use bytes::Bytes;
use crds::ChunkHeader;
use crds::tables::outcomes;

use super::Inserter;
use super::row_binary::RowBinary;
use crate::error::Failure;
use crate::refusal::Refusal;
use crate::summary::{Kind, RowCounts};

/// The columns that are written for each batch.
pub const COLUMNS: [&str; 21] = [
    "job_uid",
    "job_id",
    "namespace",
    "model",
    "batch",
    "first_chunk",
    "chunks",
    "first_row",
    "rows",
    "ok",
    "errors",
    "cells",
    "stored",
    "summary",
    "digests",
    "outcome",
    "reason",
    "message",
    "partition",
    "revision",
    "worker",
];

/// The data of a ledger line.
#[derive(Clone, Copy, Debug)]
pub struct LedgerEntry<'a> {
    /// The header of one of its chunks.
    pub header: &'a ChunkHeader,
    /// The digest of each chunk, in order.
    pub digests: &'a [u64],
    /// Its partition.
    pub partition: i32,
    /// The counts of its rows. For a parked batch only their number is known.
    pub counts: RowCounts,
    /// How many of its bad cells are in `rejected_rows`.
    pub stored: u64,
    /// The bad cells, by column and code.
    pub summary: &'a [Kind],
    /// Why it is parked; `None` if it is loaded.
    pub parked: Option<&'a Refusal>,
}

impl Inserter {
    /// Writes the line of a batch.
    pub async fn ledger(&self, entry: &LedgerEntry<'_>) -> Result<(), Failure> {
        // The line of a parked batch must not prevent a later line with the outcome `loaded`, so their tokens differ.
        let suffix = if entry.parked.is_some() { "p" } else { "l" };
        let token = format!("{}/{suffix}", entry.header.batch_token());
        self.send(&self.ledger, token, &[self.row(entry)]).await
    }

    fn row(&self, entry: &LedgerEntry<'_>) -> Bytes {
        let LedgerEntry { header, counts, .. } = entry;
        let mut row = RowBinary::default();
        row.text(&header.job)
            .text(&header.name)
            .text(&self.namespace)
            .text(&self.model)
            .u32(header.batch.number)
            .u32(header.batch.first_chunk)
            .u32(u32::try_from(entry.digests.len()).unwrap_or(u32::MAX))
            .u64(header.batch.first_row)
            .u32(counts.rows)
            .u32(counts.ok)
            .u32(counts.bad_rows)
            .u64(counts.bad_cells)
            .u64(entry.stored);
        row.length(entry.summary.len());
        for kind in entry.summary {
            row.text(&kind.column).text(kind.error).u64(kind.count).u64(kind.first_row).text(&kind.sample);
        }
        row.length(entry.digests.len());
        for digest in entry.digests {
            row.u64(*digest);
        }
        let (outcome, reason, message) = match entry.parked {
            None => (outcomes::LOADED, "", ""),
            Some(refusal) => (outcomes::PARKED, refusal.reason.as_str(), refusal.message.as_str()),
        };
        row.text(outcome)
            .text(reason)
            .text(message)
            .u32(u32::try_from(entry.partition).unwrap_or(0))
            .text(&header.revision)
            .text(&self.worker);
        row.into_bytes()
    }
}
