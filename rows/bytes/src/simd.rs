//! Operations of a CPU on many bytes at once: which of 64 bytes equal a byte, the running parity of a mask, eight
//! numbers, and the texts of types that have one shape.
//!
//! This is the only module of the row engine with `unsafe`. The algorithms that use it are generic over [`Lanes`], are safe
//! code, and return the same result on every level. [`Level::detect`] chooses the best level of this CPU.

use crate::date::Day;
use crate::text::{Text, plain_json};
pub use crate::words::BLOCK;
use crate::words::{decimal, digit_mask, word_at};
use crate::{date, ip, moment, uuid};
pub use number::{Number, number};
use numbers::{Numbers, Texts};

mod number;
pub mod numbers;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod types;

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// Bytes of half a block.
pub const WIDE: usize = 32;

/// Operations of a CPU on 64 bytes. Bit `i` of a mask is for byte `i`.
pub trait Lanes: Copy {
    /// Which bytes equal each of the needles.
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N];
    /// Bit `i` is the parity of bits `0..=i`.
    fn parity(self, mask: u64) -> u64;
    /// The same as `decimal`, but `None` also if `len` is not 1..=16.
    fn decimal(self, bytes: &[u8; DIGITS], len: usize) -> Option<(u64, usize)>;
    /// Whether [`Lanes::numbers`] is faster than reading texts one by one.
    const NUMBERS: bool = false;
    /// Reads the eight texts at `at` as [`Numbers`]. If `POINT` or `MINUS` is false, texts with a point or a minus may
    /// be refused, because the caller does not need them.
    #[inline(always)]
    fn numbers<const POINT: bool, const MINUS: bool>(self, texts: Texts<'_>, at: usize) -> Numbers {
        let mut all = Numbers { refused: 0, ..Numbers::NONE };
        let (bytes, starts, lens) = texts.eight(at);
        for (at, (start, len)) in starts.iter().zip(lens).enumerate() {
            let text = bytes.get(*start as usize..).filter(|_| *len as usize <= DIGITS);
            all.empty |= u32::from(*len == 0) << at;
            match text.and_then(|text| number(self, Text::new(text, *len as usize))) {
                None => all.refused |= 1 << at,
                Some(number) => {
                    all.digits[at] = number.digits;
                    all.fraction[at] = number.fraction as u16;
                    all.sign[at] = u64::from(number.negative) << 63;
                }
            }
        }
        all
    }
    /// Which bytes end the plain part of a JSON string: `"`, `\\` and control characters.
    fn json_special(self, block: &[u8; WIDE]) -> u32;
    /// Which bytes are control characters: below `0x20`.
    fn controls(self, block: &[u8; BLOCK]) -> u64;
    /// Which bytes are equal in `a` and `b`.
    fn same(self, a: &[u8; WIDE], b: &[u8; WIDE]) -> u32;
    /// Which bytes are ASCII digits.
    fn digits(self, bytes: &[u8; DIGITS]) -> u32;
    /// The same as `uuid::halves`.
    #[inline(always)]
    fn uuid(self, text: &[u8; 36]) -> Option<[u64; 2]> {
        uuid::halves(text)
    }
    /// The same as `ip::octets`.
    #[inline(always)]
    fn octets(self, bytes: &[u8; 16], len: usize) -> Option<u32> {
        ip::octets(bytes, len)
    }
    /// The same as `ip::groups`.
    #[inline(always)]
    fn groups(self, bytes: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
        ip::groups(bytes, len)
    }
    /// The same as [`date::fields`] for the first ten bytes.
    #[inline(always)]
    fn day(self, bytes: &[u8; 16]) -> Option<Day> {
        date::fields(bytes.first_chunk()?)
    }
    /// The same as [`moment::fields`].
    #[inline(always)]
    fn moment(self, bytes: &[u8; 19]) -> Option<(Day, u32)> {
        moment::fields(bytes)
    }
    /// Which bytes equal any of the needles.
    fn any_of<const N: usize>(self, block: &[u8; WIDE], needles: [u8; N]) -> u32;
    /// Copies the first `len` bytes of `tail` to `out`; of two consecutive quotes it copies only the first. Returns the
    /// number of bytes written. `None` if it cannot read and write up to 64 bytes past the end; then `out` is
    /// unspecified.
    #[inline(always)]
    fn undouble(self, tail: &[u8], len: usize, quote: u8, out: &mut [u8]) -> Option<usize> {
        undouble_by_leaps(self, tail, len, quote, out)
    }
    /// Writes the positions of the mask's bits, counted from `base`, in order. The slots after them are unspecified.
    #[inline(always)]
    fn positions(self, mut mask: u64, base: u32, out: &mut [u32; BLOCK]) {
        // always eight at a time, so that the usual block takes no branch
        let (eights, _) = out.as_chunks_mut::<8>();
        for eight in eights.iter_mut().take(mask.count_ones().div_ceil(8).max(1) as usize) {
            for slot in eight {
                *slot = base.wrapping_add(mask.trailing_zeros());
                mask &= mask.wrapping_sub(1);
            }
        }
    }
}

