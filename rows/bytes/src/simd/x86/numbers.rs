//! Eight plain decimal numbers at once, with AVX-512. Method: the digits of each text are moved to the end of 16 bytes.
//! Then neighbours are multiplied by 10^n and 1 and added, three times (Wojciech Muła, "Parsing series of integers with
//! SIMD", 2018).

use std::arch::x86_64::{
    __m128i, __m512i, _mm_add_epi16, _mm_and_si128, _mm_andnot_si128, _mm_cvtsi128_si64, _mm_extract_epi64,
    _mm_loadu_si128, _mm_maskz_mov_epi16, _mm_or_si128, _mm_popcnt_epi16, _mm_set_epi64x, _mm_set1_epi16,
    _mm_setzero_si128, _mm_srlv_epi16, _mm_storeu_si128, _mm_sub_epi16, _mm_test_epi16_mask,
    _mm_testn_epi16_mask, _mm_xor_si128, _mm256_cvtusepi32_epi16, _mm256_loadu_si256,
    _mm256_testn_epi32_mask, _mm512_add_epi8, _mm512_add_epi64, _mm512_bslli_epi128, _mm512_castsi128_si512,
    _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_inserti32x4, _mm512_loadu_si512,
    _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_mask_mov_epi8, _mm512_maskz_mov_epi8,
    _mm512_maskz_set1_epi64, _mm512_mul_epu32, _mm512_packus_epi32, _mm512_permutex2var_epi64,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_setr_epi64, _mm512_shuffle_epi8, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi8,
};

use crate::simd::numbers::{Numbers, Texts};
use crate::simd::{BLOCK, DIGITS};

/// For each byte of the four lanes: where the low byte of its lane's number is, among four 16-bit numbers.
static LANE_OF: [u8; BLOCK] = {
    let mut table = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        table[i] = (i / DIGITS * 2) as u8;
        i += 1;
    }
    table
};

/// For each byte of the four lanes: its place in its lane, minus 16.
static BEFORE_END: [i8; BLOCK] = {
    let mut table = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        table[i] = (i % DIGITS) as i8 - DIGITS as i8;
        i += 1;
    }
    table
};

/// The same as [`crate::simd::Lanes::numbers`].
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL, VBMI and BITALG.
#[inline(always)]
pub(super) unsafe fn numbers<const POINT: bool, const MINUS: bool>(texts: Texts<'_>, at: usize) -> Numbers {
    let (bytes, starts, lens) = texts.eight(at);
    let mut numbers = Numbers::NONE;
    // SAFETY: the caller guarantees that the CPU has the instructions. Loads and stores cover complete arrays and
    // tables. Only `text` reads 16 bytes from a start: `Texts::eight` promises that these bytes exist.
    unsafe {
        let text = |at: usize| _mm_loadu_si128(bytes.as_ptr().add(starts[at] as usize).cast());
        let four = |at: usize| {
            let text_0 = _mm512_castsi128_si512(text(at));
            let text_1 = _mm512_inserti32x4::<1>(text_0, text(at + 1));
            let text_2 = _mm512_inserti32x4::<2>(text_1, text(at + 2));
            _mm512_inserti32x4::<3>(text_2, text(at + 3))
        };
        let lens = _mm256_loadu_si256(lens.as_ptr().cast());
        numbers.empty = u32::from(_mm256_testn_epi32_mask(lens, lens));
        let lens = _mm256_cvtusepi32_epi16(lens);
        // bit 16 - length; no bit if the length is 0 or above 16
        let first = _mm_srlv_epi16(_mm_set1_epi16(i16::MIN), _mm_sub_epi16(lens, _mm_set1_epi16(1)));
        let lane_of = _mm512_loadu_si512(LANE_OF.as_ptr().cast());
        let wide_lens = _mm512_castsi128_si512(lens);
        let low = Four::new(four(0), _mm512_permutexvar_epi8(lane_of, wide_lens));
        let lane_of = _mm512_add_epi8(lane_of, _mm512_set1_epi8(8));
        let high = Four::new(four(4), _mm512_permutexvar_epi8(lane_of, wide_lens));
        let both = |low: u64, high: u64| _mm_set_epi64x(high.cast_signed(), low.cast_signed());

        // 16 bits for each lane: see `Masks::check`
        let none = _mm_setzero_si128();
        let point = if POINT { both(low.equal(b'.'), high.equal(b'.')) } else { none };
        let minus = if MINUS { both(low.equal(b'-'), high.equal(b'-')) } else { none };
        let zero = both(low.equal(b'0'), high.equal(b'0'));
        let digit = both(low.digit, high.digit);
        let next = |mask: __m128i| _mm_add_epi16(mask, mask);
        let negative = _mm_and_si128(minus, first);
        let leading = _mm_or_si128(_mm_andnot_si128(minus, first), next(negative));
        let before_point = _mm_sub_epi16(point, _mm_set1_epi16(1));
        let upto_point = _mm_xor_si128(point, before_point);
        let others = _mm_andnot_si128(_mm_or_si128(digit, _mm_or_si128(negative, point)), _mm_set1_epi16(-1));
        let ends = _mm_or_si128(_mm_or_si128(leading, _mm_set1_epi16(i16::MIN)), before_point);
        let after_zero = _mm_andnot_si128(point, next(_mm_and_si128(zero, leading)));
        let bad = _mm_or_si128(_mm_or_si128(others, _mm_and_si128(point, ends)), after_zero);
        let bad = _mm_test_epi16_mask(bad, bad) | _mm_testn_epi16_mask(leading, leading);
        let over = _mm_maskz_mov_epi16(_mm_test_epi16_mask(point, point), upto_point);

        let low = low.sums(_mm_cvtsi128_si64(over).cast_unsigned());
        let high = high.sums(_mm_extract_epi64::<1>(over).cast_unsigned());
        let evens = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let eights = _mm512_permutex2var_epi64(low, evens, high);
        let fronts = _mm512_mul_epu32(eights, _mm512_set1_epi64(100_000_000));
        let digits = _mm512_add_epi64(fronts, _mm512_srli_epi64::<32>(eights));
        _mm512_storeu_si512(numbers.digits.as_mut_ptr().cast(), digits);
        let sign = _mm512_maskz_set1_epi64(_mm_test_epi16_mask(negative, negative), i64::MIN);
        _mm512_storeu_si512(numbers.sign.as_mut_ptr().cast(), sign);
        let fraction = _mm_popcnt_epi16(_mm_xor_si128(upto_point, _mm_set1_epi16(-1)));
        _mm_storeu_si128(numbers.fraction.as_mut_ptr().cast(), fraction);
        numbers.refused = u32::from(bad);
        numbers
    }
}

