//! The cells of a column, one after the other.
//!
//! `Native` writes a column as the prefixes of all its parts and then their data. A part's data are found first, up to
//! their end; then [`Cells::next`] goes through all parts row by row.

use super::bytes::{Bytes, Problem};
use super::value::Kind;
use crate::types::Type;

/// The rows of a column that are left.
pub(super) enum Cells<'a> {
    /// One value behind the other.
    Values(Bytes<'a>, Kind<'a>),
    /// For each row whether it is NULL, and a value that means nothing where it is.
    Nullable(Bytes<'a>, Box<Cells<'a>>),
    /// For each row the number of its value.
    Dictionary(Dictionary<'a>),
}

/// The values of a `LowCardinality` column and the rows' numbers.
pub(super) struct Dictionary<'a> {
    kind: Kind<'a>,
    /// From the beginning of each value to the end of all.
    values: Vec<Bytes<'a>>,
    numbers: Bytes<'a>,
    /// Bytes of a number.
    width: usize,
    /// Value 0 stands for NULL.
    nullable: bool,
}

impl<'a> Cells<'a> {
    /// Takes a whole column.
    pub(super) fn read(bytes: &mut Bytes<'a>, ty: &'a Type, rows: usize) -> Result<Self, Problem> {
        prefix(bytes, ty)?;
        Self::data(bytes, ty, rows)
    }

    fn data(bytes: &mut Bytes<'a>, ty: &'a Type, rows: usize) -> Result<Self, Problem> {
        if ty.low_cardinality {
            return Dictionary::read(bytes, ty, rows).map(Self::Dictionary);
        }
        if ty.nullable {
            let nulls = bytes.values(rows, 1)?;
            return Ok(Self::Nullable(nulls, Box::new(Self::of_scalar(bytes, ty, rows)?)));
        }
        Self::of_scalar(bytes, ty, rows)
    }

    fn of_scalar(bytes: &mut Bytes<'a>, ty: &'a Type, rows: usize) -> Result<Self, Problem> {
        let kind = Kind::new(&ty.scalar)?;
        let start = *bytes;
        kind.skip(bytes, rows)?;
        let values = Bytes(start.0).take(start.0.len() - bytes.0.len())?;
        Ok(Self::Values(Bytes(values), kind))
    }

    /// Appends the next cell as JSON.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        match self {
            Self::Values(values, kind) => kind.show(values, out),
            Self::Nullable(nulls, cells) => {
                if is_true(nulls)? {
                    out.extend_from_slice(b"null");
                    cells.skip()
                } else {
                    cells.next(out)
                }
            }
            Self::Dictionary(dictionary) => dictionary.next(out),
        }
    }

    /// Passes over the next cell.
    fn skip(&mut self) -> Result<(), Problem> {
        match self {
            Self::Values(values, kind) => kind.skip(values, 1),
            Self::Nullable(nulls, cells) => {
                nulls.take(1)?;
                cells.skip()
            }
            Self::Dictionary(dictionary) => dictionary.numbers.take(dictionary.width).map(drop),
        }
    }
}

/// What a column says before its data.
fn prefix(bytes: &mut Bytes<'_>, ty: &Type) -> Result<(), Problem> {
    if ty.low_cardinality && bytes.u64()? != 1 {
        return Err("its dictionary is of another version");
    }
    Ok(())
}

/// A byte that is 1 or 0.
pub(super) fn is_true(bytes: &mut Bytes<'_>) -> Result<bool, Problem> {
    match bytes.array()? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err("it holds a truth value that is neither 0 nor 1"),
    }
}

impl<'a> Dictionary<'a> {
    fn read(bytes: &mut Bytes<'a>, ty: &'a Type, rows: usize) -> Result<Self, Problem> {
        let flags = bytes.u64()?;
        if flags & !3 != 0x600 || flags & 3 == 3 {
            return Err("its dictionary is not one that comes with the block");
        }
        let keys = bytes.u64()?;
        let kind = Kind::new(&ty.scalar)?;
        // grows as values are found: the number of them is only what the block says
        let mut values = Vec::new();
        for _ in 0..keys {
            values.push(*bytes);
            kind.skip(bytes, 1)?;
        }
        if bytes.u64()? != rows as u64 {
            return Err("its dictionary has not as many rows as the block");
        }
        let width = 1 << (flags & 3);
        let numbers = bytes.values(rows, width)?;
        Ok(Self { kind, values, numbers, width, nullable: ty.nullable })
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let number = self.numbers.uint(self.width)?;
        if self.nullable && number == 0 {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        let value = usize::try_from(number).ok().and_then(|n| self.values.get(n));
        self.kind.show(&mut value.copied().ok_or("it holds a number that its dictionary has not")?, out)
    }
}
