//! From the small records of a chunk to what a person reads. Runs only when somebody asks.
//!
//! The cells are told as they were judged. Only a record that lacks cells, or is none, is split once more.

use std::borrow::Cow;

use super::text::{Run, clip};
use super::{Reject, message};
use crate::check::fault_log::{BadRow, Fault, FaultLog, WHOLE};
use crate::coerce::CellError;
use crate::column::{Compiled, Reader};
use crate::nested::{self, Node};
use crate::plan::Plan;
use crate::schema::Column;
use crate::simd::Portable;
use crate::split::cells::{Cell, Kind, decode, decode_nested};
use crate::split::csv;
use crate::split::json::Keys;

/// Most bytes of an observed text, and of a record's text.
const OBSERVED: usize = 256;
const RECORD: usize = 1024;

/// Splits a bad record again.
struct Resplit {
    keys: Keys,
    cells: Vec<Cell>,
    fields: Vec<csv::Field>,
}

impl Resplit {
    fn new(plan: &Plan) -> Self {
        Self { keys: plan.keys(), cells: Vec::new(), fields: Vec::new() }
    }

    /// Fills `cells`, by columns, as far as the record can be read.
    fn split(&mut self, plan: &Plan, bytes: &[u8], row: BadRow) {
        let (start, end) = (row.start as usize, row.end as usize);
        self.cells.clear();
        self.cells.resize(plan.schema.columns().len(), Cell::MISSING);
        self.fields.clear();
        // what is wrong is known already
        if plan.is_json() {
            if self.keys.again(Portable, bytes, start, &mut self.cells) != Some(end) {
                self.cells.fill(Cell::MISSING);
                let _ = self.keys.line(bytes, start, end, &mut self.cells);
            }
        } else {
            csv::record(&bytes[..end], start, plan.dialect, |field| self.fields.push(field));
            let _ = plan.place(bytes, &self.fields, None, &mut self.cells);
        }
    }
}

/// What the texts of a chunk's cells are.
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

    /// The message for a bad cell with inner structure: what is wrong at which place of it.
    #[cold]
    fn nested_message(
        &self,
        error: CellError,
        cell: Cell,
        column: &Column,
        node: &Node,
    ) -> Cow<'static, str> {
        let mut scratch = Vec::new();
        let (json, dialect) = (self.plan.is_json(), self.plan.dialect);
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

    /// What the row key's cell holds.
    fn event_id(&self, key: Cell) -> Cow<'a, str> {
        match key.kind {
            Kind::Null => Cow::Borrowed(""),
            _ => self.text(key, self.plan.schema.row_key()),
        }
    }

    pub(super) fn text(&self, cell: Cell, column: usize) -> Cow<'a, str> {
        match self.plain(cell) {
            Some(text) => Cow::Borrowed(text),
            None => self.odd(cell, column),
        }
    }

    /// The text of a cell that stands in the file as it is, in text that is known to be UTF-8.
    #[inline(always)]
    fn plain(&self, cell: Cell) -> Option<&'a str> {
        match cell.kind {
            Kind::Null | Kind::Escaped => None,
            _ => self.run.clip(cell.start, cell.len, OBSERVED),
        }
    }

    /// The text of any cell.
    fn odd(&self, cell: Cell, column: usize) -> Cow<'a, str> {
        match cell.kind {
            Kind::Null => Cow::Borrowed(if self.plan.is_json() { "null" } else { "\\N" }),
            Kind::Escaped => {
                let nested = matches!(self.plan.schema.compiled()[column].reader, Reader::Nested(_));
                let decode = if nested { decode_nested } else { decode };
                let mut scratch = Vec::new();
                let text = decode(self.bytes, cell, self.plan.is_json(), self.plan.dialect, &mut scratch);
                let text = text.unwrap_or_else(|_| cell.text(self.bytes));
                Cow::Owned(clip(text, OBSERVED).into_owned())
            }
            _ => clip(cell.text(self.bytes), OBSERVED),
        }
    }

    /// What is shown of a whole record.
    pub(super) fn observed(&self, row: BadRow) -> Cow<'a, str> {
        self.record(row, OBSERVED)
    }

    /// At most `max` bytes of a record.
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
    /// Bad records that are still to be told, and where the faults of the first of them begin.
    rows: &'a [BadRow],
    next_fault: usize,
    /// The record that is being told, and what is still to be told of it: faults, and columns that it lacks.
    row: BadRow,
    faults: std::slice::Iter<'a, Fault>,
    lacking: std::vec::IntoIter<u16>,
    /// Row key and text of that record, if both stand in the file as they are to be told.
    plain: Option<(&'a str, &'a str)>,
}

