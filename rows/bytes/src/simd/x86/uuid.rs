//! Converts 32 hexadecimal digits and four hyphens to 16 bytes.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_loadu_si32, _mm_loadu_si128, _mm_packus_epi16,
    _mm256_add_epi8, _mm256_adds_epu8, _mm256_and_si256, _mm256_broadcastd_epi32, _mm256_castsi256_si128,
    _mm256_cmpeq_epi8, _mm256_extracti128_si256, _mm256_maddubs_epi16, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setr_epi8,
    _mm256_shuffle_epi8, _mm256_sub_epi8, _mm256_subs_epu8,
};

/// The same as [`crate::uuid::halves`].
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn halves(text: &[u8; 36]) -> Option<[u64; 2]> {
    // SAFETY: the caller guarantees that the CPU has the instructions. The loads read bytes 0..16, 16..20 and 20..36 of
    // the 36 that the reference covers.
    unsafe {
        let front = _mm_loadu_si128(text.as_ptr().cast());
        let middle = _mm256_broadcastd_epi32(_mm_loadu_si32(text.as_ptr().add(16).cast()));
        let ends = _mm256_set_m128i(_mm_loadu_si128(text.as_ptr().add(20).cast()), front);
        let hyphens = _mm256_movemask_epi8(_mm256_cmpeq_epi8(ends, _mm256_set1_epi8(b'-'.cast_signed())));
        // the digits of each half, the last pair first, because the value is little-endian; -1 is a byte of the other
        // vector
        #[rustfmt::skip]
        let outer = _mm256_shuffle_epi8(ends, _mm256_setr_epi8(
            -1, -1, 14, 15, 11, 12, 9, 10, 6, 7, 4, 5, 2, 3, 0, 1,
            14, 15, 12, 13, 10, 11, 8, 9, 6, 7, 4, 5, 1, 2, -1, 0,
        ));
        #[rustfmt::skip]
        let inner = _mm256_shuffle_epi8(middle, _mm256_setr_epi8(
            0, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
            -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 3, -1,
        ));
        let values = hex_values(_mm256_or_si256(outer, inner));
        let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x0110));
        let bytes = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
        let halves =
            [_mm_cvtsi128_si64(bytes).cast_unsigned(), _mm_extract_epi64::<1>(bytes).cast_unsigned()];
        // hyphens are at bytes 8 and 13, and at byte 23, which is byte 3 of the upper lane; a hyphen in place of a
        // digit is rejected, because it is no hexadecimal digit
        let written = hyphens == (1 << 8) | (1 << 13) | (1 << 19) && text[18] == b'-';
        (written && all_hex(values)).then_some(halves)
    }
}

/// The values of hexadecimal digits in upper or lower case, 0 to 15; a number above 15 for every other byte.
///
/// Method: Geoff Langdale and Wojciech Muła, "Parsing hex numbers with validation" (2022).
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn hex_values(text: __m256i) -> __m256i {
    // SAFETY: the caller guarantees that the CPU has the instructions. No memory is accessed.
    unsafe {
        let splat = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
        // '0' to '9' become the ten highest byte values, then 0xf0 to 0xf9 with all other bytes below them, then 0 to 9
        let digits = _mm256_subs_epu8(_mm256_add_epi8(text, splat(0xff - b'9')), splat(6));
        let digits = _mm256_sub_epi8(digits, splat(0xf0));
        let upper = _mm256_and_si256(text, splat(0xdf));
        let letters = _mm256_adds_epu8(_mm256_sub_epi8(upper, splat(b'A')), splat(10));
        _mm256_min_epu8(digits, letters)
    }
}

/// Whether no value of [`hex_values`] is above 15.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn all_hex(values: __m256i) -> bool {
    // SAFETY: the caller guarantees that the CPU has the instructions. No memory is accessed.
    unsafe { _mm256_movemask_epi8(_mm256_adds_epu8(values, _mm256_set1_epi8(0x70))) == 0 }
}
