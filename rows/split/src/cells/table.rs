//! Cells that are stored one by one.

use rows_types::CellError;

use super::{Cell, Kind, Kinds, SPANS, Source, Spans};

/// Cells, stored column by column: of JSON objects, and of records that are not regular.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: usize,
    /// How many records the table can hold.
    capacity: usize,
    /// Start and length of each cell, with `capacity` entries for each column. The entries after the last record of a
    /// column have no meaning. One extra column takes the values that no column of the schema takes.
    spans: Vec<(u32, u32)>,
    /// The kinds of the cells, stored like `spans`.
    kinds: Vec<Kind>,
    /// The kinds that occur in each column.
    seen: Vec<Kinds>,
    records: Vec<(u32, u32)>,
    /// The cells of the open record.
    row: Vec<Cell>,
    /// The malformed records, each with its error.
    pub malformed: Vec<(u32, CellError)>,
}

/// The most cells of a table, unless one record has more.
const MAX_CELLS: usize = 16 * 1024;

impl Table {
    pub(crate) fn clear(&mut self, columns: usize) {
        if self.columns != columns {
            self.columns = columns;
            self.capacity = (MAX_CELLS / columns.max(1)).max(1);
            self.spans = vec![(0, 0); (columns + 1) * self.capacity];
            self.kinds = vec![Kind::Missing; (columns + 1) * self.capacity];
            self.row = vec![Cell::MISSING; columns];
        }
        self.seen.clear();
        self.seen.resize(columns + 1, Kinds::default());
        self.records.clear();
        self.malformed.clear();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= self.capacity
    }

    /// How many more records can be added.
    pub(crate) fn remaining(&self) -> usize {
        self.capacity - self.records.len()
    }

    /// Opens a record and returns its cells, all missing at first. The caller fills them before [`Table::close`].
    #[inline(always)]
    pub(crate) fn open(&mut self) -> &mut [Cell] {
        self.row.fill(Cell::MISSING);
        &mut self.row
    }

    /// Adds the open record: where it is, and in `filled` the error if it is malformed.
    #[inline(always)]
    pub(crate) fn close(&mut self, start: usize, end: usize, filled: Result<(), CellError>) {
        if let Err(error) = filled {
            self.row.fill(Cell { kind: Kind::Skipped, ..Cell::MISSING });
            self.malformed.push((self.records.len() as u32, error));
        }
        let mut at = self.records.len();
        for (cell, seen) in self.row.iter().zip(&mut self.seen) {
            self.spans[at] = (cell.start, cell.len);
            self.kinds[at] = cell.kind;
            seen.add(cell.kind);
            at += self.capacity;
        }
        self.records.push((start as u32, end as u32));
    }

    /// The spans, the kinds and the set of kinds of a column, for records that are not added yet. With them a caller
    /// fills the table column by column, before [`Table::extend`]. `None`: the column for values that no column of the
    /// schema takes.
    #[inline(always)]
    pub(crate) fn ahead(
        &mut self,
        column: Option<usize>,
        records: usize,
    ) -> (&mut [(u32, u32)], &mut [Kind], &mut Kinds) {
        let column = column.unwrap_or(self.columns);
        let from = column * self.capacity + self.records.len();
        let cells = from..from + records.min(self.remaining());
        (&mut self.spans[cells.clone()], &mut self.kinds[cells], &mut self.seen[column])
    }

    /// Adds records, each from its start to its end, whose cells [`Table::ahead`] has filled.
    #[inline(always)]
    pub(crate) fn extend(&mut self, records: impl Iterator<Item = (u32, u32)>) {
        self.records.extend(records);
    }
}

impl Source for Table {
    #[inline]
    fn records(&self) -> usize {
        self.records.len()
    }

    #[inline(always)]
    fn span(&self, record: usize, column: usize) -> (usize, usize) {
        let (start, len) = self.spans[column * self.capacity + record];
        (start as usize, len as usize)
    }

    #[inline]
    fn bare(&self, record: usize, column: usize, spans: &mut Spans) -> bool {
        let bare = self.seen[column].only(const { Kinds::of(&[Kind::Plain, Kind::Quoted]) });
        if bare {
            self.spans(record, column, spans);
        }
        bare
    }

    #[inline]
    fn spans(&self, record: usize, column: usize, spans: &mut Spans) {
        let all = &self.spans[column * self.capacity..][..self.records()];
        let found = all.get(record..).unwrap_or_default();
        let found = &found[..found.len().min(SPANS)];
        spans.len = found.len();
        // two slices of the same length, so that the loop is compiled to vector instructions
        let slots = spans.starts[..found.len()].iter_mut().zip(&mut spans.lens[..found.len()]);
        for ((start, len), span) in slots.zip(found) {
            (*start, *len) = *span;
        }
    }

    #[inline(always)]
    fn cell(&self, record: usize, column: usize) -> Cell {
        let at = column * self.capacity + record;
        let (start, len) = self.spans[at];
        Cell { start, len, kind: self.kinds[at] }
    }

    #[inline]
    fn kinds(&self, column: usize) -> Kinds {
        self.seen[column]
    }

    #[inline(always)]
    fn cells_unverified(&self, column: usize) -> impl Fn(usize) -> Cell {
        move |record| self.cell(record, column)
    }

    #[inline]
    fn column(&self, column: usize, _field: usize) -> usize {
        column
    }

    #[inline]
    fn record(&self, record: usize) -> (u32, u32) {
        self.records[record]
    }
}
