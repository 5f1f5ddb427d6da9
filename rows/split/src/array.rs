//! One JSON array whose elements are the records. A byte-at-a-time state machine finds where each begins and ends.
//!
//! It follows strings, escapes and depth. It requires the brackets and commas of the array itself, because without them
//! it is unclear what a record is. It does not check what is inside an element: [`crate::json`] does that, element by
//! element. The depth is a number, not a stack: an object ends when as many braces are closed as were opened; its
//! brackets are ignored. If the element is JSON, this is its end. If it is not, an end is still found soon enough.
//!
//! A chunk ends where a record ends, so the comma after that record begins the next chunk.

use rows_bytes::simd::{BLOCK, Kernel, Lanes, Level};

/// The state of a stream between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the array.
    Start,
    /// After its `[`.
    First,
    /// After an element.
    After,
    /// After a comma.
    Comma,
    /// In an element that is no string, object or array, such as a number. The byte after the element ends it.
    Word,
    /// In an object or array.
    Nested,
    /// In a string, which is the element or inside it.
    Text,
    /// After a backslash in a string.
    Escape,
    /// After the array.
    End,
}

/// The array's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Array {
    pub place: Place,
    /// The brace or bracket that the element began with. `depth` is how many of those are open.
    open: u8,
    depth: u32,
}

/// What a byte means for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is the first byte of a record.
    Begins,
    /// It is the last byte of a record.
    Ends,
    /// The byte before it was the last byte of a record.
    Ended,
}

/// Why bytes are no JSON array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    NoArray,
    NoComma,
    NoRecord,
    AfterArray,
}

impl Array {
    pub(crate) const fn at(place: Place) -> Self {
        Self { place, open: 0, depth: 0 }
    }

    /// Skips what is inside an object or array, 64 bytes at a time. Returns the offset from which bytes have to be
    /// taken one by one: at the end of the element, at a backslash, or where fewer than 64 bytes are left.
    #[inline(always)]
    fn leap<L: Lanes>(&mut self, lanes: L, bytes: &[u8], mut at: usize) -> usize {
        while self.depth > 0 && matches!(self.place, Place::Nested | Place::Text) {
            let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) else { break };
            let needles = [b'"', b'\\', self.open, closing(self.open)];
            let [quote, backslash, open, close] = lanes.equal(block, needles);
            let len = backslash.trailing_zeros();
            let valid = 1u64.checked_shl(len).map_or(!0, |end| end - 1);
            let was_text = if self.place == Place::Text { !0 } else { 0 };
            let text = lanes.parity(quote & valid) ^ was_text;
            let close = close & valid & !text;
            let mut brackets = (open & valid & !text) | close;
            while brackets != 0 {
                let bit = brackets & brackets.wrapping_neg();
                if close & bit == 0 {
                    self.depth += 1;
                } else if self.depth == 1 {
                    self.place = Place::Nested;
                    return at + bit.trailing_zeros() as usize;
                } else {
                    self.depth -= 1;
                }
                brackets ^= bit;
            }
            let odd = (quote & valid).count_ones() % 2 == 1;
            self.place = if odd == (was_text == 0) { Place::Text } else { Place::Nested };
            at += len as usize;
            if backslash != 0 {
                break;
            }
        }
        at
    }

    /// How many of the next bytes do not change the state.
    #[inline]
    fn skip(self, bytes: &[u8]) -> usize {
        let mut bytes_left = bytes.iter();
        let found = match self.place {
            Place::Text => bytes_left.position(|b| matches!(b, b'"' | b'\\')),
            Place::Nested => bytes_left.position(|b| [b'"', self.open, closing(self.open)].contains(b)),
            Place::Start | Place::First | Place::After | Place::Comma | Place::End => {
                bytes_left.position(|b| !is_blank(*b))
            }
            Place::Word | Place::Escape => return 0,
        };
        found.unwrap_or(bytes.len())
    }

    /// Takes one byte.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<Event>, Broken> {
        let (place, event) = match (self.place, byte) {
            (Place::Text, b'\\') => (Place::Escape, None),
            (Place::Text, b'"') if self.depth > 0 => (Place::Nested, None),
            (Place::Text, b'"') => (Place::After, Some(Event::Ends)),
            (Place::Text | Place::Escape, _) | (Place::Nested, b'"') => (Place::Text, None),
            (Place::Nested, open) if open == self.open => {
                self.depth += 1;
                (Place::Nested, None)
            }
            (Place::Nested, close) if close == closing(self.open) => {
                self.depth -= 1;
                if self.depth > 0 { (Place::Nested, None) } else { (Place::After, Some(Event::Ends)) }
            }
            (Place::Nested, _) => (Place::Nested, None),
            (Place::Word, b',') => (Place::Comma, Some(Event::Ended)),
            (Place::Word, b']') => (Place::End, Some(Event::Ended)),
            (Place::Word, blank) if is_blank(blank) => (Place::After, Some(Event::Ended)),
            (Place::Word, _) => (Place::Word, None),
            (place, blank) if is_blank(blank) => (place, None),
            (Place::Start, b'[') => (Place::First, None),
            (Place::Start, _) => return Err(Broken::NoArray),
            (Place::After, b',') => (Place::Comma, None),
            (Place::After | Place::First, b']') => (Place::End, None),
            (Place::After, _) => return Err(Broken::NoComma),
            (Place::End, _) => return Err(Broken::AfterArray),
            (Place::First | Place::Comma, b',' | b']') => return Err(Broken::NoRecord),
            (Place::First | Place::Comma, b'"') => (Place::Text, Some(Event::Begins)),
            (Place::First | Place::Comma, open @ (b'{' | b'[')) => {
                (self.open, self.depth) = (open, 1);
                (Place::Nested, Some(Event::Begins))
            }
            (Place::First | Place::Comma, _) => (Place::Word, Some(Event::Begins)),
        };
        self.place = place;
        Ok(event)
    }

    /// Takes bytes up to the next [`Event`]; returns the offset past them, and the event.
    #[inline(always)]
    pub(crate) fn next<L: Lanes>(
        &mut self,
        lanes: L,
        bytes: &[u8],
        mut at: usize,
    ) -> Result<Option<(usize, Event)>, (usize, Broken)> {
        loop {
            at = self.leap(lanes, bytes, at);
            at += self.skip(bytes.get(at..).unwrap_or_default());
            let Some(byte) = bytes.get(at) else { return Ok(None) };
            let event = self.push(*byte).map_err(|broken| (at, broken))?;
            at += 1;
            if let Some(event) = event {
                return Ok(Some((at, event)));
            }
        }
    }
}

