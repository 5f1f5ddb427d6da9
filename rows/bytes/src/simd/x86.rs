//! AVX2 and AVX-512 lanes. A token of either type exists only if the CPU has the instructions.
#![allow(unsafe_code, reason = "vector intrinsics; each block says why it is sound")]

use std::arch::x86_64::{
    _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16,
    _mm_maddubs_epi16, _mm_min_epu8, _mm_movemask_epi8, _mm_packus_epi32, _mm_set_epi64x, _mm_set1_epi8,
    _mm_set1_epi16, _mm_set1_epi32, _mm_shuffle_epi8, _mm_sub_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_storeu_si512,
};

use super::numbers::{Numbers, Texts};
use super::{BLOCK, DIGITS, Kernel, Lanes, WIDE, undouble_by_leaps};
use crate::date::Day;

mod ipv4;
mod ipv6;
mod moment;
mod uuid;

mod numbers;
mod numbers_in_pairs;

/// Proof that this CPU has AVX2, PCLMULQDQ, BMI1, BMI2, POPCNT and LZCNT. Only `Avx2::detect` makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

/// Proof that this CPU has the features of [`Avx2`], and AVX-512 F, BW, DQ, VL, VBMI, VBMI2 and BITALG. Only
/// `Avx512::detect` makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(Avx2);

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("lzcnt"))
        .then_some(Self(()))
    }

    /// Runs the kernel as code that is compiled for these instructions.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt,lzcnt")]
        fn compiled<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: `self` exists, so `detect` saw every feature that `compiled` enables.
        unsafe { compiled(self, kernel) }
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let narrow = Avx2::detect()?;
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vbmi2"))
        .then_some(Self(narrow))
    }

    /// The proof of the features without AVX-512.
    #[inline]
    pub(super) fn narrow(self) -> Avx2 {
        self.0
    }

    /// Runs the kernel as code that is compiled for these instructions.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512bitalg,avx2,pclmulqdq,bmi1,bmi2,popcnt,lzcnt"
        )]
        fn compiled<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: `self` exists, so `detect` saw every feature that `compiled` enables.
        unsafe { compiled(self, kernel) }
    }
}

impl Avx512 {
    /// Writes the bytes whose bits are set, in order; the bytes after them are 0.
    #[inline(always)]
    #[allow(clippy::unused_self, reason = "it is the proof")]
    fn squeeze(self, block: &[u8; BLOCK], keep: u64, out: &mut [u8; BLOCK]) {
        // SAFETY: `self` proves AVX-512 F and VBMI2. The load reads, and the store writes, the 64 bytes that the
        // references cover.
        unsafe {
            let kept = _mm512_maskz_compress_epi8(keep, _mm512_loadu_si512(block.as_ptr().cast()));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), kept);
        }
    }
}

impl Lanes for Avx2 {
    const NUMBERS: bool = true;

    #[inline(always)]
    fn numbers<const POINT: bool, const MINUS: bool>(self, texts: Texts<'_>, at: usize) -> Numbers {
        // SAFETY: `self` proves AVX2 and POPCNT.
        unsafe { numbers_in_pairs::numbers::<POINT, MINUS>(texts, at) }
    }

