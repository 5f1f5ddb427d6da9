//! From the small records of a chunk to what a person reads. Runs only when somebody asks.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Code, Reject, Summary, message};
use crate::check::tally::{BadRow, Fault, Tally, WHOLE};
use crate::coerce::Why;
use crate::column::Reader;
use crate::mask::mask;
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

/// Splits bad records again, one by one.
struct Resplit<'a> {
    plan: &'a Plan,
    bytes: &'a [u8],
    keys: Keys,
    cells: Vec<Cell>,
    fields: Vec<csv::Field>,
}

impl<'a> Resplit<'a> {
    fn new(plan: &'a Plan, bytes: &'a [u8]) -> Self {
        Self { plan, bytes, keys: plan.keys(), cells: Vec::new(), fields: Vec::new() }
    }

    /// Fills `cells`, by columns, as far as the record can be read.
    fn split(&mut self, row: BadRow) {
        let (start, end) = (row.start as usize, row.end as usize);
        self.cells.clear();
        self.cells.resize(self.plan.schema.columns().len(), Cell::MISSING);
        self.fields.clear();
        // what is wrong is known already
        if self.plan.is_json() {
            if self.keys.again(Portable, self.bytes, start, &mut self.cells) != Some(end) {
                self.cells.fill(Cell::MISSING);
                let _ = self.keys.line(self.bytes, start, end, &mut self.cells);
            }
        } else {
            csv::record(&self.bytes[..end], start, self.plan.dialect, |field| self.fields.push(field));
            let _ = self.plan.place(self.bytes, &self.fields, None, &mut self.cells);
        }
    }

    /// The message for a bad cell with inner structure: what is wrong at which place of it.
    fn nested_message(&self, why: Why, at: usize, column: &Column, node: &Node) -> Cow<'static, str> {
        let mut scratch = Vec::new();
        let (json, dialect) = (self.plan.is_json(), self.plan.dialect);
        let text = decode_nested(self.bytes, self.cells[at], json, dialect, &mut scratch);
        match text.ok().and_then(|text| nested::explain(node, &column.ty, text)) {
            Some((place, ty, inner)) if inner == why => {
                let part = Column {
                    format: column.format.clone(),
                    policies: column.policies,
                    ..Column::new("", ty.clone())
                };
                let message = message::of_cell(why, &part, &part.ty.to_string());
                if place.is_empty() { message } else { Cow::Owned(format!("{message} (in {place})")) }
            }
            _ => message::of_cell(why, column, &column.ty.to_string()),
        }
    }

    /// What the row key's cell holds.
    fn event_id(&self) -> Cow<'a, str> {
        let key = self.plan.schema.row_key();
        match self.cells[key].kind {
            Kind::Null => Cow::Borrowed(""),
            _ => self.text(key),
        }
    }

    fn text(&self, column: usize) -> Cow<'a, str> {
        let cell = self.cells[column];
        let mut scratch = Vec::new();
        match cell.kind {
            Kind::Null => Cow::Borrowed(if self.plan.is_json() { "null" } else { "\\N" }),
            Kind::Escaped => {
                let nested = matches!(self.plan.schema.compiled()[column].reader, Reader::Nested(_));
                let decode = if nested { decode_nested } else { decode };
                let text = decode(self.bytes, cell, self.plan.is_json(), self.plan.dialect, &mut scratch);
                let text = text.unwrap_or_else(|_| cell.text(self.bytes));
                Cow::Owned(clip(text, OBSERVED).into_owned())
            }
            _ => clip(cell.text(self.bytes), OBSERVED),
        }
    }
}

/// At most `max` bytes as text, cut on a character edge.
fn clip(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let mut end = bytes.len().min(max);
    if end < bytes.len() {
        // not in the middle of a character: step back over continuation bytes
        let back = bytes[..=end].iter().rev().take(4).take_while(|b| **b & 0xc0 == 0x80).count();
        if back < 4 {
            end -= back;
        }
    }
    if let Ok(text) = std::str::from_utf8(&bytes[..end]) {
        return Cow::Borrowed(text);
    }
    match String::from_utf8_lossy(&bytes[..end]) {
        // replacement characters are longer than what they replace
        Cow::Owned(mut text) if text.len() > max => {
            let mut end = max;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            Cow::Owned(text)
        }
        text => text,
    }
}

/// The rejects of a chunk.
pub(crate) struct Rejects<'a> {
    split: Resplit<'a>,
    tally: &'a Tally,
    first_row: u64,
    /// The next bad record, and the next fault in `tally`.
    row: usize,
    fault: usize,
    /// The faults of the record that is being told, last first.
    pending: Vec<Fault>,
    /// Of that record.
    event_id: Cow<'a, str>,
    record: Cow<'a, str>,
}

impl<'a> Rejects<'a> {
    pub(crate) fn new(plan: &'a Plan, bytes: &'a [u8], tally: &'a Tally, first_row: u64) -> Self {
        let (event_id, record) = (Cow::Borrowed(""), Cow::Borrowed(""));
        let split = Resplit::new(plan, bytes);
        Self { split, tally, first_row, row: 0, fault: 0, pending: Vec::new(), event_id, record }
    }

