//! Splits a chunk into the records of a record batch, and keeps the buffers for it.

use super::RECORD_BATCH_BYTES;
use crate::input::{Dialect, Format};
use crate::plan::Plan;
use crate::simd::{Kernel, Lanes, Level};
use crate::split::array;
use crate::split::cells::{Cell, Table};
use crate::split::csv::{self, Field};
use crate::split::index::Index;
use crate::split::json::Keys;
use crate::split::json::index::Index as Lined;
use crate::split::json::rows::BATCH;

pub(super) struct Splitter {
    pub level: Level,
    /// For a record batch of regular records: all of them are found at once.
    pub index: Index,
    /// For a record batch whose records are read one by one: their cells.
    pub table: Table,
    fields: Vec<Field>,
    keys: Keys,
    /// For JSON lines.
    lined: Lined,
}

impl Splitter {
    pub(super) fn new(plan: &Plan, level: Level) -> Self {
        Self {
            level,
            index: Index::default(),
            table: Table::default(),
            fields: Vec::new(),
            keys: plan.keys(),
            lined: Lined::default(),
        }
    }

    /// Reads records into the table until it holds a record batch; returns the offset after them.
    pub(super) fn one_by_one(&mut self, chunk: &[u8], start: usize, plan: &Plan) -> usize {
        self.table.clear(plan.schema.columns().len());
        let Self { level, table, keys, lined, .. } = self;
        match plan.input.format {
            Format::Csv | Format::Tsv => self.csv(chunk, start, plan),
            Format::JsonLines => {
                lined.clear();
                level.run_scalar(Lines { table, keys, lined, chunk, start, level: *level })
            }
            Format::Json => level.run_scalar(Elements { table, keys, chunk, start, level: *level }),
        }
    }

    fn csv(&mut self, chunk: &[u8], start: usize, plan: &Plan) -> usize {
        let mut at = start;
        while at - start < RECORD_BATCH_BYTES && !self.table.is_full() {
            at = csv::skip_blank_lines(chunk, at, plan.dialect);
            if at >= chunk.len() {
                break;
            }
            self.fields.clear();
            let record = csv::record(chunk, at, plan.dialect, |field| self.fields.push(field));
            let filled = plan.place(chunk, &self.fields, record.problem, self.table.open());
            self.table.close(at, record.end, filled);
            at = record.next;
        }
        at
    }
}

/// JSON objects, one on each line.
struct Lines<'a> {
    table: &'a mut Table,
    keys: &'a mut Keys,
    lined: &'a mut Lined,
    chunk: &'a [u8],
    start: usize,
    level: Level,
}

impl Kernel for Lines<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> usize {
        let Self { table, keys, lined, chunk, start, level } = self;
        let mut at = start;
        let mut batch = BATCH;
        while at - start < RECORD_BATCH_BYTES && !table.is_full() {
            // without wide instructions the index costs more than it saves
            if keys.expect_lines() && level != Level::Portable {
                if lined.is_spent() {
                    lined.build(chunk, at, RECORD_BATCH_BYTES - (at - start), keys.expect_lists(), level);
                }
                let taken = keys.lines(level, chunk, lined, batch, table);
                if taken.lines > 0 {
                    // if the shape of the lines changes often, reading many lines at once costs more than it saves
                    batch = if taken.all { (2 * batch).min(BATCH) } else { 1 };
                    at = taken.end;
                    continue;
                }
            }
            batch = 1;
            at = csv::skip_blank_lines(chunk, at, Dialect::rfc(b'\n', 0));
            if at >= chunk.len() {
                break;
            }
            at = line(lanes, table, keys, chunk, at);
            lined.skip_to(at);
        }
        at
    }
}

/// Reads the line at `at` alone; returns the offset after it.
#[inline(always)]
fn line<L: Lanes>(lanes: L, table: &mut Table, keys: &mut Keys, chunk: &[u8], at: usize) -> usize {
    let cells = table.open();
    // an object that matches the template contains no line feed: neither its values nor the text between them do
    if let Some(end) = keys.again(lanes, chunk, at, cells)
        && let Some(line_end) = line_end(&chunk[end..])
    {
        table.close(at, end, Ok(()));
        return end + line_end;
    }
    cells.fill(Cell::MISSING);
    let next = memchr::memchr(b'\n', &chunk[at..]).map_or(chunk.len(), |n| at + n + 1);
    let end = at + csv::trimmed_line(&chunk[at..next]).len();
    let filled = keys.line(chunk, at, end, cells);
    table.close(at, end, filled);
    next
}

/// JSON objects that are the elements of an array.
struct Elements<'a> {
    table: &'a mut Table,
    keys: &'a mut Keys,
    chunk: &'a [u8],
    start: usize,
    level: Level,
}

impl Kernel for Elements<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> usize {
        let Self { table, keys, chunk, start, level } = self;
        let mut at = start;
        while at - start < RECORD_BATCH_BYTES && !table.is_full() {
            let Some((from, end)) = array::record(chunk, at, level) else { return chunk.len() };
            let cells = table.open();
            let mut filled = Ok(());
            if keys.again(lanes, chunk, from, cells) != Some(end) {
                cells.fill(Cell::MISSING);
                filled = keys.line(chunk, from, end, cells);
            }
            table.close(from, end, filled);
            at = end;
        }
        at
    }
}

/// The length of the line end that the bytes begin with; 0 if there are no bytes.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        [] => Some(0),
        _ => None,
    }
}
