//! Converts groups of hexadecimal digits between colons to 16 bytes.

use std::arch::x86_64::{
    __m128i, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_packus_epi16, _mm_storeu_si128, _mm256_add_epi8,
    _mm256_andnot_si256, _mm256_blend_epi32, _mm256_broadcastq_epi64, _mm256_castsi256_si128,
    _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_maddubs_epi16,
    _mm256_movemask_epi8, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setr_epi8, _mm256_shuffle_epi8,
};

use super::uuid::{all_hex, hex_values};
use crate::simd::BLOCK;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where eight groups of digits end, and how long they are. Each group has one byte, the first group the lowest byte.
#[derive(Clone, Copy)]
struct Groups {
    /// Each byte is at most 39.
    ends: u64,
    /// Each byte is 0 to 4, and never more than the byte in `ends`.
    lengths: u64,
}

/// The same as [`crate::ip::groups`]. No branch depends on how long the groups are.
///
/// # Safety
/// The CPU has AVX2, BMI1 and BMI2.
#[inline(always)]
pub(super) unsafe fn groups(bytes: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
    if len > 39 {
        return None;
    }
    // SAFETY: the caller guarantees that the CPU has the instructions. The loads read bytes 0..32 and 32..64 of the 64
    // that the reference covers.
    let colons = unsafe {
        let colon = _mm256_set1_epi8(b':'.cast_signed());
        let low = _mm256_cmpeq_epi8(_mm256_loadu_si256(bytes.as_ptr().cast()), colon);
        let high = _mm256_cmpeq_epi8(_mm256_loadu_si256(bytes.as_ptr().add(32).cast()), colon);
        let masks = [low, high].map(|half| u64::from(_mm256_movemask_epi8(half).cast_unsigned()));
        (masks[0] | (masks[1] << 32)) & ((1 << len) - 1)
    };
    let groups = if colons.count_ones() == 7 {
        let ends = positions(colons | (1 << len));
        let lengths = ends - starts(ends, 0);
        if lengths.wrapping_sub(ONES) & (ONES * 0xfc) == 0 {
            Groups { ends, lengths }
        } else {
            compressed(colons, len)?
        }
    } else if colons == 0b11 && len == 2 {
        return Some([0; 16]);
    } else {
        compressed(colons, len)?
    };
    // SAFETY: the caller guarantees that the CPU has the instructions.
    unsafe { digits(bytes, groups) }
}

/// The positions of the eight lowest set bits, one byte for each; 64 for a bit that does not exist.
#[inline(always)]
fn positions(mut mask: u64) -> u64 {
    let mut bytes = 0;
    for i in 0..8 {
        bytes |= u64::from(mask.trailing_zeros()) << (8 * i);
        mask &= mask.wrapping_sub(1);
    }
    bytes
}

/// Where the groups with these ends start: each group starts after the colon that ends the group before it.
#[inline(always)]
fn starts(ends: u64, first: u64) -> u64 {
    ((ends + ONES) << 8) | first
}

/// The groups of an address with `::`, which replaces the missing groups.
#[inline(always)]
fn compressed(colons: u64, len: usize) -> Option<Groups> {
    if len < 3 {
        return None;
    }
    let double = colons & (colons >> 1);
    // one colon of a `::` at the beginning or the end is left out, so that the `::` gives one empty group, as it does
    // between groups
    let (first, last) = (double & 1, (double >> (len - 2)) & 1);
    let colons = colons & !first;
    let len = len - last as usize;
    let colons = colons & ((1 << len) - 1);
    let count = colons.count_ones() + 1;
    // a single colon at the beginning, no `::`, or too many groups; a second `::` is a second empty group, which is
    // checked below
    if (colons & 1) != 0 || double == 0 || count > 8 {
        return None;
    }
    let used = u64::MAX >> (64 - 8 * count);
    let ends = positions(colons | (1 << len)) & used;
    let lengths = (ends.wrapping_sub(starts(ends, first))) & used;
    // lengths are below 64, so no byte borrows from the next one
    let empty = (HIGHS - lengths) & HIGHS & used;
    let long = (lengths + ONES * 0x7b) & HIGHS;
    if !empty.is_power_of_two() || long != 0 {
        return None;
    }
    // the groups from the empty one on move up; empty groups with the same end fill the gap before it
    let before = (1 << (empty.trailing_zeros() - 7)) - 1;
    let up = 64 - 8 * count;
    let moved = !before << up;
    let end = (ends >> (empty.trailing_zeros() - 7)) & 0xff;
    let filler = (end * ONES) & !before & !moved;
    let spread = |groups: u64| (groups & before) | ((groups & !before) << up);
    Some(Groups { ends: spread(ends) | filler, lengths: spread(lengths) })
}

/// The digits of the groups as 16 bytes, if they are hexadecimal.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn digits(bytes: &[u8; BLOCK], groups: Groups) -> Option<[u8; 16]> {
    let Groups { ends, lengths } = groups;
    // a pair of groups has at most nine bytes, so one load reads the pair
    let starts = (ends - lengths) & 0x00ff_00ff_00ff_00ff;
    let within = ends - (starts | (starts << 8));
    debug_assert!((0..4).all(|i| (starts >> (16 * i)) & 0xff <= 39));
    // SAFETY: the caller guarantees that the CPU has the instructions. No end is above 39, so no start is: each load
    // reads 16 of the 64 bytes that the reference covers, from 39 on at most. The store writes the 16 bytes of
    // `address`.
    unsafe {
        let pair = |i: usize| -> __m128i {
            let start = (starts >> (16 * i)) as usize & 0xff;
            _mm_loadu_si128(bytes.as_ptr().add(start).cast())
        };
        let even = _mm256_set_m128i(pair(2), pair(0));
        let odd = _mm256_set_m128i(pair(3), pair(1));
        // the byte of each group, four times
        #[rustfmt::skip]
        let four_times = _mm256_setr_epi8(
            0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
            4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7,
        );
        let spread = |groups: u64| {
            let all = _mm256_broadcastq_epi64(_mm_cvtsi64_si128(groups.cast_signed()));
            _mm256_shuffle_epi8(all, four_times)
        };
        // the four bytes before the end of each group; only the last of them belong to the group
        let at =
            _mm256_add_epi8(spread(within), _mm256_set1_epi32(i32::from_le_bytes([0xfc, 0xfd, 0xfe, 0xff])));
        let others = _mm256_cmpgt_epi8(_mm256_set1_epi32(0x0102_0304), spread(lengths));
        let text =
            _mm256_blend_epi32::<0b1100_1100>(_mm256_shuffle_epi8(even, at), _mm256_shuffle_epi8(odd, at));
        let values = _mm256_andnot_si256(others, hex_values(text));
        let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x0110));
        let packed = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
        let mut address = [0; 16];
        _mm_storeu_si128(address.as_mut_ptr().cast(), packed);
        all_hex(values).then_some(address)
    }
}
