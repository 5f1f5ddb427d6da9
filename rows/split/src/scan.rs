//! Finds where records end in a stream that arrives in pieces. Cutting is based on this scan.
//!
//! A piece of RFC 4180 or of JSON lines is scanned 64 bytes at a time, by the parity of its quotes. This is right if
//! quotes are only where RFC 4180 allows them. A piece with a quote elsewhere is scanned again byte by byte, from the
//! state before it.

use rows_bytes::simd::{BLOCK, Kernel, Lanes, Level};
use rows_types::{Dialect, Format, Input};

use crate::array::{Array, Broken, Ends, Event, Place, RecordEnds};
use crate::csv::Step;

/// The state of a stream between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub step: Step,
    pub line: Line,
}

/// What the line contains so far.
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

    /// Takes one byte; returns the end of a line, if one ends with it.
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

/// Finds the ends of records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner {
    pub dialect: Dialect,
    pub state: State,
    /// Used for a JSON array, which has no lines.
    pub array: Option<Array>,
    level: Level,
}

impl Scanner {
    /// A scanner for a stream that begins at the start of a file (`before`), or after a record in it.
    pub(crate) fn new(input: &Input, before: bool) -> Self {
        let place = if before { Place::Start } else { Place::After };
        let array = (input.format == Format::Json).then_some(Array::at(place));
        Self { array, ..Self::at_level(record_dialect(input), Level::detect()) }
    }

    /// The same scanner with the instructions of this level.
    pub(crate) fn on(self, level: Level) -> Self {
        Self { level, ..self }
    }

    pub(crate) fn at_level(dialect: Dialect, level: Level) -> Self {
        Self { dialect, state: State::START, array: None, level }
    }

    /// Whether a record has begun and not ended.
    pub(crate) fn is_in_record(&self) -> bool {
        match self.array {
            None => self.state.line == Line::Text,
            Some(array) => matches!(array.place, Place::Word | Place::Nested | Place::Text | Place::Escape),
        }
    }

    /// Takes one byte; returns the end of a line or record, if one ends there.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<Edge>, Broken> {
        let Some(array) = &mut self.array else { return Ok(self.state.push(byte, self.dialect)) };
        Ok(match array.push(byte)? {
            None | Some(Event::Begins) => None,
            Some(Event::Ends) => Some(Edge::Record),
            Some(Event::Ended) => Some(Edge::RecordBefore),
        })
    }

    /// Takes the next bytes of the stream. If the array is malformed, the error has what was found before it, and its
    /// offset.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> Result<RecordEnds, (RecordEnds, usize, Broken)> {
        if let Some(array) = &mut self.array {
            let (ends, after, broken) = self.level.run(Ends { array: *array, bytes });
            *array = after;
            return broken.map_or(Ok(ends), |(at, error)| Err((ends, at, error)));
        }
        if self.dialect.is_rfc() {
            let fast = self.level.run(Fast { bytes, dialect: self.dialect, state: self.state });
            if let Some((ends, state)) = fast {
                self.state = state;
                return Ok(ends);
            }
        }
        let mut ends = RecordEnds::default();
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(edge) = self.state.push(*byte, self.dialect) {
                ends.records += u32::from(edge == Edge::Record);
                ends.last_edge = Some(at + 1);
            }
        }
        Ok(ends)
    }
}

/// In JSON lines no record contains a line end, so quotes do not matter.
fn record_dialect(input: &Input) -> Dialect {
    match input.format {
        Format::JsonLines | Format::Json => Dialect::rfc(b'\n', 0),
        Format::Csv | Format::Tsv => input.dialect(),
    }
}

/// Bytes of a group of blocks. In a group without a quote, as in most files, no quotes need to be followed. To decide
/// this for each block would cost more than it saves in files where every second block has a quote.
const GROUP: usize = 4 * BLOCK;

struct Fast<'a> {
    bytes: &'a [u8],
    dialect: Dialect,
    state: State,
}

impl Kernel for Fast<'_> {
    /// `None`: a quote is where RFC 4180 does not allow one.
    type Output = Option<(RecordEnds, State)>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        if self.dialect.quote == 0 { self.scan::<L, false>(lanes) } else { self.scan::<L, true>(lanes) }
    }
}

