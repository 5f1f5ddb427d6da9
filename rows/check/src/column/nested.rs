//! The loop over a column with inner structure.

use rows_bytes::simd::{Kernel, Lanes};
use rows_split::cells::{Cell, Kind, Source};
use rows_split::decode::decode_nested;
use rows_types::{CellError, OnInvalidUtf8};

use super::{Compiled, Output};
use crate::faults::FaultSink;
use crate::nested::{Leaf, Nested, Node};
use crate::record_batch::RecordBatch;

/// Reads the column's cells of a record batch to the end of `out`. Keeps only cells of records that are not bad so far.
pub(crate) fn read<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    node: &Node,
    at: usize,
    field: usize,
    out: &mut Output,
    sink: &mut FaultSink<'_>,
) {
    let place = batch.source.column(at, field);
    let nested = out.nested(node);
    nested.begin_batch();
    // in this case the result of a cell depends on its array alone
    let simple = batch.valid_utf8 && !batch.has_null_texts();
    if let Some(elements) = node.elements().filter(|_| simple) {
        batch.level.run(Lists { batch, column, node, elements, at, place, nested, sink });
    } else {
        for record in 0..batch.source.records() {
            any(batch, column, node, at, record, place, nested, sink);
        }
    }
    nested.is_read(sink.bad);
}

/// The loop over arrays of simple elements.
struct Lists<'a, 'v, S> {
    batch: &'a RecordBatch<'a, S>,
    column: &'a Compiled,
    node: &'a Node,
    elements: &'a Leaf,
    at: usize,
    place: usize,
    nested: &'a mut Nested,
    sink: &'a mut FaultSink<'v>,
}

impl<S: Source> Kernel for Lists<'_, '_, S> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { batch, column, node, elements, at, place, nested, sink } = self;
        // doubled quotes can be handled during reading for this quote only
        let known = S::UNVERIFIED_QUOTES && batch.binding.dialect.quote == b'"';
        let unverified = batch.source.cells_unverified(place);
        for record in 0..batch.source.records() {
            let cell = if known { unverified(record) } else { batch.source.cell(record, place) };
            let maybe_doubled = known && cell.kind == Kind::Quoted;
            let readable = matches!(cell.kind, Kind::Plain | Kind::Quoted | Kind::Nested);
            let tail = batch.bytes.get(cell.start as usize..).unwrap_or_default();
            let is_good = sink.bad[record] == 0;
            if !(readable
                && nested.push_list(lanes, elements, tail, cell.len as usize, maybe_doubled, is_good))
            {
                any(batch, column, node, at, record, place, nested, sink);
            }
        }
    }
}

/// Adds one row for any cell, if its record is not bad.
#[allow(clippy::too_many_arguments, reason = "the loops' variables")]
fn any<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    node: &Node,
    at: usize,
    record: usize,
    place: usize,
    nested: &mut Nested,
    sink: &mut FaultSink<'_>,
) {
    let cell = batch.source.cell(record, place);
    if cell.kind == Kind::Skipped {
        return;
    }
    if cell.kind == Kind::Plain
        && cell.len > 0
        && batch.valid_utf8
        && !batch.has_null_texts()
        && let Some(error) = node.refuse(cell.text(batch.bytes))
    {
        return sink.fault(record, at, cell, error);
    }
    nested.begin_row();
    if let Err(error) = one(batch, column, node, cell, nested, sink.scratch) {
        sink.fault(record, at, cell, error);
    }
    if sink.bad[record] != 0 {
        nested.drop_row();
    }
}

/// Adds one row for a cell, good or bad, of a record that is not malformed.
fn one<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    node: &Node,
    cell: Cell,
    nested: &mut Nested,
    scratch: &mut Vec<u8>,
) -> Result<(), CellError> {
    let nothing = |error: CellError, nested: &mut Nested| match &column.default {
        Some(default) if error == CellError::MissingColumn || !column.nullable => nested.push(node, default),
        _ => {
            nested.push_placeholder(node);
            if column.nullable { Ok(()) } else { Err(error) }
        }
    };
    match cell.kind {
        Kind::Missing => return nothing(CellError::MissingColumn, nested),
        Kind::Null => return nothing(CellError::MissingValue, nested),
        Kind::Plain | Kind::Quoted | Kind::Escaped if cell.len == 0 || batch.is_null_text(cell) => {
            return nothing(CellError::MissingValue, nested);
        }
        _ => {}
    }
    let text = match decode_nested(batch.bytes, cell, batch.binding.is_json(), batch.binding.dialect, scratch)
    {
        Ok(text) if batch.valid_utf8 || std::str::from_utf8(text).is_ok() => text,
        Ok(text) if column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace => {
            return nested.push(node, String::from_utf8_lossy(text).as_bytes());
        }
        Ok(_) => {
            nested.push_placeholder(node);
            return Err(CellError::InvalidUtf8);
        }
        Err(error) => {
            nested.push_placeholder(node);
            return Err(error);
        }
    };
    nested.push(node, text)
}
