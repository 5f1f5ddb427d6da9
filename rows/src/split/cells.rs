//! The cells of a tile: a few thousand records that are checked together, column by column.

use crate::coerce::why::Why;
use crate::input::Dialect;

/// What a cell is, besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Unquoted text; in JSON a number or a word.
    Plain,
    /// Text between quotes, as it is.
    Quoted,
    /// Text in which something is escaped: between quotes or, with an escape character, without.
    Escaped,
    /// JSON null, or an unquoted `\N` where a backslash escapes.
    Null,
    /// The record has no such cell.
    Missing,
    /// A JSON object or array.
    Nested,
    /// A cell of a record that is no record: there is nothing to say about it.
    Skipped,
}

/// A cell: its text in the chunk, without quotes around it, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub start: u32,
    pub len: u32,
    pub kind: Kind,
}

impl Cell {
    pub(crate) const MISSING: Self = Self { start: 0, len: 0, kind: Kind::Missing };

    pub(crate) fn text(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.len as usize]
    }
}

/// A tile's cells.
pub(crate) trait Source {
    /// Records in the tile.
    fn records(&self) -> usize;
    /// Start and length of a cell's text, where an absent cell has none; `column` is what [`Source::column`] gave.
    fn span(&self, record: usize, column: usize) -> (usize, usize);
    /// The cell with its kind.
    fn cell(&self, record: usize, column: usize) -> Cell;
    /// Whether [`Source::glance`] may take doubled quotes for a text as it is.
    const GLANCES: bool = false;
    /// Gives the cells of a column, but of [`Kind::Quoted`] even if quotes in it are doubled: they are found while it is
    /// read.
    fn glances(&self, column: usize) -> impl Fn(usize) -> Cell;
    /// Where this source keeps a column of the schema; `field` is its place in the file.
    fn column(&self, column: usize, field: usize) -> usize;
    /// Start and end of the record without its line end.
    fn record(&self, record: usize) -> (u32, u32);
}

/// Records that the index found, all of the same number of fields.
pub(crate) struct Regular<'a, const QUOTES: bool> {
    pub bytes: &'a [u8],
    /// The position before the first record, and of each separator.
    pub positions: &'a [u32],
    pub fields: usize,
    pub quote: u8,
}

impl<const QUOTES: bool> Regular<'_, QUOTES> {
    #[inline(always)]
    fn raw(&self, record: usize, field: usize) -> (usize, usize) {
        let at = record * self.fields + field;
        let start = self.positions[at].wrapping_add(1) as usize;
        let mut len = self.positions[at + 1] as usize - start;
        if field + 1 == self.fields && len > 0 && self.bytes[start + len - 1] == b'\r' {
            len -= 1;
        }
        (start, len)
    }
}

impl<const QUOTES: bool> Source for Regular<'_, QUOTES> {
    fn records(&self) -> usize {
        (self.positions.len() - 1) / self.fields
    }

    #[inline(always)]
    fn span(&self, record: usize, column: usize) -> (usize, usize) {
        let (start, len) = self.raw(record, column);
        if QUOTES && len >= 2 && self.bytes[start] == self.quote {
            return (start + 1, len - 2);
        }
        (start, len)
    }

    #[inline(always)]
    fn cell(&self, record: usize, column: usize) -> Cell {
        let (start, len) = self.raw(record, column);
        if QUOTES && len >= 2 && self.bytes[start] == self.quote {
            let text = &self.bytes[start + 1..start + len - 1];
            let escaped = memchr::memchr(self.quote, text).is_some();
            let kind = if escaped { Kind::Escaped } else { Kind::Quoted };
            return Cell { start: start as u32 + 1, len: len as u32 - 2, kind };
        }
        Cell { start: start as u32, len: len as u32, kind: Kind::Plain }
    }

    const GLANCES: bool = QUOTES;

    #[inline(always)]
    fn glances(&self, column: usize) -> impl Fn(usize) -> Cell {
        // all of it by value, so that a loop can keep it in registers
        let Self { bytes, positions, fields, quote } = *self;
        let source = Self { bytes, positions, fields, quote };
        move |record| {
            let (start, len) = source.raw(record, column);
            let quoted = QUOTES && len >= 2 && source.bytes[start] == source.quote;
            let (start, len) = if quoted { (start + 1, len - 2) } else { (start, len) };
            let kind = if quoted { Kind::Quoted } else { Kind::Plain };
            Cell { start: start as u32, len: len as u32, kind }
        }
    }

    fn column(&self, _column: usize, field: usize) -> usize {
        field
    }

    fn record(&self, record: usize) -> (u32, u32) {
        let (end, len) = self.raw(record, self.fields - 1);
        (self.positions[record * self.fields].wrapping_add(1), (end + len) as u32)
    }
}

