//! The loop over a column with inner structure.

use super::Compiled;
use crate::check::tile::{Tile, Verdict};
use crate::coerce::Why;
use crate::native::Output;
use crate::nested::{Leaf, Nested, Node};
use crate::policy::OnInvalidUtf8;
use crate::simd::{Kernel, Lanes};
use crate::split::cells::{Cell, Kind, Source, decode_nested};

/// Reads the column's cells of a tile to the end of `out`, and keeps those of records that are not bad by then.
pub(crate) fn read<S: Source>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    node: &Node,
    at: usize,
    field: usize,
    out: &mut Output,
    verdict: &mut Verdict<'_>,
) {
    let place = tile.source.column(at, field);
    let nested = out.nested(node);
    nested.begin_tile();
    // nothing but the array itself decides what its cell comes to
    let simple = tile.valid_utf8 && !tile.has_null_texts();
    if let Some(elements) = node.elements().filter(|_| simple) {
        tile.level.run(Lists { tile, column, node, elements, at, place, nested, verdict });
    } else {
        for record in 0..tile.source.records() {
            any(tile, column, node, at, record, place, nested, verdict);
        }
    }
    nested.is_read(verdict.bad);
}

/// The loop over arrays of simple elements.
struct Lists<'a, 'v, S> {
    tile: &'a Tile<'a, S>,
    column: &'a Compiled,
    node: &'a Node,
    elements: &'a Leaf,
    at: usize,
    place: usize,
    nested: &'a mut Nested,
    verdict: &'a mut Verdict<'v>,
}

impl<S: Source> Kernel for Lists<'_, '_, S> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { tile, column, node, elements, at, place, nested, verdict } = self;
        // what doubled quotes hide is known of this quote only
        let known = S::GLANCES && tile.plan.dialect.quote == b'"';
        let glance = tile.source.glances(place);
        for record in 0..tile.source.records() {
            let cell = if known { glance(record) } else { tile.source.cell(record, place) };
            let glanced = known && cell.kind == Kind::Quoted;
            let readable = matches!(cell.kind, Kind::Plain | Kind::Quoted | Kind::Nested);
            let tail = tile.bytes.get(cell.start as usize..).unwrap_or_default();
            let keep = verdict.bad[record] == 0;
            if !(readable && nested.push_list(lanes, elements, tail, cell.len as usize, glanced, keep)) {
                any(tile, column, node, at, record, place, nested, verdict);
            }
        }
    }
}

/// Adds one row, whatever the cell is, if its record is not bad.
#[allow(clippy::too_many_arguments, reason = "the loops' variables")]
fn any<S: Source>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    node: &Node,
    at: usize,
    record: usize,
    place: usize,
    nested: &mut Nested,
    verdict: &mut Verdict<'_>,
) {
    let cell = tile.source.cell(record, place);
    if cell.kind == Kind::Skipped {
        return;
    }
    if cell.kind == Kind::Plain
        && cell.len > 0
        && tile.valid_utf8
        && !tile.has_null_texts()
        && let Some(why) = node.refuse(cell.text(tile.bytes))
    {
        return verdict.fault(record, at, cell, why);
    }
    nested.begin_row();
    if let Err(why) = one(tile, column, node, cell, nested, verdict.scratch) {
        verdict.fault(record, at, cell, why);
    }
    if verdict.bad[record] != 0 {
        nested.drop_row();
    }
}

/// Adds one row, whether or not the cell is good, of a record that is one.
fn one<S: Source>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    node: &Node,
    cell: Cell,
    nested: &mut Nested,
    scratch: &mut Vec<u8>,
) -> Result<(), Why> {
    let nothing = |why: Why, nested: &mut Nested| match &column.default {
        Some(default) if why == Why::MissingColumn || !column.nullable => nested.push(node, default),
        _ => {
            nested.push_nothing(node);
            if column.nullable { Ok(()) } else { Err(why) }
        }
    };
    match cell.kind {
        Kind::Missing => return nothing(Why::MissingColumn, nested),
        Kind::Null => return nothing(Why::MissingValue, nested),
        Kind::Plain | Kind::Quoted | Kind::Escaped if cell.len == 0 || tile.is_null_text(cell) => {
            return nothing(Why::MissingValue, nested);
        }
        _ => {}
    }
    let text = match decode_nested(tile.bytes, cell, tile.plan.is_json(), tile.plan.dialect, scratch) {
        Ok(text) if tile.valid_utf8 || std::str::from_utf8(text).is_ok() => text,
        Ok(text) if column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace => {
            return nested.push(node, String::from_utf8_lossy(text).as_bytes());
        }
        Ok(_) => {
            nested.push_nothing(node);
            return Err(Why::InvalidUtf8);
        }
        Err(why) => {
            nested.push_nothing(node);
            return Err(why);
        }
    };
    nested.push(node, text)
}
