//! The loop over a column of a fixed-width type: text to `Native` bytes, one loop compiled for each type and source.

use super::{Compiled, Rules};
use crate::check::tile::{Tile, Verdict};
use crate::coerce::{Native, Read, Text, Why};
use crate::native::{Output, Room};
use crate::simd::{Kernel, Lanes, Portable};
use crate::split::cells::{Kind, Source};

/// Reads the column's cells of a tile to the end of `out`, bad ones too: their bytes mean nothing and are taken out
/// later.
pub(crate) fn read<S: Source, R: Read>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    reader: &R,
    at: usize,
    field: usize,
    out: &mut Output,
    verdict: &mut Verdict<'_>,
) {
    let place = tile.source.column(at, field);
    let records = tile.source.records();
    let width = R::Value::WIDTH;
    let slots = out.data.grow(records * width);
    let nulls = out.nulls.grow(if column.nullable { records } else { 0 });
    nulls.fill(0);
    let faults = verdict.faults.len();
    tile.level.run_scalar(Loop { tile, column, reader, at, place, slots, nulls, verdict });
    if let Some(rules) = &column.rules {
        let values = slots.chunks_exact(width).map(|slot| reader.magnitude(R::Value::get(slot)));
        hold(tile, rules, at, place, values, nulls, faults, verdict);
    }
}

struct Loop<'a, 'v, S, R> {
    tile: &'a Tile<'a, S>,
    column: &'a Compiled,
    reader: &'a R,
    at: usize,
    place: usize,
    slots: &'a mut [u8],
    /// For each record, all 0; empty where nothing can be NULL.
    nulls: &'a mut [u8],
    verdict: &'a mut Verdict<'v>,
}

impl<S: Source, R: Read> Kernel for Loop<'_, '_, S, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { tile, column, reader, at, place, slots, nulls, verdict } = self;
        let careful = tile.careful[at];
        // then nothing to read is NULL, whatever the cell's kind
        let empty_is_null = column.nullable && column.default.is_none() && !careful;
        for (record, slot) in slots.chunks_exact_mut(R::Value::WIDTH).enumerate() {
            let (start, len) = tile.source.span(record, place);
            if len == 0 && empty_is_null {
                slot.fill(0);
                nulls[record] = 1;
                continue;
            }
            let value = if careful { None } else { reader.read(lanes, Text::new(&tile.bytes[start..], len)) };
            if let Some(value) = value {
                value.put(slot);
                continue;
            }
            match other(tile, column, reader, record, place, slot, verdict.scratch) {
                Ok(Slot::Value) => {}
                Ok(Slot::Null) => {
                    slot.fill(0);
                    nulls[record] = 1;
                }
                Err(why) => verdict.fault(record, at, why),
            }
        }
    }
}

/// What a cell comes to that is no plain value.
enum Slot {
    /// It is in the slot.
    Value,
    Null,
}

/// A cell that is no plain value: escaped, absent, a matter of policy, or bad.
#[cold]
fn other<S: Source, R: Read>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    reader: &R,
    record: usize,
    place: usize,
    slot: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Result<Slot, Why> {
    let cell = tile.source.cell(record, place);
    let absent = match cell.kind {
        Kind::Skipped => return Ok(Slot::Value),
        Kind::Nested => return Err(Why::Nested),
        Kind::Missing => {
            return match &column.default {
                Some(default) => {
                    slot.copy_from_slice(default);
                    Ok(Slot::Value)
                }
                None if column.nullable => Ok(Slot::Null),
                None => Err(Why::MissingColumn),
            };
        }
        Kind::Null => true,
        Kind::Plain | Kind::Quoted | Kind::Escaped => tile.is_null_text(cell),
    };
    if absent && column.nullable {
        return Ok(Slot::Null);
    }
    if absent && let Some(default) = &column.default {
        slot.copy_from_slice(default);
        return Ok(Slot::Value);
    }
    if cell.kind == Kind::Null || (absent && cell.len > 0) {
        return Err(Why::MissingValue);
    }
    let text = tile.decode(cell, scratch)?;
    if let Some(why) = reader.refuse(text) {
        return Err(why);
    }
    if let Some(value) = reader.read(Portable, Text::whole(text)) {
        value.put(slot);
        return Ok(Slot::Value);
    }
    if text.is_empty() {
        // quoted and empty, where nothing empty is a value
        return match &column.default {
            _ if column.nullable => Ok(Slot::Null),
            Some(default) => {
                slot.copy_from_slice(default);
                Ok(Slot::Value)
            }
            None => Err(Why::MissingValue),
        };
    }
    reader.lenient(text, column.policies)?.put(slot);
    Ok(Slot::Value)
}

/// Holds the values to the column's rules; cells that are bad already, or NULL, are left alone.
#[allow(clippy::too_many_arguments, reason = "the loop's variables, in the part of it that few columns need")]
fn hold<S: Source>(
    tile: &Tile<'_, S>,
    rules: &Rules,
    at: usize,
    place: usize,
    values: impl Iterator<Item = f64>,
    nulls: &[u8],
    faults: usize,
    verdict: &mut Verdict<'_>,
) {
    let known: Vec<usize> = verdict.faults[faults..].iter().map(|f| f.record as usize).collect();
    let mut known = known.into_iter().peekable();
    for (record, number) in values.enumerate() {
        let cell = tile.source.cell(record, place);
        if known.next_if_eq(&record).is_some()
            || nulls.get(record) == Some(&1)
            || matches!(cell.kind, Kind::Missing | Kind::Null | Kind::Skipped)
            || tile.is_null_text(cell)
        {
            continue;
        }
        let mut held = rules.number(number);
        if held.is_ok() && rules.on_text() {
            let text = tile.decode(cell, verdict.scratch).unwrap_or_default();
            held = std::str::from_utf8(text).map_err(|_| Why::InvalidUtf8).and_then(|text| rules.text(text));
        }
        if let Err(why) = held {
            verdict.fault(record, at, why);
        }
    }
}

/// Removes the values of bad records, which are the last `bad.len()` ones of `data`.
pub(crate) fn compact(data: &mut Room, width: usize, bad: &[u8]) {
    fn keep<const W: usize>(values: &mut [u8], bad: &[u8]) -> usize {
        let (values, _) = values.as_chunks_mut::<W>();
        let mut kept = 0;
        for (i, bad) in bad.iter().enumerate() {
            values[kept] = values[i];
            kept += usize::from(*bad == 0);
        }
        kept
    }
    let start = data.len() - width * bad.len();
    let values = data.since(start);
    let kept = match width {
        1 => keep::<1>(values, bad),
        2 => keep::<2>(values, bad),
        4 => keep::<4>(values, bad),
        8 => keep::<8>(values, bad),
        16 => keep::<16>(values, bad),
        32 => keep::<32>(values, bad),
        _ => {
            let mut kept = 0;
            for (i, _) in bad.iter().enumerate().filter(|(_, bad)| **bad == 0) {
                values.copy_within(i * width..(i + 1) * width, kept * width);
                kept += 1;
            }
            kept
        }
    };
    data.truncate(start + kept * width);
}
