//! Maps the cells of a record to columns.

use rows_types::{CellError, ColumnsBy, Dialect, Input, Schema, UnknownColumns};

use crate::cells::{Cell, Kind};
use crate::csv::{self, Malformed};
use crate::header::{HeaderError, match_names, usable};
use crate::json::Keys;

/// A schema bound to a file: for each column of the schema, the file's field that fills it.
///
/// It has no readers: it knows where a column's texts are, but not whether they are values. `rows_check::Plan` adds
/// those.
#[derive(Clone, Debug)]
pub struct Binding {
    schema: Schema,
    input: Input,
    /// For each column: the field of the record (from 0) that fills it. `None`: the file has no such field.
    pub field_of: Vec<Option<usize>>,
    /// How many fields a well-formed record has. Not used for JSON.
    pub fields: usize,
    /// Columns that are not in the file, have no default and cannot be NULL. Every row is rejected because of them.
    pub missing: Vec<usize>,
    /// The bytes that structure the file.
    pub dialect: Dialect,
    /// Texts that mean NULL, without the empty one.
    pub null_texts: Vec<Box<[u8]>>,
    /// For each field of the file: its column.
    column_of: Vec<Option<usize>>,
}

impl Binding {
    /// Binds a schema to a file.
    ///
    /// `header` is the result of [`parse_header`](crate::parse_header). It is `None` for JSON and for files without a
    /// header. The fields of such a file are the schema's columns in order, as with [`ColumnsBy::Position`]. Names match
    /// exactly, or by alias; letter case matters unless [`HeaderCase::Ignore`](rows_types::HeaderCase::Ignore) is set. A
    /// header without a required column can be bound if at least one name matches: then every row is rejected with
    /// `MISSING_COLUMN`.
    pub fn new(schema: Schema, input: Input, header: Option<&[String]>) -> Result<Self, HeaderError> {
        usable(&input)?;
        let columns = schema.columns().len();
        let (field_of, fields) = match header.filter(|_| !input.format.is_json()) {
            Some(names) if input.columns_by == ColumnsBy::Name => {
                (match_names(&schema, &input, names)?, names.len())
            }
            Some(names) if names.len() != columns => {
                return Err(HeaderError::Count { found: names.len(), expected: columns });
            }
            _ => ((0..columns).map(Some).collect(), columns),
        };
        let missing =
            (0..columns).filter(|&c| field_of[c].is_none() && !schema.columns()[c].may_be_absent()).collect();
        let null_texts =
            input.null_values.iter().filter(|t| !t.is_empty()).map(|t| t.as_bytes().into()).collect();
        let dialect = input.dialect();
        let mut column_of = vec![None; fields];
        for (column, field) in field_of.iter().enumerate() {
            if let Some(field) = field {
                column_of[*field] = Some(column);
            }
        }
        Ok(Self { schema, input, field_of, fields, missing, dialect, null_texts, column_of })
    }

    /// The schema that was bound.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The input settings that were bound.
    #[must_use]
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Whether records are JSON objects.
    #[inline]
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.input.format.is_json()
    }

    /// The keys that a JSON object can have.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.schema.columns(), self.input.unknown_columns == UnknownColumns::Reject)
    }

    /// Whether a text that is not empty means NULL. JSON strings are checked too, quoted CSV cells are not.
    #[inline]
    #[must_use]
    pub fn is_null_text(&self, cell: Cell, bytes: &[u8]) -> bool {
        let plain = cell.kind == Kind::Plain || (cell.kind == Kind::Quoted && self.is_json());
        plain && self.null_texts.iter().any(|text| **text == *cell.text(bytes))
    }

    /// Writes a record's fields to the cells of their columns.
    pub(crate) fn place(
        &self,
        bytes: &[u8],
        fields: &[csv::Field],
        problem: Option<Malformed>,
        cells: &mut [Cell],
    ) -> Result<(), CellError> {
        for (field, column) in fields.iter().zip(&self.column_of) {
            let Some(column) = column else { continue };
            cells[*column] = self.cell(bytes, *field);
        }
        match problem {
            Some(Malformed::AfterQuote) => Err(CellError::AfterQuote),
            Some(Malformed::OpenQuote) => Err(CellError::OpenQuote),
            Some(Malformed::OpenEscape) => Err(CellError::OpenEscape),
            None if fields.len() != self.fields => Err(CellError::Ragged),
            None => Ok(()),
        }
    }

    fn cell(&self, bytes: &[u8], field: csv::Field) -> Cell {
        let Dialect { quote, escape, .. } = self.dialect;
        let text = &bytes[field.start..field.end];
        let (start, len) = (field.start as u32, text.len() as u32);
        if escape == b'\\' && !field.quoted {
            if text == b"\\N" {
                return Cell { start, len: 0, kind: Kind::Null };
            }
            // without a quote character, an empty cell is an empty text: NULL has its own spelling
            if text.is_empty() && quote == 0 {
                return Cell { start, len, kind: Kind::Quoted };
            }
        }
        let escaped = (field.quoted && memchr::memchr(quote, text).is_some())
            || (escape != 0 && memchr::memchr(escape, text).is_some());
        let kind = match (escaped, field.quoted) {
            (true, _) => Kind::Escaped,
            (false, true) => Kind::Quoted,
            (false, false) => Kind::Plain,
        };
        Cell { start, len, kind }
    }
}
