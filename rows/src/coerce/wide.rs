//! 256-bit integers: only what reading digits needs.

/// 256 bits as two halves, low first. Whether the top bit is a sign is the user's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct I256 {
    low: u128,
    high: u128,
}

const HALF: u128 = u64::MAX as u128;

impl I256 {
    pub(crate) const ZERO: Self = Self { low: 0, high: 0 };
    pub(crate) const UNSIGNED_MAX: Self = Self { low: u128::MAX, high: u128::MAX };
    pub(crate) const SIGNED_MAX: Self = Self { low: u128::MAX, high: i128::MAX as u128 };
    pub(crate) const SIGNED_MIN: Self = Self { low: 0, high: 1 << 127 };

    /// `self * 10 + digit`, if it fits 256 bits without sign.
    pub(crate) fn push(self, digit: u8) -> Option<Self> {
        let low_low = (self.low & HALF) * 10 + u128::from(digit);
        let low_high = (self.low >> 64) * 10 + (low_low >> 64);
        let high = self.high.checked_mul(10)?.checked_add(low_high >> 64)?;
        Some(Self { low: (low_high << 64) | (low_low & HALF), high })
    }

    /// `self + 1`; the largest number becomes 0.
    pub(crate) fn next(self) -> Self {
        let (low, carry) = self.low.overflowing_add(1);
        Self { low, high: self.high.wrapping_add(u128::from(carry)) }
    }

    /// The number in ASCII digits, if it fits 256 bits without sign.
    pub(crate) fn from_digits(digits: &[u8]) -> Option<Self> {
        digits.iter().try_fold(Self::ZERO, |n, b| n.push(b - b'0'))
    }

    /// The magnitude with a sign, if it fits 256 bits with sign.
    pub(crate) fn with_sign(self, negative: bool) -> Option<Self> {
        let limit = if negative { Self::SIGNED_MIN } else { Self::SIGNED_MAX };
        if (self.high, self.low) > (limit.high, limit.low) {
            return None;
        }
        Some(if negative { self.negated() } else { self })
    }

    fn negated(self) -> Self {
        Self { low: !self.low, high: !self.high }.next()
    }

    pub(crate) fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.low.to_le_bytes());
        bytes[16..].copy_from_slice(&self.high.to_le_bytes());
        bytes
    }

    pub(crate) fn from_le_bytes(bytes: &[u8]) -> Self {
        let half = |b: &[u8]| b.iter().rev().fold(0u128, |n, b| (n << 8) | u128::from(*b));
        Self { low: half(&bytes[..16]), high: half(&bytes[16..32]) }
    }

    pub(crate) fn to_f64_unsigned(self) -> f64 {
        (self.high as f64) * 2f64.powi(128) + self.low as f64
    }

    pub(crate) fn to_f64(self) -> f64 {
        if self.high >> 127 == 1 { -self.negated().to_f64_unsigned() } else { self.to_f64_unsigned() }
    }

    /// The low half as a signed number, for values that are known to fit it.
    pub(crate) fn low_signed(self) -> i128 {
        self.low as i128
    }
}