/// Copies 32 bytes, looks for a quote in them, and continues after the second quote of the pair.
#[inline(always)]
fn undouble_by_leaps<L: Lanes>(
    lanes: L,
    tail: &[u8],
    len: usize,
    quote: u8,
    out: &mut [u8],
) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while from < len {
        let block = tail.get(from..)?.first_chunk::<WIDE>()?;
        *out.get_mut(to..)?.first_chunk_mut()? = *block;
        let plain = lanes.any_of(block, [quote]).trailing_zeros() as usize;
        let left = len - from;
        let n = plain.min(left).min(WIDE);
        let found = usize::from(n == plain && n < left && n < WIDE);
        to += n + found;
        from += n + 2 * found;
    }
    Some(to)
}

/// The most digits of a number.
pub const DIGITS: usize = 16;

/// An algorithm on [`Lanes`]; [`Level::run`] runs the code that is compiled for its instruction set.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// Must be `#[inline(always)]`, so that it is compiled with the features of its caller.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// The instruction sets that this CPU may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// None: eight bytes at a time in ordinary registers.
    Portable,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Level {
    /// The best level of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(token) = Avx512::detect() {
                return Self::Avx512(token);
            }
            if let Some(token) = Avx2::detect() {
                return Self::Avx2(token);
            }
        }
        Self::Portable
    }

    /// All levels of this CPU, the best one last.
    pub fn all() -> Vec<Self> {
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(Avx2::detect().map(Self::Avx2));
            levels.extend(Avx512::detect().map(Self::Avx512));
        }
        levels
    }

    /// Runs the algorithm on this level.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.run(kernel),
        }
    }

    /// Runs the algorithm with AVX2 at most: for loops that gain from newer instructions, but not from wider lanes.
    #[inline]
    pub fn run_scalar<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.narrow().run(kernel),
        }
    }
}

/// Eight bytes at a time in ordinary registers.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Lanes for Portable {
    #[inline(always)]
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N] {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let splats = needles.map(|n| u64::from_le_bytes([n; 8]));
        let mut masks = [0; N];
        let (words, _) = block.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            for (mask, splat) in masks.iter_mut().zip(splats) {
                let x = word ^ splat;
                // 0x80 in each byte of x that is zero, exactly
                let zero = !(((x & LOW) + LOW) | x | LOW);
                // the high bits of eight bytes, gathered into one
                *mask |= ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
            }
        }
        masks
    }

    #[inline(always)]
    fn decimal(self, bytes: &[u8; DIGITS], len: usize) -> Option<(u64, usize)> {
        if (1..=DIGITS).contains(&len) { decimal(bytes, len) } else { None }
    }

    #[inline(always)]
    fn json_special(self, block: &[u8; WIDE]) -> u32 {
        let at = plain_json(block);
        1u32.checked_shl(at as u32).unwrap_or(0)
    }

    #[inline(always)]
    fn controls(self, block: &[u8; BLOCK]) -> u64 {
        let (words, _) = block.as_chunks::<8>();
        words.iter().rev().fold(0, |mask, word| {
            // 0x80 in each byte whose three high bits are zero, exactly
            let high = u64::from_le_bytes(*word) & 0xe0e0_e0e0_e0e0_e0e0;
            let zero =
                !(((high & 0x7f7f_7f7f_7f7f_7f7f) + 0x7f7f_7f7f_7f7f_7f7f) | high) & 0x8080_8080_8080_8080;
            mask << 8 | ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56)
        })
    }

    #[inline(always)]
    fn same(self, a: &[u8; WIDE], b: &[u8; WIDE]) -> u32 {
        let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
        a.iter().zip(b).rev().fold(0, |mask, (a, b)| {
            let x = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
            let zero = !(((x & 0x7f7f_7f7f_7f7f_7f7f) + 0x7f7f_7f7f_7f7f_7f7f) | x) & 0x8080_8080_8080_8080;
            mask << 8 | ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
        })
    }

    #[inline(always)]
    fn digits(self, bytes: &[u8; DIGITS]) -> u32 {
        let (low, high) = (word_at::<0, DIGITS>(bytes), word_at::<8, DIGITS>(bytes));
        digit_mask(low) | (digit_mask(high) << 8)
    }

    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; WIDE], needles: [u8; N]) -> u32 {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let splats = needles.map(|n| u64::from_le_bytes([n; 8]));
        let (words, _) = block.as_chunks::<8>();
        words.iter().enumerate().fold(0, |any, (i, word)| {
            let word = u64::from_le_bytes(*word);
            let found = splats.iter().fold(0, |found, splat| {
                let x = word ^ splat;
                found | !(((x & LOW) + LOW) | x | LOW)
            });
            any | ((((found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32) << (8 * i))
        })
    }

    #[inline(always)]
    fn parity(self, mut mask: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            mask ^= mask << shift;
        }
        mask
    }
}
