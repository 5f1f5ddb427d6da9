//! The text of a cell, with word-at-a-time reading of digits.
//!
//! Method: Daniel Lemire, "Quickly parsing eight digits" (2018), with the digits moved to the high end of the word.

use crate::simd::Lanes;

/// The text of one cell. `tail` goes on past the cell to the end of its buffer, so that whole words can be loaded.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    tail: &'a [u8],
    len: usize,
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
const DOTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;

impl<'a> Text<'a> {
    /// The first `len` bytes of `tail`; `len` is at most `tail.len()`.
    #[inline(always)]
    pub(crate) fn new(tail: &'a [u8], len: usize) -> Self {
        debug_assert!(len <= tail.len());
        Self { tail, len }
    }

    /// All of these bytes, with nothing after them.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self { tail: bytes, len: bytes.len() }
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.tail[..self.len]
    }

    /// The byte at `at`; 0 past the buffer.
    #[inline(always)]
    pub(crate) fn byte(self, at: usize) -> u8 {
        self.tail.get(at).copied().unwrap_or(0)
    }

    /// The text without its first `n` bytes; `n` is at most the length.
    #[inline(always)]
    pub(crate) fn skip(self, n: usize) -> Self {
        Self { tail: self.tail.get(n..).unwrap_or_default(), len: self.len.saturating_sub(n) }
    }

    /// Eight bytes from `at`, little-endian; what is past the cell is unspecified.
    #[inline(always)]
    pub(crate) fn word(self, at: usize) -> u64 {
        match self.tail.get(at..).and_then(|t| t.first_chunk::<8>()) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => self.short_word(at),
        }
    }

    /// The first `N` bytes of the buffer, if it has so many.
    #[inline(always)]
    pub(crate) fn head<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.tail.first_chunk()
    }

    #[cold]
    fn short_head(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(self.tail) {
            *to = *from;
        }
        bytes
    }

    #[cold]
    fn short_word(self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(self.tail.get(at..).unwrap_or_default()) {
            *to = *from;
        }
        u64::from_le_bytes(bytes)
    }
}

/// Eight bytes from `AT`, little-endian.
#[inline(always)]
pub(crate) fn word_at<const AT: usize, const N: usize>(bytes: &[u8; N]) -> u64 {
    const { assert!(AT + 8 <= N, "the word goes past the bytes") };
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[AT..AT + 8]);
    u64::from_le_bytes(word)
}

/// The number in eight ASCII digits, the first digit in the lowest byte.
#[inline(always)]
pub(crate) fn eight_digits(word: u64) -> Option<u64> {
    is_digits(word).then(|| pairs_to_number(digit_pairs(word)))
}

/// Whether all eight bytes are ASCII digits.
#[inline(always)]
pub(crate) fn is_digits(word: u64) -> bool {
    let high = word & 0xf0f0_f0f0_f0f0_f0f0;
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    (high | (carried >> 4)) == 0x3333_3333_3333_3333
}

