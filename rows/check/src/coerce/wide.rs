//! 256-bit integers: only the operations that reading digits needs.

use rows_bytes::text::{Text, digits};

/// 256 bits as four words, lowest first. The caller decides whether the top bit is a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct I256([u64; 4]);

/// Number of digits that are read in one step.
const STEP: usize = 16;

/// 10^0 to 10^16.
const TENS: [u64; STEP + 1] = {
    let mut tens = [1; STEP + 1];
    let mut i = 1;
    while i <= STEP {
        tens[i] = tens[i - 1] * 10;
        i += 1;
    }
    tens
};

impl I256 {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const UNSIGNED_MAX: Self = Self([u64::MAX; 4]);
    pub(crate) const SIGNED_MAX: Self = Self([u64::MAX, u64::MAX, u64::MAX, i64::MAX as u64]);
    pub(crate) const SIGNED_MIN: Self = Self([0, 0, 0, 1 << 63]);

    /// `self * factor + more`, if it fits 256 bits without a sign.
    #[inline(always)]
    fn times_plus(self, factor: u64, more: u64) -> Option<Self> {
        let mut carry = more;
        let words = self.0.map(|word| {
            let product = u128::from(word) * u128::from(factor) + u128::from(carry);
            carry = (product >> 64) as u64;
            product as u64
        });
        (carry == 0).then_some(Self(words))
    }

    /// The number with this digit appended, if it fits 256 bits without a sign.
    pub(crate) fn push(self, digit: u8) -> Option<Self> {
        self.times_plus(10, u64::from(digit))
    }

    /// The number with the text's digits appended, if the text has only digits and the result fits 256 bits without a
    /// sign.
    #[inline(always)]
    pub(crate) fn append(self, text: Text<'_>) -> Option<Self> {
        let len = text.len();
        if len == 0 {
            return Some(self);
        }
        // the first step may have fewer digits
        let mut at = (len - 1) % STEP + 1;
        let first = digits(text, 0, at)?;
        let mut n =
            if self == Self::ZERO { Self([first, 0, 0, 0]) } else { self.times_plus(TENS[at], first)? };
        while at < len {
            n = n.times_plus(TENS[STEP], digits(text, at, STEP)?)?;
            at += STEP;
        }
        Some(n)
    }

    /// The number with `count` zeros appended, if it fits 256 bits without a sign.
    #[inline(always)]
    pub(crate) fn append_zeros(self, mut count: usize) -> Option<Self> {
        let mut n = self;
        while count > STEP {
            n = n.times_plus(TENS[STEP], 0)?;
            count -= STEP;
        }
        n.times_plus(TENS[count], 0)
    }

    /// The number in a text of at least one ASCII digit and nothing else, if it fits 256 bits without a sign.
    #[inline(always)]
    pub(crate) fn from_digits(text: Text<'_>) -> Option<Self> {
        if text.len() == 0 { None } else { Self::ZERO.append(text) }
    }

    /// `self + 1`; the largest number becomes 0.
    pub(crate) fn next(self) -> Self {
        let mut carry = true;
        Self(self.0.map(|word| {
            let (sum, over) = word.overflowing_add(u64::from(carry));
            carry = over;
            sum
        }))
    }

    /// The magnitude with a sign, if it fits 256 bits with a sign.
    #[inline(always)]
    pub(crate) fn with_sign(self, negative: bool) -> Option<Self> {
        if self.0[3] >> 63 == 1 && !(negative && self == Self::SIGNED_MIN) {
            return None;
        }
        Some(if negative { self.negated() } else { self })
    }

    /// The number with the opposite sign; the smallest number does not change.
    #[inline(always)]
    pub(crate) fn negated(self) -> Self {
        Self(self.0.map(|word| !word)).next()
    }

    pub(crate) fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    /// The number in the first 32 bytes.
    pub(crate) fn from_le_bytes(bytes: &[u8]) -> Self {
        let mut words = [0; 4];
        for (to, word) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *to = u64::from_le_bytes(*word);
        }
        Self(words)
    }

    fn half(self, at: usize) -> u128 {
        u128::from(self.0[at]) | (u128::from(self.0[at + 1]) << 64)
    }

    pub(crate) fn to_f64_unsigned(self) -> f64 {
        (self.half(2) as f64) * 2f64.powi(128) + self.half(0) as f64
    }

    pub(crate) fn to_f64(self) -> f64 {
        if self.0[3] >> 63 == 1 { -self.negated().to_f64_unsigned() } else { self.to_f64_unsigned() }
    }

    /// The number, if it fits 128 bits without a sign.
    #[inline(always)]
    pub(crate) fn to_u128(self) -> Option<u128> {
        (self.0[2] | self.0[3] == 0).then(|| self.half(0))
    }

    /// The low half as a signed number. The value must fit it.
    pub(crate) fn low_signed(self) -> i128 {
        self.half(0) as i128
    }
}

