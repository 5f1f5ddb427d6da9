//! The rows of a `Native` block as JSON lines: the inverse of what `rows-check` writes.
//!
//! It reads the block that is sent, not the file, so it shows what the table will contain. A line is byte for byte what
//! ClickHouse prints for the row in its format `JSONEachRow` with default settings, so the two can be compared:
//! integers of any width and decimals as numbers, decimals without trailing zeros, times in the column's time zone (a
//! plain `DateTime`: UTC), `/` as `\/`. Only a `JSON` cell can differ: it is shown as it is sent, without its blanks,
//! but the table sorts its keys and drops those without a value.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "digit arithmetic: the width of a value bounds its digits"
)]

mod bytes;
mod cells;
mod number;
mod text;
mod value;

use rows_types::{Base, Scalar, Schema, Type};

use bytes::Bytes;
use cells::Cells;

/// The columns that follow those of the schema; see [`rows_check::Outcome::block`].
static JOB: Type = Type { base: Base::Scalar(Scalar::String), nullable: false, low_cardinality: true };
static ROW: Type = Type { base: Base::Scalar(Scalar::UInt64), nullable: false, low_cardinality: false };

/// The rows of a block as JSON objects, one on each line. The keys are the schema's columns in the table's order.
///
/// It borrows the block. Of the rows it stores only where the values of dictionaries begin.
pub struct Rendered<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
}

struct Column<'a> {
    name: &'a str,
    /// The bytes before the value: `{` or `,`, then the name and `:`.
    key: Vec<u8>,
    cells: Cells<'a>,
}

/// Why bytes are not a block of the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// An error of the complete block.
    #[error("failed to read the block: {problem}")]
    Block {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An error in one of its columns.
    #[error("failed to read column '{column}' of the block: {problem}")]
    Column {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl<'a> Rendered<'a> {
    /// Finds the columns in a block that [`rows_check::Outcome::block`] returned for this schema. An empty block has no
    /// rows.
    pub fn new(schema: &'a Schema, block: &'a [u8]) -> Result<Self, BlockError> {
        if block.is_empty() {
            return Ok(Self { columns: Vec::new(), rows: 0 });
        }
        let whole = |problem| BlockError::Block { problem };
        let mut bytes = Bytes(block);
        let count = bytes.length().map_err(whole)?;
        let rows = bytes.length().map_err(whole)?;
        if count != schema.columns().len() + 2 {
            return Err(whole("it has not as many columns as the schema"));
        }
        let mut columns = Vec::new();
        for column in schema.columns() {
            let cells = read(&mut bytes, &column.name, &column.ty.to_string(), &column.ty, rows)?;
            let mut key = vec![if columns.is_empty() { b'{' } else { b',' }];
            text::quoted(column.name.as_bytes(), &mut key).map_err(whole)?;
            key.push(b':');
            columns.push(Column { name: &column.name, key, cells });
        }
        read(&mut bytes, "job_in", "LowCardinality(String)", &JOB, rows)?;
        read(&mut bytes, "row_in", "UInt64", &ROW, rows)?;
        if bytes.0.is_empty() {
            Ok(Self { columns, rows })
        } else {
            Err(whole("it goes on after its columns"))
        }
    }

    /// Appends the line of the next row with its line feed. Returns `false` if there is no next row.
    pub fn append(&mut self, out: &mut Vec<u8>) -> Result<bool, BlockError> {
        if self.rows == 0 {
            return Ok(false);
        }
        self.rows -= 1;
        for Column { name, key, cells } in &mut self.columns {
            out.extend_from_slice(key);
            cells.next(out).map_err(|problem| BlockError::Column { column: (*name).to_owned(), problem })?;
        }
        out.extend_from_slice(b"}\n");
        Ok(true)
    }
}

/// Reads a column that must have this name and type.
fn read<'a>(
    bytes: &mut Bytes<'a>,
    name: &str,
    ty: &str,
    parsed: &'a Type,
    rows: usize,
) -> Result<Cells<'a>, BlockError> {
    let mut cells = || {
        if bytes.text()? != name.as_bytes() || bytes.text()? != ty.as_bytes() {
            return Err("it has another name or type than in the schema");
        }
        Cells::read(bytes, parsed, rows)
    };
    cells().map_err(|problem| BlockError::Column { column: name.to_owned(), problem })
}

#[cfg(test)]
mod tests;
