//! Checks chunks and batches against their definition, in a simple way.

use super::*;

/// Checks the batch of each chunk against the definition of a batch.
#[track_caller]
pub(super) fn check(limits: &Limits, chunks: &[Chunk]) {
    let mut batch = Position::START.batch;
    let (mut rows, mut weight, mut in_batch) = (0, 0, 0);
    for (at, chunk) in chunks.iter().enumerate() {
        let last = at + 1 == chunks.len();
        assert_eq!((chunk.batch, chunk.last), (batch, last), "chunk {at}");
        assert_eq!(chunk.digest, Digest::of(&chunk.bytes));
        assert!(chunk.rows > 0 && chunk.rows <= limits.chunk_rows);
        assert!(chunk.rows == 1 || chunk.bytes.len() <= limits.chunk_bytes);
        rows += chunk.rows;
        weight += chunk.bytes.len() as u64 * limits.byte_weight + u64::from(chunk.rows) * limits.row_weight;
        in_batch += 1;
        let full = rows >= BATCH_ROWS || weight >= BATCH_WEIGHT || in_batch >= MAX_BATCH_CHUNKS;
        assert_eq!(chunk.ends_batch, full || last, "chunk {at}");
        assert!(rows <= MAX_BATCH_ROWS);
        if full {
            (rows, weight, in_batch) = (0, 0, 0);
            let (first_chunk, first_row) = (chunk.number + 1, chunk.first_row + u64::from(chunk.rows));
            batch = BatchStart { number: batch.number + 1, first_chunk, first_row };
        }
    }
}

/// The number of batches, and the first chunk and record of each.
fn batches(limits: Limits, file: &[u8]) -> Vec<(u32, u64)> {
    let chunks = cut_by(&headerless(), limits, file, &[1 << 20]).unwrap().1;
    let mut starts: Vec<BatchStart> = chunks.iter().map(|c| c.batch).collect();
    starts.dedup();
    assert!(starts.iter().enumerate().all(|(at, start)| start.number as usize == at));
    starts.iter().map(|start| (start.first_chunk, start.first_row)).collect()
}

#[test]
fn a_batch_ends_with_the_chunk_that_brings_it_to_its_records() {
    let file = "1\n".repeat(4_200_000);
    // chunks of 200,000 records: ten are exactly 2,000,000
    let starts = [(0, 1), (10, 2_000_001), (20, 4_000_001)];
    assert_eq!(batches(Limits::plain(1 << 30), file.as_bytes()), starts);
    // chunks of 300,000 records: seven are the first to reach 2,000,000
    let limits = Limits { chunk_rows: 300_000, ..Limits::plain(1 << 30) };
    assert_eq!(batches(limits, file.as_bytes()), [(0, 1), (7, 2_100_001)]);
}

#[test]
fn a_batch_ends_with_the_chunk_that_brings_it_to_its_weight() {
    let file = "1\n".repeat(10);
    let rows = Limits { row_weight: BATCH_WEIGHT / 4 - 2, ..Limits::plain(2) };
    assert_eq!(batches(rows, file.as_bytes()), [(0, 1), (4, 5), (8, 9)]);
    let less = Limits { row_weight: rows.row_weight - 1, ..rows };
    assert_eq!(batches(less, file.as_bytes()), [(0, 1), (5, 6)]);
    let bytes = Limits { byte_weight: BATCH_WEIGHT / 8, ..Limits::plain(2) };
    assert_eq!(batches(bytes, file.as_bytes()), [(0, 1), (4, 5), (8, 9)]);
}

#[test]
fn a_batch_ends_with_the_chunk_that_is_the_most_it_has() {
    let file = "1\n".repeat(600);
    assert_eq!(batches(Limits::plain(2), file.as_bytes()), [(0, 1), (256, 257), (512, 513)]);
}

#[test]
fn a_stream_may_end_with_its_batch() {
    let limits = Limits { row_weight: BATCH_WEIGHT / 2, ..Limits::plain(2) };
    let chunks = cut_by(&headerless(), limits, b"1\n2\n3\n4\n", &[1]).unwrap().1;
    let ends: Vec<_> = chunks.iter().map(|c| (c.batch.number, c.ends_batch, c.last)).collect();
    assert_eq!(ends, [(0, false, false), (0, true, false), (1, false, false), (1, true, true)]);
}
