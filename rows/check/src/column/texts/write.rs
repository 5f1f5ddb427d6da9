//! Writes the texts of good records as column bytes: usual cells in a loop without calls, all others with [`get`].

use rows_bytes::simd::{Kernel, Lanes};
use rows_split::cells::{Kind, Source, Spans};
use rows_split::json::unescape_simple;
use rows_types::OnInvalidUtf8;

use super::{Got, get};
use crate::column::{Compiled, Output};
use crate::native::{Dictionary, GrowBuffer, Rows, SHORT};
use crate::record_batch::RecordBatch;

/// Writes the column's texts of the good records; `records` are their numbers.
pub(crate) fn write<S: Source>(
    batch: &RecordBatch<'_, S>,
    column: &Compiled,
    at: usize,
    field: usize,
    out: &mut Output,
    records: &[u32],
    scratch: &mut Vec<u8>,
) {
    let place = batch.source.column(at, field);
    let rows = records.len();
    let Output { data, nulls, dictionary, .. } = out;
    let nulls = nulls.grow(if column.nullable { rows } else { 0 });
    nulls.fill(0);
    let cells = Cells { batch, column, place, records, scratch, nulls };
    if column.low_cardinality {
        dictionary.grow(rows);
        cells.write(Numbered { dictionary, rows });
    } else if let Some(width) = column.reader.width() {
        cells.write(Padded { slots: data.grow(rows * width), width });
    } else {
        cells.write(Measured { out: data });
    }
}

/// The destination of texts, row by row.
trait Sink {
    type Fast<'a>: Fast
    where
        Self: 'a;
    fn fast(&mut self) -> Self::Fast<'_>;
    /// Adds the bytes that [`Fast::put`] wrote.
    fn close(&mut self, written: usize);
    /// Writes any text.
    fn put(&mut self, row: usize, text: &[u8]);
}

/// The part of a sink that the loop keeps in registers.
trait Fast {
    /// Whether it accepts texts with doubled quotes.
    const UNDOUBLES: bool;
    /// Writes the text `tail[..len]`. If `doubled` is a quote, two consecutive ones are written as one. Returns `false`
    /// if that takes more than a few instructions.
    fn put<L: Lanes>(&mut self, lanes: L, row: usize, tail: &[u8], len: usize, doubled: Option<u8>) -> bool;
    /// Writes the JSON text `tail[..len]` with its escapes decoded. Returns `false` if that takes more than a few
    /// instructions.
    #[inline(always)]
    fn unescape<L: Lanes>(&mut self, _lanes: L, _tail: &[u8], _len: usize) -> bool {
        false
    }
    fn written(&self) -> usize;
}

/// From this length on, the length of a text takes two bytes.
const LONG: usize = 0x80;

/// Texts, each after its length.
struct Measured<'a> {
    out: &'a mut GrowBuffer,
}

struct FastMeasured<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl Sink for Measured<'_> {
    type Fast<'a>
        = FastMeasured<'a>
    where
        Self: 'a;

    #[inline(always)]
    fn fast(&mut self) -> FastMeasured<'_> {
        FastMeasured { to: self.out.spare(), at: 0 }
    }

    #[inline(always)]
    fn close(&mut self, written: usize) {
        self.out.advance(written);
    }

    fn put(&mut self, _row: usize, text: &[u8]) {
        self.out.push_text(text, 0, text.len());
    }
}

impl Fast for FastMeasured<'_> {
    const UNDOUBLES: bool = true;

    #[inline(always)]
    fn put<L: Lanes>(&mut self, lanes: L, _row: usize, tail: &[u8], len: usize, doubled: Option<u8>) -> bool {
        let Some((length, to)) = self.to.get_mut(self.at..).and_then(|to| to.split_first_mut()) else {
            return false;
        };
        let written = if let Some(quote) = doubled {
            if len >= LONG {
                return false;
            }
            let Some(written) = lanes.undouble(tail, len, quote, to) else { return false };
            written
        } else {
            if let (Some(from), Some(to), ..=SHORT) = (tail.first_chunk::<SHORT>(), to.first_chunk_mut(), len)
            {
                *to = *from;
            } else if let (Some(from), Some(to), ..LONG) =
                (tail.first_chunk::<LONG>(), to.first_chunk_mut(), len)
            {
                *to = *from;
            } else {
                return false;
            }
            len
        };
        *length = written as u8;
        self.at += 1 + written;
        true
    }

    #[inline(always)]
    fn unescape<L: Lanes>(&mut self, lanes: L, tail: &[u8], len: usize) -> bool {
        let Some((length, to)) = self.to.get_mut(self.at..).and_then(|to| to.split_first_mut()) else {
            return false;
        };
        // the length of a longer text can take two bytes
        let Some(written) = (len < 0x80).then(|| unescape_simple(lanes, tail, len, to)).flatten() else {
            return false;
        };
        *length = written as u8;
        self.at += 1 + written;
        true
    }

    #[inline(always)]
    fn written(&self) -> usize {
        self.at
    }
}