    #[inline(always)]
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N] {
        // SAFETY: `self` proves AVX2. The two unaligned loads read bytes 0..32 and 32..64 of the 64 that the
        // reference covers.
        unsafe {
            let low = _mm256_loadu_si256(block.as_ptr().cast());
            let high = _mm256_loadu_si256(block.as_ptr().add(32).cast());
            // not `map`: the compiler may leave its closure out of line, without these instructions
            let mut masks = [0; N];
            for (mask, needle) in masks.iter_mut().zip(needles) {
                let needle = _mm256_set1_epi8(needle.cast_signed());
                let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, needle)).cast_unsigned();
                let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, needle)).cast_unsigned();
                *mask = u64::from(low) | (u64::from(high) << 32);
            }
            masks
        }
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        // SAFETY: `self` proves PCLMULQDQ.
        unsafe { carryless_parity(mask) }
    }

    #[inline(always)]
    fn decimal(self, bytes: &[u8; DIGITS], len: usize) -> Option<(u64, usize)> {
        // SAFETY: `self` proves AVX2, and with it SSSE3 and SSE4.1.
        unsafe { decimal(bytes, len) }
    }

    #[inline(always)]
    fn json_special(self, block: &[u8; WIDE]) -> u32 {
        // SAFETY: `self` proves AVX2. The unaligned load reads the 32 bytes that the reference covers.
        unsafe {
            let bytes = _mm256_loadu_si256(block.as_ptr().cast());
            let equal = |needle: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(needle.cast_signed()));
            let control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
            let special = _mm256_or_si256(_mm256_or_si256(equal(b'"'), equal(b'\\')), control);
            _mm256_movemask_epi8(special).cast_unsigned()
        }
    }

    #[inline(always)]
    fn controls(self, block: &[u8; BLOCK]) -> u64 {
        // SAFETY: `self` proves AVX2. The two unaligned loads read bytes 0..32 and 32..64 of the 64 that the
        // reference covers.
        unsafe {
            let most = _mm256_set1_epi8(0x1f);
            let low = _mm256_loadu_si256(block.as_ptr().cast());
            let high = _mm256_loadu_si256(block.as_ptr().add(32).cast());
            let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(low, most), low));
            let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(high, most), high));
            u64::from(low.cast_unsigned()) | (u64::from(high.cast_unsigned()) << 32)
        }
    }

    #[inline(always)]
    fn same(self, a: &[u8; WIDE], b: &[u8; WIDE]) -> u32 {
        // SAFETY: `self` proves AVX2. The two unaligned loads read the 32 bytes that each reference covers.
        unsafe {
            let (a, b) = (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast()));
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)).cast_unsigned()
        }
    }

    #[inline(always)]
    fn digits(self, bytes: &[u8; DIGITS]) -> u32 {
        // SAFETY: `self` proves AVX2. The unaligned load reads the 16 bytes that the reference covers.
        unsafe {
            let text = _mm_loadu_si128(bytes.as_ptr().cast());
            let values = _mm_sub_epi8(text, _mm_set1_epi8(b'0'.cast_signed()));
            let small = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
            _mm_movemask_epi8(small).cast_unsigned()
        }
    }

    #[inline(always)]
    fn uuid(self, text: &[u8; 36]) -> Option<[u64; 2]> {
        // SAFETY: `self` proves AVX2.
        unsafe { uuid::halves(text) }
    }

    #[inline(always)]
    fn octets(self, bytes: &[u8; 16], len: usize) -> Option<u32> {
        // SAFETY: `self` proves AVX2, and with it SSE4.1.
        unsafe { ipv4::octets(bytes, len) }
    }

    #[inline(always)]
    fn groups(self, bytes: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
        // SAFETY: `self` proves AVX2, BMI1 and BMI2.
        unsafe { ipv6::groups(bytes, len) }
    }

    #[inline(always)]
    fn day(self, bytes: &[u8; 16]) -> Option<Day> {
        // SAFETY: `self` proves AVX2, and with it SSE4.1.
        unsafe { moment::day(bytes) }
    }

    #[inline(always)]
    fn moment(self, bytes: &[u8; 19]) -> Option<(Day, u32)> {
        // SAFETY: `self` proves AVX2.
        unsafe { moment::moment(bytes) }
    }

    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; WIDE], needles: [u8; N]) -> u32 {
        // SAFETY: `self` proves AVX2. The unaligned load reads the 32 bytes that the reference covers.
        unsafe {
            let bytes = _mm256_loadu_si256(block.as_ptr().cast());
            let equal = needles.map(|n| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(n.cast_signed())));
            let any = equal.into_iter().fold(_mm256_setzero_si256(), |any, one| _mm256_or_si256(any, one));
            _mm256_movemask_epi8(any).cast_unsigned()
        }
    }
}

impl Lanes for Avx512 {
    const NUMBERS: bool = true;

    #[inline(always)]
    fn numbers<const POINT: bool, const MINUS: bool>(self, texts: Texts<'_>, at: usize) -> Numbers {
        // SAFETY: `self` proves AVX-512 F, BW, DQ, VL, VBMI and BITALG.
        unsafe { numbers::numbers::<POINT, MINUS>(texts, at) }
    }

