//! The line in the ledger that makes a chunk done.

use crds::ChunkHeader;

use super::Inserter;
use super::row_binary::RowBinary;
use crate::error::Failure;
use crate::judge::Verdict;

/// What is written of each chunk.
pub const COLUMNS: [&str; 13] = [
    "job_uid",
    "job_id",
    "model",
    "chunk",
    "first_row",
    "rows",
    "ok",
    "errors",
    "cells",
    "stored",
    "summary",
    "revision",
    "worker",
];

impl Inserter {
    /// The chunk is done; `stored` of its bad cells are in `rejected_rows`.
    pub async fn ledger(&self, header: &ChunkHeader, verdict: &Verdict, stored: u64) -> Result<(), Failure> {
        let mut row = RowBinary::default();
        row.text(&header.job)
            .text(&header.name)
            .text(&self.model)
            .u32(header.chunk)
            .u64(header.first_row)
            .u32(verdict.rows)
            .u32(verdict.ok)
            .u32(verdict.bad_rows)
            .u64(verdict.bad_cells)
            .u64(stored);
        row.length(verdict.summary.len());
        for kind in &verdict.summary {
            row.text(&kind.column).text(kind.error).u64(kind.count).u64(kind.first_row).text(&kind.sample);
        }
        row.text(&header.revision).text(&self.worker);
        self.send(&self.ledger, format!("{}/l", header.token()), row.into_bytes()).await
    }
}