/// The brace or bracket that closes this one.
#[inline]
fn closing(open: u8) -> u8 {
    if open == b'{' { b'}' } else { b']' }
}

#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Start and end of the next record of a chunk at or after `at`, which is 0 or the end of a record.
///
/// If the array is malformed, everything from the error to the end of the chunk is one record, which is no JSON object.
/// A [`crate::Cutter`] makes no such chunk.
pub fn record(bytes: &[u8], at: usize, level: Level) -> Option<(usize, usize)> {
    level.run(Next { bytes, at })
}

struct Next<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Kernel for Next<'_> {
    type Output = Option<(usize, usize)>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        let Self { bytes, at } = self;
        let begins = at == 0 && bytes.iter().find(|b| !is_blank(**b)) == Some(&b'[');
        let mut array = Array::at(if begins { Place::Start } else { Place::After });
        let start = match array.next(lanes, bytes, at) {
            Ok(None) => return None,
            Ok(Some((past, _))) => past - 1,
            Err((start, _)) => return Some((start, bytes.len())),
        };
        match array.next(lanes, bytes, start + 1) {
            Ok(Some((past, Event::Ended))) => Some((start, past - 1)),
            Ok(Some((past, _))) => Some((start, past)),
            Ok(None) | Err(_) => Some((start, bytes.len())),
        }
    }
}

/// The ends of records in a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordEnds {
    /// How many records end in the piece. Blank lines are no records.
    pub records: u32,
    /// Offset past the last line end.
    pub last_edge: Option<usize>,
}

/// Finds the ends of records in a piece of a stream.
pub(crate) struct Ends<'a> {
    pub array: Array,
    pub bytes: &'a [u8],
}

impl Kernel for Ends<'_> {
    /// The ends of records, the state after the bytes and, if the array is malformed, the offset and the error.
    type Output = (RecordEnds, Array, Option<(usize, Broken)>);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        let Self { mut array, bytes } = self;
        let mut ends = RecordEnds::default();
        let mut at = 0;
        loop {
            match array.next(lanes, bytes, at) {
                Ok(Some((past, event))) => {
                    at = past;
                    if event != Event::Begins {
                        ends.records += 1;
                        ends.last_edge = Some(at - usize::from(event == Event::Ended));
                    }
                }
                Ok(None) => return (ends, array, None),
                Err(broken) => return (ends, array, Some(broken)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\\",
            "\\\"",
            ",",
            " ",
            "\n",
            "1",
            "a longer text of no brackets",
            "{\"a\":[1]},",
            "\"]}\\\\\",",
        ]);
        prop::collection::vec(piece, 0..80).prop_map(|p| p.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn leaps_find_what_single_steps_find(bytes in soup(), cut in 0usize..400) {
            let mut array = Array { place: Place::Nested, open: b'{', depth: 2 };
            let mut events = Vec::new();
            let mut broken = None;
            for (at, byte) in bytes.iter().enumerate() {
                match array.push(*byte) {
                    Ok(event) => events.extend(event.map(|e| (at + 1, e))),
                    Err(error) => {
                        broken = Some((at, error));
                        break;
                    }
                }
            }
            events.retain(|(_, event)| *event != Event::Begins);
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            for level in Level::all() {
                let start = Array { place: Place::Nested, open: b'{', depth: 2 };
                let (a, middle, mut found) = level.run(Ends { array: start, bytes: front });
                let mut ends = a;
                let mut last = middle;
                if found.is_none() {
                    let (b, end, error) = level.run(Ends { array: middle, bytes: back });
                    found = error.map(|(at, error)| (front.len() + at, error));
                    ends.records += b.records;
                    ends.last_edge = b.last_edge.map(|e| e + front.len()).or(a.last_edge);
                    last = end;
                }
                prop_assert_eq!(last, array);
                prop_assert_eq!(found, broken);
                prop_assert_eq!(ends.records as usize, events.len());
                let edge = events.last().map(|(past, e)| past - usize::from(*e == Event::Ended));
                prop_assert_eq!(ends.last_edge, edge);
            }
        }
    }
}
