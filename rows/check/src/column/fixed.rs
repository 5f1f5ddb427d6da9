//! The loop over a column of a fixed-width type: text to `Native` bytes. One loop is compiled for each type and each
//! source of texts.

use rows_bytes::simd::numbers::{EIGHT, Texts};
use rows_bytes::simd::{Kernel, Lanes, Portable};
use rows_bytes::text::Text;
use rows_split::cells::{Cell, Kind, SPANS, Source, Spans};
use rows_types::{CellError, Policies};

use super::{Compiled, Output, Rules};
use crate::coerce::{Native, Read};
use crate::faults::FaultSink;
use crate::record_batch::RecordBatch;

/// Reads the column's cells of a record batch to the end of `out`. Bad cells take bytes there too; these have no
/// meaning and are removed later.
pub(crate) fn read<S: Source, R: Read>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    reader: &R,
    at: usize,
    field: usize,
    out: &mut Output,
    sink: &mut FaultSink<'_>,
) {
    let place = batch.source.column(at, field);
    let records = batch.source.records();
    let width = R::Value::WIDTH;
    let slots = out.data.grow(records * width);
    let nulls = out.nulls.grow(if column.nullable { records } else { 0 });
    nulls.fill(0);
    let faults = sink.faults.len();
    let needs_precheck = batch.needs_precheck[at];
    // in this case every cell without text is NULL, whatever its kind
    let empty_is_null = column.nullable && column.default.is_none() && !needs_precheck;
    let mut spans = Spans::new();
    for (block, slots) in slots.chunks_mut(SPANS * width).enumerate() {
        let first = block * SPANS;
        batch.source.spans(first, place, &mut spans);
        let nulls = nulls.get_mut(first..).unwrap_or_default();
        let read_any = |record: usize, slot: &mut [u8], sink: &mut FaultSink<'_>| {
            let read = other(batch, column, reader, record, place, slot, sink.scratch);
            let Err(error) = read else { return matches!(read, Ok(Slot::Null)) };
            sink.fault(record, at, batch.source.cell(record, place), error);
            false
        };
        let slow_path = SlowPath {
            bytes: batch.bytes,
            reader,
            policies: column.policies,
            plain: (S::PLAIN && !needs_precheck && !batch.has_null_texts())
                .then_some(batch.binding.dialect.quote),
            at,
            first,
            sink,
            read_any: &read_any,
        };
        let cells = Cells {
            bytes: batch.bytes,
            spans: &spans,
            reader,
            needs_precheck,
            empty_is_null,
            slots,
            nulls,
            slow_path,
        };
        if R::NUMBERS {
            batch.level.run(cells);
        } else {
            batch.level.run_scalar(cells);
        }
    }
    if let Some(rules) = &column.rules {
        let values = slots.chunks_exact(width).map(|slot| reader.magnitude(R::Value::get(slot)));
        check_rules(batch, rules, at, place, values, nulls, faults, sink);
    }
}

/// Cells of a block of records, with the values that are the same for all of them.
struct Cells<'a, 'v, R> {
    bytes: &'a [u8],
    spans: &'a Spans,
    reader: &'a R,
    /// [`RecordBatch::needs_precheck`]: the reader must not read a text as it is written.
    needs_precheck: bool,
    empty_is_null: bool,
    slots: &'a mut [u8],
    /// A byte for each record, 0 at first. Empty if the column cannot be NULL.
    nulls: &'a mut [u8],
    slow_path: SlowPath<'a, 'v, R>,
}

impl<R: Read> Kernel for Cells<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let done = if L::NUMBERS && R::NUMBERS && !self.needs_precheck { self.eights(lanes) } else { 0 };
        let texts = self.spans.starts.iter().zip(&self.spans.lens).enumerate().skip(done);
        let slots = self.slots.chunks_exact_mut(R::Value::WIDTH).skip(done);
        for ((cell, (start, len)), slot) in texts.zip(slots) {
            let null = if *len == 0 && self.empty_is_null {
                true
            } else {
                let text = Text::new(&self.bytes[*start as usize..], *len as usize);
                match if self.needs_precheck { None } else { self.reader.read(lanes, text) } {
                    Some(value) => {
                        value.put(slot);
                        continue;
                    }
                    None => self.slow_path.read(cell, *start, *len, slot, true),
                }
            };
            if null {
                slot.fill(0);
                self.nulls[cell] = 1;
            }
        }
    }
}

