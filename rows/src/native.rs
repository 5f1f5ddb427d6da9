//! ClickHouse's `Native` format: one block, column after column.
//!
//! Source: <https://clickhouse.com/docs/interfaces/formats/Native> and, for `LowCardinality`, the engine's
//! `SerializationLowCardinality.cpp`.

mod dictionary;
mod room;

pub(crate) use dictionary::Dictionary;
pub(crate) use room::Room;

use crate::column::{Compiled, Reader};
use crate::nested::{Nested, Node};

/// The bytes of a column while its chunk is checked.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Fixed-width values; or texts, each after its length; or nothing where the dictionary has it all.
    pub data: Room,
    /// For each row 1 if it is NULL.
    pub nulls: Room,
    dictionary: Dictionary,
    /// Of a type with inner structure: all of it.
    nested: Option<Box<Nested>>,
}

impl Output {
    pub(crate) fn clear(&mut self) {
        self.data.clear();
        self.nulls.clear();
        self.dictionary.clear();
        if let Some(nested) = &mut self.nested {
            nested.clear();
        }
    }

    /// The bytes of a type with inner structure.
    pub(crate) fn nested(&mut self, node: &Node) -> &mut Nested {
        self.nested.get_or_insert_with(|| Box::new(Nested::new(node)))
    }

    /// Adds a text; of a `FixedString`, zeros up to its width.
    #[inline]
    pub(crate) fn push_text(
        &mut self,
        text: &[u8],
        width: Option<usize>,
        low_cardinality: bool,
        nullable: bool,
    ) {
        if low_cardinality {
            self.dictionary.push(text);
        } else {
            self.push_value(text, width);
        }
        if nullable {
            self.nulls.push(0);
        }
    }

    /// Adds the text `bytes[start..start + len]` of a column without width.
    #[inline(always)]
    pub(crate) fn push_near(
        &mut self,
        bytes: &[u8],
        start: usize,
        len: usize,
        low_cardinality: bool,
        nullable: bool,
    ) {
        if low_cardinality {
            self.dictionary.push_near(bytes, start, len);
        } else {
            self.data.push_text(bytes, start, len);
        }
        if nullable {
            self.nulls.push(0);
        }
    }

    /// Adds a value of the width, filled up with zeros; without one a text after its length.
    #[inline]
    fn push_value(&mut self, bytes: &[u8], width: Option<usize>) {
        let Some(width) = width else { return self.data.push_text(bytes, 0, bytes.len()) };
        let (value, zeros) = self.data.grow(width).split_at_mut(bytes.len());
        value.copy_from_slice(bytes);
        zeros.fill(0);
    }

    pub(crate) fn push_null_text(&mut self, width: Option<usize>, low_cardinality: bool) {
        self.push_text(b"", width, low_cardinality, false);
        self.nulls.push(1);
    }

    /// Adds the same value (`None`: NULL) `rows` times.
    pub(crate) fn fill(&mut self, column: &Compiled, value: Option<&[u8]>, rows: usize) {
        if let Reader::Nested(node) = &column.reader {
            let nested = self.nested(node);
            for _ in 0..rows {
                // a default was read when the schema was made
                match value {
                    Some(text) if nested.push(node, text).is_ok() => {}
                    _ => nested.push_nothing(node),
                }
            }
            return;
        }
        let width = column.reader.width();
        let bytes = value.unwrap_or_default();
        for _ in 0..rows {
            if column.reader.is_text() {
                self.push_text(bytes, width, column.low_cardinality, false);
            } else {
                self.push_value(bytes, width);
            }
        }
        if column.nullable {
            self.nulls.grow(rows).fill(u8::from(value.is_none()));
        }
    }

    /// Writes the column of a block.
    pub(crate) fn write(&mut self, block: &mut Vec<u8>, name: &str, column: &Compiled, rows: usize) {
        begin_column(block, name, &column.ty);
        if let Reader::Nested(node) = &column.reader {
            return self.nested(node).write(block, node, rows);
        }
        if !column.low_cardinality {
            block.extend_from_slice(self.nulls.as_slice());
            block.extend_from_slice(self.data.as_slice());
            return;
        }
        let width = column.reader.width();
        if !column.reader.is_text() {
            let width = width.unwrap_or(1);
            for value in self.data.as_slice().chunks_exact(width) {
                self.dictionary.push(value);
            }
        }
        let nulls = column.nullable.then_some(self.nulls.as_slice());
        Dictionary::write_version(block);
        self.dictionary.write(block, width, nulls, rows);
    }
}

/// Starts a block; its columns follow.
pub(crate) fn begin_block(block: &mut Vec<u8>, columns: usize, rows: usize) {
    write_length(block, columns);
    write_length(block, rows);
}

fn begin_column(block: &mut Vec<u8>, name: &str, ty: &str) {
    write_value(block, name.as_bytes(), None);
    write_value(block, ty.as_bytes(), None);
}

/// A `LowCardinality(String)` column with the same text in every row.
pub(crate) fn write_same(block: &mut Vec<u8>, name: &str, text: &str, rows: usize) {
    begin_column(block, name, "LowCardinality(String)");
    dictionary::write_same(block, text.as_bytes(), rows);
}

/// A `UInt64` column of these bytes.
pub(crate) fn write_u64(block: &mut Vec<u8>, name: &str, data: &[u8]) {
    begin_column(block, name, "UInt64");
    block.extend_from_slice(data);
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

/// LEB128.
#[inline]
fn write_length(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
