//! The cells of a column, one after the other.
//!
//! `Native` writes a column as the prefixes of all its parts and then their data. First, [`Cells::read`] finds where
//! the data of each part begin and end. Then [`Cells::next`] reads all parts row by row.

use rows_types::{Base, Scalar, Type};

use super::bytes::{Bytes, Problem};
use super::text;
use super::value::Kind;

/// The rows of a column that are left to read.
pub(super) enum Cells<'a> {
    /// One value after the other.
    Values(Bytes<'a>, Kind<'a>),
    /// For each row: whether it is NULL, and a value, which has no meaning if it is NULL.
    Nullable(Bytes<'a>, Box<Cells<'a>>),
    /// For each row: the number of its value.
    Dictionary(Dictionary<'a>),
    Array(Counts<'a>, Box<Cells<'a>>),
    /// Keys and values.
    Map(Counts<'a>, Box<[Cells<'a>; 2]>),
    /// For each element: the bytes before it, and its cells. Then the byte after the last element.
    Tuple(Vec<(Vec<u8>, Cells<'a>)>, u8),
}

/// For each row of an array or map: the number of elements up to its end.
pub(super) struct Counts<'a> {
    totals: Bytes<'a>,
    last: u64,
}

/// The values of a `LowCardinality` column and the rows' numbers.
pub(super) struct Dictionary<'a> {
    kind: Kind<'a>,
    /// For each value: the bytes from its beginning to the end of the block.
    values: Vec<Bytes<'a>>,
    numbers: Bytes<'a>,
    /// The length of a number in bytes.
    width: usize,
    /// Whether value 0 means NULL.
    nullable: bool,
}

impl<'a> Cells<'a> {
    /// Takes a complete column.
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
            return Ok(Self::Nullable(nulls, Box::new(Self::of_base(bytes, &ty.base, rows)?)));
        }
        Self::of_base(bytes, &ty.base, rows)
    }

    fn of_base(bytes: &mut Bytes<'a>, base: &'a Base, rows: usize) -> Result<Self, Problem> {
        match base {
            Base::Array(element) => {
                let (counts, total) = Counts::read(bytes, rows)?;
                Ok(Self::Array(counts, Box::new(Self::data(bytes, element, total)?)))
            }
            Base::Map(key, value) => {
                let (counts, total) = Counts::read(bytes, rows)?;
                let keys = Self::data(bytes, key, total)?;
                Ok(Self::Map(counts, Box::new([keys, Self::data(bytes, value, total)?])))
            }
            Base::Tuple(elements) => Self::tuple(bytes, elements, rows),
            Base::Scalar(scalar) => Self::values(bytes, scalar, rows),
        }
    }

    /// A tuple with names is shown as an object, one without as an array.
    fn tuple(
        bytes: &mut Bytes<'a>,
        elements: &'a [(Option<String>, Type)],
        rows: usize,
    ) -> Result<Self, Problem> {
        let named = elements.iter().any(|(name, _)| name.is_some());
        let (open, close) = if named { (b'{', b'}') } else { (b'[', b']') };
        let mut parts = Vec::new();
        for (name, ty) in elements {
            let mut before = vec![if parts.is_empty() { open } else { b',' }];
            if let Some(name) = name {
                text::quoted(name.as_bytes(), &mut before)?;
                before.push(b':');
            }
            parts.push((before, Self::data(bytes, ty, rows)?));
        }
        Ok(Self::Tuple(parts, close))
    }

    fn values(bytes: &mut Bytes<'a>, scalar: &'a Scalar, rows: usize) -> Result<Self, Problem> {
        let kind = Kind::new(scalar)?;
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
                if nulls.is_true()? {
                    out.extend_from_slice(b"null");
                    cells.skip()
                } else {
                    cells.next(out)
                }
            }
            Self::Dictionary(dictionary) => dictionary.next(out),
            Self::Array(counts, elements) => {
                out.push(b'[');
                for at in 0..counts.next()? {
                    if at > 0 {
                        out.push(b',');
                    }
                    elements.next(out)?;
                }
                out.push(b']');
                Ok(())
            }
            Self::Map(counts, parts) => {
                let [keys, values] = &mut **parts;
                out.push(b'{');
                for at in 0..counts.next()? {
                    if at > 0 {
                        out.push(b',');
                    }
                    keys.next_key(out)?;
                    out.push(b':');
                    values.next(out)?;
                }
                out.push(b'}');
                Ok(())
            }
            Self::Tuple(elements, close) => {
                for (before, cells) in elements {
                    out.extend_from_slice(before);
                    cells.next(out)?;
                }
                out.push(*close);
                Ok(())
            }
        }
    }

    /// Appends the next cell as a JSON string.
    fn next_key(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let start = out.len();
        self.next(out)?;
        if out.get(start) != Some(&b'"') {
            out.insert(start, b'"');
            out.push(b'"');
        }
        Ok(())
    }

    /// Skips the next cell.
    fn skip(&mut self) -> Result<(), Problem> {
        match self {
            Self::Values(values, kind) => kind.skip(values, 1),
            Self::Nullable(nulls, cells) => {
                nulls.take(1)?;
                cells.skip()
            }
            Self::Dictionary(dictionary) => dictionary.numbers.take(dictionary.width).map(drop),
            Self::Array(counts, elements) => (0..counts.next()?).try_for_each(|_| elements.skip()),
            Self::Map(counts, parts) => {
                (0..counts.next()?).try_for_each(|_| parts.iter_mut().try_for_each(Self::skip))
            }
            Self::Tuple(elements, _) => elements.iter_mut().try_for_each(|(_, cells)| cells.skip()),
        }
    }
}

