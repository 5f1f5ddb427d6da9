//! What the loops over columns need from a record batch, and where they write bad cells.

use super::fault_log::{BAD, Fault, Found, LACKS, Missing};
use crate::coerce::CellError;
use crate::plan::Plan;
use crate::simd::Level;
use crate::split::cells::{self, Cell, Kind, Source};

/// A record batch, with the values that are the same for all of its cells.
pub(crate) struct RecordBatch<'a, S> {
    pub plan: &'a Plan,
    /// The chunk.
    pub bytes: &'a [u8],
    pub source: &'a S,
    pub valid_utf8: bool,
    pub level: Level,
    /// For each column: whether the reader could accept a text, as it is written, as a value that it does not mean. It
    /// is [`Plan::needs_precheck`].
    pub needs_precheck: &'a [bool],
}

impl<'a, S: Source> RecordBatch<'a, S> {
    pub(crate) fn new(
        plan: &'a Plan,
        bytes: &'a [u8],
        source: &'a S,
        valid_utf8: bool,
        level: Level,
    ) -> Self {
        Self { plan, bytes, source, valid_utf8, level, needs_precheck: &plan.needs_precheck }
    }

    /// Where the source has a column of the schema. `None`: the file has no such column.
    pub(crate) fn place(&self, column: usize) -> Option<usize> {
        let field = (*self.plan.field_of.get(column)?)?;
        Some(self.source.column(column, field))
    }

    /// Whether the text of a cell means NULL: an empty text without quotes, or one of the input's null values.
    #[inline(always)]
    pub(crate) fn is_null_text(&self, cell: Cell) -> bool {
        if cell.len == 0 {
            return cell.kind == Kind::Plain;
        }
        self.has_null_texts() && self.plan.is_null_text(cell, self.bytes)
    }

    /// Whether any text besides the empty one means NULL.
    pub(crate) fn has_null_texts(&self) -> bool {
        !self.plan.null_texts.is_empty()
    }

    /// Decodes the text of a cell.
    #[inline(always)]
    pub(crate) fn decode<'b>(&'b self, cell: Cell, scratch: &'b mut Vec<u8>) -> Result<&'b [u8], CellError> {
        cells::decode(self.bytes, cell, self.plan.is_json(), self.plan.dialect, scratch)
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
