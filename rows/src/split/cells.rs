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

/// A tile's cells.
pub(crate) trait Source {
    /// Records in the tile.
    fn records(&self) -> usize;
    /// Start and length of a cell's text, where an absent cell has none; `column` is what [`Source::column`] gave.
    fn span(&self, record: usize, column: usize) -> (usize, usize);
    /// What [`Source::span`] gives for the records from `record` on; for a few of them maybe as they are written, with their
    /// quotes.
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
    /// Whether there is a carriage return among the bytes.
    pub returns: bool,
}

impl<const QUOTES: bool> Regular<'_, QUOTES> {
    #[inline(always)]
    fn raw(&self, record: usize, field: usize) -> (usize, usize) {
        let at = record * self.fields + field;
        let start = self.positions[at].wrapping_add(1) as usize;
        let mut len = self.positions[at + 1] as usize - start;
        if self.returns && field + 1 == self.fields && len > 0 && self.bytes[start + len - 1] == b'\r' {
            len -= 1;
        }
        (start, len)
    }

    /// The fields of the records from `record` on, as they are written.
    fn raws(&self, record: usize, field: usize, spans: &mut Spans) {
        let last = self.records().min(record + SPANS);
        if self.returns && field + 1 == self.fields {
            return spans.fill((record..last).map(|record| self.raw(record, field)));
        }
        spans.len = last.saturating_sub(record);
        let slots = spans.starts.iter_mut().zip(&mut spans.lens).take(spans.len);
        // a field's two positions stand in one run of as many as there are fields: in a record's, or in the one behind
        // its first position
        let back = usize::from(field > 0);
        let positions = self.positions.get(record * self.fields + back..).unwrap_or_default();
        if self.fields == 1 {
            for ((start, len), pair) in slots.zip(positions.windows(2)) {
                *start = pair[0].wrapping_add(1);
                *len = pair[1].wrapping_sub(*start);
            }
            return;
        }
        let (before, end) = (field - back, field - back + 1);
        for ((start, len), run) in slots.zip(positions.chunks_exact(self.fields)) {
            *start = run[before].wrapping_add(1);
            *len = run[end].wrapping_sub(*start);
        }
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

    fn bare(&self, record: usize, column: usize, spans: &mut Spans) -> bool {
        self.raws(record, column, spans);
        let starts = spans.starts.iter().take(spans.len);
        let is_quote = |start: &u32| self.bytes.get(*start as usize) == Some(&self.quote);
        !QUOTES || !starts.fold(false, |any, start| any | is_quote(start))
    }

    fn spans(&self, record: usize, column: usize, spans: &mut Spans) {
        let last = self.records().min(record + SPANS);
        // the cells of a column are all in quotes or none is, mostly
        let quoted = QUOTES && record < last && self.span(record, column) != self.raw(record, column);
        if quoted {
            spans.fill((record..last).map(|record| self.span(record, column)));
        } else {
            self.raws(record, column, spans);
        }
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

    fn kinds(&self, _column: usize) -> Kinds {
        const { Kinds::of(&[Kind::Plain, Kind::Quoted, Kind::Escaped]) }
    }

    const PLAIN: bool = true;
    const GLANCES: bool = QUOTES;

    #[inline(always)]
    fn glances(&self, column: usize) -> impl Fn(usize) -> Cell {
        // all of it by value, so that a loop can keep it in registers
        let Self { bytes, positions, fields, quote, returns } = *self;
        let source = Self { bytes, positions, fields, quote, returns };
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

/// Cells kept column by column: of JSON lines, and of records that are not regular.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: usize,
    /// Records that the table has room for.
    room: usize,
    /// Start and length of each cell, `room` a column; what is behind the records of a column means nothing. One more
    /// column takes the values that none of the schema's does.
    spans: Vec<(u32, u32)>,
    /// The kinds of the cells, kept like the spans.
    kinds: Vec<Kind>,
    /// The kinds that occur in each column.
    seen: Vec<Kinds>,
    records: Vec<(u32, u32)>,
    /// The record that is open.
    row: Vec<Cell>,
    /// Records that are none, with what is wrong with them.
    pub malformed: Vec<(u32, Why)>,
}

/// Most cells of a table, unless one record has more.
const MAX_CELLS: usize = 16 * 1024;

impl Table {
    pub(crate) fn clear(&mut self, columns: usize) {
        if self.columns != columns {
            self.columns = columns;
            self.room = (MAX_CELLS / columns.max(1)).max(1);
            self.spans = vec![(0, 0); (columns + 1) * self.room];
            self.kinds = vec![Kind::Missing; (columns + 1) * self.room];
            self.row = vec![Cell::MISSING; columns];
        }
        self.seen.clear();
        self.seen.resize(columns + 1, Kinds::default());
        self.records.clear();
        self.malformed.clear();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= self.room
    }

    /// How many records may be added.
    pub(crate) fn room(&self) -> usize {
        self.room - self.records.len()
    }

    /// Adds a record; its cells, all missing at first, are to be filled before [`Table::close`].
    #[inline(always)]
    pub(crate) fn open(&mut self) -> &mut [Cell] {
        self.row.fill(Cell::MISSING);
        &mut self.row
    }

    /// Ends the record that was opened: where it stands, and whether it is one.
    #[inline(always)]
    pub(crate) fn close(&mut self, start: usize, end: usize, filled: Result<(), Why>) {
        if let Err(why) = filled {
            self.row.fill(Cell { kind: Kind::Skipped, ..Cell::MISSING });
            self.malformed.push((self.records.len() as u32, why));
        }
        let mut at = self.records.len();
        for (cell, seen) in self.row.iter().zip(&mut self.seen) {
            self.spans[at] = (cell.start, cell.len);
            self.kinds[at] = cell.kind;
            seen.add(cell.kind);
            at += self.room;
        }
        self.records.push((start as u32, end as u32));
    }

    /// The cells of a column (`None`: of no column) of records that are not there yet, and the kinds in the column:
    /// for filling the table column by column, before [`Table::extend`].
    #[inline(always)]
    pub(crate) fn ahead(
        &mut self,
        column: Option<usize>,
        records: usize,
    ) -> (&mut [(u32, u32)], &mut [Kind], &mut Kinds) {
        let column = column.unwrap_or(self.columns);
        let from = column * self.room + self.records.len();
        let cells = from..from + records.min(self.room());
        (&mut self.spans[cells.clone()], &mut self.kinds[cells], &mut self.seen[column])
    }

    /// Adds records, each from its start to its end, whose cells [`Table::ahead`] has filled.
    #[inline(always)]
    pub(crate) fn extend(&mut self, records: impl Iterator<Item = (u32, u32)>) {
        self.records.extend(records);
    }
}

impl Source for Table {
    fn records(&self) -> usize {
        self.records.len()
    }

    #[inline(always)]
    fn span(&self, record: usize, column: usize) -> (usize, usize) {
        let (start, len) = self.spans[column * self.room + record];
        (start as usize, len as usize)
    }

    fn bare(&self, record: usize, column: usize, spans: &mut Spans) -> bool {
        let bare = self.seen[column].only(const { Kinds::of(&[Kind::Plain, Kind::Quoted]) });
        if bare {
            self.spans(record, column, spans);
        }
        bare
    }

    fn spans(&self, record: usize, column: usize, spans: &mut Spans) {
        let all = &self.spans[column * self.room..][..self.records()];
        let found = all.get(record..).unwrap_or_default();
        let found = &found[..found.len().min(SPANS)];
        spans.len = found.len();
        // two slices of one length, so that many are taken apart at once
        let slots = spans.starts[..found.len()].iter_mut().zip(&mut spans.lens[..found.len()]);
        for ((start, len), span) in slots.zip(found) {
            (*start, *len) = *span;
        }
    }

    #[inline(always)]
    fn cell(&self, record: usize, column: usize) -> Cell {
        let at = column * self.room + record;
        let (start, len) = self.spans[at];
        Cell { start, len, kind: self.kinds[at] }
    }

    fn kinds(&self, column: usize) -> Kinds {
        self.seen[column]
    }

    #[inline(always)]
    fn glances(&self, column: usize) -> impl Fn(usize) -> Cell {
        move |record| self.cell(record, column)
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
