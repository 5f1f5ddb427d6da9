//! The bytes of a column while its chunk is checked, and how they are written to a block.

use super::{ColumnReader, Compiled};
use crate::native::{self, Dictionary, GrowBuffer};
use crate::nested::{Nested, Node};

/// The bytes of a column while its chunk is checked.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Values of fixed width; or texts, each after its length; or nothing if the dictionary has the values.
    pub data: GrowBuffer,
    /// For each row: 1 if it is NULL.
    pub nulls: GrowBuffer,
    pub dictionary: Dictionary,
    /// For a type with inner structure: all its bytes.
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

    /// Adds a value, padded with zeros to `width`. `width` is `None`: adds a text after its length.
    #[inline]
    fn push_value(&mut self, bytes: &[u8], width: Option<usize>) {
        let Some(width) = width else { return self.data.push_text(bytes, 0, bytes.len()) };
        let (value, zeros) = self.data.grow(width).split_at_mut(bytes.len());
        value.copy_from_slice(bytes);
        zeros.fill(0);
    }

    /// Adds the same value (`None`: NULL) `rows` times.
    pub(crate) fn fill(&mut self, column: &Compiled, value: Option<&[u8]>, rows: usize) {
        if let ColumnReader::Nested(node) = &column.reader {
            let nested = self.nested(node);
            for _ in 0..rows {
                // a default is a valid value: it was read when the schema was made
                match value {
                    Some(text) if nested.push(node, text).is_ok() => {}
                    _ => nested.push_placeholder(node),
                }
            }
            return;
        }
        let width = column.reader.width();
        let bytes = value.unwrap_or_default();
        for _ in 0..rows {
            if column.reader.is_text() && column.low_cardinality {
                self.dictionary.push(bytes);
            } else {
                self.push_value(bytes, width);
            }
        }
        if column.nullable {
            self.nulls.grow(rows).fill(u8::from(value.is_none()));
        }
    }

    /// Writes the column of a block, except the bytes that are sent unchanged. [`Output::bytes`] returns those; they
    /// follow.
    pub(crate) fn write(&mut self, frame: &mut Vec<u8>, name: &str, column: &Compiled, rows: usize) {
        native::begin_column(frame, name, &column.ty);
        if let ColumnReader::Nested(node) = &column.reader {
            return self.nested(node).write(frame, node, rows);
        }
        if !column.low_cardinality {
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
        Dictionary::write_version(frame);
        self.dictionary.write(frame, width, nulls, rows);
    }

    /// The bytes that follow in the block after those that [`Output::write`] wrote.
    pub(crate) fn bytes(&self, column: &Compiled) -> [&[u8]; 2] {
        if column.low_cardinality || matches!(column.reader, ColumnReader::Nested(_)) {
            return [&[], &[]];
        }
        [self.nulls.as_slice(), self.data.as_slice()]
    }
}