impl<R: Read> Cells<'_, '_, R> {
    /// Reads eight cells at a time; returns how many were read.
    #[inline(always)]
    fn eights<L: Lanes>(&mut self, lanes: L) -> usize {
        let width = R::Value::WIDTH;
        let Spans { starts, lens, len } = self.spans;
        let texts = Texts::new(self.bytes, &starts[..*len], &lens[..*len]);
        let mut cell = 0;
        for (eight, slots) in self.slots.chunks_exact_mut(EIGHT * width).take(texts.len()).enumerate() {
            let numbers = match (R::POINT, R::MINUS) {
                (true, _) => lanes.numbers::<true, true>(texts, eight),
                (false, true) => lanes.numbers::<false, true>(texts, eight),
                (false, false) => lanes.numbers::<false, false>(texts, eight),
            };
            let mut refused = numbers.refused | self.reader.numbers(&numbers, slots);
            // an empty text was read as 0
            if numbers.empty != 0 && self.empty_is_null {
                refused &= !numbers.empty;
                if let Some(nulls) = self.nulls.get_mut(cell..).and_then(|nulls| nulls.first_chunk_mut()) {
                    *nulls = bytes_of(numbers.empty);
                }
            }
            while refused != 0 {
                let at = refused.trailing_zeros() as usize;
                refused &= refused - 1;
                let slot = &mut slots[at * width..(at + 1) * width];
                if self.slow_path.read(cell + at, starts[cell + at], lens[cell + at], slot, false) {
                    slot.fill(0);
                    self.nulls[cell + at] = 1;
                }
            }
            cell += EIGHT;
        }
        cell
    }
}

/// Eight bits as eight bytes.
#[inline(always)]
fn bytes_of(bits: u32) -> [u8; EIGHT] {
    let own = (u64::from(bits) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    (((own + 0x7f7f_7f7f_7f7f_7f7f) >> 7) & 0x0101_0101_0101_0101).to_le_bytes()
}

/// Handles cells that are no plain values.
struct SlowPath<'a, 'v, R> {
    bytes: &'a [u8],
    reader: &'a R,
    policies: Policies,
    /// The quote, if a text without it is always a cell of [`Kind::Plain`] that is not NULL unless it is empty.
    plain: Option<u8>,
    /// Number of the column.
    at: usize,
    /// Number of the first cell's record.
    first: usize,
    sink: &'a mut FaultSink<'v>,
    /// Handles any cell of a record; returns whether it is NULL.
    read_any: &'a dyn Fn(usize, &mut [u8], &mut FaultSink<'v>) -> bool,
}

impl<R: Read> SlowPath<'_, '_, R> {
    /// Handles a cell; returns whether it is NULL. `read`: [`Read::read`] returned no value, or must not be called.
    #[inline(never)]
    fn read(&mut self, cell: usize, start: u32, len: u32, slot: &mut [u8], read: bool) -> bool {
        let from = start as usize;
        let text = Text::new(&self.bytes[from..], len as usize);
        let record = self.first + cell;
        let before = from.checked_sub(1).and_then(|before| self.bytes.get(before));
        let plain = self.plain.is_some_and(|quote| text.byte(0) != quote && before != Some(&quote));
        if plain && len > 0 {
            match self.check(text, read) {
                Ok(value) => value.put(slot),
                Err(error) => {
                    let cell = Cell { start, len, kind: Kind::Plain };
                    self.sink.fault_here(record, self.at, cell, error);
                }
            }
            return false;
        }
        if !read && let Some(value) = self.reader.read(Portable, text) {
            value.put(slot);
            return false;
        }
        (self.read_any)(record, slot, self.sink)
    }

