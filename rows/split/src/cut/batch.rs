//! What a cutter returns: chunks, the batches that they belong to, and where a stream can be continued.

use rows_types::{BATCH_ROWS, BATCH_WEIGHT, BatchStart, Digest, MAX_BATCH_CHUNKS};

use super::limits::Limits;

/// A run of whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Number of the chunk in the file, from 0.
    pub number: u32,
    /// Number of its first record in the file, from 1. The header line is not counted.
    pub first_row: u64,
    /// How many records it has.
    pub rows: u32,
    /// The records as they are in the file, line ends included.
    pub bytes: Vec<u8>,
    /// The batch that it belongs to.
    pub batch: BatchStart,
    /// Whether it is the last chunk of its batch.
    pub ends_batch: bool,
    /// Whether it is the last chunk of the stream.
    pub last: bool,
    /// The digest of `bytes`; the default if digests are off.
    pub digest: Digest,
}

/// Where a stream can be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes of the decoded stream before this point.
    pub offset: u64,
    /// Number of the next chunk.
    pub next_chunk: u32,
    /// Number of the next record.
    pub next_row: u64,
    /// The batch of the next chunk.
    pub batch: BatchStart,
    /// Weight of that batch so far, in bytes.
    pub batch_weight: u64,
    /// The digest of the first `offset` bytes of the decoded stream; the default if digests are off.
    pub digest: Digest,
}

impl Position {
    /// The first byte of a stream.
    pub const START: Self = Self {
        offset: 0,
        next_chunk: 0,
        next_row: 1,
        batch: BatchStart { number: 0, first_chunk: 0, first_row: 1 },
        batch_weight: 0,
        digest: Digest::EMPTY,
    };

    /// The chunk of these bytes, which begin at this position. Moves the position to the chunk's end, and to the next
    /// batch if the chunk ends its batch.
    pub(super) fn take(
        &mut self,
        bytes: Vec<u8>,
        rows: u32,
        limits: &Limits,
        digest: Option<Digest>,
    ) -> Chunk {
        let (number, first_row, batch) = (self.next_chunk, self.next_row, self.batch);
        self.skip(bytes.len() as u64, digest);
        self.next_chunk += 1;
        self.next_row += u64::from(rows);
        self.batch_weight = self.batch_weight.saturating_add(limits.weight(bytes.len() as u64, rows));
        let ends_batch = self.next_row - batch.first_row >= u64::from(BATCH_ROWS)
            || self.batch_weight >= BATCH_WEIGHT
            || self.next_chunk - batch.first_chunk >= MAX_BATCH_CHUNKS;
        if ends_batch {
            self.end_batch();
        }
        let digest = digest.unwrap_or_default();
        Chunk { number, first_row, rows, bytes, batch, ends_batch, last: false, digest }
    }

    /// Moves the position past bytes that belong to no chunk.
    pub(super) fn skip(&mut self, len: u64, digest: Option<Digest>) {
        self.offset += len;
        if let Some(digest) = digest {
            self.digest = self.digest.then(digest, len);
        }
    }

    /// Begins the next batch here.
    pub(super) fn end_batch(&mut self) {
        let number = self.batch.number + 1;
        self.batch = BatchStart { number, first_chunk: self.next_chunk, first_row: self.next_row };
        self.batch_weight = 0;
    }
}
