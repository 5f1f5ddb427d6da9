//! Days with a time: `YYYY-MM-DD HH:MM:SS`.

use crate::date::{self, Day};
use crate::words::{digit_pairs, is_digits, word_at};

/// The day of a `YYYY-MM-DD HH:MM:SS`, which need not exist, and the seconds of the day.
#[inline(always)]
pub fn fields(text: &[u8; 19]) -> Option<(Day, u32)> {
    let between = text[10];
    let seconds = hms(word_at::<11, 19>(text))?;
    if between != b' ' && between != b'T' {
        return None;
    }
    Some((date::fields(text.first_chunk()?)?, seconds))
}

/// Seconds of the `HH:MM:SS` in the word.
#[inline(always)]
pub fn hms(word: u64) -> Option<u32> {
    let colons = (word >> 16) as u8 == b':' && (word >> 40) as u8 == b':';
    let packed =
        (word & 0xffff) | ((word >> 8) & 0xffff_0000) | ((word >> 16) & 0xffff_0000_0000) | (0x3030 << 48);
    if !colons || !is_digits(packed) {
        return None;
    }
    let pairs = digit_pairs(packed);
    let (hour, minute, second) = (pairs & 0xff, (pairs >> 16) & 0xff, (pairs >> 32) & 0xff);
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3600 + minute * 60 + second) as u32)
}
