//! 64 bytes at a time: which of them equal a byte, and the running parity of a mask.
//!
//! The only module of this crate with `unsafe`. The algorithms that use it are generic over [`Lanes`], are safe code,
//! and give the same answer on every level; [`Level::detect`] picks the best one that this CPU has.

use crate::coerce::date::Day;
use crate::coerce::text::{self, Text, plain_json};
use crate::coerce::{date, datetime, ip, uuid};
use crate::words::{decimal, digit_mask, word_at};
use numbers::{Numbers, Texts};

pub(crate) mod numbers;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod types;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// Bytes of half a block.
pub(crate) const WIDE: usize = 32;

/// What a CPU does with 64 bytes. Bit `i` of a mask stands for byte `i`.
pub(crate) trait Lanes: Copy {
    /// Which bytes equal each of the needles.
    fn equal<const N: usize>(self, block: &[u8; BLOCK], needles: [u8; N]) -> [u64; N];
    /// Bit `i` is the parity of bits `0..=i`.
    fn parity(self, mask: u64) -> u64;
    /// What [`decimal`] promises; `None` also if `len` is not 1..=16.
    fn decimal(self, bytes: &[u8; DIGITS], len: usize) -> Option<(u64, usize)>;
    /// Whether [`Lanes::numbers`] is worth it.
    const NUMBERS: bool = false;
    /// The texts of the eight at `at` as [`Numbers`]. Those with a point or a minus may be refused where the caller does
    /// without: where `POINT` or `MINUS` is false.
    #[inline(always)]
    fn numbers<const POINT: bool, const MINUS: bool>(self, texts: Texts<'_>, at: usize) -> Numbers {
        let mut all = Numbers { refused: 0, ..Numbers::NONE };
        let (bytes, starts, lens) = texts.eight(at);
        for (at, (start, len)) in starts.iter().zip(lens).enumerate() {
            let text = bytes.get(*start as usize..).filter(|_| *len as usize <= DIGITS);
            all.empty |= u32::from(*len == 0) << at;
            match text.and_then(|text| text::number(self, Text::new(text, *len as usize))) {
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
    /// Which bytes are the same in both.
    fn same(self, a: &[u8; WIDE], b: &[u8; WIDE]) -> u32;
    /// Which bytes are ASCII digits.
    fn digits(self, bytes: &[u8; DIGITS]) -> u32;
    /// What [`uuid::halves`] promises.
    #[inline(always)]
    fn uuid(self, text: &[u8; 36]) -> Option<[u64; 2]> {
        uuid::halves(text)
    }
    /// What [`ip::octets`] promises.
    #[inline(always)]
    fn octets(self, bytes: &[u8; 16], len: usize) -> Option<u32> {
        ip::octets(bytes, len)
    }
    /// What [`ip::groups`] promises.
    #[inline(always)]
    fn groups(self, bytes: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
        ip::groups(bytes, len)
    }
    /// What [`date::fields`] promises of the first ten bytes.
    #[inline(always)]
    fn day(self, bytes: &[u8; 16]) -> Option<Day> {
        date::fields(bytes.first_chunk()?)
    }
    /// What [`datetime::fields`] promises.
    #[inline(always)]
    fn moment(self, bytes: &[u8; 19]) -> Option<(Day, u32)> {
        datetime::fields(bytes)
    }
    /// Which bytes equal any of the needles.
    fn any_of<const N: usize>(self, block: &[u8; WIDE], needles: [u8; N]) -> u32;
    /// Copies the first `len` bytes of `tail` to `out`, of each two quotes that follow one another only the first; gives
    /// their number there. `None`, with `out` unspecified, where up to 64 bytes past the end cannot be read or written.
    #[inline(always)]
    fn undouble(self, tail: &[u8], len: usize, quote: u8, out: &mut [u8]) -> Option<usize> {
        undouble_by_leaps(self, tail, len, quote, out)
    }
    /// Writes the positions of the mask's bits, counted from `base`, in order; what is behind them is unspecified.
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

/// Copies 32 bytes, looks for a quote in them, and goes on behind its double.
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

/// Digits of a number at most.
pub(crate) const DIGITS: usize = 16;

/// An algorithm on [`Lanes`], and its way to code that is compiled for them.
pub(crate) trait Kernel {
    type Output;
    /// Must be `#[inline(always)]`, so that it is compiled with the features of its caller.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// The instruction sets that this CPU may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Level {
    /// The best level of this CPU.
    pub(crate) fn detect() -> Self {
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
    pub(crate) fn all() -> Vec<Self> {
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
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
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
    pub(crate) fn run_scalar<K: Kernel>(self, kernel: K) -> K::Output {
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
pub(crate) struct Portable;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Equal<'a>(&'a [u8; BLOCK], [u8; 2]);
    impl Kernel for Equal<'_> {
        type Output = [u64; 2];
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> [u64; 2] {
            lanes.equal(self.0, self.1)
        }
    }
    struct Positions(u64, u32);
    impl Kernel for Positions {
        type Output = Vec<u32>;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Vec<u32> {
            let mut out = [0; BLOCK];
            lanes.positions(self.0, self.1, &mut out);
            out[..self.0.count_ones() as usize].to_vec()
        }
    }
    struct Decimal([u8; DIGITS], usize);
    impl Kernel for Decimal {
        type Output = Option<(u64, usize)>;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Option<(u64, usize)> {
            lanes.decimal(&self.0, self.1)
        }
    }
    struct Special([u8; WIDE]);
    impl Kernel for Special {
        type Output = (u32, u32);
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> (u32, u32) {
            let front = *self.0.first_chunk().unwrap();
            (lanes.json_special(&self.0).trailing_zeros(), lanes.digits(&front))
        }
    }
    struct Controls([u8; BLOCK]);
    impl Kernel for Controls {
        type Output = u64;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> u64 {
            lanes.controls(&self.0)
        }
    }
    struct Same([u8; WIDE], [u8; WIDE]);
    impl Kernel for Same {
        type Output = u32;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> u32 {
            lanes.same(&self.0, &self.1)
        }
    }
    struct AnyOf([u8; WIDE], [u8; 3]);
    impl Kernel for AnyOf {
        type Output = u32;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> u32 {
            lanes.any_of(&self.0, self.1)
        }
    }
    struct Undouble<'a>(&'a [u8], usize, usize);
    impl Kernel for Undouble<'_> {
        type Output = Option<Vec<u8>>;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Option<Vec<u8>> {
            let mut out = vec![b'?'; self.2];
            let n = lanes.undouble(self.0, self.1, b'"', &mut out)?;
            Some(out[..n].to_vec())
        }
    }
    struct Parity(u64);
    impl Kernel for Parity {
        type Output = u64;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> u64 {
            lanes.parity(self.0)
        }
    }

    proptest! {
        #[test]
        fn every_level_finds_the_same_bytes(block in prop::array::uniform32(0u8..4), a in 0u8..4, b: u8) {
            let mut bytes = [0xffu8; BLOCK];
            bytes[16..48].copy_from_slice(&block);
            bytes[50] = b;
            let expected = [a, b].map(|n| bytes.iter().enumerate().fold(0u64, |m, (i, x)| m | (u64::from(*x == n) << i)));
            for level in Level::all() {
                prop_assert_eq!(level.run(Equal(&bytes, [a, b])), expected);
            }
        }

        #[test]
        fn every_level_gives_the_same_positions(a: u64, b: u64, sparse: bool, base: u32) {
            for mask in [if sparse { a & b } else { a | b }, 0, !0] {
                let expected: Vec<u32> =
                    (0..64).filter(|i| mask >> i & 1 == 1).map(|i| base.wrapping_add(i)).collect();
                for level in Level::all() {
                    prop_assert_eq!(&level.run(Positions(mask, base)), &expected);
                    prop_assert_eq!(&level.run_scalar(Positions(mask, base)), &expected);
                }
            }
        }

        #[test]
        fn every_level_reads_the_same_decimals(
            text in "[0-9]{0,12}[.0-9/:]?[0-9]{0,3}", behind in prop::array::uniform16(any::<u8>()), len in 0usize..20,
        ) {
            let mut bytes = behind;
            for (to, from) in bytes.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            for len in [len, text.len()] {
                let expected = bytes.get(..len).and_then(|text| {
                    let point = text.iter().position(|b| *b == b'.').unwrap_or(len);
                    let digits: Vec<u8> =
                        text.iter().enumerate().filter(|(i, _)| *i != point).map(|(_, b)| *b).collect();
                    let plain = digits.iter().all(u8::is_ascii_digit);
                    let number = std::str::from_utf8(&digits).ok().filter(|_| plain)?.parse().ok()?;
                    Some((number, point))
                });
                for level in Level::all() {
                    prop_assert_eq!(level.run(Decimal(bytes, len)), expected);
                }
            }
        }

        #[test]
        fn every_level_finds_digits_and_the_end_of_a_json_string(text in "[0-9a-z/:ü]{0,31}[\"\\\\\u{1f}\u{0}\u{80}\u{ff}]?[ 0-9]{0,9}") {
            let mut bytes = [b' '; WIDE];
            for (to, from) in bytes.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            let special = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(32) as u32;
            let digits = bytes[..16].iter().enumerate().fold(0, |m, (i, b)| m | (u32::from(b.is_ascii_digit()) << i));
            for level in Level::all() {
                prop_assert_eq!(level.run(Special(bytes)), (special, digits));
            }
        }

        #[test]
        fn every_level_finds_the_same_control_characters(low in prop::array::uniform32(0u8..0x40), any in prop::array::uniform32(any::<u8>())) {
            let mut bytes = [0; BLOCK];
            bytes[..32].copy_from_slice(&low);
            bytes[32..].copy_from_slice(&any);
            let expected = bytes.iter().enumerate().fold(0u64, |m, (i, b)| m | (u64::from(*b < 0x20) << i));
            for level in Level::all() {
                prop_assert_eq!(level.run(Controls(bytes)), expected);
            }
        }

        #[test]
        fn every_level_finds_the_same_stops(bytes in prop::array::uniform32(0u8..9), stops in prop::array::uniform3(0u8..9)) {
            let expected = bytes.iter().enumerate().fold(0, |m, (i, b)| m | (u32::from(stops.contains(b)) << i));
            for level in Level::all() {
                prop_assert_eq!(level.run(AnyOf(bytes, stops)), expected);
            }
        }

        #[test]
        fn every_level_finds_the_bytes_that_are_the_same(a in prop::array::uniform32(any::<u8>()), other in prop::array::uniform32(any::<u8>()), differ: u32) {
            let mut b = a;
            let mut expected = !0u32;
            for i in 0..WIDE {
                if differ >> i & 1 == 1 {
                    b[i] = if i % 2 == 0 { other[i] } else { a[i] ^ 0x80 };
                }
                expected &= !(u32::from(a[i] != b[i]) << i);
            }
            for level in Level::all() {
                prop_assert_eq!(level.run(Same(a, b)), expected);
            }
        }

        #[test]
        fn every_level_makes_one_quote_of_two(
            text in "[ab\"]{0,80}|[a-z]{0,70}[\"]{0,3}|\"{0,70}", behind in "[x\"]{0,140}", room in 0usize..200,
        ) {
            let doubled = text.replace('"', "\"\"");
            let tail = format!("{doubled}{behind}");
            for level in Level::all() {
                let read = level.run(Undouble(tail.as_bytes(), doubled.len(), room));
                if let Some(read) = &read {
                    prop_assert_eq!(std::str::from_utf8(read).unwrap(), &text);
                }
                let near = behind.len() >= BLOCK && room >= text.len() + BLOCK;
                prop_assert!(read.is_some() || !near);
            }
        }

        #[test]
        fn every_level_gives_the_running_parity(mask: u64) {
            let expected = (0..64).fold(0u64, |m, i| m | u64::from((mask << (63 - i)).count_ones() % 2) << i);
            for level in Level::all() {
                prop_assert_eq!(level.run(Parity(mask)), expected);
            }
        }
    }
}