    /// Takes up the next bad record; `None`: there is none.
    fn take_up(&mut self) -> Option<BadRow> {
        let row = *self.tally.bad_rows.get(self.row)?;
        self.row += 1;
        self.split.split(row);
        let known = &self.tally.faults[self.fault..];
        let known = &known[..known.iter().take_while(|f| f.record == row.record).count()];
        self.fault += known.len();
        self.pending.extend_from_slice(known);
        let plan = self.split.plan;
        let lacks = row.lacks || !plan.missing.is_empty();
        if lacks && known.first().is_none_or(|f| f.column != WHOLE) {
            let lacking = plan.schema.compiled().iter().enumerate().filter(|(at, column)| {
                row.lacks && self.split.cells[*at].kind == Kind::Missing && !column.may_be_absent()
            });
            let missing = plan
                .missing
                .iter()
                .copied()
                .chain(lacking.map(|(at, _)| at).filter(|at| plan.field_of[*at].is_some()));
            let fault =
                |column: usize| Fault { record: row.record, column: column as u16, why: Why::MissingColumn };
            self.pending.extend(missing.map(fault));
        }
        if lacks {
            self.pending.sort_unstable_by_key(|f| f.column);
        }
        // they are taken from the end
        self.pending.reverse();
        self.event_id = self.split.event_id();
        self.record = clip(&self.split.bytes[row.start as usize..row.end as usize], RECORD);
        Some(row)
    }

    fn build(&self, fault: Fault, row: BadRow) -> Reject<'a> {
        let Resplit { plan, bytes, .. } = self.split;
        let record = &bytes[row.start as usize..row.end as usize];
        let (column, ty, observed, message) = if fault.column == WHOLE {
            let message = message::of_record(fault.why, plan, record, self.split.fields.len());
            ("", "", clip(record, OBSERVED), Cow::Owned(message))
        } else {
            let at = usize::from(fault.column);
            let (column, compiled) = (&plan.schema.columns()[at], &plan.schema.compiled()[at]);
            let message = match &compiled.reader {
                Reader::Nested(node) => self.split.nested_message(fault.why, at, column, node),
                _ => Cow::Borrowed(compiled.messages.of_cell(fault.why, column, &compiled.ty)),
            };
            (column.name.as_str(), compiled.ty.as_str(), self.split.text(at), message)
        };
        Reject {
            row: self.first_row + u64::from(row.record),
            event_id: self.event_id.clone(),
            column,
            ty,
            code: fault.why.code(),
            observed,
            message,
            record: self.record.clone(),
        }
    }
}

impl<'a> Iterator for Rejects<'a> {
    type Item = Reject<'a>;

    fn next(&mut self) -> Option<Reject<'a>> {
        while self.pending.is_empty() {
            self.take_up()?;
        }
        let fault = self.pending.pop()?;
        let row = self.tally.bad_rows[self.row - 1];
        Some(self.build(fault, row))
    }
}

/// The bad cells of a chunk by column and code, the most frequent first.
pub(crate) fn summary(plan: &Plan, bytes: &[u8], tally: &Tally, first_row: u64) -> Vec<Summary> {
    // a place for each column, one for whole records, and each code
    let mut table = vec![(0, 0); (plan.schema.columns().len() + 1) * Code::COUNT];
    for fault in &tally.faults {
        let column = usize::from(fault.column).min(plan.schema.columns().len());
        let (count, first): &mut (u64, u32) = &mut table[column * Code::COUNT + fault.why.code() as usize];
        *first = if *count == 0 { fault.record } else { *first };
        *count += 1;
    }
    let mut groups: HashMap<(u16, Code), (u64, u32)> = HashMap::new();
    for (at, codes) in table.chunks_exact(Code::COUNT).enumerate() {
        let column = if at == plan.schema.columns().len() { WHOLE } else { at as u16 };
        let seen = Code::ALL.into_iter().zip(codes).filter(|(_, (count, _))| *count > 0);
        groups.extend(seen.map(|(code, entry)| ((column, code), *entry)));
    }
    let lacking = tally.missing.columns.iter().enumerate().filter(|(_, (count, _))| *count > 0);
    groups.extend(lacking.map(|(at, entry)| ((at as u16, Code::MissingColumn), *entry)));
    if let Some(first) = tally.first_whole {
        let count = u64::from(tally.rows - tally.malformed);
        groups.extend(plan.missing.iter().map(|at| ((*at as u16, Code::MissingColumn), (count, first))));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|((column, code), (count, _))| (std::cmp::Reverse(*count), *column, *code));
    let mut split = Resplit::new(plan, bytes);
    let entry = |((at, error), (count, record)): ((u16, Code), (u64, u32))| {
        let known = tally.bad_rows.binary_search_by_key(&record, |r| r.record);
        let row = known.ok().map(|i| tally.bad_rows[i]);
        if let Some(row) = row {
            split.split(row);
        }
        let (column, sample) = match (plan.schema.columns().get(usize::from(at)), row) {
            (Some(column), Some(_)) => (column.name.clone(), mask(&split.text(usize::from(at)))),
            (_, Some(row)) => {
                (String::new(), mask(&clip(&bytes[row.start as usize..row.end as usize], OBSERVED)))
            }
            (column, None) => (column.map_or(String::new(), |c| c.name.clone()), String::new()),
        };
        Summary { column, error, count, first_row: first_row + u64::from(record), sample }
    };
    groups.into_iter().map(entry).collect()
}
