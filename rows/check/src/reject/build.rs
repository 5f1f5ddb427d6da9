//! Builds rejects from the faults of a chunk, only when a caller asks for them.
//!
//! A reject shows the cell that was checked. Only a record that lacks cells or is malformed is split again.

use std::borrow::Cow;

use rows_split::cells::{Cell, Kind};
use rows_split::decode::{decode, decode_nested};
use rows_split::resplit::Resplit;
use rows_types::{CellError, Column};

use super::text::{Run, clip};
use super::{Reject, record};
use crate::column::{ColumnReader, Compiled};
use crate::faults::{BadRow, Fault, FaultLog, RECORD_FAULT};
use crate::message;
use crate::nested::{self, Node};
use crate::plan::Plan;

/// The maximum length of an observed text, in bytes.
const OBSERVED: usize = 256;
/// The maximum length of a record's text, in bytes.
const RECORD: usize = 1024;

/// Reads the texts of a chunk's cells and records.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    plan: &'a Plan,
    bytes: &'a [u8],
    run: Run<'a>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(plan: &'a Plan, bytes: &'a [u8]) -> Self {
        Self { plan, bytes, run: Run::NONE }
    }

    /// The message for a bad cell with inner structure: what is wrong, and at which place in it.
    #[cold]
    fn nested_message(
        &self,
        error: CellError,
        cell: Cell,
        column: &Column,
        node: &Node,
    ) -> Cow<'static, str> {
        let mut scratch = Vec::new();
        let (json, dialect) = (self.plan.binding.is_json(), self.plan.binding.dialect);
        let text = decode_nested(self.bytes, cell, json, dialect, &mut scratch);
        match text.ok().and_then(|text| nested::explain(node, &column.ty, text)) {
            Some((place, ty, inner)) if inner == error => {
                let part = Column {
                    format: column.format.clone(),
                    policies: column.policies,
                    ..Column::new("", ty.clone())
                };
                let message = message::of_cell(error, &part, &part.ty.to_string());
                if place.is_empty() { message } else { Cow::Owned(format!("{message} (in {place})")) }
            }
            _ => message::of_cell(error, column, &column.ty.to_string()),
        }
    }

    /// The text of the row key's cell, "" if it is NULL.
    fn event_id(&self, key: Cell) -> Cow<'a, str> {
        match key.kind {
            Kind::Null => Cow::Borrowed(""),
            _ => self.text(key, self.plan.schema().row_key()),
        }
    }

    pub(super) fn text(&self, cell: Cell, column: usize) -> Cow<'a, str> {
        match self.plain(cell) {
            Some(text) => Cow::Borrowed(text),
            None => self.decoded_text(cell, column),
        }
    }

    /// The text of a cell that needs no decoding. `None`: it needs decoding, or is not known to be UTF-8.
    #[inline(always)]
    fn plain(&self, cell: Cell) -> Option<&'a str> {
        match cell.kind {
            Kind::Null | Kind::Escaped => None,
            _ => self.run.clip(cell.start, cell.len, OBSERVED),
        }
    }

    /// The text of any cell, decoded if necessary.
    fn decoded_text(&self, cell: Cell, column: usize) -> Cow<'a, str> {
        match cell.kind {
            Kind::Null => Cow::Borrowed(if self.plan.binding.is_json() { "null" } else { "\\N" }),
            Kind::Escaped => {
                let nested = matches!(self.plan.compiled()[column].reader, ColumnReader::Nested(_));
                let decode = if nested { decode_nested } else { decode };
                let mut scratch = Vec::new();
                let text = decode(
                    self.bytes,
                    cell,
                    self.plan.binding.is_json(),
                    self.plan.binding.dialect,
                    &mut scratch,
                );
                let text = text.unwrap_or_else(|_| cell.text(self.bytes));
                Cow::Owned(clip(text, OBSERVED).into_owned())
            }
            _ => clip(cell.text(self.bytes), OBSERVED),
        }
    }

    /// The observed text for a reject of the complete record.
    pub(super) fn observed(&self, row: BadRow) -> Cow<'a, str> {
        self.record(row, OBSERVED)
    }

    /// The text of a record, at most `max` bytes.
    fn record(&self, row: BadRow, max: usize) -> Cow<'a, str> {
        match self.run.clip(row.start, row.end - row.start, max) {
            Some(text) => Cow::Borrowed(text),
            None => clip(&self.bytes[row.start as usize..row.end as usize], max),
        }
    }
}

