//! Decodes the text of a cell: quotes and escapes.

use rows_types::{CellError, Dialect};

use crate::cells::{Cell, Kind};
use crate::csv::{self, dialect};
use crate::json;

/// Decodes the text of a cell. `scratch` is used if the cell is [`Kind::Escaped`].
#[inline(always)]
pub fn decode<'a>(
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
        json::unescape(cell.text(bytes), scratch)?;
    } else if dialect.escape != 0 {
        dialect::decode(bytes, cell, dialect, scratch);
    } else {
        csv::unescape(cell.text(bytes), dialect.quote, scratch);
    }
    Ok(scratch)
}

/// Decodes the text of a cell with inner structure.
///
/// In TSV, `ClickHouse` escapes the texts inside such a cell, which are in single quotes. It does not escape the cell
/// itself again. Programs that write JSON, with its double quotes, into TSV escape the complete cell like any other
/// text.
#[inline]
pub fn decode_nested<'a>(
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
