//! Floats: JSON's number grammar, the nearest float.
//!
//! Fast path (Clinger): if the digits and the power of ten are both exact floats, their quotient is rounded once, and
//! correctly.

use rows_bytes::simd::numbers::{EIGHT, Numbers};
use rows_bytes::simd::{Lanes, number};
use rows_bytes::text::{Text, is_json_number};
use rows_types::{CellError, NonFinite, Policies};

use super::not_a_number::{no_number, not_a_number};
use super::{Native, Read};

const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The powers of ten that are exact in 32 bits, filled up with ones.
const SMALL_TENS: [f32; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1.0, 1.0, 1.0, 1.0, 1.0];

/// Reads `Float64`.
#[derive(Debug)]
pub(crate) struct Float64;

impl Read for Float64 {
    type Value = f64;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<f64> {
        if let Some(n) = number(lanes, text)
            && n.digits < 1 << 53
        {
            let value = n.digits as f64 / TENS[n.fraction];
            return Some(if n.negative { -value } else { value });
        }
        slow(text.bytes())
    }

    const NUMBERS: bool = true;

    #[inline(always)]
    fn numbers(&self, numbers: &Numbers, slots: &mut [u8]) -> u32 {
        let (mut values, mut wrong) = ([0.0; EIGHT], [0; EIGHT]);
        for at in 0..EIGHT {
            let digits = numbers.digits[at];
            let value = digits.cast_signed() as f64 / TENS[usize::from(numbers.fraction[at] & 15)];
            values[at] = f64::from_bits(value.to_bits() | numbers.sign[at]);
            wrong[at] = digits >> 53;
        }
        f64::put_eight(&values, slots);
        Numbers::wrong(&wrong)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        explain::<f64>(text)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        no_number(text)
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<f64, CellError> {
        lenient(text, policies, f64::NAN, f64::INFINITY)
    }

    fn magnitude(&self, value: f64) -> f64 {
        value
    }
}

/// Reads `Float32`. The text is rounded once, directly to 32 bits.
#[derive(Debug)]
pub(crate) struct Float32;

impl Read for Float32 {
    type Value = f32;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<f32> {
        if let Some(n) = number(lanes, text)
            && n.digits < 1 << 24
            && n.fraction <= 10
        {
            let value = n.digits as f32 / TENS[n.fraction] as f32;
            return Some(if n.negative { -value } else { value });
        }
        slow(text.bytes())
    }

    const NUMBERS: bool = true;

    #[inline(always)]
    fn numbers(&self, numbers: &Numbers, slots: &mut [u8]) -> u32 {
        let (mut values, mut wrong) = ([0.0; EIGHT], [0; EIGHT]);
        for at in 0..EIGHT {
            let (digits, fraction) = (numbers.digits[at], numbers.fraction[at]);
            let value = digits as i32 as f32 / SMALL_TENS[usize::from(fraction & 15)];
            values[at] = f32::from_bits(value.to_bits() | (numbers.sign[at] >> 32) as u32);
            wrong[at] = (digits >> 24) | u64::from(fraction > 10);
        }
        f32::put_eight(&values, slots);
        Numbers::wrong(&wrong)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        explain::<f32>(text)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        no_number(text)
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<f32, CellError> {
        lenient(text, policies, f32::NAN, f32::INFINITY)
    }

    fn magnitude(&self, value: f32) -> f64 {
        f64::from(value)
    }
}

/// The first 16 bits of the nearest `Float32`. As in ClickHouse, the rest is cut off, not rounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half(u16);

impl Native for Half {
    const WIDTH: usize = 2;
    fn put(self, slot: &mut [u8]) {
        self.0.put(slot);
    }
    fn get(slot: &[u8]) -> Self {
        Self(u16::get(slot))
    }
}

/// Reads `BFloat16`.
#[derive(Debug)]
pub(crate) struct BFloat16;

impl Read for BFloat16 {
    type Value = Half;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<Half> {
        let bits = Float32.read(lanes, text)?.to_bits();
        let half = (bits >> 16) as u16;
        // a number that is not zero must not become zero
        (bits << 1 == 0 || half << 1 != 0).then_some(Half(half))
    }

    fn explain(&self, text: &[u8]) -> CellError {
        explain::<f32>(text)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        no_number(text)
    }

    fn magnitude(&self, value: Half) -> f64 {
        f64::from(f32::from_bits(u32::from(value.0) << 16))
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<Half, CellError> {
        let value = lenient(text, policies, f32::NAN, f32::INFINITY)?;
        Ok(Half((value.to_bits() >> 16) as u16))
    }
}

trait Float: std::str::FromStr + Copy {
    fn is_finite(self) -> bool;
    fn is_zero(self) -> bool;
}

impl Float for f64 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn is_zero(self) -> bool {
        self == 0.0
    }
}

impl Float for f32 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn is_zero(self) -> bool {
        self == 0.0
    }
}

#[inline(never)]
fn slow<F: Float>(text: &[u8]) -> Option<F> {
    let value = parse::<F>(text)?;
    (value.is_finite() && (!value.is_zero() || is_written_zero(text))).then_some(value)
}

fn parse<F: Float>(text: &[u8]) -> Option<F> {
    if !is_json_number(text) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn is_written_zero(text: &[u8]) -> bool {
    text.iter().take_while(|b| !matches!(b, b'e' | b'E')).all(|b| matches!(b, b'0' | b'.' | b'-'))
}

/// Accepts NaN and infinity, if the column's policy allows them.
fn lenient<F: Float + std::ops::Neg<Output = F>>(
    text: &[u8],
    policies: Policies,
    nan: F,
    infinity: F,
) -> Result<F, CellError> {
    let error = explain::<F>(text);
    if error != CellError::NotFinite || policies.non_finite == NonFinite::Reject {
        return Err(error);
    }
    let (negative, word) = text.strip_prefix(b"-").map_or((false, text), |w| (true, w));
    let value = if matches!(word, [b'n' | b'N', ..]) { nan } else { infinity };
    Ok(if negative { -value } else { value })
}

fn explain<F: Float>(text: &[u8]) -> CellError {
    match parse::<F>(text) {
        None => not_a_number(text),
        Some(value) if !value.is_finite() => CellError::FloatTooLarge,
        Some(_) => CellError::FloatTooSmall,
    }
}
