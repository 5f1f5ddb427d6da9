//! Decimals: exact, and rounded only if the column's policy allows it.
//!
//! A `Decimal(P, S)` is an integer of 32, 64, 128 or 256 bits: the value times 10^S, of at most P digits.

use rows_bytes::simd::numbers::{EIGHT, Numbers};
use rows_bytes::simd::{Lanes, number};
use rows_bytes::text::{Text, is_json_number};
use rows_types::{CellError, OnOverflow, OnPrecisionLoss, Policies};

use super::int::Signed256;
use super::not_a_number::{no_number, not_a_number};
use super::wide::I256;
use super::{Native, Read};

/// The integers that hold decimals.
pub(crate) trait Unscaled: Native {
    fn from_u64(negative: bool, n: u64) -> Self;
    fn from_wide(n: I256) -> Self;
    fn float(self) -> f64;
}

macro_rules! unscaled {
    ($($t:ty),*) => {$(
        impl Unscaled for $t {
            #[inline(always)]
            fn from_u64(negative: bool, n: u64) -> Self {
                let n = n as $t;
                if negative { n.wrapping_neg() } else { n }
            }
            fn from_wide(n: I256) -> Self {
                n.low_signed() as $t
            }
            fn float(self) -> f64 {
                self as f64
            }
        }
    )*};
}
unscaled!(i32, i64, i128);

impl Unscaled for Signed256 {
    fn from_u64(negative: bool, n: u64) -> Self {
        let n = I256::from(n);
        Self(if negative { n.negated() } else { n })
    }
    fn from_wide(n: I256) -> Self {
        Self(n)
    }
    fn float(self) -> f64 {
        self.0.to_f64()
    }
}

/// Reads `Decimal(P, S)`.
#[derive(Debug)]
pub(crate) struct Decimal<T> {
    precision: u8,
    scale: u8,
    /// 10^P, or the largest 64-bit number if 10^P is larger.
    limit: u64,
    marker: std::marker::PhantomData<T>,
}

const TENS: [u64; 20] = {
    let mut tens = [1u64; 20];
    let mut i = 1;
    while i < 20 {
        tens[i] = tens[i - 1] * 10;
        i += 1;
    }
    tens
};

impl<T: Unscaled> Decimal<T> {
    pub(crate) fn new(precision: u8, scale: u8) -> Self {
        let limit = TENS.get(usize::from(precision)).copied().unwrap_or(u64::MAX);
        Self { precision, scale, limit, marker: std::marker::PhantomData }
    }

    /// Reads any number of digits, if none of them is beyond the scale.
    #[inline(never)]
    fn wide(&self, text: Text<'_>) -> Option<T> {
        let (precision, scale) = (usize::from(self.precision), usize::from(self.scale));
        let negative = text.byte(0) == b'-' && text.len() > 0;
        let text = text.skip(usize::from(negative));
        let point = memchr::memchr(b'.', text.bytes());
        let whole = text.until(point.unwrap_or(text.len()));
        let fraction = point.map_or(text.until(0), |at| text.skip(at + 1));
        let zero = whole.byte(0) == b'0';
        let fits = if zero { whole.len() == 1 } else { whole.len().wrapping_sub(1) < precision - scale };
        if !fits || fraction.len() > scale || (point.is_some() && fraction.len() == 0) {
            return None;
        }
        join(whole, fraction, scale - fraction.len())?.with_sign(negative).map(T::from_wide)
    }

    /// The slow way, for all texts. It also applies the policy.
    #[inline(never)]
    fn long(&self, text: &[u8], on_loss: OnPrecisionLoss) -> Result<T, CellError> {
        if !is_json_number(text) {
            return Err(not_a_number(text));
        }
        if text.iter().any(|b| matches!(b, b'e' | b'E')) {
            return Err(CellError::NotPlainDecimal);
        }
        let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |d| (true, d));
        let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
        let whole = &digits[..point];
        let fraction = digits.get(point + 1..).unwrap_or_default();
        // zeros at the end of the fraction can be dropped without loss
        let kept = fraction.len() - fraction.iter().rev().take_while(|b| **b == b'0').count();
        if whole != b"0" && whole.len() > usize::from(self.precision - self.scale) {
            return Err(CellError::OutOfRange);
        }
        let scale = usize::from(self.scale);
        if kept > scale && on_loss == OnPrecisionLoss::Reject {
            return Err(CellError::Scale);
        }
        // half a unit is rounded away from zero, as ClickHouse's and SQL's ROUND do
        let up = fraction.get(scale).is_some_and(|b| *b >= b'5');
        let kept = kept.min(scale);
        let n = join(Text::whole(whole), Text::whole(&fraction[..kept]), scale - kept);
        let n = n.filter(|n| !up || *n != self.nines()).map(|n| if up { n.next() } else { n });
        n.and_then(|n| n.with_sign(negative)).map(T::from_wide).ok_or(CellError::OutOfRange)
    }

    /// The largest number with this precision.
    fn nines(&self) -> I256 {
        (0..self.precision).fold(I256::ZERO, |n, _| n.push(9).unwrap_or(n))
    }
}

/// The number made of the digits before the point, those after it, and zeros.
#[inline(always)]
fn join(whole: Text<'_>, fraction: Text<'_>, zeros: usize) -> Option<I256> {
    I256::ZERO.append(whole)?.append(fraction)?.append_zeros(zeros)
}

