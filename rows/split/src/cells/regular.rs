//! The cells of regular records, found by the index.

use super::{Cell, Kind, Kinds, SPANS, Source, Spans};

/// Records that the index found, all with the same number of fields.
pub(crate) struct Regular<'a, const QUOTES: bool> {
    pub bytes: &'a [u8],
    /// The position before the first record, then the position of each separator.
    pub positions: &'a [u32],
    pub fields: usize,
    pub quote: u8,
    /// Whether any of the bytes is a carriage return.
    pub returns: bool,
}

impl<const QUOTES: bool> Regular<'_, QUOTES> {
    #[inline(always)]
    fn raw(&self, record: usize, field: usize) -> (usize, usize) {
        let at = record * self.fields + field;
        let start = self.positions[at].wrapping_add(1) as usize;
        let mut len = self.positions[at + 1] as usize - start;
        if self.returns && field + 1 == self.fields && len > 0 && self.bytes[start + len - 1] == b'\r' {
            len -= 1;
        }
        (start, len)
    }

    /// Finds a field of the records from `record` on, as it is written.
    fn raws(&self, record: usize, field: usize, spans: &mut Spans) {
        let last = self.records().min(record + SPANS);
        if self.returns && field + 1 == self.fields {
            return spans.fill((record..last).map(|record| self.raw(record, field)));
        }
        spans.len = last.saturating_sub(record);
        let slots = spans.starts.iter_mut().zip(&mut spans.lens).take(spans.len);
        // both positions of a field are in one run of `fields` positions. For the first field, the run begins at the
        // position before the record; for other fields, at the first separator in the record
        let back = usize::from(field > 0);
        let positions = self.positions.get(record * self.fields + back..).unwrap_or_default();
        if self.fields == 1 {
            for ((start, len), pair) in slots.zip(positions.windows(2)) {
                *start = pair[0].wrapping_add(1);
                *len = pair[1].wrapping_sub(*start);
            }
            return;
        }
        let (before, end) = (field - back, field - back + 1);
        for ((start, len), run) in slots.zip(positions.chunks_exact(self.fields)) {
            *start = run[before].wrapping_add(1);
            *len = run[end].wrapping_sub(*start);
        }
    }
}

impl<const QUOTES: bool> Source for Regular<'_, QUOTES> {
    fn records(&self) -> usize {
        (self.positions.len() - 1) / self.fields
    }

    #[inline(always)]
    fn span(&self, record: usize, column: usize) -> (usize, usize) {
        let (start, len) = self.raw(record, column);
        if QUOTES && len >= 2 && self.bytes[start] == self.quote {
            return (start + 1, len - 2);
        }
        (start, len)
    }

    fn bare(&self, record: usize, column: usize, spans: &mut Spans) -> bool {
        self.raws(record, column, spans);
        let starts = spans.starts.iter().take(spans.len);
        let is_quote = |start: &u32| self.bytes.get(*start as usize) == Some(&self.quote);
        !QUOTES || !starts.fold(false, |any, start| any | is_quote(start))
    }

    fn spans(&self, record: usize, column: usize, spans: &mut Spans) {
        let last = self.records().min(record + SPANS);
        // usually either all cells of a column are in quotes, or none is
        let quoted = QUOTES && record < last && self.span(record, column) != self.raw(record, column);
        if quoted {
            spans.fill((record..last).map(|record| self.span(record, column)));
        } else {
            self.raws(record, column, spans);
        }
    }

    #[inline(always)]
    fn cell(&self, record: usize, column: usize) -> Cell {
        let (start, len) = self.raw(record, column);
        if QUOTES && len >= 2 && self.bytes[start] == self.quote {
            let text = &self.bytes[start + 1..start + len - 1];
            let escaped = memchr::memchr(self.quote, text).is_some();
            let kind = if escaped { Kind::Escaped } else { Kind::Quoted };
            return Cell { start: start as u32 + 1, len: len as u32 - 2, kind };
        }
        Cell { start: start as u32, len: len as u32, kind: Kind::Plain }
    }

    fn kinds(&self, _column: usize) -> Kinds {
        const { Kinds::of(&[Kind::Plain, Kind::Quoted, Kind::Escaped]) }
    }

    const PLAIN: bool = true;
    const UNVERIFIED_QUOTES: bool = QUOTES;

    #[inline(always)]
    fn cells_unverified(&self, column: usize) -> impl Fn(usize) -> Cell {
        // a copy by value, so that a loop can keep it in registers
        let Self { bytes, positions, fields, quote, returns } = *self;
        let source = Self { bytes, positions, fields, quote, returns };
        move |record| {
            let (start, len) = source.raw(record, column);
            let quoted = QUOTES && len >= 2 && source.bytes[start] == source.quote;
            let (start, len) = if quoted { (start + 1, len - 2) } else { (start, len) };
            let kind = if quoted { Kind::Quoted } else { Kind::Plain };
            Cell { start: start as u32, len: len as u32, kind }
        }
    }

    fn column(&self, _column: usize, field: usize) -> usize {
        field
    }

    fn record(&self, record: usize) -> (u32, u32) {
        let (end, len) = self.raw(record, self.fields - 1);
        (self.positions[record * self.fields].wrapping_add(1), (end + len) as u32)
    }
}