impl From<u64> for I256 {
    #[inline(always)]
    fn from(n: u64) -> Self {
        Self([n, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::I256;
    use proptest::prelude::*;
    use rows_bytes::text::Text;

    /// Reads one digit after the other; returns the number in two halves.
    fn slowly(digits: &[u8]) -> Option<[u128; 2]> {
        digits.iter().try_fold([0u128; 2], |[low, high], b| {
            let lowest = (low & u128::from(u64::MAX)) * 10 + u128::from(b - b'0');
            let above = (low >> 64) * 10 + (lowest >> 64);
            let high = high.checked_mul(10)?.checked_add(above >> 64)?;
            Some([(above << 64) | (lowest & u128::from(u64::MAX)), high])
        })
    }

    fn halves(n: Option<I256>) -> Option<[u128; 2]> {
        n.map(|n| [n.half(0), n.half(2)])
    }

    #[test]
    fn the_largest_number_is_read_and_the_next_is_not() {
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let read = |text: &str| I256::from_digits(Text::whole(text.as_bytes()));
        assert_eq!(read(largest), Some(I256::UNSIGNED_MAX));
        assert_eq!(read(&largest.replace("935", "936")), None);
        assert_eq!(read(&format!("{largest}0")), None);
        assert_eq!(read("340282366920938463463374607431768211455").and_then(I256::to_u128), Some(u128::MAX));
        assert_eq!(read("340282366920938463463374607431768211456").and_then(I256::to_u128), None);
    }

    #[test]
    fn the_sign_takes_one_bit() {
        assert_eq!(I256::SIGNED_MIN.with_sign(true), Some(I256::SIGNED_MIN));
        assert_eq!(I256::SIGNED_MIN.with_sign(false), None);
        assert_eq!(I256::SIGNED_MIN.next().with_sign(true), None);
        assert_eq!(I256::SIGNED_MAX.with_sign(false), Some(I256::SIGNED_MAX));
        assert_eq!(I256::from(1).with_sign(true), Some(I256::UNSIGNED_MAX));
        assert_eq!(I256::ZERO.with_sign(true), Some(I256::ZERO));
    }

    proptest! {
        #[test]
        fn digits_in_steps_are_what_single_digits_are(text in "[0-9]{1,85}|1[01][0-9]{76}|0{0,40}[0-9]{60,78}", behind in "[0-9x]{0,20}") {
            let padded = format!("{text}{behind}");
            let expected = slowly(text.as_bytes());
            prop_assert_eq!(halves(I256::from_digits(Text::whole(text.as_bytes()))), expected);
            prop_assert_eq!(halves(I256::from_digits(Text::new(padded.as_bytes(), text.len()))), expected);
            let pushed = text.bytes().try_fold(I256::ZERO, |n, b| n.push(b - b'0'));
            prop_assert_eq!(halves(pushed), expected);
        }

        #[test]
        fn digits_in_two_parts_and_zeros_are_digits(front in "[0-9]{0,50}", back in "[0-9]{0,50}", zeros in 0usize..80) {
            let parts = I256::ZERO.append(Text::whole(front.as_bytes()));
            let parts = parts.and_then(|n| n.append(Text::whole(back.as_bytes()))).and_then(|n| n.append_zeros(zeros));
            prop_assert_eq!(halves(parts), slowly(format!("{front}{back}{}", "0".repeat(zeros)).as_bytes()));
        }

        #[test]
        fn one_byte_that_is_no_digit_spoils_all(text in "[0-9]{1,77}", at: prop::sample::Index, byte: u8) {
            prop_assume!(!byte.is_ascii_digit());
            let mut text = text.into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            prop_assert_eq!(I256::from_digits(Text::whole(&text)), None);
        }

        #[test]
        fn bytes_come_back(bytes: [u8; 32]) {
            prop_assert_eq!(I256::from_le_bytes(&bytes).to_le_bytes(), bytes);
        }
    }
}