/// The rejects of a chunk.
pub(crate) struct Rejects<'a> {
    texts: Texts<'a>,
    split: Resplit,
    log: &'a FaultLog,
    first_row: u64,
    /// The bad records that were not begun yet.
    rows: &'a [BadRow],
    /// Where the faults of the first of `rows` begin in the log.
    next_fault: usize,
    /// The current record.
    row: BadRow,
    /// The faults of the current record that were not returned yet.
    faults: std::slice::Iter<'a, Fault>,
    /// The columns that the current record lacks and that were not returned yet.
    lacking: std::vec::IntoIter<u16>,
    /// Row key and text of the current record, if neither needs decoding.
    plain: Option<(&'a str, &'a str)>,
}

/// The parts of a reject, borrowed from the chunk and the plan.
struct BorrowedReject<'a> {
    event_id: &'a str,
    column: &'a Column,
    compiled: &'a Compiled,
    observed: &'a str,
    record: &'a str,
}

impl<'a> Rejects<'a> {
    pub(crate) fn new(plan: &'a Plan, bytes: &'a [u8], log: &'a FaultLog, first_row: u64) -> Self {
        Self {
            texts: Texts::new(plan, bytes),
            split: Resplit::new(&plan.binding),
            log,
            first_row,
            rows: &log.bad_rows,
            next_fault: 0,
            row: BadRow { record: 0, start: 0, end: 0, faults: 0, key: Cell::MISSING, lacks: false },
            faults: [].iter(),
            lacking: Vec::new().into_iter(),
            plain: None,
        }
    }

    /// Begins the next bad record. `None` after the last one.
    #[inline(always)]
    fn begin_record(&mut self) -> Option<()> {
        let (row, rest) = self.rows.split_first()?;
        let row = *row;
        if !self.texts.run.reaches(row) {
            self.texts.run = Run::of(self.texts.bytes, self.rows);
        }
        let faults = self.log.faults().get(self.next_fault..row.faults as usize).unwrap_or_default();
        (self.rows, self.next_fault, self.row, self.faults) = (rest, row.faults as usize, row, faults.iter());
        let malformed = faults.first().is_some_and(|fault| fault.column == RECORD_FAULT);
        if malformed || row.lacks || !self.texts.plan.binding.missing.is_empty() {
            self.find_missing(malformed);
        }
        let record = self.texts.run.clip(row.start, row.end - row.start, RECORD);
        self.plain = self.texts.plain(self.row.key).zip(record);
        Some(())
    }

    /// Finds the columns that the record lacks. If it is malformed, finds its row key instead, as far as it can be
    /// read.
    #[cold]
    fn find_missing(&mut self, malformed: bool) {
        let (plan, split, row) = (self.texts.plan, &mut self.split, self.row);
        if malformed || row.lacks {
            split.split(&plan.binding, self.texts.bytes, row.start as usize, row.end as usize);
        }
        if !malformed {
            let lacking = plan.compiled().iter().enumerate().filter(|(at, column)| {
                row.lacks && split.cells[*at].kind == Kind::Missing && !column.may_be_absent()
            });
            let lacking = lacking.map(|(at, _)| at).filter(|at| plan.binding.field_of[*at].is_some());
            let mut lacking: Vec<u16> =
                plan.binding.missing.iter().copied().chain(lacking).map(|at| at as u16).collect();
            lacking.sort_unstable();
            self.lacking = lacking.into_iter();
        }
        if malformed {
            self.row.key = split.cells[plan.schema().row_key()];
        }
    }