/// Texts of a fixed width, filled up with zeros.
struct Padded<'a> {
    slots: &'a mut [u8],
    width: usize,
}

impl Sink for Padded<'_> {
    type Fast<'a>
        = FastPadded<'a>
    where
        Self: 'a;

    #[inline(always)]
    fn fast(&mut self) -> FastPadded<'_> {
        FastPadded { slots: self.slots, width: self.width }
    }

    #[inline(always)]
    fn close(&mut self, _written: usize) {}

    fn put(&mut self, row: usize, text: &[u8]) {
        let Some(slot) = self.slots.get_mut(row * self.width..(row + 1) * self.width) else { return };
        if let Some((value, zeros)) = slot.split_at_mut_checked(text.len()) {
            value.copy_from_slice(text);
            zeros.fill(0);
        }
    }
}

struct FastPadded<'a> {
    slots: &'a mut [u8],
    width: usize,
}

impl Fast for FastPadded<'_> {
    const UNDOUBLES: bool = false;

    #[inline(always)]
    fn put<L: Lanes>(
        &mut self,
        _lanes: L,
        row: usize,
        tail: &[u8],
        len: usize,
        _doubled: Option<u8>,
    ) -> bool {
        const FEW: usize = 16;
        let to = self.slots.get_mut(row * self.width..).and_then(|to| to.first_chunk_mut());
        let (Some(from), Some(to)) = (tail.first_chunk::<FEW>(), to) else { return false };
        if self.width > FEW || len > self.width {
            return false;
        }
        // the next row overwrites the bytes after the width
        let mask = 1u128.checked_shl(8 * len as u32).unwrap_or(0).wrapping_sub(1);
        *to = (u128::from_le_bytes(*from) & mask).to_le_bytes();
        true
    }

    #[inline(always)]
    fn written(&self) -> usize {
        0
    }
}

/// Texts that are written as indexes into a dictionary.
struct Numbered<'a> {
    dictionary: &'a mut Dictionary,
    rows: usize,
}

impl Sink for Numbered<'_> {
    type Fast<'a>
        = Rows<'a>
    where
        Self: 'a;

    #[inline(always)]
    fn fast(&mut self) -> Rows<'_> {
        self.dictionary.last(self.rows)
    }

    #[inline(always)]
    fn close(&mut self, _written: usize) {}

    fn put(&mut self, row: usize, text: &[u8]) {
        self.dictionary.set(self.rows, row, text);
    }
}

impl Fast for Rows<'_> {
    const UNDOUBLES: bool = false;

    #[inline(always)]
    fn put<L: Lanes>(
        &mut self,
        _lanes: L,
        row: usize,
        tail: &[u8],
        len: usize,
        _doubled: Option<u8>,
    ) -> bool {
        self.set_seen(row, tail, len)
    }

    #[inline(always)]
    fn written(&self) -> usize {
        0
    }
}

/// The cells to write.
struct Cells<'a, S> {
    batch: &'a RecordBatch<'a, S>,
    column: &'a Compiled,
    place: usize,
    records: &'a [u32],
    scratch: &'a mut Vec<u8>,
    /// A byte for each good record, 0 at first. Empty if the column cannot be NULL.
    nulls: &'a mut [u8],
}

