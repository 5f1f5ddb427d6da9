//! AVX2 and AVX-512 lanes. A token of either type exists only where the CPU has the instructions.
#![allow(unsafe_code, reason = "vector intrinsics; each block says why it is sound")]

use std::arch::x86_64::{
    _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_loadu_si512,
    _mm512_set1_epi8,
};

use super::{BLOCK, Kernel, Lanes};

/// Proof that this CPU has AVX2, PCLMULQDQ, BMI1, BMI2, POPCNT and LZCNT: made by [`Avx2::detect`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// Proof that this CPU has what [`Avx2`] proves, and AVX-512 F, BW and VL: made by [`Avx512::detect`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
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
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt,lzcnt")]
        fn compiled<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: `self` exists, so `detect` saw every feature that `compiled` enables.
        unsafe { compiled(self, kernel) }
    }
}

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        (Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl"))
        .then_some(Self(()))
    }

    /// Runs the kernel as code that is compiled for these instructions.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,pclmulqdq,bmi1,bmi2,popcnt,lzcnt")]
        fn compiled<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: `self` exists, so `detect` saw every feature that `compiled` enables.
        unsafe { compiled(self, kernel) }
    }
}

impl Lanes for Avx2 {
    #[inline(always)]
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N] {
        // SAFETY: `self` proves AVX2. The two unaligned loads read bytes 0..32 and 32..64 of the 64 that the
        // reference covers.
        unsafe {
            let low = _mm256_loadu_si256(block.as_ptr().cast());
            let high = _mm256_loadu_si256(block.as_ptr().add(32).cast());
            needles.map(|needle| {
                let needle = _mm256_set1_epi8(needle.cast_signed());
                let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, needle)).cast_unsigned();
                let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, needle)).cast_unsigned();
                u64::from(low) | (u64::from(high) << 32)
            })
        }
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        // SAFETY: `self` proves PCLMULQDQ.
        unsafe { carryless_parity(mask) }
    }
}

impl Lanes for Avx512 {
    #[inline(always)]
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N] {
        // SAFETY: `self` proves AVX-512 F and BW. The unaligned load reads the 64 bytes that the reference covers.
        unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast());
            needles.map(|needle| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(needle.cast_signed())))
        }
    }

    #[inline(always)]
    fn parity(self, mask: u64) -> u64 {
        // SAFETY: `self` proves PCLMULQDQ.
        unsafe { carryless_parity(mask) }
    }
}

/// The carry-less product with all ones is the running parity.
///
/// # Safety
/// The CPU has PCLMULQDQ and SSE2.
#[inline(always)]
unsafe fn carryless_parity(mask: u64) -> u64 {
    // SAFETY: the caller promises the instructions; nothing here touches memory.
    unsafe {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, mask.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }
}
