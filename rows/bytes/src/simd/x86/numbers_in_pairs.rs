//! Eight plain decimal numbers at once, with AVX2, two in a register. The method is that of [`super::numbers`], with
//! shuffles from tables in place of AVX-512 masks.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi64, _mm256_and_si256, _mm256_castsi128_si256, _mm256_cmpeq_epi8,
    _mm256_inserti128_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_mul_epu32, _mm256_packus_epi32, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_shuffle_epi8, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_sub_epi8,
};

use super::TO_END;
use crate::simd::DIGITS;
use crate::simd::numbers::{Masks, Numbers, Texts};

/// Entry n, of 0 to 16: a shuffle that moves the first n - 1 bytes on by one place, over byte n - 1, with a zero before
/// them.
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

/// The same as [`crate::simd::Lanes::numbers`].
///
/// # Safety
/// The CPU has AVX2 and POPCNT.
#[inline(always)]
pub(super) unsafe fn numbers<const POINT: bool, const MINUS: bool>(texts: Texts<'_>, at: usize) -> Numbers {
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
        // SAFETY: the caller guarantees that the CPU has the instructions.
        let (front, back) = unsafe { (two(a, b, lens[0], lens[1]), two(c, d, lens[2], lens[3])) };
        let first = |at: usize| ((0x1_0000 >> lens[at].min(17)) & 0xffff) << (16 * at);
        let both = |front: u32, back: u32| u64::from(front) | (u64::from(back) << 32);
        let checked = Masks {
            first: first(0) | first(1) | first(2) | first(3),
            minus: if MINUS { both(front.minus, back.minus) } else { 0 },
            point: if POINT { both(front.point, back.point) } else { 0 },
            digit: both(front.digit, back.digit),
            zero: both(front.zero, back.zero),
        }
        .check();
        let lane = |mask: u64, at: usize| (mask >> (16 * at)) & 0xffff;
        let over = checked.upto_point & checked.has_point;
        let count = |at: usize| lane(over, at).count_ones() as usize;
        // SAFETY: the caller guarantees that the CPU has the instructions. Of 16 bits at most 16 are counted.
        let (front, back) = unsafe { (front.sums(count(0), count(1)), back.sums(count(2), count(3))) };
        for (at, digits) in [front[0], front[1], back[0], back[1]].into_iter().enumerate() {
            let number = 4 * half + at;
            numbers.digits[number] = digits;
            numbers.empty |= u32::from(lens[at] == 0) << number;
            numbers.fraction[number] = ((DIGITS - count(at)) % DIGITS) as u16;
            numbers.sign[number] = u64::from(lane(checked.negative, at) != 0) << 63;
            refused |= u32::from(lane(checked.bad, at) != 0) << number;
        }
    }
    numbers.refused = refused;
    numbers
}

/// Two texts in the lanes of a register, right-aligned, with `'0'` subtracted from each byte; zeros for bytes that are
/// no digit.
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
    // SAFETY: the caller guarantees that the CPU has AVX2. The loads read the 16 bytes that each reference covers, and
    // 16 of the table's 32 bytes, from a number of at most 16 on.
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
    /// The two numbers without their points. A point is byte `a - 1` or `b - 1` of its lane; 0 means that there is
    /// none.
    ///
    /// # Safety
    /// The CPU has AVX2. `a` and `b` are at most 16.
    #[inline(always)]
    unsafe fn sums(&self, a: usize, b: usize) -> [u64; 2] {
        let mut sums = [0u64; 4];
        // SAFETY: the caller guarantees that the CPU has AVX2, and that `a` and `b` are entries of the table. The store
        // writes the 32 bytes of the array.
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
