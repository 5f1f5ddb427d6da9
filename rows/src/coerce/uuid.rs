//! `UUID`: 8-4-4-4-12 hexadecimal digits in upper or lower case (RFC 9562), without braces or blanks around them.

use super::cell_error::CellError;
use super::text::Text;
use super::{Native, Read};
use crate::simd::Lanes;
use crate::words::word_at;

/// A UUID as ClickHouse stores it: two 64-bit halves, each little-endian, the first half first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halves(u64, u64);

impl Native for Halves {
    const WIDTH: usize = 16;
    #[inline(always)]
    fn put(self, slot: &mut [u8]) {
        slot[..8].copy_from_slice(&self.0.to_le_bytes());
        slot[8..].copy_from_slice(&self.1.to_le_bytes());
    }
    fn get(slot: &[u8]) -> Self {
        Self(u64::get(&slot[..8]), u64::get(&slot[8..]))
    }
}

/// Reads `UUID`.
#[derive(Debug)]
pub(crate) struct Uuid;

impl Read for Uuid {
    type Value = Halves;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<Halves> {
        if text.len() != 36 {
            return None;
        }
        lanes.uuid(text.head()?).map(|[first, second]| Halves(first, second))
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() { CellError::MissingValue } else { CellError::NotUuid }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (!text.is_empty() && text.len() != 36).then_some(CellError::NotUuid)
    }
}

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

#[inline(always)]
pub(super) fn is_hex(word: u64) -> bool {
    // without the high bits, no addition carries into the next byte
    let ascii = word & !HIGH;
    let digits = ascii.wrapping_add(splat(0x80 - b'0')) & !ascii.wrapping_add(splat(0x7f - b'9')) & HIGH;
    (word & HIGH) == 0 && (digits | letters(ascii)) == HIGH
}

/// Eight hexadecimal digits to 32 bits; the first digit is in the highest bits.
#[inline(always)]
pub(super) fn from_hex(word: u64) -> u64 {
    let nibbles = (word & splat(0x0f)).wrapping_add((letters(word & !HIGH) >> 7) * 9);
    let bytes = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | (bytes >> 8)) & 0x0000_ffff_0000_ffff;
    let packed = (pairs | (pairs >> 16)) as u32;
    u64::from(packed.swap_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::{SUSPECTS, read, spoiled};
    use proptest::prelude::*;

    fn plain(text: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(text).ok()?;
        let hyphens = text.match_indices('-').map(|(at, _)| at).eq([8, 13, 18, 23]);
        let digits = text.replace('-', "");
        let hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u128::from_str_radix(&digits, 16).ok().filter(|_| hyphens && hex)?;
        Some([((value >> 64) as u64).to_le_bytes(), (value as u64).to_le_bytes()].concat())
    }

    proptest! {
        #[test]
        fn a_uuid_is_its_digits(
            text in "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-fA-F]{12}",
            at in 0usize..72, byte in prop::sample::select(SUSPECTS), cut in 0usize..37,
        ) {
            prop_assert!(plain(text.as_bytes()).is_some());
            for text in [text.clone().into_bytes(), spoiled(text.clone().into_bytes(), at, byte), text.as_bytes()[..cut.min(36)].to_vec()] {
                prop_assert_eq!(read(&Uuid, &text), plain(&text));
            }
        }
    }
}
