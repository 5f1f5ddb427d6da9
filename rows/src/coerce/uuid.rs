//! `UUID`: 8-4-4-4-12 hexadecimal digits of either case (RFC 9562), nothing around them.

use super::text::Text;
use super::why::Why;
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
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<Halves> {
        if text.len() != 36 {
            return None;
        }
        // 8-4-4-4-12 as four words of eight digits: the two in the middle are put together from halves
        let head = text.head::<36>()?;
        let dashes = [head[8], head[13], head[18], head[23]] == [b'-'; 4];
        let joined = |low: u64, high: u64| (low & u64::from(u32::MAX)) | (high << 32);
        let second = joined(word_at::<9, 36>(head), word_at::<14, 36>(head));
        let third = joined(word_at::<19, 36>(head), word_at::<24, 36>(head));
        let words = [word_at::<0, 36>(head), second, third, word_at::<28, 36>(head)];
        let valid = words.iter().fold(dashes, |ok, w| ok & is_hex(*w));
        let [w0, w1, w2, w3] = words.map(from_hex);
        valid.then_some(Halves((w0 << 32) | w1, (w2 << 32) | w3))
    }

    fn explain(&self, text: &[u8]) -> Why {
        if text.is_empty() { Why::MissingValue } else { Why::NotUuid }
    }

    fn refuse(&self, text: &[u8]) -> Option<Why> {
        (!text.is_empty() && text.len() != 36).then_some(Why::NotUuid)
    }
}

const HIGH: u64 = 0x8080_8080_8080_8080;

const fn splat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// High bit of each byte that is in `'a'..='f'` once made lower-case; the bytes are ASCII.
#[inline(always)]
fn letters(word: u64) -> u64 {
    let lower = word | splat(0x20);
    lower.wrapping_add(splat(0x80 - b'a')) & !lower.wrapping_add(splat(0x7f - b'f')) & HIGH
}

#[inline(always)]
pub(super) fn is_hex(word: u64) -> bool {
    // without the high bits no addition carries into the next byte
    let ascii = word & !HIGH;
    let digits = ascii.wrapping_add(splat(0x80 - b'0')) & !ascii.wrapping_add(splat(0x7f - b'9')) & HIGH;
    (word & HIGH) == 0 && (digits | letters(ascii)) == HIGH
}

/// Eight hexadecimal digits to 32 bits, the first digit highest.
#[inline(always)]
pub(super) fn from_hex(word: u64) -> u64 {
    let nibbles = (word & splat(0x0f)).wrapping_add((letters(word & !HIGH) >> 7) * 9);
    let bytes = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | (bytes >> 8)) & 0x0000_ffff_0000_ffff;
    let packed = (pairs | (pairs >> 16)) as u32;
    u64::from(packed.swap_bytes())
}