/// Four two-digit numbers in four 16-bit lanes, the first pair in the lowest.
#[inline(always)]
pub(crate) fn digit_pairs(word: u64) -> u64 {
    ((word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(2561) >> 8) & 0x00ff_00ff_00ff_00ff
}

#[inline(always)]
fn pairs_to_number(pairs: u64) -> u64 {
    let fours = (pairs.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// The number in the first `len` (1..=8) bytes of the word.
#[inline(always)]
fn short_digits(word: u64, len: usize) -> Option<u64> {
    let shift = 64 - 8 * len as u32;
    eight_digits((word << shift) | (ZEROS & ((1u64 << shift) - 1)))
}

/// The number in `len` digits from `at`, for 1..=16 digits; leading zeros are read.
#[inline(always)]
pub(crate) fn digits(text: Text<'_>, at: usize, len: usize) -> Option<u64> {
    if len.wrapping_sub(1) < 8 {
        return short_digits(text.word(at), len);
    }
    if len.wrapping_sub(9) < 8 {
        let high = short_digits(text.word(at), len - 8)?;
        return Some(high * 100_000_000 + eight_digits(text.word(at + len - 8))?);
    }
    None
}

/// A plain decimal number of at most 15 digits: `-`, digits, and maybe a `.` with digits after it.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    pub negative: bool,
    /// All digits without the point: less than 10^16.
    pub digits: u64,
    /// How many of them stand after the point.
    pub fraction: usize,
}

/// Reads a number in JSON's grammar without an exponent; `None` also for numbers of more than 16 bytes, which are left
/// to slower ways.
#[inline(always)]
pub(crate) fn number<L: Lanes>(lanes: L, text: Text<'_>) -> Option<Number> {
    let negative = text.byte(0) == b'-' && text.len() > 0;
    let text = text.skip(usize::from(negative));
    let len = text.len();
    if len.wrapping_sub(1) >= 16 {
        return None;
    }
    let (digits, point) = match text.head::<16>() {
        Some(head) => lanes.decimal(head, len)?,
        None => lanes.decimal(&text.short_head(), len)?,
    };
    if !is_grammar(text.byte(0), point, len) {
        return None;
    }
    Some(Number { negative, digits, fraction: len.saturating_sub(1 + point) })
}

/// Digits with at most one point among them, in the first `len` (1..=16) bytes: the number without the point, and where
/// the point stands; `len` if there is none.
#[inline(always)]
pub(crate) fn decimal(bytes: &[u8; 16], len: usize) -> Option<(u64, usize)> {
    let (low, high) = (word_at::<0, 16>(bytes), word_at::<8, 16>(bytes));
    if len <= 8 {
        let point = find_point(low).min(len);
        if point == len {
            return Some((short_digits(low, len)?, point));
        }
        let before = (1u64 << (8 * point as u32)) - 1;
        let joined = (low & before) | ((low >> 8) & !before);
        // a point alone has no digits
        return if len == 1 { None } else { Some((short_digits(joined, len - 1)?, point)) };
    }
    let point = find_point_16(low, high).min(len);
    let wide = u128::from(low) | (u128::from(high) << 64);
    let before = 1u128.checked_shl(8 * point as u32).unwrap_or(0).wrapping_sub(1);
    let joined = (wide & before) | ((wide >> 8) & !before);
    Some((sixteen_digits(joined, len - usize::from(point < len))?, point))
}

/// The number in the first `len` (1..=16) bytes, the first digit in the lowest byte.
#[inline(always)]
fn sixteen_digits(bytes: u128, len: usize) -> Option<u64> {
    let shift = 8 * (16 - len) as u32;
    let filler = u128::from(ZEROS) | (u128::from(ZEROS) << 64);
    let aligned = (bytes << shift) | (filler & ((1u128 << shift) - 1));
    let (high, low) = (aligned as u64, (aligned >> 64) as u64);
    let number = |word| pairs_to_number(digit_pairs(word));
    (is_digits(high) & is_digits(low)).then(|| number(high) * 100_000_000 + number(low))
}

/// `0` may stand first only alone or before the point; a point needs digits on both sides.
#[inline(always)]
fn is_grammar(first: u8, point: usize, len: usize) -> bool {
    !(point == 0 || point + 1 == len || (first == b'0' && point > 1))
}

/// Index of the first `.` in the word; 8 if there is none.
#[inline(always)]
fn find_point(word: u64) -> usize {
    let x = word ^ DOTS;
    let zero = x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080;
    zero.trailing_zeros() as usize / 8
}

#[inline(always)]
fn find_point_16(low: u64, high: u64) -> usize {
    let at = find_point(low);
    if at < 8 { at } else { 8 + find_point(high) }
}

/// Whether the text is a number in JSON's grammar (RFC 8259 section 6).
pub(crate) fn is_json_number(text: &[u8]) -> bool {
    json_number(text) == Some(text.len())
}

/// The length of the number in JSON's grammar that the text begins with.
#[inline]
pub(crate) fn json_number(text: &[u8]) -> Option<usize> {
    let run = |at: usize| {
        let digits = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        (digits > 0).then_some(at + digits)
    };
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = run(start)?;
    if text[start] == b'0' && end > start + 1 {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        end = run(end + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        end = run(end + 1 + sign)?;
    }
    Some(end)
}

/// How many bytes stand before the first `"`, `\\` or control character; all if there is none.
#[inline]
pub(crate) fn plain_json(text: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let special = |b: &u8| matches!(b, b'"' | b'\\' | 0..0x20);
    let mut at = 0;
    // the lowest byte that is flagged is flagged rightly, so the first one is found
    while let Some(bytes) = text.get(at..).and_then(|t| t.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*bytes);
        let zero = |x: u64| x.wrapping_sub(LOW) & !x;
        let control = word.wrapping_sub(LOW * 0x20) & !word;
        let found = (zero(word ^ (LOW * 0x22)) | zero(word ^ (LOW * 0x5c)) | control) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + text[at..].iter().position(special).unwrap_or(text.len() - at)
}
