//! The shape of the previous object: the text between its values, byte for byte.
//!
//! Nearly all objects of a file are written by one program, with the same keys in the same order and the same blanks.
//! Such an object needs no parser: the text between its values is compared, and only the values are read. An object of
//! another shape is left to the parser. The parser checks for everything that can be wrong with it, and makes the next
//! template.

use rows_bytes::simd::{Lanes, WIDE};
use rows_bytes::text::json_number;

use super::Line;
use crate::cells::{Cell, Kind};

/// The text before a value, and the column that takes the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The first 32 bytes of the text, padded with zeros. `mask` shows which of them count.
    pub front: [u8; WIDE],
    pub mask: u32,
    /// Where the complete text begins in [`Template::text`].
    pub start: usize,
    pub len: usize,
    pub column: Option<usize>,
}

/// A line feed and up to seven bytes before it, in the high bytes of a word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    word: u64,
    mask: u64,
}

impl End {
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8];
        let at = bytes.len().checked_sub(text.len())?;
        bytes[at..].copy_from_slice(text);
        Some(Self { word: u64::from_le_bytes(bytes), mask: u64::MAX.checked_shl(8 * at as u32)? })
    }

    /// Whether these bytes come directly before `at`.
    #[inline(always)]
    pub(crate) fn is_before(self, bytes: &[u8], at: usize) -> bool {
        let word = bytes.get(..at).and_then(|b| b.last_chunk());
        word.is_some_and(|word| (u64::from_le_bytes(*word) ^ self.word) & self.mask == 0)
    }
}

/// The text between the values of an object.
#[derive(Debug, Default)]
pub(crate) struct Template {
    pub(super) text: Vec<u8>,
    pub(super) places: Vec<Place>,
    /// The text after the last value. `None`: there is no template.
    tail: Option<Place>,
    /// Whether a value is an object, or an array of arrays.
    deep: bool,
    /// Whether a value is an array.
    lists: bool,
    /// Whether many lines of this shape can be taken at a time. Only then are the fields after this one set.
    pub(super) flat: bool,
    /// The tail with a line feed, and with a carriage return and a line feed.
    pub(super) ends: [End; 2],
    pub(super) tail_len: usize,
    /// How many quotes the text between the values has.
    pub(super) quotes: usize,
    /// Columns without a value.
    pub(super) absent: Vec<usize>,
}

/// How many bytes of a number are read at once.
const NEAR: usize = 16;