/// Cells kept one by one, by the schema's columns: of JSON lines, and of records that are not regular.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: usize,
    cells: Vec<Cell>,
    records: Vec<(u32, u32)>,
    /// Records that are none, with what is wrong with them.
    pub malformed: Vec<(u32, Why)>,
}

/// Most cells of a table, unless one record has more.
const MAX_CELLS: usize = 16 * 1024;

impl Table {
    pub(crate) fn clear(&mut self, columns: usize) {
        self.columns = columns;
        self.cells.clear();
        self.records.clear();
        self.malformed.clear();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.cells.len() + self.columns > MAX_CELLS
    }

    /// Adds a record; its cells, all missing at first, are to be filled before [`Table::close`].
    #[inline(always)]
    pub(crate) fn open(&mut self) -> &mut [Cell] {
        let at = self.cells.len();
        self.cells.resize(at + self.columns, Cell::MISSING);
        &mut self.cells[at..]
    }

    /// Ends the record that was opened: where it stands, and whether it is one.
    #[inline(always)]
    pub(crate) fn close(&mut self, start: usize, end: usize, filled: Result<(), Why>) {
        if let Err(why) = filled {
            let at = self.cells.len() - self.columns;
            self.cells[at..].fill(Cell { kind: Kind::Skipped, ..Cell::MISSING });
            self.malformed.push((self.records.len() as u32, why));
        }
        self.records.push((start as u32, end as u32));
    }
}

impl Source for Table {
    fn records(&self) -> usize {
        self.records.len()
    }

    #[inline(always)]
    fn span(&self, record: usize, column: usize) -> (usize, usize) {
        let cell = self.cells[record * self.columns + column];
        (cell.start as usize, cell.len as usize)
    }

    #[inline(always)]
    fn cell(&self, record: usize, column: usize) -> Cell {
        self.cells[record * self.columns + column]
    }

    #[inline(always)]
    fn glances(&self, column: usize) -> impl Fn(usize) -> Cell {
        let (cells, columns) = (&self.cells[..], self.columns);
        move |record| cells[record * columns + column]
    }

    fn column(&self, column: usize, _field: usize) -> usize {
        column
    }

    fn record(&self, record: usize) -> (u32, u32) {
        self.records[record]
    }
}

/// The text that a cell stands for. `scratch` is used where something was escaped.
#[inline(always)]
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    cell: Cell,
    json: bool,
    dialect: Dialect,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Why> {
    if cell.kind != Kind::Escaped {
        return Ok(cell.text(bytes));
    }
    scratch.clear();
    if json {
        super::json::unescape(cell.text(bytes), scratch)?;
    } else if dialect.escape != 0 {
        super::dialect::decode(bytes, cell, dialect, scratch);
    } else {
        super::csv::unescape(cell.text(bytes), dialect.quote, scratch);
    }
    Ok(scratch)
}

/// The text of a cell with inner structure.
///
/// In its TSV, `ClickHouse` escapes the texts in such a cell, which stand in single quotes, but not the cell once more.
/// JSON, with its double quotes, is a text like any other for those who write it there.
pub(crate) fn decode_nested<'a>(
    bytes: &'a [u8],
    cell: Cell,
    json: bool,
    dialect: Dialect,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Why> {
    let text = cell.text(bytes);
    let once = !json && dialect.escape == b'\\' && dialect.quote == 0;
    if once && memchr::memchr2(b'\'', b'"', text).is_some_and(|at| text[at] == b'\'') {
        return Ok(text);
    }
    decode(bytes, cell, json, dialect, scratch)
}
