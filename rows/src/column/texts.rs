//! Columns of texts: checked with the other columns, written last, when it is known which records are good.

use std::borrow::Cow;

use super::{Compiled, Reader};
use crate::check::tile::{Tile, Verdict};
use crate::coerce::Why;
use crate::native::Output;
use crate::policy::OnInvalidUtf8;
use crate::simd::{Kernel, Lanes};
use crate::split::cells::{Cell, Kind, Kinds, Source};
use crate::split::json::check_escapes;

/// What a cell of a text column comes to.
enum Got<'a> {
    Text(&'a [u8]),
    Null,
}

/// What can be bad in a column of a tile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suspect {
    Nothing,
    /// Only cells in which something is escaped.
    Escaped,
    Everything,
}

impl Suspect {
    fn of<S: Source>(tile: &Tile<'_, S>, column: &Compiled, place: usize) -> Self {
        const WRITTEN: Kinds = Kinds::of(&[Kind::Plain, Kind::Quoted, Kind::Skipped]);
        const ABSENT: Kinds = Kinds::of(&[Kind::Null, Kind::Missing]);
        let null_texts = tile.has_null_texts() && !column.may_be_absent();
        if !tile.valid_utf8 || column.rules.is_some() || null_texts || column.reader.width().is_some() {
            return Self::Everything;
        }
        let harmless = if column.may_be_absent() { WRITTEN.and(ABSENT) } else { WRITTEN };
        let kinds = tile.source.kinds(place);
        let escaped = const { Kinds::of(&[Kind::Escaped]) };
        if kinds.only(harmless) {
            return Self::Nothing;
        }
        if !kinds.only(harmless.and(escaped)) {
            return Self::Everything;
        }
        match tile.plan.is_json() {
            // of delimited text every escape is one
            false => Self::Nothing,
            true if tile.has_null_texts() => Self::Everything,
            true => Self::Escaped,
        }
    }
}

/// Finds the bad cells of the column.
pub(crate) fn check<S: Source>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    at: usize,
    field: usize,
    verdict: &mut Verdict<'_>,
) {
    let place = tile.source.column(at, field);
    let suspect = Suspect::of(tile, column, place);
    if suspect == Suspect::Nothing {
        return;
    }
    for record in 0..tile.source.records() {
        let cell = tile.source.cell(record, place);
        if cell.kind == Kind::Skipped {
            continue;
        }
        let held = if suspect == Suspect::Escaped {
            if cell.kind == Kind::Escaped { check_escapes(cell.text(tile.bytes)) } else { Ok(()) }
        } else {
            get(tile, column, cell, verdict.scratch).and_then(|got| match got {
                Got::Null => Ok(()),
                Got::Text(text) => hold(tile, column, cell, text),
            })
        };
        if let Err(why) = held {
            verdict.fault(record, at, why);
        }
    }
}

fn hold<S: Source>(tile: &Tile<'_, S>, column: &Compiled, cell: Cell, text: &[u8]) -> Result<(), Why> {
    if let Reader::FixedString(n) = column.reader
        && text.len() > n
    {
        return Err(Why::TooLong);
    }
    if tile.valid_utf8 && column.rules.is_none() {
        return Ok(());
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace => String::from_utf8_lossy(text),
        Err(_) => return Err(Why::InvalidUtf8),
    };
    match &column.rules {
        Some(rules)
            if !(cell.kind == Kind::Missing || tile.is_null_text(cell) && column.default.is_some()) =>
        {
            rules.text(&text)
        }
        _ => Ok(()),
    }
}

/// The text that a cell stands for, or what is wrong with it.
#[inline]
fn get<'a, S: Source>(
    tile: &'a Tile<'_, S>,
    column: &'a Compiled,
    cell: Cell,
    scratch: &'a mut Vec<u8>,
) -> Result<Got<'a>, Why> {
    match cell.kind {
        Kind::Plain | Kind::Quoted | Kind::Escaped => {
            if !tile.is_null_text(cell) {
                return tile.decode(cell, scratch).map(Got::Text);
            }
            match &column.default {
                _ if column.nullable => Ok(Got::Null),
                Some(default) => Ok(Got::Text(default)),
                None if cell.len == 0 => Ok(Got::Text(b"")),
                None => Err(Why::MissingValue),
            }
        }
        Kind::Null | Kind::Missing => match (&column.default, cell.kind) {
            (Some(default), Kind::Missing) => Ok(Got::Text(default)),
            _ if column.nullable => Ok(Got::Null),
            (Some(default), _) => Ok(Got::Text(default)),
            (None, Kind::Missing) => Err(Why::MissingColumn),
            (None, _) => Err(Why::MissingValue),
        },
        Kind::Nested => Err(Why::Nested),
        Kind::Skipped => Err(Why::NotJson),
    }
}

/// Writes the column's texts of the good records.
pub(crate) fn write<S: Source>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    at: usize,
    field: usize,
    out: &mut Output,
    bad: &[u8],
    scratch: &mut Vec<u8>,
) {
    let place = tile.source.column(at, field);
    tile.level.run_scalar(Write { tile, column, place, out, bad, scratch });
}

struct Write<'a, S> {
    tile: &'a Tile<'a, S>,
    column: &'a Compiled,
    place: usize,
    out: &'a mut Output,
    bad: &'a [u8],
    scratch: &'a mut Vec<u8>,
}

impl<S: Source> Kernel for Write<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Self { tile, column, place, out, bad, scratch } = self;
        let width = column.reader.width();
        // text that is not UTF-8 would be bad if it were not to be replaced
        let replace = !tile.valid_utf8 && column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace;
        let simple = width.is_none() && !tile.has_null_texts() && !replace;
        for (record, bad) in bad.iter().enumerate() {
            if *bad != 0 {
                continue;
            }
            let cell = tile.source.cell(record, place);
            if simple
                && matches!(cell.kind, Kind::Plain | Kind::Quoted)
                && (cell.len > 0 || cell.kind == Kind::Quoted)
            {
                let (start, len) = (cell.start as usize, cell.len as usize);
                out.push_near(tile.bytes, start, len, column.low_cardinality, column.nullable);
                continue;
            }
            // a bad cell would have made the record bad
            let got = get(tile, column, cell, scratch).unwrap_or(Got::Null);
            match got {
                Got::Text(text) if replace => {
                    let text = String::from_utf8_lossy(text);
                    out.push_text(text.as_bytes(), width, column.low_cardinality, column.nullable);
                }
                Got::Text(text) => out.push_text(text, width, column.low_cardinality, column.nullable),
                Got::Null => out.push_null_text(width, column.low_cardinality),
            }
        }
    }
}