impl Template {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
        self.tail = None;
        self.deep = false;
        self.lists = false;
        self.flat = false;
    }

    /// Adds a value of an object that is being parsed: the text before it, its column, and its cell.
    pub(super) fn add(&mut self, before: &[u8], column: Option<usize>, cell: Cell, bytes: &[u8]) {
        let place = self.place(before, column);
        self.places.push(place);
        if cell.kind == Kind::Nested {
            let flat =
                matches!(cell.text(bytes), [b'[', inner @ ..] if memchr::memchr(b'[', inner).is_none());
            self.deep |= !flat;
            self.lists |= flat;
        }
    }

    /// Whether a value was an array.
    pub(super) fn has_lists(&self) -> bool {
        self.lists
    }

    /// Completes the template after an object was parsed without an error. `tail` is the text after its last value,
    /// `columns` the number of columns.
    pub(super) fn finish(&mut self, tail: &[u8], columns: usize) {
        self.quotes = memchr::memchr_iter(b'"', &self.text).count();
        let separated = self.places.iter().skip(1).all(|place| place.front[0] == b',');
        // with an escape in the text, a quote in it may be an escaped one
        let plain = memchr::memchr(b'\\', &self.text).is_none();
        let ends = [&b"\n"[..], b"\r\n"].map(|end| End::new(&[tail, end].concat()));
        if let [Some(feed), Some(both)] = ends {
            self.ends = [feed, both];
            self.flat = separated && plain && !self.deep && !self.places.is_empty();
        }
        self.tail_len = tail.len();
        self.absent.clear();
        self.absent
            .extend((0..columns).filter(|at| self.places.iter().all(|place| place.column != Some(*at))));
        self.tail = Some(self.place(tail, None));
    }

    fn place(&mut self, text: &[u8], column: Option<usize>) -> Place {
        let mut front = [0; WIDE];
        for (to, from) in front.iter_mut().zip(text) {
            *to = *from;
        }
        let mask = u32::MAX.checked_shr((WIDE - text.len().min(WIDE)) as u32).unwrap_or(0);
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Place { front, mask, start, len: text.len(), column }
    }

    /// Reads the object that begins at `at`, if it has this shape; returns the offset after its tail. `None`: only
    /// the parser can read it, and the contents of `cells` are unspecified.
    #[inline(always)]
    pub(crate) fn read<L: Lanes>(
        &self,
        lanes: L,
        bytes: &[u8],
        mut at: usize,
        cells: &mut [Cell],
    ) -> Option<usize> {
        let tail = self.tail.as_ref()?;
        for place in &self.places {
            at = self.skip(lanes, place, bytes, at)?;
            let (cell, next) = value(lanes, bytes, at)?;
            at = next;
            if let Some(column) = place.column {
                *cells.get_mut(column)? = cell;
            }
        }
        self.skip(lanes, tail, bytes, at)
    }

    /// The offset after the text of `place`, if this text is at `at`.
    #[inline(always)]
    fn skip<L: Lanes>(&self, lanes: L, place: &Place, bytes: &[u8], at: usize) -> Option<usize> {
        let rest = bytes.get(at..)?;
        let Some(head) = rest.first_chunk::<WIDE>() else { return self.skip_far(place, rest, at) };
        if (lanes.same(head, &place.front) | !place.mask) != !0 {
            return None;
        }
        if place.len > WIDE {
            return self.skip_far(place, rest, at);
        }
        Some(at + place.len)
    }

    #[inline(never)]
    fn skip_far(&self, place: &Place, rest: &[u8], at: usize) -> Option<usize> {
        let text = self.text.get(place.start..place.start + place.len)?;
        rest.starts_with(text).then_some(at + place.len)
    }
}

/// The value at `at`, and the offset after it. `None`: only the parser can read it.
#[inline(always)]
fn value<L: Lanes>(lanes: L, bytes: &[u8], at: usize) -> Option<(Cell, usize)> {
    let (b'{' | b'[') = *bytes.get(at)? else { return scalar(lanes, bytes, at) };
    if let Some((end, _)) = list(lanes, bytes, at) {
        let (start, len) = (at as u32, (end - at) as u32);
        return Some((Cell { start, len, kind: Kind::Nested }, end));
    }
    let mut line = Line { bytes, at };
    let cell = line.nested().ok()?;
    // a line feed inside it would end the line
    memchr::memchr(b'\n', &bytes[at..line.at]).is_none().then_some((cell, line.at))
}

/// The offset after the array at `at`, and how many strings it has. `None`: it has an escape, an inner array or object,
/// or a blank that is not a single one after a comma; the parser must read it.
#[inline(always)]
pub(super) fn list<L: Lanes>(lanes: L, bytes: &[u8], at: usize) -> Option<(usize, u32)> {
    let (b'[', mut next) = (*bytes.get(at)?, at + 1) else { return None };
    if bytes.get(next) == Some(&b']') {
        return Some((next + 1, 0));
    }
    let mut strings = 0;
    loop {
        let (cell, end) = scalar(lanes, bytes, next)?;
        if cell.kind == Kind::Escaped {
            return None;
        }
        strings += u32::from(cell.kind == Kind::Quoted);
        match bytes.get(end)? {
            b']' => return Some((end + 1, strings)),
            b',' => next = end + 1 + usize::from(bytes.get(end + 1) == Some(&b' ')),
            _ => return None,
        }
    }
}

