//! The loop over a column of a fixed-width type: text to `Native` bytes, one loop compiled for each type and source.

use super::{Compiled, Rules};
use crate::check::tile::{Tile, Verdict};
use crate::coerce::{Native, Read, Text, Why};
use crate::native::Output;
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
    let start = out.data.len();
    out.data.resize(start + records * width, 0);
    let nulls = out.nulls.len();
    if column.nullable {
        out.nulls.resize(nulls + records, 0);
    }
    let careful = tile.careful[at];
    // then nothing to read is NULL, whatever the cell's kind
    let empty_is_null = column.nullable && column.default.is_none() && !careful;
    let faults = verdict.faults.len();
    for (record, slot) in out.data[start..].chunks_exact_mut(width).enumerate() {
        let (start, len) = tile.source.span(record, place);
        if len == 0 && empty_is_null {
            out.nulls[nulls + record] = 1;
            continue;
        }
        let text = Text::new(&tile.bytes[start..], len);
        let value = if careful { None } else { reader.read(text) };
        if let Some(value) = value {
            value.put(slot);
        } else {
            let mut null = false;
            match other(tile, column, reader, record, place, slot, verdict.scratch, &mut null) {
                Ok(()) if null => out.nulls[nulls + record] = 1,
                Ok(()) => {}
                Err(why) => verdict.fault(record, at, why),
            }
        }
    }
    if let Some(rules) = &column.rules {
        let nulls = out.nulls.get(nulls..).unwrap_or_default();
        let values = out.data[start..].chunks_exact(width).map(|slot| reader.magnitude(R::Value::get(slot)));
        hold(tile, rules, at, place, values, nulls, faults, verdict);
    }
}

/// A cell that is no plain value: escaped, absent, clamped, or bad.
#[cold]
#[allow(clippy::too_many_arguments, reason = "the loop's variables, in the part of it that is out of line")]
fn other<S: Source, R: Read>(
    tile: &Tile<'_, S>,
    column: &Compiled,
    reader: &R,
    record: usize,
    place: usize,
    slot: &mut [u8],
    scratch: &mut Vec<u8>,
    null: &mut bool,
) -> Result<(), Why> {
    let cell = tile.source.cell(record, place);
    let absent = match cell.kind {
        Kind::Skipped => return Ok(()),
        Kind::Nested => return Err(Why::Nested),
        Kind::Missing => {
            return match &column.default {
                Some(default) => {
                    slot.copy_from_slice(default);
                    Ok(())
                }
                None if column.nullable => {
                    *null = true;
                    Ok(())
                }
                None => Err(Why::MissingColumn),
            };
        }
        Kind::Null => true,
        Kind::Plain | Kind::Quoted | Kind::Escaped => tile.is_null_text(cell),
    };
    if absent && column.nullable {
        *null = true;
        return Ok(());
    }
    if absent && let Some(default) = &column.default {
        slot.copy_from_slice(default);
        return Ok(());
    }
    if cell.kind == Kind::Null || (absent && cell.len > 0) {
        return Err(Why::MissingValue);
    }
    let text = tile.decode(cell, scratch)?;
    if let Some(value) = reader.read(Text::whole(text)) {
        value.put(slot);
        return Ok(());
    }
    if text.is_empty() {
        // quoted and empty, where nothing empty is a value
        return match &column.default {
            _ if column.nullable => {
                *null = true;
                Ok(())
            }
            Some(default) => {
                slot.copy_from_slice(default);
                Ok(())
            }
            None => Err(Why::MissingValue),
        };
    }
    if column.clamp
        && let Some(value) = reader.clamp(text)
    {
        value.put(slot);
        return Ok(());
    }
    Err(reader.explain(text))
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
pub(crate) fn compact(data: &mut Vec<u8>, width: usize, bad: &[u8]) {
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
    let values = &mut data[start..];
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