impl Fast<'_> {
    #[inline(always)]
    fn scan<L: Lanes, const QUOTES: bool>(&self, lanes: L) -> Option<(RecordEnds, State)> {
        let mut quotes = Quotes::new(self.state.step, self.dialect);
        let mut count = Lines::new(self.bytes, self.state.line);
        let mut bad = 0;
        let (groups, tail) = self.bytes.as_chunks::<GROUP>();
        for group in groups {
            bad |= self.group::<L, QUOTES>(lanes, group, &mut quotes, &mut count);
        }
        if !tail.is_empty() {
            // padding: carriage returns end no line, and may follow a quote
            let mut group = [b'\r'; GROUP];
            group[..tail.len()].copy_from_slice(tail);
            bad |= self.group::<L, QUOTES>(lanes, &group, &mut quotes, &mut count);
        }
        if bad != 0 {
            return None;
        }
        let ends = count.ends();
        Some((ends, self.end(&quotes, ends.last_edge)))
    }

    /// Takes the next blocks. Returns a number that is not 0 if a quote is where RFC 4180 does not allow one.
    #[inline(always)]
    fn group<L: Lanes, const QUOTES: bool>(
        &self,
        lanes: L,
        group: &[u8; GROUP],
        quotes: &mut Quotes,
        count: &mut Lines<'_>,
    ) -> u64 {
        let Dialect { quote, delimiter, .. } = self.dialect;
        let (blocks, _) = group.as_chunks::<BLOCK>();
        let mut found = [[0; 2]; GROUP / BLOCK];
        for (found, block) in found.iter_mut().zip(blocks) {
            *found = if QUOTES {
                lanes.equal(block, [b'\n', quote])
            } else {
                let [newline] = lanes.equal(block, [b'\n']);
                [newline, 0]
            };
        }
        let found = found.iter().zip(blocks);
        if !QUOTES || found.clone().fold(quotes.pending(), |any, ([_, quote], _)| any | quote) == 0 {
            found.for_each(|([newline, _], block)| count.block(lanes, block, *newline));
            let last = group[GROUP - 1];
            quotes.pass(last == delimiter || last == b'\n');
            return 0;
        }
        let mut bad = 0;
        for ([newline, quote], block) in found {
            let [delimiter, cr] = lanes.equal(block, [delimiter, b'\r']);
            let inside = quotes.block(lanes, *quote, delimiter, *newline);
            bad |= quotes.misplaced(!0, cr);
            count.block(lanes, block, newline & !inside);
        }
        bad
    }

    /// The state after the last byte of a piece in which all quotes are where RFC 4180 allows them.
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

/// Counts the lines that are records, block after block.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Whether a carriage return comes directly before `bytes`, as the only byte of its line.
    after_return: bool,
    /// Offset of the next block.
    at: usize,
    /// Bit 0 is set if a line starts with the next byte or, in `second`, with the byte before it.
    starts: u64,
    second: u64,
    records: u32,
    /// The line ends of the last block that has any, and the offset of that block.
    last: (u64, usize),
}

impl<'a> Lines<'a> {
    #[inline(always)]
    fn new(bytes: &'a [u8], line: Line) -> Self {
        let after_return = line == Line::Return;
        let (starts, second) = (u64::from(line == Line::Empty), u64::from(after_return));
        Self { bytes, after_return, at: 0, starts, second, records: 0, last: (0, 0) }
    }

    #[inline(always)]
    fn block<L: Lanes>(&mut self, lanes: L, block: &[u8; BLOCK], ends: u64) {
        let starts = (ends << 1) | self.starts;
        // only a line of 0 or 1 bytes can be blank, so the rest of the check is hardly ever needed
        let short = ends & (starts | (starts << 1) | self.second);
        let mut blank = 0;
        if short != 0 {
            let [cr] = lanes.equal(block, [b'\r']);
            blank = short & (starts | (cr << 1) | u64::from(self.follows_return()));
        }
        self.records += (ends & !blank).count_ones();
        self.last = if ends == 0 { self.last } else { (ends, self.at) };
        self.starts = ends >> 63;
        self.second = starts >> 63;
        self.at += BLOCK;
    }

    /// Whether a carriage return comes directly before the next block.
    fn follows_return(&self) -> bool {
        self.at.checked_sub(1).map_or(self.after_return, |before| self.bytes.get(before) == Some(&b'\r'))
    }

    #[inline(always)]
    fn ends(&self) -> RecordEnds {
        let (ends, at) = self.last;
        let last_edge = (ends != 0).then(|| at + BLOCK - ends.leading_zeros() as usize);
        RecordEnds { records: self.records, last_edge }
    }
}

