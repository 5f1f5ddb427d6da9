//! Texts of good records into column bytes: usual cells in a loop without calls, all others by [`get`].

use super::{Got, get};
use crate::check::tile::Tile;
use crate::column::Compiled;
use crate::native::{Dictionary, Output, Room, Rows, SHORT};
use crate::policy::OnInvalidUtf8;
use crate::simd::{Kernel, Lanes};
use crate::split::cells::{Kind, Source};

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
    tile.level.run(Write { tile, column, place, out, bad, scratch });
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
    fn run<L: Lanes>(self, lanes: L) {
        let Self { tile, column, place, out, bad, scratch } = self;
        let rows = bad.iter().filter(|bad| **bad == 0).count();
        let Output { data, nulls, dictionary, .. } = out;
        let nulls = nulls.grow(if column.nullable { rows } else { 0 });
        nulls.fill(0);
        let cells = Cells { tile, column, place, bad, scratch, nulls };
        if column.low_cardinality {
            dictionary.grow(rows);
            cells.write(lanes, Numbered { dictionary, rows });
        } else if let Some(width) = column.reader.width() {
            cells.write(lanes, Padded { slots: data.grow(rows * width), width });
        } else {
            cells.write(lanes, Measured { room: data });
        }
    }
}

/// Where texts go, row after row.
trait Sink {
    type Fast<'a>: Fast
    where
        Self: 'a;
    fn fast(&mut self) -> Self::Fast<'_>;
    /// Counts in what [`Fast::put`] wrote.
    fn close(&mut self, written: usize);
    /// Writes any text.
    fn put(&mut self, row: usize, text: &[u8]);
}

/// The part of a sink that the loop keeps in registers.
trait Fast {
    /// Whether it takes texts in which quotes are doubled.
    const UNDOUBLES: bool;
    /// Writes the text `tail[..len]`, in which `doubled` quotes are to be made one; says no if that takes more than a
    /// few instructions.
    fn put<L: Lanes>(&mut self, lanes: L, row: usize, tail: &[u8], len: usize, doubled: Option<u8>) -> bool;
    fn written(&self) -> usize;
}

/// Texts, each after its length.
struct Measured<'a> {
    room: &'a mut Room,
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
        FastMeasured { to: self.room.spare(), at: 0 }
    }

    #[inline(always)]
    fn close(&mut self, written: usize) {
        self.room.advance(written);
    }

    fn put(&mut self, _row: usize, text: &[u8]) {
        self.room.push_text(text, 0, text.len());
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
            // longer ones have a length of two bytes
            if len >= 0x80 {
                return false;
            }
            let Some(written) = lanes.undouble(tail, len, quote, to) else { return false };
            written
        } else {
            let (Some(from), Some(to), ..=SHORT) = (tail.first_chunk::<SHORT>(), to.first_chunk_mut(), len)
            else {
                return false;
            };
            *to = *from;
            len
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

/// Texts filled up with zeros.
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
        // what is written past the width, the next row writes again
        let keep = 1u128.checked_shl(8 * len as u32).unwrap_or(0).wrapping_sub(1);
        *to = (u128::from_le_bytes(*from) & keep).to_le_bytes();
        true
    }

    #[inline(always)]
    fn written(&self) -> usize {
        0
    }
}

/// Texts of a dictionary.
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
    tile: &'a Tile<'a, S>,
    column: &'a Compiled,
    place: usize,
    bad: &'a [u8],
    scratch: &'a mut Vec<u8>,
    /// For each good record, all 0; empty where nothing can be NULL.
    nulls: &'a mut [u8],
}

impl<S: Source> Cells<'_, S> {
    #[inline(always)]
    fn write<L: Lanes, K: Sink>(mut self, lanes: L, mut sink: K) {
        // text that is not UTF-8 would be bad if it were not to be replaced
        let replace = !self.tile.valid_utf8 && self.column.policies.on_invalid_utf8 == OnInvalidUtf8::Replace;
        let (mut from, mut row) = (0, 0);
        loop {
            let (other, written) = {
                let mut fast = sink.fast();
                (self.usual(lanes, &mut fast, from, &mut row, replace), fast.written())
            };
            sink.close(written);
            let Some(record) = other else { return };
            self.other(&mut sink, record, row, replace);
            row += 1;
            from = record + 1;
        }
    }

    /// Writes the texts of good records from the record `from` on; gives the first one that needs a closer look.
    #[inline(always)]
    fn usual<L: Lanes, F: Fast>(
        &mut self,
        lanes: L,
        fast: &mut F,
        from: usize,
        row: &mut usize,
        replace: bool,
    ) -> Option<usize> {
        let Self { tile, column, place, bad, nulls, .. } = self;
        let null_texts = tile.has_null_texts();
        let defaults = column.default.is_some();
        let doubled = (S::GLANCES && F::UNDOUBLES).then_some(tile.plan.dialect.quote);
        for (record, bad) in bad.iter().enumerate().skip(from) {
            if *bad != 0 {
                continue;
            }
            let cell = if F::UNDOUBLES {
                tile.source.glance(record, *place)
            } else {
                tile.source.cell(record, *place)
            };
            let mut len = cell.len as usize;
            let null = match cell.kind {
                Kind::Plain if len > 0 => false,
                Kind::Plain => true,
                Kind::Quoted => false,
                Kind::Null | Kind::Missing => true,
                Kind::Escaped | Kind::Nested | Kind::Skipped => return Some(record),
            };
            // an empty cell without quotes is NULL, a default, or an empty text
            let unusual = replace
                || (null && !column.nullable && (defaults || cell.kind != Kind::Plain))
                || (null && defaults && cell.kind == Kind::Missing)
                || (null_texts && len > 0 && tile.is_null_text(cell));
            if unusual {
                return Some(record);
            }
            if null {
                len = 0;
            }
            let Some(tail) = tile.bytes.get(cell.start as usize..) else { return Some(record) };
            if !fast.put(lanes, *row, tail, len, doubled) {
                return Some(record);
            }
            if let Some(slot) = nulls.get_mut(*row) {
                *slot = u8::from(null);
            }
            *row += 1;
        }
        None
    }

    /// Writes the text of any record.
    #[inline(never)]
    fn other<K: Sink>(&mut self, sink: &mut K, record: usize, row: usize, replace: bool) {
        let cell = self.tile.source.cell(record, self.place);
        // a bad cell would have made the record bad
        match get(self.tile, self.column, cell, self.scratch).unwrap_or(Got::Null) {
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
