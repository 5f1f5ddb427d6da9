//! Lines of the shape of the one before, many at a time: their separators are known, so what stands between two of them
//! is compared with the template and the rest is the value. Column by column, so that no step waits for the one before.
//!
//! A line is taken only if the parser would read the same cells from it:
//! * what stands before each value, and behind the last one, is what stood there in a line that was parsed;
//! * between that and the separator is one number, word or string. A string begins and ends with a quote, and as many
//!   quotes that are not escaped stand in the lines as their keys and strings need: so there are none inside a string.
//!   No control character is in one, nor a backslash outside of them: [`Index`] ends before such a line.

use super::index::Index;
use super::template::{Place, Template};
use crate::coerce::text::is_json_number;
use crate::simd::{DIGITS, Kernel, Lanes, Level, WIDE};
use crate::split::cells::{Kind, Kinds, Table};

/// Most lines that are taken at once.
pub(crate) const BATCH: usize = 128;

/// The lines that are looked at.
struct Lines<'a> {
    bytes: &'a [u8],
    /// The separator before the first line, and all of the lines.
    separators: &'a [u32],
    count: usize,
    /// Bytes between the last value of a line and its line feed.
    tail: usize,
    /// How many of those are not the record's.
    line_end: usize,
}

/// Lines that were added to a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub lines: usize,
    /// The offset behind them.
    pub end: usize,
    /// Whether those were all that were looked at.
    pub all: bool,
}

/// Where a column of the lines goes.
struct Column<'a> {
    spans: &'a mut [(u32, u32)],
    kinds: &'a mut [Kind],
    seen: &'a mut Kinds,
}

impl Template {
    /// Whether lines of this shape can be taken by [`Template::lines`].
    pub(crate) fn is_flat(&self) -> bool {
        self.flat
    }

    /// Adds lines of this shape to the table, from the index's next one on, as long as they have it: at most `most`.
    /// The index is on the line behind them then.
    pub(crate) fn lines(
        &self,
        level: Level,
        bytes: &[u8],
        index: &mut Index,
        most: usize,
        table: &mut Table,
    ) -> Taken {
        let values = self.places.len();
        let separators = index.separators();
        let known = separators.len().saturating_sub(1) / values.max(1);
        let most = known.min(most).min(table.room());
        let mut count = most;
        loop {
            let Some(lines) = self.tails(bytes, separators, count) else { return Taken::default() };
            let held = self.hold(level, &lines, index, table);
            if held == lines.count {
                let end = separators[held * values] as usize + 1;
                let backslashes = self.write(&lines, index, table);
                index.take(held * values, backslashes);
                return Taken { lines: held, end, all: held == most };
            }
            if held == 0 {
                return Taken::default();
            }
            // what was counted counted lines that are not taken
            count = held;
        }
    }

    /// The lines up to the first one that does not end like the template; `None`: it is the first of all.
    #[inline(always)]
    fn tails<'a>(&self, bytes: &'a [u8], separators: &'a [u32], count: usize) -> Option<Lines<'a>> {
        let values = self.places.len();
        if count == 0 || values == 0 {
            return None;
        }
        let returns = bytes.get((separators[values] as usize).wrapping_sub(1)) == Some(&b'\r');
        let tail = self.ends[usize::from(returns)];
        let ends = separators[values..].iter().step_by(values).take(count);
        let same = ends.take_while(|end| tail.is_before(bytes, **end as usize + 1)).count();
        let line_end = usize::from(returns);
        let lines = Lines {
            bytes,
            separators: &separators[..=same * values],
            count: same,
            tail: self.tail_len + line_end,
            line_end,
        };
        (same > 0).then_some(lines)
    }

    /// Writes the cells of the lines ahead into the table; gives how many of the lines can be taken, if not all then
    /// perhaps fewer than could be.
    fn hold(&self, level: Level, lines: &Lines<'_>, index: &Index, table: &mut Table) -> usize {
        let values = self.places.len();
        let mut strings = 0;
        for (at, place) in self.places.iter().enumerate() {
            let (spans, kinds, seen) = table.ahead(place.column, lines.count);
            let column = Column { spans, kinds, seen };
            let values = Values {
                text: &self.text,
                place,
                bytes: lines.bytes,
                separators: &lines.separators[at..],
                step: values,
                skip: u32::from(at == 0),
                behind: if at + 1 == values { lines.tail } else { 0 },
            };
            let (held, quoted) = values.read(level, column);
            if held < lines.count {
                return held;
            }
            strings += quoted;
        }
        let (start, end) = lines.span(0, lines.count - 1, values);
        let quotes = index.quotes_before(end) - index.quotes_before(start);
        if quotes as usize == lines.count * self.quotes + 2 * strings {
            lines.count
        } else {
            usize::from(lines.count > 1)
        }
    }

