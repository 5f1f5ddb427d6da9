//! Columns of texts: checked with the other columns, but written last, when the good records are known.

mod write;

use std::borrow::Cow;

use rows_bytes::simd::{Kernel, Lanes};
use rows_split::cells::{Cell, Kind, Kinds, Source};
use rows_split::json::{check_escapes, escapes_are_simple};
use rows_types::{CellError, OnInvalidUtf8};

use super::{ColumnReader, Compiled};
use crate::faults::FaultSink;
use crate::reader::Reader;
use crate::record_batch::RecordBatch;

pub(crate) use write::write;

/// The result of a cell of a text column.
enum Got<'a> {
    Text(&'a [u8]),
    Null,
}

/// Which cells of a column can be bad in a record batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suspect {
    Nothing,
    /// Only cells that contain an escape.
    Escaped,
    Everything,
}

impl Suspect {
    fn of<S: Source>(batch: &RecordBatch<'_, S>, column: &Compiled, place: usize) -> Self {
        const WRITTEN: Kinds = Kinds::of(&[Kind::Plain, Kind::Quoted, Kind::Skipped]);
        const ABSENT: Kinds = Kinds::of(&[Kind::Null, Kind::Missing]);
        let null_texts = batch.has_null_texts() && !column.may_be_absent();
        if !batch.valid_utf8 || column.rules.is_some() || null_texts || column.reader.width().is_some() {
            return Self::Everything;
        }
        let harmless = if column.may_be_absent() { WRITTEN.and(ABSENT) } else { WRITTEN };
        let kinds = batch.source.kinds(place);
        let escaped = const { Kinds::of(&[Kind::Escaped]) };
        if kinds.only(harmless) {
            return Self::Nothing;
        }
        if !kinds.only(harmless.and(escaped)) {
            return Self::Everything;
        }
        match batch.binding.is_json() {
            // in delimited text every escape is valid
            false => Self::Nothing,
            true if batch.has_null_texts() => Self::Everything,
            true => Self::Escaped,
        }
    }
}

/// Finds the bad cells of the column.
pub(crate) fn check<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    at: usize,
    field: usize,
    sink: &mut FaultSink<'_>,
) {
    if !column.reader.is_text() {
        return;
    }
    let place = batch.source.column(at, field);
    let suspect = Suspect::of(batch, column, place);
    if suspect == Suspect::Nothing {
        return;
    }
    if let Some(longest) = longest(batch, column, place) {
        for record in 0..batch.source.records() {
            // a text with doubled quotes is shorter than its span
            if batch.source.span(record, place).1 > longest {
                one(batch, column, suspect, at, record, place, sink);
            }
        }
        return;
    }
    if suspect == Suspect::Escaped {
        return batch.level.run(Escapes { batch, column, at, place, sink });
    }
    for record in 0..batch.source.records() {
        one(batch, column, suspect, at, record, place, sink);
    }
}

/// The loop over JSON texts that are bad only if they contain a bad escape.
struct Escapes<'a, 'v, S> {
    batch: &'a RecordBatch<'a, S>,
    column: &'a Compiled,
    at: usize,
    place: usize,
    sink: &'a mut FaultSink<'v>,
}

impl<S: Source> Kernel for Escapes<'_, '_, S> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { batch, column, at, place, sink } = self;
        for record in 0..batch.source.records() {
            let cell = batch.source.cell(record, place);
            let tail = batch.bytes.get(cell.start as usize..).unwrap_or_default();
            if cell.kind == Kind::Escaped && !escapes_are_simple(lanes, tail, cell.len as usize) {
                one(batch, column, Suspect::Escaped, at, record, place, sink);
            }
        }
    }
}

/// The longest text of a good cell, if a cell of this column is bad only when its text is longer.
fn longest<S: Source>(batch: &RecordBatch<'_, S>, column: &Compiled, place: usize) -> Option<usize> {
    let plain = const { Kinds::of(&[Kind::Plain, Kind::Quoted]) };
    // in JSON an escape can be invalid
    let escaped =
        if batch.binding.is_json() { plain } else { plain.and(const { Kinds::of(&[Kind::Escaped]) }) };
    let written = batch.source.kinds(place).only(escaped);
    let known = written && batch.valid_utf8 && !batch.has_null_texts();
    column.reader.width().filter(|_| known && column.rules.is_none())
}

/// Checks one cell against its column.
fn one<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    suspect: Suspect,
    at: usize,
    record: usize,
    place: usize,
    sink: &mut FaultSink<'_>,
) {
    let cell = batch.source.cell(record, place);
    if cell.kind == Kind::Skipped {
        return;
    }
    let held = if suspect == Suspect::Escaped {
        if cell.kind == Kind::Escaped { check_escapes(cell.text(batch.bytes)) } else { Ok(()) }
    } else {
        get(batch, column, cell, sink.scratch).and_then(|got| match got {
            Got::Null => Ok(()),
            Got::Text(text) => check_rules(batch, column, cell, text),
        })
    };
    if let Err(error) = held {
        sink.fault(record, at, cell, error);
    }
}

fn check_rules<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    cell: Cell,
    text: &[u8],
) -> Result<(), CellError> {
    if let ColumnReader::Scalar(Reader::FixedString(n)) = column.reader
        && text.len() > n
    {
        return Err(CellError::TooLong);
    }
    if batch.valid_utf8 && column.rules.is_none() {
        return Ok(());
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace => String::from_utf8_lossy(text),
        Err(_) => return Err(CellError::InvalidUtf8),
    };
    match &column.rules {
        Some(rules)
            if !(cell.kind == Kind::Missing || batch.is_null_text(cell) && column.default.is_some()) =>
        {
            rules.text(&text)
        }
        _ => Ok(()),
    }
}

/// The decoded text of a cell, or what is wrong with it.
fn get<'a, S: Source>(
    batch: &'a RecordBatch<'_, S>,
    column: &'a Compiled,
    cell: Cell,
    scratch: &'a mut Vec<u8>,
) -> Result<Got<'a>, CellError> {
    match cell.kind {
        Kind::Plain | Kind::Quoted | Kind::Escaped => {
            if !batch.is_null_text(cell) {
                return batch.decode(cell, scratch).map(Got::Text);
            }
            match &column.default {
                _ if column.nullable => Ok(Got::Null),
                Some(default) => Ok(Got::Text(default)),
                None if cell.len == 0 => Ok(Got::Text(b"")),
                None => Err(CellError::MissingValue),
            }
        }
        Kind::Null | Kind::Missing => match (&column.default, cell.kind) {
            (Some(default), Kind::Missing) => Ok(Got::Text(default)),
            _ if column.nullable => Ok(Got::Null),
            (Some(default), _) => Ok(Got::Text(default)),
            (None, Kind::Missing) => Err(CellError::MissingColumn),
            (None, _) => Err(CellError::MissingValue),
        },
        Kind::Nested => Err(CellError::Nested),
        Kind::Skipped => Err(CellError::NotJson),
    }
}
