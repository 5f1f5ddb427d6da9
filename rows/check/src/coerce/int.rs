//! Integers: JSON's integer grammar. The value must be in the type's range.

use rows_bytes::simd::numbers::{EIGHT, Numbers};
use rows_bytes::simd::{Lanes, Portable};
use rows_bytes::text::{Text, digits, is_json_number};
use rows_types::{CellError, IntegralFloats, OnOverflow, Policies};

use super::not_a_number::{no_number, not_a_number};
use super::wide::I256;
use super::{Native, Read, integral};

/// An integer type of at most 64 bits, made from sign and magnitude.
pub(crate) trait Small: Native {
    const SIGNED: bool;
    const MIN: Self;
    const MAX: Self;
    fn make(negative: bool, magnitude: u64) -> Option<Self>;
    /// The lowest bits of a number as this type, and the value of these bits. That value differs from the number if the
    /// number is not in range.
    fn wrap(number: i64) -> (Self, i64);
    fn float(self) -> f64;
}

macro_rules! small {
    ($($t:ty, $signed:literal);*) => {$(
        impl Small for $t {
            const SIGNED: bool = $signed;
            const MIN: Self = <$t>::MIN;
            const MAX: Self = <$t>::MAX;
            #[inline(always)]
            fn make(negative: bool, magnitude: u64) -> Option<Self> {
                if $signed {
                    let value =
                        if negative { 0i64.checked_sub_unsigned(magnitude)? } else { i64::try_from(magnitude).ok()? };
                    <$t>::try_from(value).ok()
                } else if negative {
                    None
                } else {
                    <$t>::try_from(magnitude).ok()
                }
            }
            #[inline(always)]
            fn wrap(number: i64) -> (Self, i64) {
                (number as $t, number as $t as i64)
            }
            fn float(self) -> f64 {
                self as f64
            }
        }
    )*};
}
small!(u8, false; u16, false; u32, false; u64, false; i8, true; i16, true; i32, true; i64, true);

/// Reads `Int8` to `Int64`, `UInt8` to `UInt64`.
#[derive(Debug)]
pub(crate) struct Int<T>(std::marker::PhantomData<T>);

impl<T> Int<T> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: Small> Read for Int<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<T> {
        let (negative, text) = sign(text, T::SIGNED)?;
        let magnitude = match digits(text, 0, text.len()) {
            Some(n) => n,
            None => long(text)?,
        };
        T::make(negative, magnitude)
    }

    const NUMBERS: bool = true;
    const POINT: bool = false;
    const MINUS: bool = T::SIGNED;

    #[inline(always)]
    fn numbers(&self, numbers: &Numbers, slots: &mut [u8]) -> u32 {
        let (mut values, mut wrong) = ([T::MIN; EIGHT], [0; EIGHT]);
        for at in 0..EIGHT {
            // all ones if there is a minus, else all zeros
            let minus = numbers.sign[at].cast_signed() >> 63;
            let number = (numbers.digits[at].cast_signed() ^ minus).wrapping_sub(minus);
            let (value, same) = T::wrap(number);
            let negative = if T::SIGNED { 0 } else { numbers.sign[at] };
            values[at] = value;
            // numbers with a point or a minus may already be refused, but need not be
            wrong[at] = (same ^ number).cast_unsigned() | u64::from(numbers.fraction[at]) | negative;
        }
        T::put_eight(&values, slots);
        Numbers::wrong(&wrong)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        explain(text, T::SIGNED)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        no_number(text)
    }

    fn magnitude(&self, value: T) -> f64 {
        value.float()
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<T, CellError> {
        lenient(self, text, policies, T::SIGNED, [T::MIN, T::MAX])
    }
}

/// Whether there is a minus, and the text after it. `None` if that text has a leading zero.
#[inline(always)]
fn sign(text: Text<'_>, signed: bool) -> Option<(bool, Text<'_>)> {
    let negative = signed && text.byte(0) == b'-' && text.len() > 1;
    let text = text.skip(usize::from(negative));
    if text.byte(0) == b'0' && text.len() > 1 { None } else { Some((negative, text)) }
}

