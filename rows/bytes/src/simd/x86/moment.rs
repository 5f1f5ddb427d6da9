//! `YYYY-MM-DD` and `YYYY-MM-DD HH:MM:SS` to numbers.

use std::arch::x86_64::{
    _mm_add_epi32, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_extract_epi32, _mm_loadu_si128, _mm_madd_epi16,
    _mm_maddubs_epi16, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi16, _mm_setr_epi8, _mm_setr_epi16,
    _mm_shuffle_epi8, _mm_sub_epi8, _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_extracti128_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set_m128i,
    _mm256_set1_epi16, _mm256_setr_epi8, _mm256_setr_epi16, _mm256_shuffle_epi8, _mm256_sub_epi8,
};

use crate::date::Day;

const ZERO: i8 = b'0'.cast_signed();
const HYPHEN: i8 = b'-'.cast_signed();
const COLON: i8 = b':'.cast_signed();

/// The same as [`crate::date::fields`] for the first ten bytes.
///
/// # Safety
/// The CPU has SSE4.1.
#[inline(always)]
pub(super) unsafe fn day(bytes: &[u8; 16]) -> Option<Day> {
    // SAFETY: the caller guarantees that the CPU has the instructions. The load reads the 16 bytes that the reference
    // covers.
    unsafe {
        // YYYYMMDD, and the hyphens
        let order = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 8, 9, 4, 7, -1, -1, -1, -1, -1, -1);
        let text = _mm_shuffle_epi8(_mm_loadu_si128(bytes.as_ptr().cast()), order);
        #[rustfmt::skip]
        let values = _mm_sub_epi8(text, _mm_setr_epi8(
            ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, HYPHEN, HYPHEN, 0, 0, 0, 0, 0, 0,
        ));
        let most = _mm_setr_epi8(9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0);
        let written = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, most), values)) == 0xffff;
        let pairs = _mm_maddubs_epi16(values, _mm_set1_epi16(0x010a));
        let numbers = _mm_madd_epi16(pairs, _mm_setr_epi16(100, 1, 128, 1, 0, 0, 0, 0));
        let both = _mm_cvtsi128_si64(numbers).cast_unsigned();
        written.then_some(Day { year: both as u32, month_day: (both >> 32) as u32 })
    }
}

/// The same as [`crate::moment::fields`].
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn moment(bytes: &[u8; 19]) -> Option<(Day, u32)> {
    // SAFETY: the caller guarantees that the CPU has the instructions. The loads read bytes 0..16 and 3..19 of the 19
    // that the reference covers.
    unsafe {
        let front = _mm_loadu_si128(bytes.as_ptr().cast());
        let back = _mm_loadu_si128(bytes.as_ptr().add(3).cast());
        // `YYYYMMDDHHMM`, the hyphens and the first colon; then `SS` at the place of seconds, and the second colon
        #[rustfmt::skip]
        let text = _mm256_shuffle_epi8(_mm256_set_m128i(back, front), _mm256_setr_epi8(
            0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 4, 7, 13, -1,
            -1, -1, -1, -1, -1, -1, -1, -1, 14, 15, -1, -1, 13, -1, -1, -1,
        ));
        #[rustfmt::skip]
        let values = _mm256_sub_epi8(text, _mm256_setr_epi8(
            ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, HYPHEN, HYPHEN, COLON, 0,
            0, 0, 0, 0, 0, 0, 0, 0, ZERO, ZERO, 0, 0, COLON, 0, 0, 0,
        ));
        #[rustfmt::skip]
        let most = _mm256_setr_epi8(
            9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 5, 9, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 5, 9, 0, 0, 0, 0, 0, 0,
        );
        let written = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(values, most), values)) == -1;
        let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x010a));
        let weights = _mm256_setr_epi16(100, 1, 128, 1, 3600, 60, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
        let numbers = _mm256_madd_epi16(pairs, weights);
        let numbers = _mm_add_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256::<1>(numbers));
        let both = _mm_cvtsi128_si64(numbers).cast_unsigned();
        let seconds = _mm_extract_epi32::<2>(numbers).cast_unsigned();
        let between = bytes[10] == b' ' || bytes[10] == b'T';
        // minutes and seconds are below 60, so a day has too many seconds only if the hours are too many
        let real = written && between && seconds < 86_400;
        real.then_some((Day { year: both as u32, month_day: (both >> 32) as u32 }, seconds))
    }
}
