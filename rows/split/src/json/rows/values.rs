//! Reads one value of each of many lines of one shape, in a loop that is made for the most frequent kind of value.

use rows_bytes::simd::{BLOCK, DIGITS, Kernel, Lanes, Level, Portable, WIDE};
use rows_bytes::text::is_json_number;

use super::super::template::{Place, list};
use crate::cells::{Kind, Kinds};
use crate::json::Line;
use crate::lists::json_texts;

/// Where the values of a column are written.
pub(super) struct Column<'a> {
    pub spans: &'a mut [(u32, u32)],
    pub kinds: &'a mut [Kind],
    pub seen: &'a mut Kinds,
}

/// One value of each line.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    /// The text of the template.
    pub text: &'a [u8],
    pub place: &'a Place,
    pub bytes: &'a [u8],
    /// The separators, from the one before the first value on.
    pub separators: &'a [u32],
    /// How many values a line has.
    pub step: usize,
    /// 1 if the separator before the value is the line feed of the previous line, else 0.
    pub skip: u32,
    /// Bytes between the value and the separator after it.
    pub behind: usize,
}

/// A value that was read.
struct Read {
    span: (u32, u32),
    kind: Kind,
    /// How many quotes that are not escaped it has.
    quotes: u32,
}

impl Values<'_> {
    /// Reads the values. Returns how many lines have one, before the first line that has none, and how many quotes that
    /// are not escaped belong to the values. The kind of the first value selects the loop; this affects only the speed.
    pub(super) fn read(self, level: Level, column: Column<'_>) -> (usize, u32) {
        let first = self.span(0).and_then(|(from, _)| self.bytes.get(from + self.place.len));
        match first {
            Some(b'"') if self.place.len < WIDE => level.run_scalar(Strings(self, column)),
            Some(b'-' | b'0'..=b'9') if self.place.len <= WIDE => level.run_scalar(Numbers(self, column)),
            Some(b'[') if self.place.len <= WIDE => level.run(Lists(self, column)),
            _ => level.run_scalar(Words(self, column)),
        }
    }

    /// Where the text before a line's value begins, and where the value ends.
    #[inline(always)]
    fn span(&self, line: usize) -> Option<(usize, usize)> {
        span_at(self.separators, line * self.step, self.skip, self.behind)
    }
}

/// Reads the value of a line, of any kind. `None`: it is no value, or the text before it is not that of the template.
/// `values` is passed by value, so that the loops keep their own in registers.
#[inline(never)]
#[allow(clippy::large_types_passed_by_value, reason = "see above")]
fn other(values: Values<'_>, line: usize) -> Option<Read> {
    let (from, end) = values.span(line)?;
    let before = values.text.get(values.place.start..values.place.start + values.place.len)?;
    let start = from + before.len();
    if values.bytes.get(from..start)? != before {
        return None;
    }
    let text = values.bytes.get(start..end)?;
    let (start, len) = (start as u32, text.len() as u32);
    let read = |span, kind, quotes| Some(Read { span, kind, quotes });
    match text {
        [b'"', .., b'"'] => read((start + 1, len - 2), Kind::Quoted, 2),
        b"true" | b"false" => read((start, len), Kind::Plain, 0),
        b"null" => read((start, 0), Kind::Null, 0),
        [b'[' | b'{', ..] => read((start, len), Kind::Nested, nested(text)?),
        number if is_json_number(number) => read((start, len), Kind::Plain, 0),
        _ => None,
    }
}

/// [`Values::span`] of the line that has the separator before its value at `at` in `separators`.
#[inline(always)]
fn span_at(separators: &[u32], at: usize, skip: u32, behind: usize) -> Option<(usize, usize)> {
    let [before, after] = separators.get(at..)?.first_chunk()?;
    Some((before.wrapping_add(skip) as usize, (*after as usize).wrapping_sub(behind)))
}

