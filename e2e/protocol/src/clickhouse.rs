//! ClickHouse: its tables, and what an INSERT does.

use crate::file::{Batch, CHUNKS, Contents, SecondFile};
use crate::guards::{Guard, Protocol};
use crate::state::{Counts, State};

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

impl Protocol {
    /// An INSERT is stored: each of its table partitions, unless its token is remembered there.
    pub(crate) fn store(&self, state: &mut State, batch: Batch) {
        let clickhouse = &mut state.clickhouse;
        for chunk in batch.chunks().filter(|chunk| batch.insert & 1 << chunk != 0) {
            let token = 1 << (3 * batch.first + chunk);
            if self.is_on(Guard::Token) {
                if clickhouse.tokens & token != 0 {
                    continue;
                }
                clickhouse.tokens |= token;
            }
            let copies = &mut clickhouse.copies[usize::from(chunk)][usize::from(batch.contents.other(chunk))];
            *copies = (*copies + 1).min(2);
        }
    }

    /// A late INSERT is stored, completely or only in the first of its table partitions.
    pub(crate) fn store_late(&self, state: &mut State, at: usize, complete: bool) -> Option<()> {
        let batch = state.in_flight[at].take()?;
        state.in_flight.sort_unstable();
        let first = 1 << batch.insert.trailing_zeros();
        self.store(state, if complete { batch } else { Batch { insert: first, ..batch } });
        Some(())
    }
}
