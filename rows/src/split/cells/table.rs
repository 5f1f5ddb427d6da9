//! Cells that are kept one by one.

use super::{Cell, Kind, Kinds, SPANS, Source, Spans};
use crate::coerce::cell_error::CellError;

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
    pub malformed: Vec<(u32, CellError)>,
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
    fn cells_unverified(&self, column: usize) -> impl Fn(usize) -> Cell {
        move |record| self.cell(record, column)
    }

    fn column(&self, column: usize, _field: usize) -> usize {
        column
    }

    fn record(&self, record: usize) -> (u32, u32) {
        self.records[record]
    }
}
