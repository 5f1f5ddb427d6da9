//! The text of a cell, and the numbers in it.

use crate::words::{eight_digits, short_digits};

/// The text of one cell. `tail` continues after the cell to the end of its buffer, so that complete words can be
/// loaded.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    tail: &'a [u8],
    len: usize,
}

impl<'a> Text<'a> {
    /// The first `len` bytes of `tail`; `len` is at most `tail.len()`.
    #[inline(always)]
    pub fn new(tail: &'a [u8], len: usize) -> Self {
        debug_assert!(len <= tail.len());
        Self { tail, len }
    }

    /// All of these bytes; no bytes come after the text.
    #[inline]
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { tail: bytes, len: bytes.len() }
    }

    /// Its length in bytes.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "callers compare the length")]
    pub fn len(self) -> usize {
        self.len
    }

    /// Its bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        &self.tail[..self.len]
    }

    /// The byte at `at`; 0 after the end of the buffer.
    #[inline(always)]
    pub fn byte(self, at: usize) -> u8 {
        self.tail.get(at).copied().unwrap_or(0)
    }

    /// The text without its first `n` bytes; `n` is at most the length.
    #[inline(always)]
    #[must_use]
    pub fn skip(self, n: usize) -> Self {
        Self { tail: self.tail.get(n..).unwrap_or_default(), len: self.len.saturating_sub(n) }
    }

    /// The first `len` bytes of the text; `len` is at most its length.
    #[inline(always)]
    #[must_use]
    pub fn until(self, len: usize) -> Self {
        Self { tail: self.tail, len: len.min(self.len) }
    }

    /// Eight bytes from `at`, little-endian. Bytes after the cell are unspecified.
    #[inline(always)]
    pub fn word(self, at: usize) -> u64 {
        match self.tail.get(at..).and_then(|t| t.first_chunk::<8>()) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => self.short_word(at),
        }
    }

    /// The first `N` bytes of the buffer, if it is that long.
    #[inline(always)]
    pub fn head<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.tail.first_chunk()
    }

    /// The first `N` bytes of the buffer. If the buffer is shorter, a copy of it in `copy`, filled with zeros.
    #[inline(always)]
    pub fn front<'b, const N: usize>(self, copy: &'b mut Option<[u8; N]>) -> &'b [u8; N]
    where
        'a: 'b,
    {
        match self.head() {
            Some(head) => head,
            None => copy.insert(self.padded()),
        }
    }

    #[cold]
    fn padded<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        let len = self.tail.len().min(N);
        bytes[..len].copy_from_slice(&self.tail[..len]);
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

/// The number in the 1 to 16 digits from `at`; `len` is how many. Leading zeros are accepted.
#[inline(always)]
pub fn digits(text: Text<'_>, at: usize, len: usize) -> Option<u64> {
    if len.wrapping_sub(1) < 8 {
        return short_digits(text.word(at), len);
    }
    if len.wrapping_sub(9) < 8 {
        let high = short_digits(text.word(at), len - 8)?;
        return Some(high * 100_000_000 + eight_digits(text.word(at + len - 8))?);
    }
    None
}

/// Whether the text is a number in JSON's grammar (RFC 8259 section 6).
#[inline]
pub fn is_json_number(text: &[u8]) -> bool {
    json_number(text) == Some(text.len())
}

/// The length of the number, in JSON's grammar, at the start of the text.
#[inline]
pub fn json_number(text: &[u8]) -> Option<usize> {
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

/// How many bytes come before the first `"`, `\\` or control character; all of them if none of these occurs.
#[inline]
pub fn plain_json(text: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let special = |b: &u8| matches!(b, b'"' | b'\\' | 0..0x20);
    let mut at = 0;
    // higher bytes can be flagged wrongly, but the lowest flagged byte is always correct, and it is the one that is
    // used
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