/// What is told of a bad cell, as it stands in the file and the plan.
struct Quick<'a> {
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
            split: Resplit::new(plan),
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

    /// Takes up the next bad record; `None`: there is none.
    #[inline(always)]
    fn take_up(&mut self) -> Option<()> {
        let (row, rest) = self.rows.split_first()?;
        let row = *row;
        if !self.texts.run.reaches(row) {
            self.texts.run = Run::of(self.texts.bytes, self.rows);
        }
        let faults = self.log.faults().get(self.next_fault..row.faults as usize).unwrap_or_default();
        (self.rows, self.next_fault, self.row, self.faults) = (rest, row.faults as usize, row, faults.iter());
        let malformed = faults.first().is_some_and(|fault| fault.column == WHOLE);
        if malformed || row.lacks || !self.texts.plan.missing.is_empty() {
            self.look_again(malformed);
        }
        let record = self.texts.run.clip(row.start, row.end - row.start, RECORD);
        self.plain = self.texts.plain(self.row.key).zip(record);
        Some(())
    }

    /// Finds what the record lacks, and the row key of one that is none, as far as it can be read.
    #[cold]
    fn look_again(&mut self, malformed: bool) {
        let (plan, split, row) = (self.texts.plan, &mut self.split, self.row);
        if malformed || row.lacks {
            split.split(plan, self.texts.bytes, row);
        }
        if !malformed {
            let lacking = plan.schema.compiled().iter().enumerate().filter(|(at, column)| {
                row.lacks && split.cells[*at].kind == Kind::Missing && !column.may_be_absent()
            });
            let lacking = lacking.map(|(at, _)| at).filter(|at| plan.field_of[*at].is_some());
            let mut lacking: Vec<u16> =
                plan.missing.iter().copied().chain(lacking).map(|at| at as u16).collect();
            lacking.sort_unstable();
            self.lacking = lacking.into_iter();
        }
        if malformed {
            self.row.key = split.cells[plan.schema.row_key()];
        }
    }

    /// What is next in the order of columns.
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

    /// What is told of most bad cells; `None`: something of it must be made first.
    #[inline(always)]
    fn quick(&self, fault: Fault) -> Option<Quick<'a>> {
        let (event_id, record) = self.plain?;
        let observed = self.texts.plain(fault.cell())?;
        let at = usize::from(fault.column);
        let schema = &self.texts.plan.schema;
        let (column, compiled) = (schema.columns().get(at)?, schema.compiled().get(at)?);
        // where inside a value something is wrong must be found first
        let simple = match &compiled.reader {
            Reader::Nested(node) => node.refuse(observed.as_bytes()) == Some(fault.error),
            _ => true,
        };
        simple.then_some(Quick { event_id, column, compiled, observed, record })
    }

    #[cold]
    fn build(&self, fault: Fault) -> Reject<'a> {
        let texts = &self.texts;
        let (at, cell) = (usize::from(fault.column), fault.cell());
        let schema = &texts.plan.schema;
        let known = schema.columns().get(at).zip(schema.compiled().get(at));
        let (column, ty, observed, message) = if let Some((column, compiled)) = known {
            let message = match &compiled.reader {
                Reader::Nested(node) => texts.nested_message(fault.error, cell, column, node),
                _ => Cow::Borrowed(compiled.messages.of_cell(fault.error, column, &compiled.ty)),
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
        let record = &bytes[self.row.start as usize..self.row.end as usize];
        message::of_record(error, plan, record, self.split.fields.len())
    }
}

impl<'a> Iterator for Rejects<'a> {
    type Item = Reject<'a>;

    fn next(&mut self) -> Option<Reject<'a>> {
        loop {
            let Some(fault) = self.next_fault() else {
                self.take_up()?;
                continue;
            };
            let Some(Quick { event_id, column, compiled, observed, record }) = self.quick(fault) else {
                return Some(self.build(fault));
            };
            // in its place at once: a reject is large, and this is done a million times a second
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