/// 17 to 20 digits.
#[inline(never)]
fn long(text: Text<'_>) -> Option<u64> {
    if !(17..=20).contains(&text.len()) {
        return None;
    }
    let low = digits(text, text.len() - 16, 16)?;
    let high = digits(text, 0, text.len() - 16)?;
    high.checked_mul(10_000_000_000_000_000)?.checked_add(low)
}

fn is_integer(text: &[u8]) -> bool {
    is_json_number(text) && !text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'))
}

fn explain(text: &[u8], signed: bool) -> CellError {
    if !is_json_number(text) {
        not_a_number(text)
    } else if !is_integer(text) {
        CellError::NotInteger
    } else if !signed && text[0] == b'-' {
        CellError::Negative
    } else {
        CellError::OutOfRange
    }
}

/// Applies the policies to a text that is no integer in the type's range.
fn lenient<R: Read>(
    reader: &R,
    text: &[u8],
    policies: Policies,
    signed: bool,
    [min, max]: [R::Value; 2],
) -> Result<R::Value, CellError> {
    let mut error = explain(text, signed);
    if error == CellError::NotInteger && policies.integral_floats == IntegralFloats::Accept {
        let digits = integral::digits(text)?;
        if let Some(value) = reader.read(Portable, Text::whole(digits.text())) {
            return Ok(value);
        }
        error = explain(digits.text(), signed);
    }
    if policies.on_overflow == OnOverflow::Clamp
        && matches!(error, CellError::OutOfRange | CellError::Negative)
    {
        return Ok(if text[0] == b'-' { min } else { max });
    }
    Err(error)
}

/// An integer type of 128 or 256 bits.
pub(crate) trait Large: Native {
    const SIGNED: bool;
    const MIN: Self;
    const MAX: Self;
    /// The value of a magnitude; `negative` is only set if the type has a sign.
    fn make(negative: bool, magnitude: I256) -> Option<Self>;
    fn float(self) -> f64;
}

impl Large for i128 {
    const SIGNED: bool = true;
    const MIN: Self = i128::MIN;
    const MAX: Self = i128::MAX;
    #[inline(always)]
    fn make(negative: bool, magnitude: I256) -> Option<Self> {
        let magnitude = magnitude.to_u128()?;
        if negative { 0i128.checked_sub_unsigned(magnitude) } else { magnitude.try_into().ok() }
    }
    fn float(self) -> f64 {
        self as f64
    }
}

impl Large for u128 {
    const SIGNED: bool = false;
    const MIN: Self = u128::MIN;
    const MAX: Self = u128::MAX;
    #[inline(always)]
    fn make(_negative: bool, magnitude: I256) -> Option<Self> {
        magnitude.to_u128()
    }
    fn float(self) -> f64 {
        self as f64
    }
}

/// 256 bits, two's complement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed256(pub I256);
/// 256 bits, no sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsigned256(pub I256);

macro_rules! native_256 {
    ($t:ident) => {
        impl Native for $t {
            const WIDTH: usize = 32;
            #[inline(always)]
            fn put(self, slot: &mut [u8]) {
                slot.copy_from_slice(&self.0.to_le_bytes());
            }
            fn get(slot: &[u8]) -> Self {
                Self(I256::from_le_bytes(slot))
            }
        }
    };
}
native_256!(Signed256);
native_256!(Unsigned256);

impl Large for Signed256 {
    const SIGNED: bool = true;
    const MIN: Self = Self(I256::SIGNED_MIN);
    const MAX: Self = Self(I256::SIGNED_MAX);
    #[inline(always)]
    fn make(negative: bool, magnitude: I256) -> Option<Self> {
        magnitude.with_sign(negative).map(Self)
    }
    fn float(self) -> f64 {
        self.0.to_f64()
    }
}