/// The value between these offsets, if it is `true`, `false` or `null`.
#[inline(always)]
#[allow(clippy::needless_bitwise_bool, reason = "a value of another length takes no other branch")]
fn word(bytes: &[u8], start: usize, end: usize) -> Option<Read> {
    const NULL: u64 = u32::from_le_bytes(*b"null") as u64;
    const TRUE: u64 = u32::from_le_bytes(*b"true") as u64;
    const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");
    let word = u64::from_le_bytes(*bytes.get(start..)?.first_chunk()?);
    let len = end.wrapping_sub(start);
    let (four, five) = (word & 0xffff_ffff, word & 0xff_ffff_ffff);
    let null = (len == 4) & (four == NULL);
    let truth = ((len == 4) & (four == TRUE)) | ((len == 5) & (five == FALSE));
    let kind = if null { Kind::Null } else { Kind::Plain };
    let span = (start as u32, if null { 0 } else { len as u32 });
    (null | truth).then_some(Read { span, kind, quotes: 0 })
}

/// How many quotes that are not escaped the text has, if it is exactly one array or object.
fn nested(text: &[u8]) -> Option<u32> {
    if let Some((end, strings)) = list(Portable, text, 0) {
        return (end == text.len()).then_some(2 * strings);
    }
    let mut line = Line { bytes: text, at: 0 };
    line.nested().ok()?;
    let (mut quotes, mut escaped) = (0, false);
    for byte in text {
        quotes += u32::from(*byte == b'"' && !escaped);
        escaped = *byte == b'\\' && !escaped;
    }
    (line.at == text.len()).then_some(quotes)
}

/// For values that are mostly strings, after a text that is shorter than [`WIDE`]: the first quote is compared together
/// with the text.
struct Strings<'a>(Values<'a>, Column<'a>);

impl Kernel for Strings<'_> {
    type Output = (usize, u32);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, u32) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, separators, step, skip, behind, .. } = values;
        let len = place.len;
        let mut front = place.front;
        front[len] = b'"';
        let (others, with_quote) = (!place.mask, !(place.mask << 1 | 1));
        kinds.fill(Kind::Quoted);
        seen.add(Kind::Quoted);
        let mut quotes = 2 * spans.len() as u32;
        for (line, span) in spans.iter_mut().enumerate() {
            let Some((from, end)) = span_at(separators, line * step, skip, behind) else { return (line, 0) };
            let Some(head) = bytes.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else {
                return (line, 0);
            };
            let (start, close) = (from + len + 1, end.wrapping_sub(1));
            let same = lanes.same(head, &front);
            if same | with_quote == !0 && start <= close && bytes.get(close) == Some(&b'"') {
                *span = (start as u32, (close - start) as u32);
                continue;
            }
            let found = if same | others == !0 { word(bytes, start - 1, end) } else { None };
            let Some(found) = found.or_else(|| other(values, line)) else { return (line, 0) };
            (*span, kinds[line]) = (found.span, found.kind);
            seen.add(found.kind);
            quotes = quotes + found.quotes - 2;
        }
        (spans.len(), quotes)
    }
}

/// For values that are mostly numbers, after a text of at most [`WIDE`] bytes.
struct Numbers<'a>(Values<'a>, Column<'a>);

impl Kernel for Numbers<'_> {
    type Output = (usize, u32);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, u32) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, separators, step, skip, behind, .. } = values;
        let (front, others) = (place.front, !place.mask);
        kinds.fill(Kind::Plain);
        seen.add(Kind::Plain);
        let mut quotes = 0;
        for (line, span) in spans.iter_mut().enumerate() {
            let Some((from, end)) = span_at(separators, line * step, skip, behind) else { return (line, 0) };
            // the text and the number are taken from one slice, so that one bounds check is enough
            let Some(near) = bytes.get(from..).and_then(|b| b.first_chunk::<BLOCK>()) else {
                return (line, 0);
            };
            let digits = near.get(place.len..).and_then(|b| b.first_chunk::<WIDE>());
            let (Some(head), Some(digits)) = (near.first_chunk::<WIDE>(), digits) else { return (line, 0) };
            let start = from + place.len;
            let len = end.wrapping_sub(start);
            let same = lanes.same(head, &front) | others == !0;
            if same && is_plain_number(lanes, digits, len) {
                *span = (start as u32, len as u32);
                continue;
            }
            let found = if same { word(bytes, start, end) } else { None };
            let Some(found) = found.or_else(|| other(values, line)) else { return (line, 0) };
            (*span, kinds[line]) = (found.span, found.kind);
            seen.add(found.kind);
            quotes += found.quotes;
        }
        (spans.len(), quotes)
    }
}

