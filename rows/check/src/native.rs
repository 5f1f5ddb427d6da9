//! ClickHouse's `Native` format: one block, column after column.
//!
//! Source: <https://clickhouse.com/docs/interfaces/formats/Native> and, for `LowCardinality`, the engine's
//! `SerializationLowCardinality.cpp`.

mod dictionary;
mod grow_buffer;
mod selection;

pub(crate) use dictionary::{Dictionary, Rows};
pub(crate) use grow_buffer::{GrowBuffer, SHORT};
pub(crate) use selection::Selection;

use rows_bytes::leb128;

/// Begins a block; its columns follow.
pub(crate) fn begin_block(block: &mut Vec<u8>, columns: usize, rows: usize) {
    write_length(block, columns);
    write_length(block, rows);
}

/// Begins a column; how its values are stored follows, then its bytes.
pub(crate) fn begin_column(block: &mut Vec<u8>, name: &str, ty: &str) {
    write_value(block, name.as_bytes(), None);
    write_value(block, ty.as_bytes(), None);
}

/// Writes a `LowCardinality(String)` column with the same text in every row.
pub(crate) fn write_same(block: &mut Vec<u8>, name: &str, text: &str, rows: usize) {
    begin_column(block, name, "LowCardinality(String)");
    dictionary::write_same(block, text.as_bytes(), rows);
}

/// Begins a `UInt64` column; its bytes follow.
pub(crate) fn begin_u64(block: &mut Vec<u8>, name: &str) {
    begin_column(block, name, "UInt64");
}

#[inline]
fn write_value(out: &mut Vec<u8>, bytes: &[u8], width: Option<usize>) {
    if let Some(width) = width {
        let end = out.len() + width;
        out.extend_from_slice(bytes);
        out.resize(end, 0);
    } else {
        write_length(out, bytes.len());
        out.extend_from_slice(bytes);
    }
}

#[inline]
fn write_length(out: &mut Vec<u8>, n: usize) {
    leb128::write(n, |byte| out.push(byte));
}
