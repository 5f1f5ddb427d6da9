//! Four plain decimal numbers at once. Method: the digits of each text are moved to the end of 16 bytes, and neighbours
//! multiplied by 10^n and 1 and added, three times over (Wojciech Muła, "SIMD-ized parsing of unsigned integers", 2018).

use std::arch::x86_64::*;

use crate::simd::numbers::{Masks, Numbers, Texts};
use crate::simd::{BLOCK, DIGITS};

/// For the bytes of each lane: the byte of four 16-bit numbers that is the low one of the lane's.
static LANE_OF: [u8; BLOCK] = {
    let mut table = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        table[i] = (i / DIGITS * 2) as u8;
        i += 1;
    }
    table
};

/// For the bytes of each lane: their place in it, less 16.
static BEFORE_END: [i8; BLOCK] = {
    let mut table = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        table[i] = (i % DIGITS) as i8 - DIGITS as i8;
        i += 1;
    }
    table
};

/// What [`crate::simd::Lanes::numbers`] promises.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL, VBMI and BITALG.
#[inline(always)]
pub(super) unsafe fn numbers_512(texts: Texts<'_>, at: usize) -> Numbers {
    let (bytes, starts, lens) = texts.eight(at);
    let mut numbers = Numbers::NONE;
    // SAFETY: the caller promises the instructions. Loads and stores are of whole arrays and tables, but for `text`, which
    // reads 16 bytes from a start: `Texts::eight` promises that they are there.
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
        // bit 16 - length, and none if that is no place
        let first = _mm_srlv_epi16(_mm_set1_epi16(i16::MIN), _mm_sub_epi16(lens, _mm_set1_epi16(1)));
        let lane_of = _mm512_loadu_si512(LANE_OF.as_ptr().cast());
        let wide_lens = _mm512_castsi128_si512(lens);
        let low = Four::new(four(0), _mm512_permutexvar_epi8(lane_of, wide_lens));
        let lane_of = _mm512_add_epi8(lane_of, _mm512_set1_epi8(8));
        let high = Four::new(four(4), _mm512_permutexvar_epi8(lane_of, wide_lens));
        let both = |low: u64, high: u64| _mm_set_epi64x(high.cast_signed(), low.cast_signed());

        // 16 bits a lane: see `Masks::judge`
        let point = both(low.equal(b'.'), high.equal(b'.'));
        let minus = both(low.equal(b'-'), high.equal(b'-'));
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

/// Four texts in the lanes of a register, right-aligned, less `'0'`.
struct Four {
    values: __m512i,
    digit: u64,
}

impl Four {
    /// # Safety
    /// The CPU has AVX-512 F, BW and VBMI.
    #[inline(always)]
    unsafe fn new(text: __m512i, lens: __m512i) -> Self {
        // SAFETY: the caller promises the instructions; the load is of a whole table.
        unsafe {
            // byte i comes from byte i - (16 - length); a negative number makes a zero
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
        // SAFETY: the caller promises the instructions; nothing here touches memory.
        unsafe {
            _mm512_cmpeq_epi8_mask(self.values, _mm512_set1_epi8(byte.wrapping_sub(b'0').cast_signed()))
        }
    }

    /// Of each number the first eight digits and the last eight, each twice; the bytes of `over`, the last of which is the point, move on by one, over the point.
    ///
    /// # Safety
    /// The CPU has AVX-512 F and BW.
    #[inline(always)]
    unsafe fn sums(&self, over: u64) -> __m512i {
        // SAFETY: the caller promises the instructions; nothing here touches memory.
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

/// From 16 - n on: a shuffle that moves the first n bytes to the end, zeros before them.
static TO_END: [i8; 2 * DIGITS] = {
    let mut table = [-128; 2 * DIGITS];
    let mut i = 0;
    while i < DIGITS {
        table[DIGITS + i] = i as i8;
        i += 1;
    }
    table
};

/// For n of 0 to 16: a shuffle that moves the first n - 1 bytes on by one, over byte n - 1, a zero before them.
static OVER: [[i8; DIGITS]; DIGITS + 1] = {
    let mut table = [[0; DIGITS]; DIGITS + 1];
    let mut n = 0;
    while n <= DIGITS {
        let mut i = 0;
        while i < DIGITS {
            table[n][i] = if i >= n {
                i as i8
            } else if i == 0 {
                -128
            } else {
                i as i8 - 1
            };
            i += 1;
        }
        n += 1;
    }
    table
};

/// What [`crate::simd::Lanes::numbers`] promises.
///
/// # Safety
/// The CPU has AVX2 and POPCNT.
#[inline(always)]
pub(super) unsafe fn numbers_256(texts: Texts<'_>, at: usize) -> Numbers {
    let mut numbers = Numbers::NONE;
    let (bytes, starts, lens) = texts.eight(at);
    let (all_starts, _) = starts.as_chunks::<4>();
    let (all_lens, _) = lens.as_chunks::<4>();
    let mut refused = 0;
    for (half, (starts, lens)) in all_starts.iter().zip(all_lens).enumerate() {
        let text = |at: usize| bytes.get(starts[at] as usize..)?.first_chunk::<DIGITS>();
        let (Some(a), Some(b), Some(c), Some(d)) = (text(0), text(1), text(2), text(3)) else {
            return Numbers::NONE;
        };
        // SAFETY: the caller promises the instructions.
        let (front, back) = unsafe { (two(a, b, lens[0], lens[1]), two(c, d, lens[2], lens[3])) };
        let first = |at: usize| ((0x1_0000 >> lens[at].min(17)) & 0xffff) << (16 * at);
        let both = |front: u32, back: u32| u64::from(front) | (u64::from(back) << 32);
        let judged = Masks {
            first: first(0) | first(1) | first(2) | first(3),
            minus: both(front.minus, back.minus),
            point: both(front.point, back.point),
            digit: both(front.digit, back.digit),
            zero: both(front.zero, back.zero),
        }
        .judge();
        let lane = |mask: u64, at: usize| (mask >> (16 * at)) & 0xffff;
        let over = judged.upto_point & judged.has_point;
        let count = |at: usize| lane(over, at).count_ones() as usize;
        // SAFETY: the caller promises the instructions; of 16 bits at most 16 are counted.
        let (front, back) = unsafe { (front.sums(count(0), count(1)), back.sums(count(2), count(3))) };
        for (at, digits) in [front[0], front[1], back[0], back[1]].into_iter().enumerate() {
            let number = 4 * half + at;
            numbers.digits[number] = digits;
            numbers.empty |= u32::from(lens[at] == 0) << number;
            numbers.fraction[number] = ((DIGITS - count(at)) % DIGITS) as u16;
            numbers.sign[number] = u64::from(lane(judged.negative, at) != 0) << 63;
            refused |= u32::from(lane(judged.bad, at) != 0) << number;
        }
    }
    numbers.refused = refused;
    numbers
}

/// Two texts in the lanes of a register, right-aligned, less `'0'`; zeros for what is no digit.
struct Two {
    values: __m256i,
    minus: u32,
    point: u32,
    digit: u32,
    zero: u32,
}

/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn two(a: &[u8; DIGITS], b: &[u8; DIGITS], a_len: u32, b_len: u32) -> Two {
    // SAFETY: the caller promises AVX2. The loads read the 16 bytes that each reference covers, and 16 bytes from a
    // number of at most 16 on of the 32 in the table.
    unsafe {
        let join = |a: *const u8, b: *const u8| {
            let low = _mm256_castsi128_si256(_mm_loadu_si128(a.cast()));
            _mm256_inserti128_si256::<1>(low, _mm_loadu_si128(b.cast()))
        };
        let row = |len: u32| TO_END.as_ptr().add((len as usize).min(DIGITS)).cast();
        let values = _mm256_sub_epi8(join(a.as_ptr(), b.as_ptr()), _mm256_set1_epi8(b'0'.cast_signed()));
        let values = _mm256_shuffle_epi8(values, join(row(a_len), row(b_len)));
        let mask = |bytes: __m256i| _mm256_movemask_epi8(bytes).cast_unsigned();
        let equal = |byte: u8| {
            mask(_mm256_cmpeq_epi8(values, _mm256_set1_epi8(byte.wrapping_sub(b'0').cast_signed())))
        };
        let digit = _mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values);
        let (minus, point, zero) = (equal(b'-'), equal(b'.'), equal(b'0'));
        Two { values: _mm256_and_si256(values, digit), minus, point, digit: mask(digit), zero }
    }
}

impl Two {
    /// The numbers, without the points, which stand in byte `a - 1` and `b - 1` of their lanes; 0: there is none.
    ///
    /// # Safety
    /// The CPU has AVX2. `a` and `b` are at most 16.
    #[inline(always)]
    unsafe fn sums(&self, a: usize, b: usize) -> [u64; 2] {
        let mut sums = [0u64; 4];
        // SAFETY: the caller promises AVX2 and rows of the table. The store writes the 32 bytes of the array.
        unsafe {
            let row = |n: usize| _mm_loadu_si128(OVER.as_ptr().add(n).cast());
            let over = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(row(a)), row(b));
            let values = _mm256_shuffle_epi8(self.values, over);
            let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x010a));
            let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
            let eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), _mm256_set1_epi32(0x0001_2710));
            let high = _mm256_mul_epu32(eights, _mm256_set1_epi64x(100_000_000));
            let all = _mm256_add_epi64(high, _mm256_srli_epi64::<32>(eights));
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), all);
        }
        [sums[0], sums[2]]
    }
}
