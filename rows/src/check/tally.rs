//! Counts, and the small records that rejects are made from.
//!
//! Memory is bounded by the chunk: eight bytes a bad cell, and nothing for cells that a record lacks, of which a short
//! JSON line can have a thousand: those are counted, and found again when somebody asks.

use super::tile::Verdict;
use crate::coerce::Why;
use crate::plan::Plan;

/// The column of a fault of the whole record.
pub(crate) const WHOLE: u16 = u16::MAX;
/// A record has faults.
pub(crate) const BAD: u8 = 1;
/// A record lacks cells.
pub(crate) const LACKS: u8 = 2;

/// One bad cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// From the start of the tile; from the start of the chunk once the tile is done.
    pub record: u32,
    pub column: u16,
    pub why: Why,
}

/// One bad record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadRow {
    pub record: u32,
    /// Its bytes in the chunk, without the line end.
    pub start: u32,
    pub end: u32,
    /// Whether it lacks cells.
    pub lacks: bool,
}

/// Cells that records lack, counted by column.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Count and first record.
    pub columns: Vec<(u64, u32)>,
    pub total: u64,
}

impl Missing {
    pub(crate) fn note(&mut self, column: usize, record: u32) {
        let (count, first) = &mut self.columns[column];
        if *count == 0 {
            *first = record;
        }
        *count += 1;
        self.total += 1;
    }
}

/// What is known of a chunk's records.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub rows: u32,
    pub ok: u32,
    /// Records that are none, and the first record that is one.
    pub malformed: u32,
    pub first_whole: Option<u32>,
    /// Sorted by record and column.
    pub faults: Vec<Fault>,
    pub bad_rows: Vec<BadRow>,
    pub missing: Missing,
    /// For each record of the tile.
    pub bad: Vec<u8>,
    pub scratch: Vec<u8>,
    /// Faults before the tile.
    mark: usize,
    order: Order,
}

impl Tally {
    pub(crate) fn clear(&mut self, columns: usize) {
        (self.rows, self.ok, self.malformed, self.first_whole, self.mark) = (0, 0, 0, None, 0);
        self.faults.clear();
        self.bad_rows.clear();
        self.missing.columns.clear();
        self.missing.columns.resize(columns, (0, 0));
        self.missing.total = 0;
    }

    /// Begins a tile; `all_bad`: the file lacks a column that every record needs.
    pub(crate) fn begin(&mut self, records: usize, malformed: &[(u32, Why)], all_bad: bool) -> Verdict<'_> {
        self.mark = self.faults.len();
        self.bad.clear();
        self.bad.resize(records, if all_bad { BAD } else { 0 });
        self.malformed += malformed.len() as u32;
        if self.first_whole.is_none() {
            // `malformed` is in order: the first gap in it is a record
            let first = (0..records as u32).find(|r| malformed.get(*r as usize).is_none_or(|(m, _)| m != r));
            self.first_whole = first.map(|r| self.rows + r);
        }
        for (record, why) in malformed {
            self.bad[*record as usize] = BAD;
            self.faults.push(Fault { record: *record, column: WHOLE, why: *why });
        }
        let Self { rows, faults, missing, bad, scratch, .. } = self;
        Verdict { bad, faults, missing, scratch, base: *rows }
    }

    /// Ends a tile; gives the number of good records. `span` gives a record's bytes.
    pub(crate) fn end(&mut self, span: impl Fn(usize) -> (u32, u32)) -> usize {
        let base = self.rows;
        if self.bad.iter().fold(0, |any, bad| any | bad) == 0 {
            let good = self.bad.len();
            self.rows += good as u32;
            self.ok += good as u32;
            return good;
        }
        self.order.by_record(&mut self.faults[self.mark..], self.bad.len(), base);
        let mut good = 0;
        for (record, bad) in self.bad.iter().enumerate() {
            if *bad == 0 {
                good += 1;
                continue;
            }
            let (start, end) = span(record);
            let lacks = bad & LACKS != 0;
            self.bad_rows.push(BadRow { record: base + record as u32, start, end, lacks });
        }
        self.rows += self.bad.len() as u32;
        self.ok += good as u32;
        good
    }

    pub(crate) fn bad_cells(&self, plan: &Plan) -> u64 {
        let whole = u64::from(self.rows - self.malformed);
        self.faults.len() as u64 + self.missing.total + whole * plan.missing.len() as u64
    }
}

/// Memory to bring the faults of a tile into the order of its records.
#[derive(Debug, Default)]
struct Order {
    /// For each record where its next fault goes.
    next: Vec<u32>,
    faults: Vec<Fault>,
}

impl Order {
    /// Faults come column by column; of a record they stay in that order. `base` is added to their records.
    fn by_record(&mut self, faults: &mut [Fault], records: usize, base: u32) {
        self.next.clear();
        self.next.resize(records + 1, 0);
        for fault in &*faults {
            self.next[fault.record as usize + 1] += 1;
        }
        let mut total = 0;
        for next in &mut self.next {
            total += *next;
            *next = total;
        }
        self.faults.clear();
        self.faults.extend_from_slice(faults);
        for fault in &self.faults {
            let next = &mut self.next[fault.record as usize];
            faults[*next as usize] = Fault { record: fault.record + base, ..*fault };
            *next += 1;
        }
    }
}
