//! Where records end in a stream that comes in pieces: the scan that cutting rests on.
//!
//! A piece of RFC 4180 or of JSON lines is scanned 64 bytes at a time by the parity of its quotes. That is right while quotes stand only where
//! RFC 4180 has them; a piece in which one stands elsewhere is scanned again byte by byte, from the state before it.

use super::array::{Array, Broken, Ends, Event, Place};
use super::csv::Step;
use crate::input::{Dialect, Format, Input};
use crate::simd::{BLOCK, Kernel, Lanes, Level};

/// Where a stream stands between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub step: Step,
    pub line: Line,
}

/// What the record holds so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Empty,
    /// One carriage return.
    Return,
    Text,
    /// A comment, which is no record.
    Comment,
}

/// The end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Record,
    /// The record ended before the last byte.
    RecordBefore,
    BlankLine,
}

impl State {
    pub(crate) const START: Self = Self { step: Step::Start, line: Line::Empty };

    /// Takes one byte; tells if a line ends after it.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8, dialect: Dialect) -> Option<Edge> {
        let starts = self.line == Line::Empty && byte == dialect.comment && dialect.comment != 0;
        if starts || (self.line == Line::Comment && !dialect.ends_line(byte)) {
            self.line = Line::Comment;
            return None;
        }
        self.step = self.step.next(byte, dialect);
        if dialect.ends_line(byte) && self.step == Step::Start {
            let edge = if self.line == Line::Text { Edge::Record } else { Edge::BlankLine };
            self.line = Line::Empty;
            return Some(edge);
        }
        self.line = if byte == b'\r' && self.line == Line::Empty { Line::Return } else { Line::Text };
        None
    }
}

/// What a piece holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that end in it; blank lines are none.
    pub records: u32,
    /// Offset past the last line end.
    pub last_edge: Option<usize>,
}

/// Finds the ends of records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner {
    pub dialect: Dialect,
    pub state: State,
    /// Of a JSON array, which has no lines.
    pub array: Option<Array>,
    level: Level,
}

impl Scanner {
    /// A scanner that stands before a file, or in one after a record.
    pub(crate) fn new(input: &Input, before: bool) -> Self {
        let place = if before { Place::Start } else { Place::After };
        let array = (input.format == Format::Json).then_some(Array::at(place));
        Self { array, ..Self::at_level(record_dialect(input), Level::detect()) }
    }

    pub(crate) fn at_level(dialect: Dialect, level: Level) -> Self {
        Self { dialect, state: State::START, array: None, level }
    }

    /// Takes one byte; tells if a line or record ends at it.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<Edge>, Broken> {
        let Some(array) = &mut self.array else { return Ok(self.state.push(byte, self.dialect)) };
        Ok(match array.push(byte)? {
            None | Some(Event::Begins) => None,
            Some(Event::Ends) => Some(Edge::Record),
            Some(Event::Ended) => Some(Edge::RecordBefore),
        })
    }

    /// Takes the next bytes of the stream. On a break of the array: what was found before it, and where it is.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> Result<Tally, (Tally, usize, Broken)> {
        if let Some(array) = &mut self.array {
            let (tally, after, broken) = self.level.run(Ends { array: *array, bytes });
            *array = after;
            return broken.map_or(Ok(tally), |(at, why)| Err((tally, at, why)));
        }
        if self.dialect.is_rfc() {
            let fast = self.level.run(Fast { bytes, dialect: self.dialect, state: self.state });
            if let Some((tally, state)) = fast {
                self.state = state;
                return Ok(tally);
            }
        }
        let mut tally = Tally::default();
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(edge) = self.state.push(*byte, self.dialect) {
                tally.records += u32::from(edge == Edge::Record);
                tally.last_edge = Some(at + 1);
            }
        }
        Ok(tally)
    }
}

/// In JSON lines no line end can stand inside a record, so quotes do not matter.
fn record_dialect(input: &Input) -> Dialect {
    match input.format {
        Format::JsonLines | Format::Json => Dialect::rfc(b'\n', 0),
        Format::Csv | Format::Tsv => input.dialect(),
    }
}