    /// The next fault of the current record, in the order of columns.
    #[inline(always)]
    fn next_fault(&mut self) -> Option<Fault> {
        let (known, lacking) = (self.faults.as_slice().first(), self.lacking.as_slice().first());
        match (known, lacking) {
            (_, Some(column)) if known.is_none_or(|known| column < &known.column) => {
                let column = self.lacking.next()?;
                Some(Fault::new(Cell::MISSING, column, CellError::MissingColumn))
            }
            _ => self.faults.next().copied(),
        }
    }

    /// The parts of a reject, for most bad cells. `None`: some part must be built first.
    #[inline(always)]
    fn borrowed(&self, fault: Fault) -> Option<BorrowedReject<'a>> {
        let (event_id, record) = self.plain?;
        let observed = self.texts.plain(fault.cell())?;
        let at = usize::from(fault.column);
        let plan = self.texts.plan;
        let (column, compiled) = (plan.schema().columns().get(at)?, plan.compiled().get(at)?);
        // in a value with inner structure, `build` must first find which part is wrong
        let simple = match &compiled.reader {
            ColumnReader::Nested(node) => node.refuse(observed.as_bytes()) == Some(fault.error),
            ColumnReader::Scalar(_) => true,
        };
        simple.then_some(BorrowedReject { event_id, column, compiled, observed, record })
    }

    #[cold]
    fn build(&self, fault: Fault) -> Reject<'a> {
        let texts = &self.texts;
        let (at, cell) = (usize::from(fault.column), fault.cell());
        let plan = texts.plan;
        let known = plan.schema().columns().get(at).zip(plan.compiled().get(at));
        let (column, ty, observed, message) = if let Some((column, compiled)) = known {
            let message = match &compiled.reader {
                ColumnReader::Nested(node) => texts.nested_message(fault.error, cell, column, node),
                ColumnReader::Scalar(_) => {
                    Cow::Borrowed(compiled.messages.of_cell(fault.error, column, &compiled.ty))
                }
            };
            (column.name.as_str(), compiled.ty.as_str(), texts.text(cell, at), message)
        } else {
            let observed = texts.observed(self.row);
            ("", "", observed, Cow::Owned(self.record_message(fault.error)))
        };
        Reject {
            row: self.first_row + u64::from(self.row.record),
            event_id: texts.event_id(self.row.key),
            column,
            ty,
            code: fault.error.code(),
            observed,
            message,
            record: texts.record(self.row, RECORD),
        }
    }

    #[cold]
    fn record_message(&self, error: CellError) -> String {
        let Texts { plan, bytes, .. } = self.texts;
        let bytes = &bytes[self.row.start as usize..self.row.end as usize];
        record::message(error, &plan.binding, bytes, self.split.fields.len())
    }
}

impl<'a> Iterator for Rejects<'a> {
    type Item = Reject<'a>;

    fn next(&mut self) -> Option<Reject<'a>> {
        loop {
            let Some(fault) = self.next_fault() else {
                self.begin_record()?;
                continue;
            };
            let Some(BorrowedReject { event_id, column, compiled, observed, record }) = self.borrowed(fault)
            else {
                return Some(self.build(fault));
            };
            // written directly to its destination: a reject is large, and this runs a million times a second
            return Some(Reject {
                row: self.first_row + u64::from(self.row.record),
                event_id: Cow::Borrowed(event_id),
                column: &column.name,
                ty: &compiled.ty,
                code: fault.error.code(),
                observed: Cow::Borrowed(observed),
                message: Cow::Borrowed(compiled.messages.of_cell(fault.error, column, &compiled.ty)),
                record: Cow::Borrowed(record),
            });
        }
    }
}
