//! Arrays of texts in the usual form, found many bytes at a time: `['a','b']`, `["a", "b"]`.

use rows_bytes::simd::{BLOCK, Lanes};

/// The number of texts in a JSON array of at most 64 bytes, if it has only texts without escapes and is in the usual
/// form: `["a", "b"]`. Control characters in the texts are not checked.
#[inline(always)]
pub(crate) fn json_texts<L: Lanes>(lanes: L, block: &[u8; BLOCK], len: usize) -> Option<u32> {
    let (opens, _) = bounds(lanes, block, len, false)?;
    (block[1] == b'"' || len == 2).then_some(opens.count_ones())
}

/// The quotes that open and close the texts of the array in the block's first `len` bytes. `None`: the array is not in
/// the usual form.
#[inline(always)]
pub fn bounds<L: Lanes>(
    lanes: L,
    block: &[u8; BLOCK],
    len: usize,
    maybe_doubled: bool,
) -> Option<(u64, u64)> {
    if !(2..=BLOCK).contains(&len) || block[0] != b'[' || block[len - 1] != b']' {
        return None;
    }
    let quote = if block[1] == b'"' && !maybe_doubled { b'"' } else { b'\'' };
    let stop = if maybe_doubled { b'"' } else { b'\\' };
    let [quotes, escapes, stops] = lanes.equal(block, [quote, b'\\', stop]);
    let [commas, blanks] = lanes.equal(block, [b',', b' ']);
    let live = u64::MAX >> (BLOCK - len);
    let quotes = quotes & live;
    // the bytes of each text, and the quote before it
    let inside = lanes.parity(quotes);
    let (opens, closes) = (quotes & inside, quotes & !inside);
    let outside = live & !(quotes | inside);
    let (commas, blanks) = (commas & outside, blanks & outside);
    // after each text: a comma or the end; before each text: the start, a comma, or a comma and a blank
    let (start, end) = (1, 1 << (len - 1));
    let (first, last) = if quotes == 0 { (0, 0) } else { (start, end) };
    let before = (commas & !(blanks >> 1)) | blanks | first;
    let simple = outside == (commas | blanks | start | end)
        && closes << 1 == commas | last
        && opens == before << 1
        && blanks & !(commas << 1) == 0
        && (escapes | stops) & live == 0;
    simple.then_some((opens, closes))
}