    #[inline(always)]
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N] {
        // SAFETY: `self` proves AVX-512 F and BW. The unaligned load reads the 64 bytes that the reference covers.
        unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast());
            let mut masks = [0; N];
            for (mask, needle) in masks.iter_mut().zip(needles) {
                *mask = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(needle.cast_signed()));
            }
            masks
        }
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        self.narrow().parity(mask)
    }

    #[inline(always)]
    fn decimal(self, bytes: &[u8; DIGITS], len: usize) -> Option<(u64, usize)> {
        self.narrow().decimal(bytes, len)
    }

    #[inline(always)]
    fn json_special(self, block: &[u8; WIDE]) -> u32 {
        self.narrow().json_special(block)
    }

    #[inline(always)]
    fn controls(self, block: &[u8; BLOCK]) -> u64 {
        // SAFETY: `self` proves AVX-512 F and BW. The unaligned load reads the 64 bytes that the reference covers.
        unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast());
            _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20))
        }
    }

    #[inline(always)]
    fn same(self, a: &[u8; WIDE], b: &[u8; WIDE]) -> u32 {
        self.narrow().same(a, b)
    }

    #[inline(always)]
    fn digits(self, bytes: &[u8; DIGITS]) -> u32 {
        self.narrow().digits(bytes)
    }

    #[inline(always)]
    fn uuid(self, text: &[u8; 36]) -> Option<[u64; 2]> {
        self.narrow().uuid(text)
    }

    #[inline(always)]
    fn octets(self, bytes: &[u8; 16], len: usize) -> Option<u32> {
        self.narrow().octets(bytes, len)
    }

    #[inline(always)]
    fn groups(self, bytes: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
        self.narrow().groups(bytes, len)
    }

    #[inline(always)]
    fn day(self, bytes: &[u8; 16]) -> Option<Day> {
        self.narrow().day(bytes)
    }

    #[inline(always)]
    fn moment(self, bytes: &[u8; 19]) -> Option<(Day, u32)> {
        self.narrow().moment(bytes)
    }

    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; WIDE], needles: [u8; N]) -> u32 {
        self.narrow().any_of(block, needles)
    }

    #[inline(always)]
    fn undouble(self, tail: &[u8], len: usize, quote: u8, out: &mut [u8]) -> Option<usize> {
        let (Some(from), Some(to), ..=BLOCK) = (tail.first_chunk(), out.first_chunk_mut(), len) else {
            return undouble_by_leaps(self, tail, len, quote, out);
        };
        let live = 1u64.checked_shl(len as u32).unwrap_or(0).wrapping_sub(1);
        let [quotes] = self.equal(from, [quote]);
        let doubles = quotes & live & !self.parity(quotes & live);
        self.squeeze(from, !doubles, to);
        Some(len - doubles.count_ones() as usize)
    }

    #[inline(always)]
    fn positions(self, mask: u64, base: u32, out: &mut [u32; BLOCK]) {
        // SAFETY: `self` proves AVX-512 F and VBMI2. The load reads the 64 bytes of IOTA. The four stores write slots
        // 0..16, 16..32, 32..48 and 48..64 of the 64 that the reference covers.
        unsafe {
            let packed = _mm512_maskz_compress_epi8(mask, _mm512_loadu_si512(IOTA.as_ptr().cast()));
            let base = _mm512_set1_epi32(base.cast_signed());
            let to = out.as_mut_ptr();
            let quarter = _mm512_castsi512_si128(packed);
            _mm512_storeu_si512(to.cast(), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(quarter)));
            let bits = mask.count_ones();
            if bits > 16 {
                let quarter = _mm512_extracti32x4_epi32::<1>(packed);
                _mm512_storeu_si512(to.add(16).cast(), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(quarter)));
            }
            if bits > 32 {
                let quarter = _mm512_extracti32x4_epi32::<2>(packed);
                _mm512_storeu_si512(to.add(32).cast(), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(quarter)));
                let quarter = _mm512_extracti32x4_epi32::<3>(packed);
                _mm512_storeu_si512(to.add(48).cast(), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(quarter)));
            }
        }
    }
}

/// At offset n: a shuffle that moves the first n bytes to the end, with zeros before them.
static TO_END: [i8; 2 * DIGITS] = {
    let mut table = [-128; 2 * DIGITS];
    let mut i = 0;
    while i < DIGITS {
        table[DIGITS + i] = i as i8;
        i += 1;
    }
    table
};

/// The same as [`super::decimal`], but `None` also if `len` is not 1..=16. No branch depends on where the point is.
///
/// # Safety
/// The CPU has SSSE3 and SSE4.1.
#[inline(always)]
unsafe fn decimal(bytes: &[u8; DIGITS], len: usize) -> Option<(u64, usize)> {
    if len.wrapping_sub(1) >= DIGITS {
        return None;
    }
    // SAFETY: the caller guarantees that the CPU has the instructions. The first load reads the 16 bytes that the
    // reference covers. The second load reads 16 of the table's 32 bytes, from `count` <= 16 on.
    unsafe {
        let text = _mm_loadu_si128(bytes.as_ptr().cast());
        let points = _mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(b'.'.cast_signed())));
        let point = (points.cast_unsigned() | (1 << len)).trailing_zeros() as usize;
        let count = len - usize::from(point < len);
        // the shuffle skips the point: the bytes after it come from one place further on
        let to_end = _mm_loadu_si128(TO_END.as_ptr().add(count).cast());
        let behind = _mm_cmpgt_epi8(to_end, _mm_set1_epi8(point as i8 - 1));
        let values = _mm_sub_epi8(text, _mm_set1_epi8(b'0'.cast_signed()));
        let digits = _mm_shuffle_epi8(values, _mm_sub_epi8(to_end, behind));
        let small = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
        // pairs, fours and eights of digits: each step multiplies neighbours by 10^n and 1 and adds them
        let tens = _mm_set1_epi16(0x010a);
        let hundreds = _mm_set1_epi32(0x0001_0064);
        let ten_thousands = _mm_set1_epi32(0x0001_2710);
        let pairs = _mm_maddubs_epi16(digits, tens);
        let fours = _mm_madd_epi16(pairs, hundreds);
        let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), ten_thousands);
        let eights = _mm_cvtsi128_si64(eights).cast_unsigned();
        let number = (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32);
        (_mm_movemask_epi8(small) == 0xffff && count > 0).then_some((number, point))
    }
}

/// The numbers 0 to 63.
static IOTA: [u8; BLOCK] = {
    let mut iota = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        iota[i] = i as u8;
        i += 1;
    }
    iota
};

/// The carry-less product with all ones is the running parity.
///
/// # Safety
/// The CPU has PCLMULQDQ and SSE2.
#[inline(always)]
unsafe fn carryless_parity(mask: u64) -> u64 {
    // SAFETY: the caller guarantees that the CPU has the instructions. No memory is accessed.
    unsafe {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, mask.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }
}