    /// Adds the lines, whose cells are in the table; gives how many backslashes stand in them.
    fn write(&self, lines: &Lines<'_>, index: &Index, table: &mut Table) -> usize {
        let values = self.places.len();
        for column in &self.absent {
            let (spans, kinds, seen) = table.ahead(Some(*column), lines.count);
            spans.fill((0, 0));
            kinds.fill(Kind::Missing);
            seen.add(Kind::Missing);
        }
        let backslashes = index.backslashes();
        let (mut line, mut passed) = (0, 0);
        while let Some(at) = backslashes.get(passed).map(|at| *at as usize) {
            while line < lines.count && lines.span(line, line, values).1 < at {
                line += 1;
            }
            if line == lines.count {
                break;
            }
            let separators = &lines.separators[line * values + 1..][..values];
            // all are compared, for that takes no branch
            let value = separators.iter().filter(|end| (**end as usize) < at).count();
            let end = separators[value];
            passed += backslashes[passed..].iter().take_while(|at| **at < end).count();
            if let Some(column) = self.places[value].column {
                let (_, kinds, seen) = table.ahead(Some(column), lines.count);
                kinds[line] = Kind::Escaped;
                seen.add(Kind::Escaped);
            }
        }
        for line in 0..lines.count {
            let (start, end) = lines.span(line, line, values);
            table.push(start as u32, (end - lines.line_end) as u32);
        }
        passed
    }
}

impl Lines<'_> {
    /// The start of a line, and the line feed of the same line or a later one.
    #[inline(always)]
    fn span(&self, first: usize, last: usize, values: usize) -> (usize, usize) {
        let start = self.separators[first * values].wrapping_add(1) as usize;
        (start, self.separators[(last + 1) * values] as usize)
    }
}

/// One value of each of the lines.
#[derive(Clone, Copy)]
struct Values<'a> {
    /// The template's.
    text: &'a [u8],
    place: &'a Place,
    bytes: &'a [u8],
    /// From the one before the first value on.
    separators: &'a [u32],
    /// Values of a line.
    step: usize,
    /// 1 where the separator before the value is not the line's own, but ends the line before.
    skip: u32,
    /// Bytes between the value and the separator behind it.
    behind: usize,
}

/// A value that a column has read.
type Read = ((u32, u32), Kind);

impl Values<'_> {
    /// Reads the values: how many lines have one, before the first that has not, and how many are strings. What most
    /// of them are is told by the first one: only the speed depends on it.
    fn read(self, level: Level, column: Column<'_>) -> (usize, usize) {
        let first = self
            .pairs()
            .next()
            .and_then(|pair| self.between(pair))
            .and_then(|(from, _)| self.bytes.get(from + self.place.len));
        match first {
            Some(b'"') if self.place.len < WIDE => level.run_scalar(Strings(self, column)),
            Some(b'-' | b'0'..=b'9') => level.run_scalar(Numbers(self, column)),
            _ => level.run_scalar(Words(self, column)),
        }
    }

    /// The separators around each line's value.
    #[inline(always)]
    fn pairs(&self) -> impl Iterator<Item = &[u32]> {
        self.separators.windows(2).step_by(self.step)
    }

    /// Where the text before the value between these separators begins, and where the value ends.
    #[inline(always)]
    fn between(&self, pair: &[u32]) -> Option<(usize, usize)> {
        let [before, after] = pair else { return None };
        Some((before.wrapping_add(self.skip) as usize, (*after as usize).wrapping_sub(self.behind)))
    }

    /// A line's value that is a word, if it is.
    #[inline(always)]
    #[allow(clippy::needless_bitwise_bool, reason = "a value of another length takes no other branch")]
    fn word(&self, start: usize, end: usize) -> Option<Read> {
        const NULL: u64 = u32::from_le_bytes(*b"null") as u64;
        const TRUE: u64 = u32::from_le_bytes(*b"true") as u64;
        const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");
        let word = u64::from_le_bytes(*self.bytes.get(start..)?.first_chunk()?);
        let len = end.wrapping_sub(start);
        let (four, five) = (word & 0xffff_ffff, word & 0xff_ffff_ffff);
        let null = (len == 4) & (four == NULL);
        let truth = ((len == 4) & (four == TRUE)) | ((len == 5) & (five == FALSE));
        let kind = if null { Kind::Null } else { Kind::Plain };
        (null | truth).then_some(((start as u32, if null { 0 } else { len as u32 }), kind))
    }

    /// A line's value, whatever it is; `None`: it is none, or not here.
    #[inline(never)]
    fn other(&self, line: usize) -> Option<Read> {
        let (from, end) = self.between(self.separators.get(line * self.step..)?.first_chunk::<2>()?)?;
        let before = self.text.get(self.place.start..self.place.start + self.place.len)?;
        let start = from + before.len();
        if self.bytes.get(from..start)? != before {
            return None;
        }
        let text = self.bytes.get(start..end)?;
        let (start, len) = (start as u32, text.len() as u32);
        match text {
            [b'"', .., b'"'] => Some(((start + 1, len - 2), Kind::Quoted)),
            b"true" | b"false" => Some(((start, len), Kind::Plain)),
            b"null" => Some(((start, 0), Kind::Null)),
            number if is_json_number(number) => Some(((start, len), Kind::Plain)),
            _ => None,
        }
    }
}

