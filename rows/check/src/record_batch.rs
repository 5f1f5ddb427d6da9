//! What the loops over columns need from a record batch.

use rows_bytes::simd::Level;
use rows_split::cells::{Cell, Kind, Source};
use rows_split::{Binding, decode};
use rows_types::CellError;

/// A record batch, with the values that are the same for all of its cells.
pub(crate) struct RecordBatch<'a, S> {
    pub binding: &'a Binding,
    /// The chunk.
    pub bytes: &'a [u8],
    pub source: &'a S,
    pub valid_utf8: bool,
    pub level: Level,
    /// For each column: whether the reader could accept a text, as it is written, as a value that it does not mean. It
    /// is what the plan decided.
    pub needs_precheck: &'a [bool],
}

impl<S: Source> RecordBatch<'_, S> {
    /// Where the source has a column of the schema. `None`: the file has no such column.
    pub(crate) fn place(&self, column: usize) -> Option<usize> {
        let field = (*self.binding.field_of.get(column)?)?;
        Some(self.source.column(column, field))
    }

    /// Whether the text of a cell means NULL: an empty text without quotes, or one of the input's null values.
    #[inline(always)]
    pub(crate) fn is_null_text(&self, cell: Cell) -> bool {
        if cell.len == 0 {
            return cell.kind == Kind::Plain;
        }
        self.has_null_texts() && self.binding.is_null_text(cell, self.bytes)
    }

    /// Whether any text besides the empty one means NULL.
    pub(crate) fn has_null_texts(&self) -> bool {
        !self.binding.null_texts.is_empty()
    }

    /// Decodes the text of a cell.
    #[inline(always)]
    pub(crate) fn decode<'b>(&'b self, cell: Cell, scratch: &'b mut Vec<u8>) -> Result<&'b [u8], CellError> {
        decode::decode(self.bytes, cell, self.binding.is_json(), self.binding.dialect, scratch)
    }
}