impl Large for Unsigned256 {
    const SIGNED: bool = false;
    const MIN: Self = Self(I256::ZERO);
    const MAX: Self = Self(I256::UNSIGNED_MAX);
    #[inline(always)]
    fn make(_negative: bool, magnitude: I256) -> Option<Self> {
        Some(Self(magnitude))
    }
    fn float(self) -> f64 {
        self.0.to_f64_unsigned()
    }
}

/// Reads `Int128`, `UInt128`, `Int256`, `UInt256`.
#[derive(Debug)]
pub(crate) struct BigInt<T>(std::marker::PhantomData<T>);

impl<T> BigInt<T> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: Large> Read for BigInt<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<T> {
        let (negative, text) = sign(text, T::SIGNED)?;
        T::make(negative, I256::from_digits(text)?)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        explain(text, T::SIGNED)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        no_number(text)
    }

    fn magnitude(&self, value: T) -> f64 {
        value.float()
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<T, CellError> {
        lenient(self, text, policies, T::SIGNED, [T::MIN, T::MAX])
    }
}

#[cfg(test)]
mod tests {
    use super::{BigInt, Int, Signed256, Unsigned256};
    use crate::coerce::{Native, Read};
    use proptest::prelude::*;
    use rows_bytes::simd::Portable;
    use rows_bytes::text::Text;

    /// The value's bytes, once for the text alone, and once for the text with other digits after it.
    fn both<R: Read>(reader: &R, text: &str) -> [Option<Vec<u8>>; 2] {
        let padded = format!("{text}0123456789012345");
        [Text::whole(text.as_bytes()), Text::new(padded.as_bytes(), text.len())].map(|text| {
            let mut bytes = vec![0; R::Value::WIDTH];
            reader.read(Portable, text).map(|value| {
                value.put(&mut bytes);
                bytes
            })
        })
    }

    /// The value that the standard library reads, without the texts that JSON's grammar does not allow.
    fn standard<T: std::str::FromStr + Native>(text: &str) -> Option<Vec<u8>> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.starts_with('+') || text.starts_with('+') || (digits.starts_with('0') && digits.len() > 1) {
            return None;
        }
        let mut bytes = vec![0; T::WIDTH];
        text.parse::<T>().ok()?.put(&mut bytes);
        Some(bytes)
    }

    proptest! {
        #[test]
        fn an_integer_is_what_the_standard_library_says(
            text in "-?[0-9]{0,21}|-?(1[67]|3[34])[0-9]{37}|-?[1-9][0-9]{15,41}|-?[0-9]{0,20}[-+./:x][0-9]{0,20}|-?(9223372036854775|1844674407370955)[0-9]{3,4}|-?(170141183460469231731687303715884105|340282366920938463463374607431768211)[0-9]{3}",
        ) {
            let signed = standard::<i128>(&text);
            prop_assert_eq!(both(&BigInt::<i128>::new(), &text), [signed.clone(), signed]);
            let signed = standard::<i64>(&text);
            prop_assert_eq!(both(&Int::<i64>::new(), &text), [signed.clone(), signed]);
            let unsigned = standard::<u64>(&text).filter(|_| !text.starts_with('-'));
            prop_assert_eq!(both(&Int::<u64>::new(), &text), [unsigned.clone(), unsigned]);
            let unsigned = standard::<u128>(&text).filter(|_| !text.starts_with('-'));
            prop_assert_eq!(both(&BigInt::<u128>::new(), &text), [unsigned.clone(), unsigned]);
        }

        #[test]
        fn what_fits_128_bits_is_the_same_in_256(value: i128) {
            let text = value.to_string();
            let sign = if value < 0 { u8::MAX } else { 0 };
            let expected = Some([value.to_le_bytes(), [sign; 16]].concat());
            prop_assert_eq!(both(&BigInt::<Signed256>::new(), &text), [expected.clone(), expected.clone()]);
            let unsigned = expected.filter(|_| value >= 0);
            prop_assert_eq!(both(&BigInt::<Unsigned256>::new(), &text), [unsigned.clone(), unsigned]);
        }
    }
}
