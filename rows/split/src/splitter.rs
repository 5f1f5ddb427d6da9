//! Splits a chunk into the records of a record batch, and keeps the buffers for it.

use rows_bytes::simd::{Kernel, Lanes, Level};
use rows_types::{CellError, Dialect, Format};

use crate::array;
use crate::binding::Binding;
use crate::cells::{Cell, Regular, Source, Table};
use crate::csv::{self, Field};
use crate::index::Index;
use crate::json::Keys;
use crate::json::index::Index as Lined;
use crate::json::rows::BATCH;

/// Bytes of a record batch.
const RECORD_BATCH_BYTES: usize = 256 * 1024;

/// The buffers and the state for splitting the chunks of one file.
pub struct Splitter {
    level: Level,
    /// For a record batch of regular records: all of them are found at once.
    index: Index,
    /// For a record batch whose records are read one by one: their cells.
    table: Table,
    fields: Vec<Field>,
    keys: Keys,
    /// For JSON lines.
    lined: Lined,
}

/// Takes the record batches of a chunk, one after the other.
pub trait Batches {
    /// Takes a record batch: its cells, the end of its bytes in the chunk, and its malformed records, each with its
    /// error.
    fn take<S: Source>(&mut self, source: &S, end: usize, malformed: &[(u32, CellError)]);
}

impl Splitter {
    /// A splitter for files of this binding.
    pub fn new(binding: &Binding, level: Level) -> Self {
        Self {
            level,
            index: Index::default(),
            table: Table::default(),
            fields: Vec::new(),
            keys: binding.keys(),
            lined: Lined::default(),
        }
    }

    /// Splits the next record batch of the chunk, from the offset `at` on, and gives it to `batches`. Returns the offset
    /// after it.
    pub fn batch(&mut self, binding: &Binding, chunk: &[u8], at: usize, batches: &mut impl Batches) -> usize {
        let dialect = binding.dialect;
        if binding.is_json() || !dialect.is_rfc() {
            return self.irregular(binding, chunk, at, batches);
        }
        let mut window = RECORD_BATCH_BYTES;
        loop {
            let end = (at + window).min(chunk.len());
            let Some(found) = self.index.build(chunk, at, end, binding.fields, dialect, self.level) else {
                return self.irregular(binding, chunk, at, batches);
            };
            if found.records == 0 {
                // one record is longer than the window
                window *= 2;
                continue;
            }
            let (positions, fields) = (self.index.positions(), binding.fields);
            let (quote, returns) = (dialect.quote, found.returns);
            if found.quotes {
                let source = Regular::<true> { bytes: chunk, positions, fields, quote, returns };
                batches.take(&source, found.end, &[]);
            } else {
                let source = Regular::<false> { bytes: chunk, positions, fields, quote, returns };
                batches.take(&source, found.end, &[]);
            }
            return found.end;
        }
    }

    /// [`Splitter::batch`] of records that must be read one by one.
    fn irregular(&mut self, binding: &Binding, chunk: &[u8], at: usize, batches: &mut impl Batches) -> usize {
        let end = self.one_by_one(chunk, at, binding);
        batches.take(&self.table, end, &self.table.malformed);
        end
    }

    /// Reads records into the table until it holds a record batch; returns the offset after them.
    fn one_by_one(&mut self, chunk: &[u8], start: usize, binding: &Binding) -> usize {
        self.table.clear(binding.schema().columns().len());
        let Self { level, table, keys, lined, .. } = self;
        match binding.input().format {
            Format::Csv | Format::Tsv => self.csv(chunk, start, binding),
            Format::JsonLines => {
                lined.clear();
                level.run_scalar(Lines { table, keys, lined, chunk, start, level: *level })
            }
            Format::Json => level.run_scalar(Elements { table, keys, chunk, start, level: *level }),
        }
    }

    fn csv(&mut self, chunk: &[u8], start: usize, binding: &Binding) -> usize {
        let mut at = start;
        while at - start < RECORD_BATCH_BYTES && !self.table.is_full() {
            at = csv::skip_blank_lines(chunk, at, binding.dialect);
            if at >= chunk.len() {
                break;
            }
            self.fields.clear();
            let record = csv::record(chunk, at, binding.dialect, |field| self.fields.push(field));
            let filled = binding.place(chunk, &self.fields, record.problem, self.table.open());
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