impl<'a> Counts<'a> {
    /// Also returns the total number of elements.
    fn read(bytes: &mut Bytes<'a>, rows: usize) -> Result<(Self, usize), Problem> {
        let totals = bytes.values(rows, 8)?;
        let total = totals.0.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
        let total = usize::try_from(total).map_err(|_| "it has more elements than fit in memory")?;
        Ok((Self { totals, last: 0 }, total))
    }

    /// The number of elements of the next row.
    fn next(&mut self) -> Result<u64, Problem> {
        let total = self.totals.u64()?;
        let count = total.checked_sub(self.last).ok_or("an array in it ends before it begins")?;
        self.last = total;
        Ok(count)
    }
}

/// Checks the bytes before a column's data, which specify for each part how it is stored.
fn prefix(bytes: &mut Bytes<'_>, ty: &Type) -> Result<(), Problem> {
    let mut version = |problem| if bytes.u64()? == 1 { Ok(()) } else { Err(problem) };
    match &ty.base {
        _ if ty.low_cardinality => version("its dictionary is of another version"),
        Base::Scalar(Scalar::Json) => version("its JSON is not sent as text"),
        Base::Array(element) => prefix(bytes, element),
        Base::Map(key, value) => {
            prefix(bytes, key)?;
            prefix(bytes, value)
        }
        Base::Tuple(elements) => elements.iter().try_for_each(|(_, ty)| prefix(bytes, ty)),
        Base::Scalar(_) => Ok(()),
    }
}

impl<'a> Dictionary<'a> {
    fn read(bytes: &mut Bytes<'a>, ty: &'a Type, rows: usize) -> Result<Self, Problem> {
        let kind = Kind::new(ty.scalar().ok_or("its values have parts")?)?;
        if rows == 0 {
            // ClickHouse writes no dictionary if there is no row
            return Ok(Self { kind, values: Vec::new(), numbers: Bytes(b""), width: 1, nullable: false });
        }
        let flags = bytes.u64()?;
        if flags & !3 != 0x600 || flags & 3 == 3 {
            return Err("its dictionary is not one that comes with the block");
        }
        let keys = bytes.u64()?;
        // grows as values are found: the number in the block may be wrong, so nothing is allocated by it
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