/// The same as [`value`], but not for arrays and objects.
#[inline(always)]
fn scalar<L: Lanes>(lanes: L, bytes: &[u8], at: usize) -> Option<(Cell, usize)> {
    let cell = |start: usize, len: usize, kind| Cell { start: start as u32, len: len as u32, kind };
    match *bytes.get(at)? {
        b'"' => {
            let start = at + 1;
            let mut end = start;
            while let Some(block) = bytes.get(end..).and_then(|b| b.first_chunk::<WIDE>()) {
                let special = lanes.json_special(block);
                if special != 0 {
                    end += special.trailing_zeros() as usize;
                    if bytes[end] == b'"' {
                        return Some((cell(start, end - start, Kind::Quoted), end + 1));
                    }
                    break;
                }
                end += WIDE;
            }
            let mut line = Line { bytes, at: start };
            let (cell, escaped) = line.string().ok()?;
            // the byte after a backslash may be the line feed that ends the line
            if escaped && memchr::memchr(b'\n', cell.text(bytes)).is_some() {
                return None;
            }
            Some((cell, line.at))
        }
        b'-' | b'0'..=b'9' => {
            let rest = &bytes[at..];
            let len = match rest.first_chunk::<NEAR>() {
                Some(head) => number(lanes, head).or_else(|| json_number(rest))?,
                None => json_number(rest)?,
            };
            Some((cell(at, len, Kind::Plain), at + len))
        }
        b't' if bytes[at..].starts_with(b"true") => Some((cell(at, 4, Kind::Plain), at + 4)),
        b'f' if bytes[at..].starts_with(b"false") => Some((cell(at, 5, Kind::Plain), at + 5)),
        b'n' if bytes[at..].starts_with(b"null") => Some((cell(at, 0, Kind::Null), at + 4)),
        _ => None,
    }
}

/// The length of a number without exponent, if at least one of the 16 bytes comes after it.
#[inline(always)]
fn number<L: Lanes>(lanes: L, head: &[u8; NEAR]) -> Option<usize> {
    let others = !lanes.digits(head);
    let start = usize::from(head[0] == b'-');
    let mut end = start + (others >> start).trailing_zeros() as usize;
    if end == start || end >= NEAR - 1 || (head[start] == b'0' && end > start + 1) {
        return None;
    }
    if head[end] == b'.' {
        let point = end;
        end += 1 + (others >> (point + 1)).trailing_zeros() as usize;
        if end == point + 1 || end >= NEAR {
            return None;
        }
    }
    (!matches!(head[end], b'e' | b'E')).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rows_bytes::simd::{Kernel, Level};

    struct Value<'a>(&'a [u8]);
    impl Kernel for Value<'_> {
        type Output = Option<(Cell, usize)>;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            value(lanes, self.0, 0)
        }
    }

    /// What the parser reads from one line without its line end.
    fn parsed(text: &[u8]) -> Option<(Cell, usize)> {
        let bytes = text.split(|byte| *byte == b'\n').next()?;
        let mut line = Line { bytes, at: 0 };
        line.value().ok().map(|cell| (cell, line.at))
    }

    proptest! {
        #[test]
        fn a_value_is_what_the_parser_reads(
            value in "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?|\"([a-z ü,:{]|\\\\[\"n]){0,80}\"|true|false|null|\\[1, \\{\\}\\]|[-0-9.eE\"x\\\\]{1,20}",
            behind in "[,} \\]\n]{0,3}[ a-z0-9\"]{0,40}",
        ) {
            let text = format!("{value}{behind}");
            for level in Level::all() {
                prop_assert_eq!(level.run_scalar(Value(text.as_bytes())), parsed(text.as_bytes()));
            }
        }
    }

    #[test]
    fn an_escape_before_a_line_feed_does_not_join_two_lines() {
        let text = b"\"\\\n\"";
        for level in Level::all() {
            assert_eq!(level.run_scalar(Value(text)), None);
        }
        assert_eq!(parsed(text), None);
    }
}
