//! A file's plan: which field fills which column, and the reader of each column.

use rows_bytes::simd::Level;
use rows_split::cells::Source;
use rows_split::{Binding, HeaderError};
use rows_types::{Column, Input, Schema};

use crate::column::{Columns, Compiled};
use crate::record_batch::RecordBatch;

/// Columns bound to a file.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) binding: Binding,
    columns: Columns,
    /// For each column: whether the reader could accept the raw bytes of a text that means NULL, or of a quoted or
    /// escaped text, as another value. Then cells are checked for NULL and decoded before they are read.
    needs_precheck: Vec<bool>,
}

impl Plan {
    /// Binds columns to a file. `header` is the result of [`parse_header`](rows_split::parse_header). It is `None` for
    /// JSON and for files without a header. [`Binding::new`] specifies how names and fields are matched.
    pub fn bind(columns: Columns, input: Input, header: Option<&[String]>) -> Result<Self, HeaderError> {
        let binding = Binding::new(columns.schema().clone(), input, header)?;
        let takes_null = |column: &Compiled| {
            column.reader.takes(b"") || binding.null_texts.iter().any(|text| column.reader.takes(text))
        };
        // the bytes that make the decoded text differ from the raw text
        let special =
            if binding.is_json() { [b'\\', 0] } else { [binding.dialect.quote, binding.dialect.escape] };
        let takes_special = |column: &Column| {
            let format = column.format.as_deref().unwrap_or_default().as_bytes();
            let may_hold = |byte: u8| {
                column.ty.scalar().is_none_or(|scalar| scalar.may_hold(byte)) || format.contains(&byte)
            };
            special.iter().any(|byte| *byte != 0 && may_hold(*byte))
        };
        let needs_precheck = columns
            .compiled()
            .iter()
            .zip(columns.schema().columns())
            .map(|(column, spec)| !column.reader.is_text() && (takes_null(column) || takes_special(spec)))
            .collect();
        Ok(Self { binding, columns, needs_precheck })
    }

    /// The schema that was bound.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        self.binding.schema()
    }

    /// The input settings that were bound.
    #[must_use]
    pub fn input(&self) -> &Input {
        self.binding.input()
    }

    pub(crate) fn compiled(&self) -> &[Compiled] {
        self.columns.compiled()
    }

    /// The columns that are in the file, each with its number, and with its field in the file.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, (&Compiled, usize))> {
        let columns = self.compiled().iter().zip(&self.binding.field_of).enumerate();
        columns.filter_map(|(at, (column, field))| Some((at, (column, (*field)?))))
    }

    /// A record batch of a chunk of the file.
    pub(crate) fn batch<'a, S: Source>(
        &'a self,
        bytes: &'a [u8],
        source: &'a S,
        valid_utf8: bool,
        level: Level,
    ) -> RecordBatch<'a, S> {
        let Self { binding, needs_precheck, .. } = self;
        RecordBatch { binding, bytes, source, valid_utf8, level, needs_precheck }
    }
}
