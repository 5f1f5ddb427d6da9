//! The limits of records, chunks and batches. The parts of the system must agree on them.

/// Length of the longest record in bytes, line end included.
pub const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// The most records of a chunk.
pub const MAX_CHUNK_ROWS: u32 = 200_000;
/// The text of a chunk weighs at most this many bytes, and so do its rows. Exceptions: see `Limits::chunk_bytes` of
/// `rows-split`.
pub const CHUNK_WEIGHT: u64 = 8 << 20;
/// Bytes of a chunk that is checked where it is cut: the chunk, its index and its block stay in the processor's cache.
pub const LOCAL_CHUNK_BYTES: usize = 256 * 1024;
/// A batch ends with the first chunk that brings it to this many records.
pub const BATCH_ROWS: u32 = 2_000_000;
/// The most records of a batch.
pub const MAX_BATCH_ROWS: u32 = BATCH_ROWS - 1 + MAX_CHUNK_ROWS;
/// A batch ends with the first chunk that brings it to this weight, in bytes.
pub const BATCH_WEIGHT: u64 = 96 << 20;
/// The most chunks of a batch.
pub const MAX_BATCH_CHUNKS: u32 = 256;

/// Where a batch starts. A batch is a run of consecutive chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchStart {
    /// Number of the batch in the file, from 0.
    pub number: u32,
    /// Number of its first chunk.
    pub first_chunk: u32,
    /// Number of its first record.
    pub first_row: u64,
}