/// Four texts in the lanes of a register, right-aligned, with `'0'` subtracted from each byte.
struct Four {
    values: __m512i,
    digit: u64,
}

impl Four {
    /// # Safety
    /// The CPU has AVX-512 F, BW and VBMI.
    #[inline(always)]
    unsafe fn new(text: __m512i, lens: __m512i) -> Self {
        // SAFETY: the caller guarantees that the CPU has the instructions. The load reads a complete table.
        unsafe {
            // byte i comes from byte i - (16 - length); a negative index gives a zero
            let from = _mm512_add_epi8(lens, _mm512_loadu_si512(BEFORE_END.as_ptr().cast()));
            let values = _mm512_sub_epi8(text, _mm512_set1_epi8(b'0'.cast_signed()));
            let values = _mm512_shuffle_epi8(values, from);
            Self { values, digit: _mm512_cmple_epu8_mask(values, _mm512_set1_epi8(9)) }
        }
    }

    /// # Safety
    /// The CPU has AVX-512 F and BW.
    #[inline(always)]
    unsafe fn equal(&self, byte: u8) -> u64 {
        // SAFETY: the caller guarantees that the CPU has the instructions. No memory is accessed.
        unsafe {
            _mm512_cmpeq_epi8_mask(self.values, _mm512_set1_epi8(byte.wrapping_sub(b'0').cast_signed()))
        }
    }

    /// The first eight digits and the last eight digits of each number, each twice. The bytes in `over` move on by one
    /// place; the last of them is the point, which is overwritten.
    ///
    /// # Safety
    /// The CPU has AVX-512 F and BW.
    #[inline(always)]
    unsafe fn sums(&self, over: u64) -> __m512i {
        // SAFETY: the caller guarantees that the CPU has the instructions. No memory is accessed.
        unsafe {
            // the minus becomes a zero
            let values = _mm512_maskz_mov_epi8(self.digit, self.values);
            let shifted = _mm512_bslli_epi128::<1>(values);
            let values = _mm512_mask_mov_epi8(values, over, shifted);
            let pairs = _mm512_maddubs_epi16(values, _mm512_set1_epi16(0x010a));
            let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064));
            _mm512_madd_epi16(_mm512_packus_epi32(fours, fours), _mm512_set1_epi32(0x0001_2710))
        }
    }
}