impl<T: Unscaled> Read for Decimal<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<T> {
        if let Some(n) = number(lanes, text)
            && n.fraction <= usize::from(self.scale)
            && let Some(ten) = TENS.get(usize::from(self.scale) - n.fraction)
            && let Some(scaled) = n.digits.checked_mul(*ten)
            && scaled < self.limit
        {
            return Some(T::from_u64(n.negative, scaled));
        }
        self.wide(text).or_else(|| self.long(text.bytes(), OnPrecisionLoss::Reject).ok())
    }

    const NUMBERS: bool = true;

    #[inline(always)]
    fn numbers(&self, numbers: &Numbers, slots: &mut [u8]) -> u32 {
        let (mut values, mut wrong) = ([T::from_u64(false, 0); EIGHT], [0; EIGHT]);
        for at in 0..EIGHT {
            let places = usize::from(self.scale).wrapping_sub(usize::from(numbers.fraction[at]));
            // digits beyond the scale, or a power of ten that does not fit 64 bits
            let ten = TENS.get(places).copied().unwrap_or(u64::MAX);
            let (scaled, over) = numbers.digits[at].overflowing_mul(ten);
            values[at] = T::from_u64(numbers.sign[at] != 0, scaled);
            let none = [over, scaled >= self.limit, places >= TENS.len()];
            wrong[at] = none.into_iter().fold(0, |any, none| any | u64::from(none));
        }
        T::put_eight(&values, slots);
        Numbers::wrong(&wrong)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        self.long(text, OnPrecisionLoss::Reject).err().unwrap_or(CellError::OutOfRange)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        no_number(text)
    }

    fn magnitude(&self, value: T) -> f64 {
        value.float() / 10f64.powi(i32::from(self.scale))
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<T, CellError> {
        match self.long(text, policies.on_precision_loss) {
            Err(CellError::OutOfRange) if policies.on_overflow == OnOverflow::Clamp => {
                self.nines().with_sign(text[0] == b'-').map(T::from_wide).ok_or(CellError::OutOfRange)
            }
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Unscaled};
    use crate::coerce::Read;
    use crate::coerce::int::Signed256;
    use proptest::prelude::*;
    use rows_bytes::simd::Portable;
    use rows_bytes::text::Text;
    use rows_bytes::text::is_json_number;

    /// The value's bytes, once for the text alone, and once for the text with other digits after it.
    fn both<T: Unscaled>(precision: u8, scale: u8, text: &str) -> [Option<Vec<u8>>; 2] {
        let padded = format!("{text}.123456789012345");
        [Text::whole(text.as_bytes()), Text::new(padded.as_bytes(), text.len())].map(|text| {
            let mut bytes = vec![0; T::WIDTH];
            Decimal::<T>::new(precision, scale).read(Portable, text).map(|value| {
                value.put(&mut bytes);
                bytes
            })
        })
    }

    /// The unscaled value, from a text that the standard library reads.
    fn slowly(precision: u8, scale: u8, text: &str) -> Option<i128> {
        if !is_json_number(text.as_bytes()) || text.contains(['e', 'E']) {
            return None;
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let zeros = usize::from(scale).checked_sub(fraction.len())?;
        let unscaled: i128 = format!("{whole}{fraction}{}", "0".repeat(zeros)).parse().ok()?;
        (unscaled.unsigned_abs() < 10u128.pow(u32::from(precision))).then_some(unscaled)
    }

    proptest! {
        #[test]
        fn a_decimal_is_the_integer_that_is_left_without_the_point(
            text in "-?[0-9]{0,20}[.]?[0-9]{0,20}|-?(0|[1-9][0-9]{0,37})([.][0-9]{0,37}0{0,20})?|-?[1-9][0-9]{0,20}[-.ex/:][0-9]{0,20}",
            (precision, scale) in (1u8..=38).prop_flat_map(|p| (Just(p), 0..=p)),
        ) {
            let expected = slowly(precision, scale, &text);
            let bytes = |n: Option<i128>, width: usize| {
                n.map(|n| [n.to_le_bytes(), [if n < 0 { u8::MAX } else { 0 }; 16]].concat()[..width].to_vec())
            };
            prop_assert_eq!(both::<i128>(precision, scale, &text), [bytes(expected, 16), bytes(expected, 16)]);
            prop_assert_eq!(both::<Signed256>(precision, scale, &text), [bytes(expected, 32), bytes(expected, 32)]);
            if precision <= 18 {
                prop_assert_eq!(both::<i64>(precision, scale, &text), [bytes(expected, 8), bytes(expected, 8)]);
            }
        }

        #[test]
        fn a_decimal_of_many_digits_is_its_two_halves(
            whole in "[1-9][0-9]{37}", fraction in "[0-9]{0,37}[1-9]", negative: bool,
        ) {
            // the text with its point, and the text without it as an integer: both give the same 256 bits
            let sign = if negative { "-" } else { "" };
            let scale = fraction.len() as u8;
            let read = both::<Signed256>(38 + scale, scale, &format!("{sign}{whole}.{fraction}"));
            prop_assert!(read[0].is_some());
            prop_assert_eq!(read, both::<Signed256>(38 + scale, 0, &format!("{sign}{whole}{fraction}")));
            prop_assert_eq!(both::<Signed256>(37 + scale, scale, &format!("{sign}{whole}.{fraction}")), [None, None]);
        }
    }
}
