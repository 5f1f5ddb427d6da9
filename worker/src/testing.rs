//! What the tests of several modules need: chunks of ten rows.

use std::sync::Arc;

use crds::ChunkHeader;
use rows_types::{BatchStart, Digest, Input};

use crate::done::DoneBatches;
use crate::job::Job;

/// Returns the header of chunk `chunk`, with ten rows, of the batch that begins with `first_chunk`.
pub fn header(chunk: u32, first_chunk: u32, ends_batch: bool) -> ChunkHeader {
    let row = |chunk: u32| u64::from(chunk) * 10 + 1;
    ChunkHeader {
        job: "uid-1".into(),
        name: "job".into(),
        chunk,
        first_row: row(chunk),
        rows: 10,
        batch: BatchStart { number: first_chunk, first_chunk, first_row: row(first_chunk) },
        ends_batch,
        digest: Digest::of(&chunk.to_le_bytes()),
        revision: "m-1".into(),
        input: Input::default(),
        columns: None,
    }
}

/// Returns a job that has nothing in the ledger and may store `stored_max` bad cells.
pub fn job(uid: &str, stored_max: u64) -> Arc<Job> {
    Arc::new(Job::new(uid, "job", DoneBatches::default(), false, 0, stored_max))
}
