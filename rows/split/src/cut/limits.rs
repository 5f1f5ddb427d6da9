//! Where a stream is cut: limits on a chunk, and its weight, which bounds the block that its rows become.

use rows_bytes::leb128;
use rows_types::{
    Base, CHUNK_WEIGHT, Column, Family, MAX_CHUNK_ROWS, OnInvalidUtf8, Scalar, ScalarInfo, Schema, Type,
};

/// A schema does not limit chunks to fewer bytes than this.
const LEAST_CHUNK_BYTES: usize = 1024;

/// Where a stream is cut and chunks are joined to batches: a pure function of schema and chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a chunk, unless it is a single record, which may be longer.
    pub chunk_bytes: usize,
    /// The most records of a chunk.
    pub chunk_rows: u32,
    /// The most bytes that a row takes in the `Native` block in addition to those for its text.
    pub row_weight: u64,
    /// The most bytes of the block that one byte of text can become.
    pub byte_weight: u64,
}

impl Limits {
    /// The limits for files of this schema, with chunks of at most `chunk_bytes` bytes.
    #[must_use]
    pub fn of(schema: &Schema, chunk_bytes: usize) -> Self {
        let columns = schema.columns().iter().map(Cost::of_column);
        let cost = columns.fold(LINEAGE, Cost::and);
        let (row_weight, byte_weight) = (cost.fixed, cost.by_byte.max(1));
        let chunk_rows = (CHUNK_WEIGHT / row_weight).clamp(1, u64::from(MAX_CHUNK_ROWS)) as u32;
        let most = usize::try_from(CHUNK_WEIGHT / byte_weight).unwrap_or(usize::MAX);
        let chunk_bytes = chunk_bytes.min(most).max(LEAST_CHUNK_BYTES);
        Self { chunk_bytes, chunk_rows, row_weight, byte_weight }
    }

    /// The limits if no schema is known, or no block is sent: a byte weighs 1, a row weighs 0.
    #[must_use]
    pub fn plain(chunk_bytes: usize) -> Self {
        Self { chunk_bytes, chunk_rows: MAX_CHUNK_ROWS, row_weight: 0, byte_weight: 1 }
    }

    /// The weight of a chunk with this many bytes and records, in bytes. Its `Native` block is at most this long, plus
    /// names, types, one default for each `LowCardinality` column, and one byte for each 16 KiB of text, for the
    /// lengths of long texts.
    #[must_use]
    pub fn weight(&self, bytes: u64, rows: u32) -> u64 {
        let text = bytes.saturating_mul(self.byte_weight);
        text.saturating_add(u64::from(rows).saturating_mul(self.row_weight))
    }
}

/// The most bytes that a value takes in a block: `fixed` bytes, and `by_byte` bytes for each byte of its text.
#[derive(Clone, Copy, Debug)]
struct Cost {
    fixed: u64,
    by_byte: u64,
    /// Bytes of the shortest text of a value in an array, map or tuple.
    shortest: u64,
}

/// `row_in` is a `UInt64`; `job_in` is a one-byte index into a dictionary of one value.
const LINEAGE: Cost = Cost { fixed: 8 + 1, by_byte: 0, shortest: 0 };
/// Bytes of the running total of elements, which an array or map has in each row.
const TOTAL: u64 = 8;
/// Bytes of an index into a dictionary.
const NUMBER: u64 = 4;
/// Bytes of the replacement character, which replaces one byte.
const REPLACED: u64 = 3;

impl Cost {
    fn of_column(column: &Column) -> Self {
        let mut cost = Self::of(column, &column.ty);
        if let Some(default) = column.default.as_ref().filter(|_| !column.ty.low_cardinality) {
            // it is written for absent cells
            let len = default.len() as u64;
            cost.fixed += len.saturating_mul(cost.by_byte) + leb128::width(len) - 1;
        }
        cost
    }

    /// The cost of a column's type, or of a part of it.
    fn of(column: &Column, ty: &Type) -> Self {
        let of = |ty| Self::of(column, ty);
        let mut cost = match &ty.base {
            Base::Scalar(scalar) => Self::of_scalar(column, scalar),
            Base::Array(element) => Self { fixed: TOTAL, by_byte: of(element).each(1), shortest: 2 },
            Base::Map(key, value) => {
                Self { fixed: TOTAL, by_byte: of(key).and(of(value)).each(2), shortest: 2 }
            }
            Base::Tuple(elements) => {
                let cost = elements.iter().fold(Self::EMPTY, |all, (name, ty)| {
                    let mut cost = of(ty);
                    // in an object the element may be absent
                    if name.is_some() && ty.nullable {
                        cost.shortest = 0;
                    }
                    all.and(cost)
                });
                Self { shortest: cost.shortest + 2, ..cost }
            }
        };
        if ty.low_cardinality {
            cost.fixed += NUMBER;
        } else if ty.nullable {
            cost.fixed += 1;
        }
        if ty.nullable {
            // the text can also be empty in quotes, or `null`
            cost.shortest = cost.shortest.min(2);
        }
        cost
    }

    const EMPTY: Self = Self { fixed: 0, by_byte: 0, shortest: 0 };

    fn of_scalar(column: &Column, scalar: &Scalar) -> Self {
        let &ScalarInfo { family, shortest, .. } = scalar.info();
        let shortest = match family {
            Family::Day | Family::Moment if column.format.is_some() => 1,
            _ => shortest,
        };
        if let Some(width) = scalar.width() {
            return Self { fixed: width as u64, by_byte: 0, shortest };
        }
        let replaces = column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace;
        // the length of the text, and what NULL is written as: in a `JSON` column `{}`
        let fixed = if family == Family::Object { 3 } else { 1 };
        Self { fixed, by_byte: if replaces { REPLACED } else { 1 }, shortest }
    }

    /// The cost of both values, one after the other.
    fn and(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.saturating_add(other.fixed),
            by_byte: self.by_byte.max(other.by_byte),
            shortest: self.shortest + other.shortest,
        }
    }

    /// The most bytes of the block for each byte of text, if values like this follow one another, each with this many
    /// separators.
    ///
    /// That is `(fixed + by_byte * len) / (len + separators)` for a text of `len` bytes. It is largest for the shortest
    /// or for the longest text.
    fn each(self, separators: u64) -> u64 {
        let shortest = self.fixed.saturating_add(self.by_byte.saturating_mul(self.shortest));
        shortest.div_ceil(self.shortest + separators).max(self.by_byte)
    }
}