impl<S: Source> Cells<'_, S> {
    fn write<K: Sink>(mut self, mut sink: K) {
        let Self { batch, column, .. } = self;
        // without this policy, a record with invalid UTF-8 is bad and not written
        let replace = !batch.valid_utf8 && column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace;
        let usual = !replace && !batch.has_null_texts();
        let bare = self.records.len() == batch.source.records();
        let mut done = Done { rows: 0, written: 0, bare };
        loop {
            if usual {
                done = if column.nullable {
                    batch.level.run(self.usual::<_, true>(sink.fast(), done))
                } else {
                    batch.level.run(self.usual::<_, false>(sink.fast(), done))
                };
                sink.close(done.written);
            }
            let Some(record) = self.records.get(done.rows) else { return };
            self.other(&mut sink, *record as usize, done.rows, replace);
            done.rows += 1;
        }
    }

    fn usual<F: Fast, const NULLABLE: bool>(&mut self, fast: F, done: Done) -> Usual<'_, S, F, NULLABLE> {
        let Self { batch, column, place, records, nulls, .. } = self;
        Usual { batch, place: *place, records, nulls, defaults: column.default.is_some(), fast, done }
    }

    /// Writes the text of any record.
    #[inline(never)]
    fn other<K: Sink>(&mut self, sink: &mut K, record: usize, row: usize, replace: bool) {
        let cell = self.batch.source.cell(record, self.place);
        // a good record has no bad cell, so `get` does not fail
        match get(self.batch, self.column, cell, self.scratch).unwrap_or(Got::Null) {
            Got::Text(text) if replace => sink.put(row, String::from_utf8_lossy(text).as_bytes()),
            Got::Text(text) => sink.put(row, text),
            Got::Null => {
                sink.put(row, b"");
                if let Some(null) = self.nulls.get_mut(row) {
                    *null = 1;
                }
            }
        }
    }
}

/// How much of a record batch is written.
#[derive(Clone, Copy)]
struct Done {
    /// Number of good records.
    rows: usize,
    /// Number of bytes that [`Fast`] wrote last.
    written: usize,
    /// Whether texts may be found many at a time. `false` if a record of the batch is bad, and after a text that
    /// [`Fast::put`] did not write.
    bare: bool,
}

/// The loop over usual cells. It ends before the first cell that needs the slower code.
struct Usual<'a, S, F, const NULLABLE: bool> {
    batch: &'a RecordBatch<'a, S>,
    place: usize,
    records: &'a [u32],
    nulls: &'a mut [u8],
    defaults: bool,
    fast: F,
    done: Done,
}

impl<S: Source, F: Fast, const NULLABLE: bool> Kernel for Usual<'_, S, F, NULLABLE> {
    type Output = Done;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Done {
        let Self { batch, place, records, nulls, defaults, mut fast, mut done } = self;
        let doubled = (S::UNVERIFIED_QUOTES && F::UNDOUBLES).then_some(batch.binding.dialect.quote);
        let (bytes, json) = (batch.bytes, batch.binding.is_json());
        if !NULLABLE && !defaults {
            let mut spans = Spans::new();
            while done.bare && done.rows < records.len() && batch.source.bare(done.rows, place, &mut spans) {
                for (start, len) in spans.starts.iter().zip(&spans.lens).take(spans.len) {
                    let tail = bytes.get(*start as usize..).unwrap_or_default();
                    done.bare = fast.put(lanes, done.rows, tail, *len as usize, None);
                    if !done.bare {
                        break;
                    }
                    done.rows += 1;
                }
            }
        }
        let unverified = batch.source.cells_unverified(place);
        while let Some(record) = records.get(done.rows) {
            let record = *record as usize;
            let mut cell = unverified(record);
            if S::UNVERIFIED_QUOTES && !F::UNDOUBLES && cell.kind == Kind::Quoted {
                cell = batch.source.cell(record, place);
            }
            // a cell without quotes and without text: NULL, the default or an empty text
            let nothing = match cell.kind {
                Kind::Escaped if json => {
                    let tail = bytes.get(cell.start as usize..).unwrap_or_default();
                    if !fast.unescape(lanes, tail, cell.len as usize) {
                        break;
                    }
                    done.rows += 1;
                    continue;
                }
                Kind::Plain => cell.len == 0,
                Kind::Quoted => false,
                Kind::Null if NULLABLE => true,
                Kind::Missing if NULLABLE && !defaults => true,
                _ => break,
            };
            if nothing && !NULLABLE && defaults {
                break;
            }
            let len = if nothing { 0 } else { cell.len as usize };
            let Some(tail) = bytes.get(cell.start as usize..) else { break };
            if !fast.put(lanes, done.rows, tail, len, doubled) {
                break;
            }
            if NULLABLE && let Some(null) = nulls.get_mut(done.rows) {
                *null = u8::from(nothing);
            }
            done.rows += 1;
        }
        done.written = fast.written();
        done
    }
}
