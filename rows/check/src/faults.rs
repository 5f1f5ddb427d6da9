//! Bad cells and bad records, as small facts. A reject is made from a fault when a caller reads it.

mod log;

use rows_split::cells::{Cell, Kind};
use rows_types::CellError;

pub(crate) use log::FaultLog;

/// The column of a fault in the complete record.
pub(crate) const RECORD_FAULT: u16 = u16::MAX;
/// A record has faults.
pub(crate) const BAD: u8 = 1;
/// A record lacks cells.
pub(crate) const LACKS: u8 = 2;

/// A bad cell of a record batch, as the loops over columns write it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Number of the record in the record batch, from 0.
    pub record: u32,
    pub fault: Fault,
}

/// One bad cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The cell as it was checked: start, length and kind. Unused in a fault of the complete record.
    start: u32,
    len: u32,
    pub column: u16,
    pub error: CellError,
    kind: Kind,
}

impl Fault {
    pub(crate) fn new(cell: Cell, column: u16, error: CellError) -> Self {
        Self { start: cell.start, len: cell.len, column, error, kind: cell.kind }
    }

    #[inline(always)]
    pub(crate) fn cell(self) -> Cell {
        Cell { start: self.start, len: self.len, kind: self.kind }
    }
}

/// One bad record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadRow {
    pub record: u32,
    /// Its bytes in the chunk, without the line end.
    pub start: u32,
    pub end: u32,
    /// Where its faults end. They begin where those of the bad record before it end.
    pub faults: u32,
    /// The row key's cell.
    pub key: Cell,
    /// Whether the record lacks cells.
    pub lacks: bool,
}

/// Cells that records lack, counted by column.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// For each column: the count, and the first record that lacks the cell.
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

/// Where the loops write bad cells.
pub(crate) struct FaultSink<'a> {
    /// For each record: `BAD` and `LACKS`, or 0.
    pub bad: &'a mut [u8],
    pub faults: &'a mut Vec<Found>,
    pub missing: &'a mut Missing,
    pub scratch: &'a mut Vec<u8>,
    /// How many records of the chunk come before this batch.
    pub base: u32,
}

impl FaultSink<'_> {
    /// Records a bad cell.
    #[cold]
    pub(crate) fn fault(&mut self, record: usize, column: usize, cell: Cell, error: CellError) {
        self.fault_here(record, column, cell, error);
    }

    /// Does the same as [`FaultSink::fault`], but is inlined. A call passes the cell through memory: it is written in
    /// two halves and read in one piece at once, which takes as long as all the rest.
    #[inline(always)]
    pub(crate) fn fault_here(&mut self, record: usize, column: usize, cell: Cell, error: CellError) {
        if error == CellError::MissingColumn {
            self.bad[record] |= LACKS;
            self.missing.note(column, self.base + record as u32);
        } else {
            self.bad[record] |= BAD;
            self.faults.push(Found { record: record as u32, fault: Fault::new(cell, column as u16, error) });
        }
    }
}