struct Fast<'a> {
    bytes: &'a [u8],
    dialect: Dialect,
    state: State,
}

impl Kernel for Fast<'_> {
    /// `None`: a quote stands where it should not.
    type Output = Option<(Tally, State)>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        let mut quotes = Quotes::new(self.state.step, self.dialect);
        let mut at_start = u64::from(self.state.line == Line::Empty);
        let mut after_return = u64::from(self.state.line == Line::Return);
        let (mut bad, mut records, mut last_edge) = (0, 0, None);
        let (blocks, tail) = self.bytes.as_chunks::<BLOCK>();
        let mut last_block = [0; BLOCK];
        last_block[..tail.len()].copy_from_slice(tail);
        let last = (!tail.is_empty()).then_some((&last_block, (1u64 << tail.len()) - 1));
        for (i, (block, valid)) in blocks.iter().map(|b| (b, !0)).chain(last).enumerate() {
            let masks = lanes.equal(block, [self.dialect.quote, self.dialect.delimiter, b'\n', b'\r']);
            let [quote, delimiter, newline, cr] = masks.map(|m| m & valid);
            let inside = quotes.block(lanes, quote, delimiter, newline);
            bad |= quotes.misplaced(valid, cr);
            let ends = newline & !inside;
            // a line is blank if it ends where it starts, or after one carriage return there
            let starts = (ends << 1) | at_start;
            let returns = cr & starts & !inside;
            let blank = ends & (starts | (returns << 1) | after_return);
            records += (ends & !blank).count_ones();
            if ends != 0 {
                last_edge = Some(i * BLOCK + BLOCK - ends.leading_zeros() as usize);
            }
            at_start = ends >> 63;
            after_return = returns >> 63;
        }
        if bad != 0 {
            return None;
        }
        let state = self.end(&quotes, last_edge);
        Some((Tally { records, last_edge }, state))
    }
}

impl Fast<'_> {
    /// The state after the last byte of a piece in which all quotes stand right.
    fn end(&self, quotes: &Quotes, last_edge: Option<usize>) -> State {
        let Some(last) = self.bytes.last() else { return self.state };
        let step = if quotes.inside() {
            Step::Quoted
        } else if *last == self.dialect.quote && self.dialect.quote != 0 {
            Step::QuoteInQuoted
        } else if *last == self.dialect.delimiter || *last == b'\n' {
            Step::Start
        } else {
            Step::Plain
        };
        let line = match (last_edge, &self.bytes[last_edge.unwrap_or(0)..]) {
            (_, []) => Line::Empty,
            (Some(_), [b'\r']) => Line::Return,
            (None, [b'\r']) if self.state.line == Line::Empty => Line::Return,
            _ => Line::Text,
        };
        State { step, line }
    }
}

/// Follows quotes through blocks by their parity, and checks that each stands where RFC 4180 lets it.
pub(crate) struct Quotes {
    /// All ones if quotes mean something.
    enabled: u64,
    /// All ones if the last byte was inside quotes.
    inside: u64,
    /// Of the last byte, in bit 0: a delimiter, line feed or quote.
    separator: u64,
    /// Of the last byte, in bit 0: a quote that closes a cell (or is the first of two).
    close: u64,
    opens: u64,
    closes: u64,
    separators: u64,
}

impl Quotes {
    #[inline(always)]
    pub(crate) fn new(step: Step, dialect: Dialect) -> Self {
        Self {
            enabled: if dialect.quote == 0 { 0 } else { !0 },
            inside: if step == Step::Quoted { !0 } else { 0 },
            separator: u64::from(step != Step::Plain),
            close: u64::from(step == Step::QuoteInQuoted),
            opens: 0,
            closes: 0,
            separators: 0,
        }
    }

    /// Takes a block; gives the mask of bytes inside quotes, opening quotes with them and closing ones not.
    #[inline(always)]
    pub(crate) fn block<L: Lanes>(&mut self, lanes: L, quote: u64, delimiter: u64, newline: u64) -> u64 {
        let quote = quote & self.enabled;
        let inside = lanes.parity(quote) ^ self.inside;
        self.inside = (inside.cast_signed() >> 63).cast_unsigned();
        self.opens = quote & inside;
        self.closes = quote & !inside;
        self.separators = quote | delimiter | newline;
        inside
    }

