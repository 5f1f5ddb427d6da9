//! The cells of a record batch: a few thousand records that are checked together, column by column.

mod regular;
mod table;

use crate::coerce::cell_error::CellError;
use crate::input::Dialect;

pub(crate) use regular::Regular;
pub(crate) use table::Table;

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

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const fn of(kinds: &[Kind]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < kinds.len() {
            set |= 1 << kinds[i] as u8;
            i += 1;
        }
        Self(set)
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    pub(crate) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether every kind of this set is in the other one.
    pub(crate) fn only(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
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

/// Records whose texts are found together; they stay in the processor's nearest cache.
pub(crate) const SPANS: usize = 256;

/// Where the texts of a column's cells are, of up to [`SPANS`] records.
pub(crate) struct Spans {
    pub starts: [u32; SPANS],
    pub lens: [u32; SPANS],
    pub len: usize,
}

impl Spans {
    pub(crate) fn new() -> Self {
        Self { starts: [0; SPANS], lens: [0; SPANS], len: 0 }
    }

    #[inline(always)]
    fn fill(&mut self, spans: impl Iterator<Item = (usize, usize)>) {
        self.len = 0;
        for ((start, len), span) in self.starts.iter_mut().zip(&mut self.lens).zip(spans) {
            (*start, *len) = (span.0 as u32, span.1 as u32);
            self.len += 1;
        }
    }
}

/// A record batch's cells.
pub(crate) trait Source {
    /// Records in the record batch.
    fn records(&self) -> usize;
    /// Start and length of a cell's text, where an absent cell has none; `column` is what [`Source::column`] gave.
    fn span(&self, record: usize, column: usize) -> (usize, usize);
    /// What [`Source::span`] gives for the records from `record` on; for a few of them maybe as they are written, with their
    /// quotes, which no reader takes that is asked about them (`Plan::careful`).
    fn spans(&self, record: usize, column: usize, spans: &mut Spans);
    /// Finds the texts of the records from `record` on, if each is what is written, without quotes and escapes to see to;
    /// an empty one is nothing, or an empty text.
    fn bare(&self, record: usize, column: usize, spans: &mut Spans) -> bool;
    /// The cell with its kind.
    fn cell(&self, record: usize, column: usize) -> Cell;
    /// The kinds that cells of the column may have; `column` is what [`Source::column`] gave.
    fn kinds(&self, column: usize) -> Kinds;
    /// Whether a text without quotes around it is a cell of [`Kind::Plain`], whatever it is.
    const PLAIN: bool = false;
    /// Whether [`Source::cells_unverified`] may take doubled quotes for a text as it is.
    const UNVERIFIED_QUOTES: bool = false;
    /// Gives the cells of a column, but of [`Kind::Quoted`] even if quotes in it are doubled: they are found while it is
    /// read.
    fn cells_unverified(&self, column: usize) -> impl Fn(usize) -> Cell;
    /// Where this source keeps a column of the schema; `field` is its place in the file.
    fn column(&self, column: usize, field: usize) -> usize;
    /// Start and end of the record without its line end.
    fn record(&self, record: usize) -> (u32, u32);
}

/// The text that a cell stands for. `scratch` is used where something was escaped.
#[inline(always)]
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    cell: Cell,
    json: bool,
    dialect: Dialect,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], CellError> {
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
) -> Result<&'a [u8], CellError> {
    let text = cell.text(bytes);
    let once = !json && dialect.escape == b'\\' && dialect.quote == 0;
    if once && memchr::memchr2(b'\'', b'"', text).is_some_and(|at| text[at] == b'\'') {
        return Ok(text);
    }
    decode(bytes, cell, json, dialect, scratch)
}