/// Follows quotes through blocks by their parity, and checks that each is where RFC 4180 allows it.
pub(crate) struct Quotes {
    /// All ones if the dialect has a quote character, else 0.
    enabled: u64,
    /// All ones if the last byte was inside quotes, else 0.
    inside: u64,
    /// Bit 0 is set if the last byte is a delimiter, line feed or quote.
    separator: u64,
    /// Bit 0 is set if the last byte is a quote that closes a cell (or is the first of a doubled quote).
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

    /// Takes a block. Returns the mask of the bytes inside quotes; it includes opening quotes, but not closing ones.
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

    /// Not 0 if a quote of the last block is misplaced. A quote that opens must follow a separator or a quote. A quote
    /// that closes must be followed by a separator, a quote or a carriage return.
    #[inline(always)]
    pub(crate) fn misplaced(&mut self, valid: u64, cr: u64) -> u64 {
        let opens = self.opens & !((self.separators << 1) | self.separator);
        let closes = ((self.closes << 1) | self.close) & valid & !self.separators & !cr;
        self.separator = self.separators >> 63;
        self.close = self.closes >> 63;
        opens | closes
    }

    /// Not 0 if the next byte is inside quotes, or follows a quote that closes.
    #[inline(always)]
    pub(crate) fn pending(&self) -> u64 {
        self.inside | self.close
    }

    /// Skips blocks without quotes, which is allowed if [`Quotes::pending`] is 0. `separator`: whether their last byte
    /// is a separator.
    #[inline(always)]
    pub(crate) fn pass(&mut self, separator: bool) {
        self.separator = u64::from(separator);
    }

    /// The quotes of the last block that close a cell or are the first of a doubled quote.
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
    const JSON: Dialect = Dialect::rfc(b'\n', 0);

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

    /// Groups of blocks with and without quotes, with short lines anywhere in them.
    fn sparse() -> impl Strategy<Value = Vec<u8>> {
        let filler = (0usize..300, prop::sample::select(vec!["x", "a,b\n", "c\n", "\r\n"]));
        let piece = prop::sample::select(vec!["\n", "\r\n", "\r", "y\n", "\n\"z\n\n\"", ",\"\"\r\n", "\""]);
        let part =
            (filler, piece).prop_map(|((n, filler), piece)| filler.repeat(n.div_ceil(filler.len())) + piece);
        prop::collection::vec(part, 0..8).prop_map(|p| p.concat().into_bytes())
    }

    fn byte_by_byte(bytes: &[u8], dialect: Dialect) -> (RecordEnds, State) {
        let (mut state, mut ends) = (State::START, RecordEnds::default());
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(edge) = state.push(*byte, dialect) {
                ends.records += u32::from(edge == Edge::Record);
                ends.last_edge = Some(at + 1);
            }
        }
        (ends, state)
    }

    proptest! {
        #[test]
        fn a_scan_in_pieces_equals_the_scan_byte_by_byte(bytes in prop_oneof![soup(), well_quoted(), sparse()],
                                                         cut in 0usize..2000, json: bool) {
            let dialect = if json { JSON } else { CSV };
            let (expected, end) = byte_by_byte(&bytes, dialect);
            for level in Level::all() {
                let (front, back) = bytes.split_at(cut % (bytes.len() + 1));
                let mut scanner = Scanner::at_level(dialect, level);
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
    fn a_quote_out_of_place_is_seen_wherever_it_is() {
        for at in 0..GROUP + 2 * BLOCK {
            let wrongs = ["\"a\"x,\"", "a\"x,\n\"", "a\"x\",b\n", "\"a\"x,b\n"];
            for (wrong, filler) in wrongs.into_iter().flat_map(|w| [(w, "c,\"d\"\n"), (w, "c,d\n")]) {
                let filler = filler.repeat(GROUP / 2);
                let bytes = format!("{},{wrong}{filler}", "a".repeat(at)).into_bytes();
                for level in Level::all() {
                    assert!(level.run(Fast { bytes: &bytes, dialect: CSV, state: State::START }).is_none());
                    let mut scanner = Scanner::at_level(CSV, level);
                    assert_eq!(
                        (scanner.piece(&bytes).unwrap(), scanner.state),
                        byte_by_byte(&bytes, CSV),
                        "{at} {wrong:?}"
                    );
                }
            }
        }
    }
}
