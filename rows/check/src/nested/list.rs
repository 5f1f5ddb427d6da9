//! The fast path for arrays of simple elements in the usual form: `['a','b']`, `["a", "b"]`, `[1,2]`.
//!
//! An array with an escape, a NULL, or other blanks than one after a comma is left to [`super::read`], which accepts
//! the same texts and more.

use rows_bytes::simd::{BLOCK, Lanes, Portable, WIDE};
use rows_bytes::text::Text;
use rows_split::lists::bounds;

use super::{Leaf, Node, Tree};
use crate::coerce::{Native, Read};
use crate::native::SHORT;
use crate::reader::{Reader, with_reader};

impl Node {
    /// The elements, if this is an array that [`push`] can read.
    pub(crate) fn elements(&self) -> Option<&Leaf> {
        match self {
            Self::Array(element) => match &**element {
                Self::Leaf(leaf) if !matches!(leaf.reader, Reader::FixedString(_) | Reader::Json) => {
                    Some(leaf)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// Reads the array in the first `len` bytes of `tail`. If it is not in the usual form, adds nothing and returns
/// `false`.
///
/// `maybe_doubled`: each `"` in it may be half of a doubled quote. `keep`: whether the array is added; no branch
/// depends on it.
#[inline(always)]
pub(super) fn push<L: Lanes>(
    lanes: L,
    leaf: &Leaf,
    tail: &[u8],
    len: usize,
    maybe_doubled: bool,
    keep: bool,
    out: &mut Tree,
) -> bool {
    let Some(elements) = out.children.first_mut() else { return false };
    let before = elements.data.len();
    let count = match leaf.reader {
        Reader::String => short_texts(lanes, tail, len, maybe_doubled, elements)
            .or_else(|| texts(lanes, tail, len, maybe_doubled, elements)),
        _ => values(leaf, tail, len, maybe_doubled, elements),
    };
    let Some(count) = count else {
        elements.data.truncate(before);
        return false;
    };
    if leaf.ty.nullable {
        elements.nulls.grow(if keep { count } else { 0 }).fill(0);
    }
    elements.data.truncate(if keep { usize::MAX } else { before });
    let before = out.data.len();
    out.push_count(count);
    out.data.truncate(if keep { usize::MAX } else { before });
    true
}

/// Adds the texts of an array of at most 64 bytes; returns their number. For up to four texts, no branch depends on the
/// number.
#[inline(always)]
fn short_texts<L: Lanes>(
    lanes: L,
    tail: &[u8],
    len: usize,
    maybe_doubled: bool,
    out: &mut Tree,
) -> Option<usize> {
    let near = tail.first_chunk::<{ 2 * BLOCK }>()?;
    let (mut opens, mut closes) = bounds(lanes, near.first_chunk()?, len, maybe_doubled)?;
    let count = opens.count_ones() as usize;
    let to = out.data.spare();
    let mut at = 0;
    let mut put = |open: u64, close: u64| -> Option<()> {
        // without an element, `open` and `close` are 0, and both have 64 trailing zeros
        let (start, end) = (open.trailing_zeros() as usize + 1, close.trailing_zeros() as usize);
        let len = end.saturating_sub(start);
        let from = near.get(start..)?.first_chunk::<SHORT>().filter(|_| len <= SHORT)?;
        let (length, to) = to.get_mut(at..)?.split_first_mut()?;
        *length = len as u8;
        *to.first_chunk_mut()? = *from;
        at += if open == 0 { 0 } else { 1 + len };
        Some(())
    };
    for _ in 0..4 {
        put(opens, closes)?;
        (opens, closes) = (opens & opens.wrapping_sub(1), closes & closes.wrapping_sub(1));
    }
    while opens != 0 {
        put(opens, closes)?;
        (opens, closes) = (opens & opens.wrapping_sub(1), closes & closes.wrapping_sub(1));
    }
    out.data.advance(at);
    Some(count)
}

/// Adds the texts of an array; returns their number.
#[inline(always)]
fn texts<L: Lanes>(lanes: L, tail: &[u8], len: usize, maybe_doubled: bool, out: &mut Tree) -> Option<usize> {
    let quote = match tail {
        [b'[', b']', ..] => return (len == 2).then_some(0),
        [b'[', b'\'', ..] => b'\'',
        [b'[', b'"', ..] if !maybe_doubled => b'"',
        _ => return None,
    };
    let stops = [quote, b'\\', if maybe_doubled { b'"' } else { quote }];
    let (mut start, mut count) = (2, 0);
    loop {
        let end = find(lanes, tail, start, stops);
        if end + 1 >= len || tail[end] != quote {
            return None;
        }
        out.data.push_text(tail, start, end - start);
        count += 1;
        match next(tail, end + 1, len)? {
            Next::End => return Some(count),
            Next::Element(at) if tail.get(at) == Some(&quote) => start = at + 1,
            Next::Element(_) => return None,
        }
    }
}

/// Adds the values of an array of a type of fixed width; returns their number.
#[inline(never)]
fn values(leaf: &Leaf, tail: &[u8], len: usize, maybe_doubled: bool, out: &mut Tree) -> Option<usize> {
    fn values<R: Read>(
        reader: &R,
        bare: bool,
        tail: &[u8],
        len: usize,
        maybe_doubled: bool,
        out: &mut Tree,
    ) -> Option<usize> {
        if let [b'[', b']', ..] = tail {
            return (len == 2).then_some(0);
        }
        let (mut at, mut count) = (1, 0);
        if tail.first() != Some(&b'[') {
            return None;
        }
        loop {
            let quote = match tail.get(at)? {
                b'\'' => Some(b'\''),
                b'"' if !maybe_doubled => Some(b'"'),
                _ if bare => None,
                _ => return None,
            };
            let (start, stops) = match quote {
                Some(quote) => (at + 1, [quote, b'\\', if maybe_doubled { b'"' } else { quote }]),
                None => (at, [b',', b']', b']']),
            };
            let end = find(Portable, tail, start, stops);
            if end >= len || quote.is_some_and(|quote| tail[end] != quote) {
                return None;
            }
            let value = reader.read(Portable, Text::new(&tail[start..], end - start))?;
            value.put(out.data.grow(R::Value::WIDTH));
            count += 1;
            match next(tail, end + usize::from(quote.is_some()), len)? {
                Next::End => return Some(count),
                Next::Element(next) => at = next,
            }
        }
    }
    with_reader!(&leaf.reader, reader => values(reader, leaf.bare, tail, len, maybe_doubled, out), texts => None)
}

/// What follows an element.
enum Next {
    /// The end of the array, which is also the end of the text.
    End,
    /// Another element, which begins here.
    Element(usize),
}

#[inline(always)]
fn next(tail: &[u8], at: usize, len: usize) -> Option<Next> {
    match tail.get(at)? {
        b']' => (at + 1 == len).then_some(Next::End),
        b',' => Some(Next::Element(at + 1 + usize::from(tail.get(at + 1) == Some(&b' ')))),
        _ => None,
    }
}

/// The position of the first of the bytes `stops` at or after `at`; the end of `tail` if none of them follows.
#[inline(always)]
fn find<L: Lanes>(lanes: L, tail: &[u8], mut at: usize, stops: [u8; 3]) -> usize {
    while let Some(block) = tail.get(at..).and_then(|t| t.first_chunk::<WIDE>()) {
        let found = lanes.any_of(block, stops);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += WIDE;
    }
    let rest = tail.get(at..).unwrap_or_default();
    at + rest.iter().position(|b| stops.contains(b)).unwrap_or(rest.len())
}