    /// Not zero if a quote of the last block stands where it should not: one that opens must follow a separator or a
    /// quote, one that closes must be followed by a separator, a quote or a carriage return.
    #[inline(always)]
    pub(crate) fn misplaced(&mut self, valid: u64, cr: u64) -> u64 {
        let opens = self.opens & !((self.separators << 1) | self.separator);
        let closes = ((self.closes << 1) | self.close) & valid & !self.separators & !cr;
        self.separator = self.separators >> 63;
        self.close = self.closes >> 63;
        opens | closes
    }

    /// Not zero while the next block has to be looked at even if there is no quote in it.
    #[inline(always)]
    pub(crate) fn pending(&self) -> u64 {
        self.inside | self.close
    }

    /// Passes blocks without quotes while nothing is pending; tells whether their last byte is a separator.
    #[inline(always)]
    pub(crate) fn pass(&mut self, separator: bool) {
        self.separator = u64::from(separator);
    }

    /// The quotes of the last block that close a cell or are the first of two.
    #[inline(always)]
    pub(crate) fn closes(&self) -> u64 {
        self.closes
    }

    pub(crate) fn inside(&self) -> bool {
        self.inside != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: Dialect = Dialect::rfc(b',', b'"');

    fn soup() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"\"\"\",,\n\n\r\rab".to_vec()), 0..400)
    }

    fn well_quoted() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "a",
            ",",
            "\n",
            "\r\n",
            ",\"x\"",
            "\n\"y,\n\"\"\"",
            "\n\"\"",
            "bcdefgh",
        ]);
        prop::collection::vec(piece, 0..100).prop_map(|p| p.concat().into_bytes())
    }

    fn byte_by_byte(bytes: &[u8]) -> (Tally, State) {
        let (mut state, mut tally) = (State::START, Tally::default());
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(edge) = state.push(*byte, CSV) {
                tally.records += u32::from(edge == Edge::Record);
                tally.last_edge = Some(at + 1);
            }
        }
        (tally, state)
    }

    proptest! {
        #[test]
        fn a_scan_in_pieces_equals_the_scan_byte_by_byte(bytes in soup().boxed().prop_union(well_quoted().boxed()),
                                                         cut in 0usize..400) {
            let (expected, end) = byte_by_byte(&bytes);
            for level in Level::all() {
                let (front, back) = bytes.split_at(cut.min(bytes.len()));
                let mut scanner = Scanner::at_level(CSV, level);
                let (a, b) = (scanner.piece(front).unwrap(), scanner.piece(back).unwrap());
                prop_assert_eq!(a.records + b.records, expected.records);
                prop_assert_eq!(b.last_edge.map(|e| e + front.len()).or(a.last_edge), expected.last_edge);
                prop_assert_eq!(scanner.state, end);
            }
        }
    }

    #[test]
    fn well_quoted_bytes_never_take_the_slow_way() {
        let bytes = "a,\"b\"\"\n\",c\r\n\"\",\"x\"\r\n".repeat(50).into_bytes();
        for level in Level::all() {
            assert!(level.run(Fast { bytes: &bytes, dialect: CSV, state: State::START }).is_some());
        }
    }

    #[test]
    fn a_quote_out_of_place_is_seen_wherever_it_stands() {
        for at in 0..2 * BLOCK {
            for wrong in ["\"a\"x,\"", "a\"x,\n\""] {
                let bytes = format!("{},{wrong}{}", "a".repeat(at), "c,\"d\n".repeat(BLOCK)).into_bytes();
                for level in Level::all() {
                    assert!(level.run(Fast { bytes: &bytes, dialect: CSV, state: State::START }).is_none());
                    let mut scanner = Scanner::at_level(CSV, level);
                    assert_eq!(
                        (scanner.piece(&bytes).unwrap(), scanner.state),
                        byte_by_byte(&bytes),
                        "{at} {wrong:?}"
                    );
                }
            }
        }
    }
}