/// Most values are strings, and the text before them leaves room for their first quote.
struct Strings<'a>(Values<'a>, Column<'a>);

impl Kernel for Strings<'_> {
    type Output = (usize, usize);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, usize) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, .. } = values;
        let (count, len) = (spans.len(), place.len);
        let mut front = place.front;
        front[len] = b'"';
        let (others, quoted) = (!place.mask, !(place.mask << 1 | 1));
        kinds.fill(Kind::Quoted);
        seen.add(Kind::Quoted);
        let mut different = 0;
        for ((line, span), pair) in spans.iter_mut().enumerate().zip(values.pairs()) {
            let Some((from, end)) = values.between(pair) else { return (line, 0) };
            let Some(head) = bytes.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else {
                return (line, 0);
            };
            let (start, close) = (from + len + 1, end.wrapping_sub(1));
            let same = lanes.same(head, &front);
            if same | quoted == !0 && start <= close && bytes.get(close) == Some(&b'"') {
                *span = (start as u32, (close - start) as u32);
                continue;
            }
            let word = if same | others == !0 { values.word(start - 1, end) } else { None };
            let Some(found) = word.or_else(|| values.other(line)) else { return (line, 0) };
            (*span, kinds[line]) = found;
            seen.add(found.1);
            different += 1;
        }
        (count, count - different)
    }
}

/// Most values are numbers.
struct Numbers<'a>(Values<'a>, Column<'a>);

impl Kernel for Numbers<'_> {
    type Output = (usize, usize);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, usize) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, .. } = values;
        let (count, far) = (spans.len(), place.len > WIDE);
        let (front, others) = (place.front, !place.mask);
        kinds.fill(Kind::Plain);
        seen.add(Kind::Plain);
        let mut strings = 0;
        for ((line, span), pair) in spans.iter_mut().enumerate().zip(values.pairs()) {
            let Some((from, end)) = values.between(pair) else { return (line, 0) };
            let Some(head) = bytes.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else {
                return (line, 0);
            };
            let start = from + place.len;
            let Some(digits) = bytes.get(start..).and_then(|b| b.first_chunk::<DIGITS>()) else {
                return (line, 0);
            };
            let len = end.wrapping_sub(start);
            if lanes.same(head, &front) | others == !0 && is_plain_number(lanes, digits, len) && !far {
                *span = (start as u32, len as u32);
                continue;
            }
            let Some(found) = values.other(line) else { return (line, 0) };
            (*span, kinds[line]) = found;
            seen.add(found.1);
            strings += usize::from(found.1 == Kind::Quoted);
        }
        (count, strings)
    }
}

/// Most values are words, or the text before them is a long one.
struct Words<'a>(Values<'a>, Column<'a>);

impl Kernel for Words<'_> {
    type Output = (usize, usize);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, usize) {
        let Self(values, Column { spans, kinds, seen }) = self;
        let Values { bytes, place, .. } = values;
        let far = place.len > WIDE;
        let mut strings = 0;
        let cells = spans.iter_mut().zip(kinds.iter_mut()).enumerate();
        for ((line, (span, kind)), pair) in cells.zip(values.pairs()) {
            let Some((from, end)) = values.between(pair) else { return (line, 0) };
            let Some(head) = bytes.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else {
                return (line, 0);
            };
            let same = lanes.same(head, &place.front) | !place.mask == !0 && !far;
            let word = if same { values.word(from + place.len, end) } else { None };
            let Some(found) = word.or_else(|| values.other(line)) else { return (line, 0) };
            (*span, *kind) = found;
            seen.add(found.1);
            strings += usize::from(found.1 == Kind::Quoted);
        }
        (spans.len(), strings)
    }
}

/// Whether the first `len` of these bytes are a number in JSON's grammar; no also for one with an exponent, or of more
/// bytes than these.
#[inline(always)]
#[allow(clippy::needless_bitwise_bool, reason = "a value of another length takes no other branch")]
fn is_plain_number<L: Lanes>(lanes: L, bytes: &[u8; DIGITS], len: usize) -> bool {
    if len.wrapping_sub(1) >= DIGITS {
        return false;
    }
    let others = !lanes.digits(bytes) & ((1 << len) - 1);
    if others == 0 {
        return bytes[0] != b'0' || len == 1;
    }
    // nothing but digits and one point, with digits on both sides, and a zero first only before the point
    let start = usize::from(bytes[0] == b'-');
    let others = others & !(start as u32);
    let point = (others | (1 << len)).trailing_zeros() as usize;
    let one = others & others.wrapping_sub(1) == 0;
    let is_point = (point == len) | (bytes[point % DIGITS] == b'.');
    let zero = (bytes[start] == b'0') & (point > start + 1);
    one & is_point & (point > start) & (point + 1 != len) & !zero
}
