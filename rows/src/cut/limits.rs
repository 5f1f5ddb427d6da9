//! Where a stream is cut: limits on a chunk, and its weight, which bounds the block that its rows become.

use crate::policy::OnInvalidUtf8;
use crate::schema::{Column, Schema};
use crate::types::{Base, Type};

/// Most records in a chunk.
pub const MAX_CHUNK_ROWS: u32 = 200_000;
/// The text of a chunk weighs at most this many bytes, and so do its rows; but see [`Limits::chunk_bytes`].
pub const CHUNK_WEIGHT: u64 = 8 << 20;
/// Chunks that a schema makes smaller still may be this long, in bytes.
const LEAST_CHUNK_BYTES: usize = 1024;

/// Where a stream is cut and chunks are joined to batches: a pure function of schema and chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a chunk, unless its single record is longer.
    pub chunk_bytes: usize,
    /// Most records in a chunk.
    pub chunk_rows: u32,
    /// The most bytes that a row takes in the `Native` block beyond what its own text accounts for.
    pub row_weight: u64,
    /// The most bytes of the block that one byte of text becomes.
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

    /// The limits where no schema is known, or no block is sent anywhere: a byte weighs 1, a row nothing.
    #[must_use]
    pub fn plain(chunk_bytes: usize) -> Self {
        Self { chunk_bytes, chunk_rows: MAX_CHUNK_ROWS, row_weight: 0, byte_weight: 1 }
    }

    /// The weight of a chunk of so many bytes and records, in bytes: its `Native` block is at most this long, beside
    /// names, types, a default of each `LowCardinality` column, and a byte for each 16 KiB of text, which are in the lengths
    /// of long texts.
    #[must_use]
    pub fn weight(&self, bytes: u64, rows: u32) -> u64 {
        let text = bytes.saturating_mul(self.byte_weight);
        text.saturating_add(u64::from(rows).saturating_mul(self.row_weight))
    }
}

/// What a value takes in a block, at most: `fixed` bytes, and `by_byte` for each byte of its text.
#[derive(Clone, Copy, Debug)]
struct Cost {
    fixed: u64,
    by_byte: u64,
    /// Bytes of its shortest text in an array, map or tuple.
    shortest: u64,
}

/// `row_in`, a `UInt64`, and `job_in`, one of a dictionary of one.
const LINEAGE: Cost = Cost { fixed: 8 + 1, by_byte: 0, shortest: 0 };
/// A total of elements.
const TOTAL: u64 = 8;
/// The number of a dictionary's value.
const NUMBER: u64 = 4;
/// The replacement character for one byte.
const REPLACED: u64 = 3;

impl Cost {
    fn of_column(column: &Column) -> Self {
        let mut cost = Self::of(column, &column.ty);
        if let Some(default) = column.default.as_ref().filter(|_| !column.ty.low_cardinality) {
            // it is written where the cell is absent
            let len = default.len() as u64;
            cost.fixed += len.saturating_mul(cost.by_byte) + length_of_length(len) - 1;
        }
        cost
    }

    /// Of a column's type, or of a part of it.
    fn of(column: &Column, ty: &Type) -> Self {
        let of = |ty| Self::of(column, ty);
        let mut cost = match &ty.base {
            Base::String => Self::text(column, 1, 1),
            // NULL is written as `{}`
            Base::Json => Self::text(column, 3, 2),
            Base::Array(element) => Self { fixed: TOTAL, by_byte: of(element).each(1), shortest: 2 },
            Base::Map(key, value) => {
                Self { fixed: TOTAL, by_byte: of(key).and(of(value)).each(2), shortest: 2 }
            }
            Base::Tuple(elements) => {
                let cost = elements.iter().fold(Self::EMPTY, |all, (name, ty)| {
                    let mut cost = of(ty);
                    // in an object it may be absent
                    if name.is_some() && ty.nullable {
                        cost.shortest = 0;
                    }
                    all.and(cost)
                });
                Self { shortest: cost.shortest + 2, ..cost }
            }
            Base::FixedString(n) => Self::fixed(u64::from(*n), 1),
            base => fixed_width(base, column.format.is_some()),
        };
        if ty.low_cardinality {
            cost.fixed += NUMBER;
        } else if ty.nullable {
            cost.fixed += 1;
        }
        if ty.nullable {
            // an empty text in quotes, or `null`
            cost.shortest = cost.shortest.min(2);
        }
        cost
    }

    const EMPTY: Self = Self { fixed: 0, by_byte: 0, shortest: 0 };

    fn fixed(width: u64, shortest: u64) -> Self {
        Self { fixed: width, by_byte: 0, shortest }
    }

    fn text(column: &Column, fixed: u64, shortest: u64) -> Self {
        let replaces = column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace;
        Self { fixed, by_byte: if replaces { REPLACED } else { 1 }, shortest }
    }

    /// Both, one after the other.
    fn and(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.saturating_add(other.fixed),
            by_byte: self.by_byte.max(other.by_byte),
            shortest: self.shortest + other.shortest,
        }
    }

    /// The most bytes that a byte of text becomes where values like this stand one after the other, with so many
    /// separators each.
    ///
    /// That is `(fixed + by_byte * len) / (len + separators)` for a text of `len` bytes, which is largest for the
    /// shortest or for the longest text.
    fn each(self, separators: u64) -> u64 {
        let shortest = self.fixed.saturating_add(self.by_byte.saturating_mul(self.shortest));
        shortest.div_ceil(self.shortest + separators).max(self.by_byte)
    }
}

/// Of a type whose values are as wide as each other; `formatted`: the column has a format for dates.
fn fixed_width(base: &Base, formatted: bool) -> Cost {
    // of dates the shortest text is one of nine digits
    let date = if formatted { 1 } else { 9 };
    let (width, shortest) = match base {
        Base::Int(bits) | Base::UInt(bits) => (u64::from(*bits) / 8, 1),
        Base::Float32 | Base::Decimal(..=9, _) => (4, 1),
        Base::BFloat16 | Base::Enum16(_) => (2, 1),
        Base::Float64 | Base::Decimal(..=18, _) => (8, 1),
        Base::Decimal(..=38, _) => (16, 1),
        Base::Decimal(..) => (32, 1),
        Base::Date => (2, date),
        Base::Date32 | Base::DateTime(_) => (4, date),
        Base::DateTime64(..) => (8, date),
        // HH:MM:SS
        Base::Time => (4, 8),
        Base::Time64(_) => (8, 8),
        Base::Uuid => (16, 36),
        // 0.0.0.0
        Base::Ipv4 => (4, 7),
        // ::
        Base::Ipv6 => (16, 2),
        Base::Bool | Base::Enum8(_) => (1, 1),
        // these have a cost of their own
        Base::String
        | Base::FixedString(_)
        | Base::Json
        | Base::Array(_)
        | Base::Tuple(_)
        | Base::Map(..) => (0, 1),
    };
    Cost::fixed(width, shortest)
}

/// Bytes of a text's length before it.
fn length_of_length(len: u64) -> u64 {
    u64::from((u64::BITS - len.leading_zeros()).div_ceil(7)).max(1)
}

#[cfg(test)]
mod tests;
