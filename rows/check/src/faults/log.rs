//! Counts of a chunk's records, and the bad cells that rejects are made from.
//!
//! Memory is bounded by the chunk: twelve bytes for each bad cell and 32 for each bad record. Cells that a record lacks
//! take no memory, because a short JSON line can lack a thousand: they are only counted, and found again when a caller
//! asks for them.

use rows_split::cells::{Cell, Source};
use rows_types::CellError;

use super::{BAD, BadRow, Fault, FaultSink, Found, LACKS, Missing, RECORD_FAULT};
use crate::native::Selection;

/// The counts and faults of a chunk's records.
#[derive(Debug, Default)]
pub(crate) struct FaultLog {
    pub rows: u32,
    pub ok: u32,
    /// How many records are malformed.
    pub malformed: u32,
    /// The first record that is not malformed.
    pub first_valid: Option<u32>,
    /// Sorted by record and column. Only the first `count` entries are used; the rest is spare capacity.
    faults: Vec<Fault>,
    count: usize,
    pub bad_rows: Vec<BadRow>,
    pub missing: Missing,
    /// For each record of the batch: `BAD` and `LACKS`, or 0.
    pub bad: Vec<u8>,
    pub scratch: Vec<u8>,
    /// The good records of the batch.
    pub selection: Selection,
    /// Grouped by column; the groups are in no particular order.
    found: Vec<Found>,
    /// For each column that has faults in `found`: the column, and where its group begins and ends.
    found_in: Vec<(u16, u32, u32)>,
    /// For each record of the batch, while the batch ends: first the number of its faults, then the place of its next
    /// fault in `faults`. At all other times 0.
    next_of: Vec<u32>,
}

impl FaultLog {
    pub(crate) fn clear(&mut self, columns: usize) {
        (self.rows, self.ok, self.malformed, self.first_valid) = (0, 0, 0, None);
        self.count = 0;
        self.bad_rows.clear();
        self.missing.columns.clear();
        self.missing.columns.resize(columns, (0, 0));
        self.missing.total = 0;
    }

    /// Begins a record batch. `all_bad`: the file lacks a column that every record needs.
    pub(crate) fn begin(
        &mut self,
        records: usize,
        malformed: &[(u32, CellError)],
        all_bad: bool,
    ) -> FaultSink<'_> {
        self.found.clear();
        self.bad.clear();
        self.bad.resize(records, if all_bad { BAD } else { 0 });
        self.malformed += malformed.len() as u32;
        if self.first_valid.is_none() {
            // `malformed` is sorted: the first number that it lacks is a record
            let first = (0..records as u32).find(|r| malformed.get(*r as usize).is_none_or(|(m, _)| m != r));
            self.first_valid = first.map(|r| self.rows + r);
        }
        for (record, error) in malformed {
            self.bad[*record as usize] = BAD;
            self.found
                .push(Found { record: *record, fault: Fault::new(Cell::MISSING, RECORD_FAULT, *error) });
        }
        let Self { rows, found, missing, bad, scratch, .. } = self;
        FaultSink { bad, faults: found, missing, scratch, base: *rows }
    }

    /// Ends a record batch; returns the number of good records. `key` is where the source has the row key, if the file
    /// has it.
    pub(crate) fn end<S: Source>(&mut self, source: &S, key: Option<usize>) -> usize {
        let (records, first) = (self.bad.len(), self.bad_rows.len());
        // `found` is grouped by column: count the faults of each record, then write them record by record
        self.count_found();
        self.note_bad_rows(source, key);
        self.put_found();
        let bad = &self.bad_rows[first..];
        for row in bad {
            self.next_of[(row.record - self.rows) as usize] = 0;
        }
        self.selection.set(&self.bad, bad.len());
        let good = records - bad.len();
        self.rows += records as u32;
        self.ok += good as u32;
        good
    }

    fn count_found(&mut self) {
        self.next_of.resize(self.next_of.len().max(self.bad.len()), 0);
        self.found_in.clear();
        let mut start = 0;
        for same in self.found.chunk_by(|a, b| a.fault.column == b.fault.column) {
            let end = start + same.len() as u32;
            self.found_in.push((same[0].fault.column, start, end));
            start = end;
            for found in same {
                self.next_of[found.record as usize] += 1;
            }
        }
        self.found_in.sort_unstable();
    }

    fn note_bad_rows<S: Source>(&mut self, source: &S, key: Option<usize>) {
        let mut total = self.count as u32;
        each_bad(&self.bad, |at, bad| {
            let next = &mut self.next_of[at];
            (*next, total) = (total, total + *next);
            let (start, end) = source.record(at);
            let key = key.map_or(Cell::MISSING, |place| source.cell(at, place));
            let (record, lacks) = (self.rows + at as u32, bad & LACKS != 0);
            self.bad_rows.push(BadRow { record, start, end, faults: total, key, lacks });
        });
        self.count = total as usize;
    }

    fn put_found(&mut self) {
        if self.faults.len() < self.count {
            let capacity = self.count.max(2 * self.faults.len());
            self.faults.resize(capacity, Fault::new(Cell::MISSING, 0, CellError::MissingColumn));
        }
        for (_, start, end) in &self.found_in {
            for found in &self.found[*start as usize..*end as usize] {
                let next = &mut self.next_of[found.record as usize];
                self.faults[*next as usize] = found.fault;
                *next += 1;
            }
        }
    }

    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults[..self.count]
    }

    /// The number of bad cells. `absent` is the number of columns that every record lacks.
    pub(crate) fn bad_cells(&self, absent: usize) -> u64 {
        let whole = u64::from(self.rows - self.malformed);
        self.count as u64 + self.missing.total + whole * absent as u64
    }
}

/// Calls `note` with the index and value of each byte that is not 0. Only the two lowest bits of a byte may be set.
#[inline(always)]
fn each_bad(bad: &[u8], mut note: impl FnMut(usize, u8)) {
    const LOW: u64 = 0x0101_0101_0101_0101;
    // moves the lowest bits of eight bytes into the highest byte, each to its own bit
    const GATHER: u64 = 0x0102_0408_1020_4080;
    for (chunk, first) in bad.chunks(64).zip((0..).step_by(64)) {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(chunk.chunks(8)) {
            *word = match bytes.first_chunk() {
                Some(bytes) => u64::from_le_bytes(*bytes),
                None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
            };
        }
        // no branch on which of the 64 records are bad: the CPU mispredicts it unless few or nearly all are
        let bits = |word: u64| ((word | word >> 1) & LOW).wrapping_mul(GATHER) >> 56;
        let mut some = words.iter().rev().fold(0, |some, word| some << 8 | bits(*word));
        while some != 0 {
            let at = some.trailing_zeros() as usize;
            some &= some - 1;
            note(first + at, chunk[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::each_bad;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_bad_record_is_noted_once_in_order(
            bad in prop::collection::vec(prop_oneof![Just(0u8), Just(0), 0u8..4], 0..300),
        ) {
            let mut noted = Vec::new();
            each_bad(&bad, |at, bad| noted.push((at, bad)));
            let expected: Vec<_> = bad.iter().copied().enumerate().filter(|(_, bad)| *bad != 0).collect();
            prop_assert_eq!(noted, expected);
        }
    }
}
