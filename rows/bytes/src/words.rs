//! Reads digits a word at a time, without the CPU's wider instructions. `simd` must return the same results.
//!
//! Method: Daniel Lemire, "Quickly parsing eight digits" (2018), with the digits moved to the high end of the word.

/// Bytes of a block.
pub const BLOCK: usize = 64;

const ZEROS: u64 = 0x3030_3030_3030_3030;
const DOTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;

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

/// Which of the eight bytes are ASCII digits: bit `i` is for byte `i`.
#[inline(always)]
pub(crate) fn digit_mask(word: u64) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // with the high bit cleared: at least 0x30, and less than 0x3a
    let bits = word & LOW;
    let digit = (bits + 0x5050_5050_5050_5050) & !(bits + 0x4646_4646_4646_4646) & !word & !LOW;
    ((digit >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
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
pub(crate) fn short_digits(word: u64, len: usize) -> Option<u64> {
    let shift = 64 - 8 * len as u32;
    eight_digits((word << shift) | (ZEROS & ((1u64 << shift) - 1)))
}

/// Digits with at most one point among them, in the first `len` (1..=16) bytes. Returns the number without the point,
/// and where the point is; `len` without a point.
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
        // a single point has no digits
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