/// For values that are mostly arrays, after a text of at most [`WIDE`] bytes.
struct Lists<'a>(Values<'a>, Column<'a>);

impl Kernel for Lists<'_> {
    type Output = (usize, u32);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, u32) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, separators, step, skip, behind, .. } = values;
        let (front, others) = (place.front, !place.mask);
        kinds.fill(Kind::Nested);
        seen.add(Kind::Nested);
        let mut quotes = 0;
        for (line, span) in spans.iter_mut().enumerate() {
            let Some((from, end)) = span_at(separators, line * step, skip, behind) else { return (line, 0) };
            let Some(head) = bytes.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else {
                return (line, 0);
            };
            let start = from + place.len;
            let Some(block) = bytes.get(start..).and_then(|b| b.first_chunk::<BLOCK>()) else {
                return (line, 0);
            };
            let strings = if lanes.same(head, &front) | others == !0 {
                let long = || list(lanes, bytes, start).filter(|(behind, _)| *behind == end);
                json_texts(lanes, block, end.wrapping_sub(start)).or_else(|| Some(long()?.1))
            } else {
                None
            };
            if let Some(strings) = strings {
                *span = (start as u32, (end - start) as u32);
                quotes += 2 * strings;
                continue;
            }
            let Some(found) = other(values, line) else { return (line, 0) };
            (*span, kinds[line]) = (found.span, found.kind);
            seen.add(found.kind);
            quotes += found.quotes;
        }
        (spans.len(), quotes)
    }
}

/// For values that are mostly words, or that come after a longer text.
struct Words<'a>(Values<'a>, Column<'a>);

impl Kernel for Words<'_> {
    type Output = (usize, u32);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, u32) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, separators, step, skip, behind, .. } = values;
        let far = place.len > WIDE;
        let mut quotes = 0;
        for (line, (span, kind)) in spans.iter_mut().zip(kinds.iter_mut()).enumerate() {
            let Some((from, end)) = span_at(separators, line * step, skip, behind) else { return (line, 0) };
            let Some(head) = bytes.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else {
                return (line, 0);
            };
            let same = lanes.same(head, &place.front) | !place.mask == !0 && !far;
            let found = if same { word(bytes, from + place.len, end) } else { None };
            let Some(found) = found.or_else(|| other(values, line)) else { return (line, 0) };
            (*span, *kind) = (found.span, found.kind);
            seen.add(found.kind);
            quotes += found.quotes;
        }
        (spans.len(), quotes)
    }
}

/// Whether the first `len` of these bytes are a number in JSON's grammar. False also for a number with an exponent, or
/// of more than 16 bytes.
#[inline(always)]
fn is_plain_number<L: Lanes>(lanes: L, bytes: &[u8; WIDE], len: usize) -> bool {
    let Some(near) = bytes.first_chunk::<DIGITS>() else { return false };
    let start = usize::from(bytes[0] == b'-');
    if len.wrapping_sub(1 + start) >= DIGITS {
        return false;
    }
    // bytes after the first 16 count as no digits
    let others = !(lanes.digits(near) | start as u32) & ((1 << len) - 1);
    if others == 0 {
        return bytes[start] != b'0' || len == start + 1;
    }
    // at most one byte is no digit: a point, with digits on both sides
    let ends = (1 << start) | (1 << (len - 1));
    let wrong = others & (others.wrapping_sub(1) | !lanes.any_of(bytes, [b'.']) | ends);
    // a leading zero is allowed only alone or before the point
    let zero = bytes[start] == b'0' && bytes[start + 1] != b'.';
    wrong == 0 && !zero
}
