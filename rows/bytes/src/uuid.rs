//! `UUID`s: 8-4-4-4-12 hexadecimal digits.

use crate::words::word_at;

/// The two halves of the UUID in 36 bytes; the first digit of a half is in its highest bits.
#[inline(always)]
pub(crate) fn halves(text: &[u8; 36]) -> Option<[u64; 2]> {
    // 8-4-4-4-12 as four words of eight digits; the two words in the middle are joined from halves
    let dashes = [text[8], text[13], text[18], text[23]] == [b'-'; 4];
    let joined = |low: u64, high: u64| (low & u64::from(u32::MAX)) | (high << 32);
    let second = joined(word_at::<9, 36>(text), word_at::<14, 36>(text));
    let third = joined(word_at::<19, 36>(text), word_at::<24, 36>(text));
    let words = [word_at::<0, 36>(text), second, third, word_at::<28, 36>(text)];
    let valid = words.iter().fold(dashes, |ok, w| ok & is_hex(*w));
    let [w0, w1, w2, w3] = words.map(from_hex);
    valid.then_some([(w0 << 32) | w1, (w2 << 32) | w3])
}

const HIGH: u64 = 0x8080_8080_8080_8080;

const fn splat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bit of each byte that is `'a'..='f'` after conversion to lower case. The bytes must be ASCII.
#[inline(always)]
fn letters(word: u64) -> u64 {
    let lower = word | splat(0x20);
    lower.wrapping_add(splat(0x80 - b'a')) & !lower.wrapping_add(splat(0x7f - b'f')) & HIGH
}

/// Whether all eight bytes are hexadecimal digits.
#[inline(always)]
pub(crate) fn is_hex(word: u64) -> bool {
    // without the high bits, no addition carries into the next byte
    let ascii = word & !HIGH;
    let digits = ascii.wrapping_add(splat(0x80 - b'0')) & !ascii.wrapping_add(splat(0x7f - b'9')) & HIGH;
    (word & HIGH) == 0 && (digits | letters(ascii)) == HIGH
}

/// Eight hexadecimal digits to 32 bits; the first digit is in the highest bits.
#[inline(always)]
pub(crate) fn from_hex(word: u64) -> u64 {
    let nibbles = (word & splat(0x0f)).wrapping_add((letters(word & !HIGH) >> 7) * 9);
    let bytes = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | (bytes >> 8)) & 0x0000_ffff_0000_ffff;
    let packed = (pairs | (pairs >> 16)) as u32;
    u64::from(packed.swap_bytes())
}
