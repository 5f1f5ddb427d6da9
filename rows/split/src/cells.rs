//! The cells of a record batch: a few thousand records that are checked together, column by column.

mod regular;
mod table;

pub(crate) use regular::Regular;
pub(crate) use table::Table;

/// What kind of value a cell holds, and how its text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unquoted text. In JSON: a number, `true` or `false`.
    Plain,
    /// Text between quotes, without an escape or a doubled quote.
    Quoted,
    /// Text with an escape or a doubled quote. If the dialect has an escape character, it can also be unquoted.
    Escaped,
    /// JSON `null`, or an unquoted `\N` if the escape character is a backslash.
    Null,
    /// The record has no such cell.
    Missing,
    /// A JSON object or array.
    Nested,
    /// A cell of a malformed record. It is not checked.
    Skipped,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// The set of these kinds.
    pub const fn of(kinds: &[Kind]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < kinds.len() {
            set |= 1 << kinds[i] as u8;
            i += 1;
        }
        Self(set)
    }

    /// Adds a kind.
    #[inline(always)]
    pub fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    /// The kinds of both sets.
    #[inline]
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether every kind of this set is in the other one.
    #[inline]
    pub fn only(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

/// A cell: where its text is in the chunk, without the quotes around it, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Offset of its first byte in the chunk.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
    /// What kind of value it holds.
    pub kind: Kind,
}

impl Cell {
    /// The cell of a record that has no such cell.
    pub const MISSING: Self = Self { start: 0, len: 0, kind: Kind::Missing };

    /// Its text, as it is written.
    #[inline]
    pub fn text(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.len as usize]
    }
}

/// For how many records the texts are found together. They stay in the processor's first-level cache.
pub const SPANS: usize = 256;

/// Where the texts of a column's cells are, for up to [`SPANS`] records.
pub struct Spans {
    /// The offset of each text in the chunk.
    pub starts: [u32; SPANS],
    /// The length of each text in bytes.
    pub lens: [u32; SPANS],
    /// How many texts there are.
    pub len: usize,
}

impl Spans {
    /// No texts.
    #[inline]
    #[allow(clippy::new_without_default, reason = "256 texts are no default value")]
    pub fn new() -> Self {
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

/// The cells of a record batch.
pub trait Source {
    /// How many records the record batch has.
    fn records(&self) -> usize;
    /// Start and length of a cell's text. The length is 0 if the cell is missing. `column` is what [`Source::column`]
    /// returns.
    fn span(&self, record: usize, column: usize) -> (usize, usize);
    /// Writes what [`Source::span`] returns for the records from `record` on. For some of them it can be the text as it
    /// is written, with its quotes. No reader accepts such a text as a value: if one could, `Plan::needs_precheck` is set for
    /// the column, and the cell is decoded first.
    fn spans(&self, record: usize, column: usize, spans: &mut Spans);
    /// Finds the texts of the records from `record` on. Returns whether every text can be used as it is, without quotes
    /// to remove or escapes to decode. A text of length 0 is an empty cell, or an empty text in quotes.
    fn bare(&self, record: usize, column: usize, spans: &mut Spans) -> bool;
    /// The cell with its kind.
    fn cell(&self, record: usize, column: usize) -> Cell;
    /// The kinds that cells of the column may have. `column` is what [`Source::column`] returns.
    fn kinds(&self, column: usize) -> Kinds;
    /// Whether every text without quotes around it is a cell of [`Kind::Plain`].
    const PLAIN: bool = false;
    /// Whether [`Source::cells_unverified`] may return [`Kind::Quoted`] for a text with doubled quotes.
    const UNVERIFIED_QUOTES: bool = false;
    /// Returns a function that finds the cell of a record. With [`Source::UNVERIFIED_QUOTES`], a cell with doubled
    /// quotes has [`Kind::Quoted`] too; the caller finds the doubled quotes while it reads the text.
    fn cells_unverified(&self, column: usize) -> impl Fn(usize) -> Cell;
    /// Where this source has a column of the schema. `field` is the index of the column's field in the file.
    fn column(&self, column: usize, field: usize) -> usize;
    /// Start and end of the record without its line end.
    fn record(&self, record: usize) -> (u32, u32);
}
