//! ClickHouse: its tables.

use crate::file::{Batch, CHUNKS, Contents, SecondFile};

/// A ledger line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The number after the batch's last chunk.
    pub end: u8,
    /// The digests of its chunks.
    pub contents: Contents,
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ClickHouse {
    /// For each chunk, how many copies of its rows are in the table: those of the first file and those of the second.
    /// 2 means two or more.
    pub copies: [[u8; 2]; CHUNKS as usize],
    /// The tokens that are remembered, by bit. Each table partition remembers a token separately.
    pub tokens: u16,
    /// The ledger: the newest line of each batch, by the batch's first chunk.
    pub ledger: [Option<Line>; CHUNKS as usize],
}

/// The sums over the ledger, also in `status.counts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Counts {
    /// The number of chunks with a ledger line.
    pub chunks: u8,
    /// The number of their rows. All of them are good.
    pub rows: u8,
    /// The digest of these chunks.
    pub digest: Contents,
}

impl ClickHouse {
    /// Returns the sums over the ledger.
    #[must_use]
    pub fn counts(&self, second: SecondFile) -> Counts {
        let mut counts = Counts::default();
        for (first, line) in (0..).zip(&self.ledger) {
            let Some(line) = line else { continue };
            for chunk in first..line.end {
                counts.chunks += 1;
                counts.rows += second.rows(chunk, line.contents.other(chunk));
                counts.digest.0 |= line.contents.0 & 1 << chunk;
            }
        }
        counts
    }

    /// Returns the number of rows in the table.
    #[must_use]
    pub fn rows(&self, second: SecondFile) -> u8 {
        let rows = |(chunk, [first, other]): (u8, &[u8; 2])| {
            first * second.rows(chunk, false) + other * second.rows(chunk, true)
        };
        (0..).zip(&self.copies).map(rows).sum()
    }

    /// Returns the chunks of a batch that are not in the table, by bit: a look-up by job and row numbers.
    #[must_use]
    pub fn missing(&self, batch: Batch) -> u8 {
        let absent = |chunk: &u8| self.copies[usize::from(*chunk)] == [0, 0];
        batch.chunks().filter(absent).fold(0, |missing, chunk| missing | 1 << chunk)
    }
}