    /// Does what [`other`] does for a plain text. A text that looks like a number is read first: most likely it is a
    /// number, only longer.
    #[inline(always)]
    fn check(&self, text: Text<'_>, read: bool) -> Result<R::Value, CellError> {
        let numeric = matches!(text.byte(0), b'-' | b'0'..=b'9');
        let value = |now: bool| if read || !now { None } else { self.reader.read(Portable, text) };
        if let Some(value) = value(numeric) {
            return Ok(value);
        }
        if let Some(error) = self.reader.refuse(text.bytes()) {
            return Err(error);
        }
        match value(!numeric) {
            Some(value) => Ok(value),
            None => self.reader.lenient(text.bytes(), self.policies),
        }
    }
}

/// The result of a cell that is no plain value.
enum Slot {
    /// The value is in the slot.
    Value,
    Null,
}

/// Reads a cell that is no plain value: it is escaped, absent, bad, or needs a policy.
#[cold]
fn other<S: Source, R: Read>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    reader: &R,
    record: usize,
    place: usize,
    slot: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Result<Slot, CellError> {
    let cell = batch.source.cell(record, place);
    let absent = match cell.kind {
        Kind::Skipped => return Ok(Slot::Value),
        Kind::Nested => return Err(CellError::Nested),
        Kind::Missing => {
            return match &column.default {
                Some(default) => {
                    slot.copy_from_slice(default);
                    Ok(Slot::Value)
                }
                None if column.nullable => Ok(Slot::Null),
                None => Err(CellError::MissingColumn),
            };
        }
        Kind::Null => true,
        Kind::Plain | Kind::Quoted | Kind::Escaped => batch.is_null_text(cell),
    };
    if absent && column.nullable {
        return Ok(Slot::Null);
    }
    if absent && let Some(default) = &column.default {
        slot.copy_from_slice(default);
        return Ok(Slot::Value);
    }
    if cell.kind == Kind::Null || (absent && cell.len > 0) {
        return Err(CellError::MissingValue);
    }
    let text = batch.decode(cell, scratch)?;
    if let Some(error) = reader.refuse(text) {
        return Err(error);
    }
    if let Some(value) = reader.read(Portable, Text::whole(text)) {
        value.put(slot);
        return Ok(Slot::Value);
    }
    if text.is_empty() {
        // quoted and empty, and the type has no empty value
        return match &column.default {
            _ if column.nullable => Ok(Slot::Null),
            Some(default) => {
                slot.copy_from_slice(default);
                Ok(Slot::Value)
            }
            None => Err(CellError::MissingValue),
        };
    }
    reader.lenient(text, column.policies)?.put(slot);
    Ok(Slot::Value)
}

/// Checks the values against the column's rules. Cells that are already bad, or NULL, are skipped.
#[allow(clippy::too_many_arguments, reason = "the loop's variables, in the part of it that few columns need")]
fn check_rules<S: Source>(
    batch: &RecordBatch<'_, S>,
    rules: &Rules,
    at: usize,
    place: usize,
    values: impl Iterator<Item = f64>,
    nulls: &[u8],
    faults: usize,
    sink: &mut FaultSink<'_>,
) {
    let known: Vec<usize> = sink.faults[faults..].iter().map(|found| found.record as usize).collect();
    let mut known = known.into_iter().peekable();
    for (record, number) in values.enumerate() {
        let cell = batch.source.cell(record, place);
        if known.next_if_eq(&record).is_some()
            || nulls.get(record) == Some(&1)
            || matches!(cell.kind, Kind::Missing | Kind::Null | Kind::Skipped)
            || batch.is_null_text(cell)
        {
            continue;
        }
        let mut held = rules.number(number);
        if held.is_ok() && rules.on_text() {
            let text = batch.decode(cell, sink.scratch).unwrap_or_default();
            held = std::str::from_utf8(text)
                .map_err(|_| CellError::InvalidUtf8)
                .and_then(|text| rules.text(text));
        }
        if let Err(error) = held {
            sink.fault(record, at, cell, error);
        }
    }
}
