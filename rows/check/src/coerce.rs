//! Text to values: one reader for each type. A reader accepts exactly the texts that the fidelity rules below allow.
//!
//! * Numbers follow JSON's grammar (RFC 8259 section 6) in every format: an optional `-`, no `+`, no leading zeros, no
//!   blanks, no `_`, digits on both sides of a `.`. Integers have no fraction and no exponent, decimals have no
//!   exponent. Neither NaN nor infinity can be written.
//! * A reader returns a value only if the type can hold it exactly. A float is the nearest float; infinity is rejected,
//!   and so is a zero whose text is another number.
//! * Good cells use [`Read::read`], which is small and returns `None` for all others. Bad cells use [`Read::explain`],
//!   which is not inlined.

pub(crate) mod boolean;
pub(crate) mod date;
pub(crate) mod datetime;
pub(crate) mod decimal;
pub(crate) mod enums;
#[cfg(test)]
pub(crate) mod every;
pub(crate) mod float;
pub(crate) mod format;
pub(crate) mod int;
mod integral;
pub(crate) mod ip;
mod not_a_number;
mod pattern;
pub(crate) mod time;
pub(crate) mod uuid;
pub(crate) mod wide;
mod zone;

use rows_bytes::simd::Lanes;
use rows_bytes::simd::numbers::{EIGHT, Numbers};
use rows_bytes::text::Text;
use rows_types::{CellError, Policies};

/// Reads the cells of one fixed-width type.
pub(crate) trait Read {
    /// The value in memory.
    type Value: Native;

    /// The value, if the text is one.
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<Self::Value>;

    /// Whether [`Read::numbers`] makes values of this type.
    const NUMBERS: bool = false;
    /// Whether such a number may have a decimal point.
    const POINT: bool = true;
    /// Whether such a number may have a minus.
    const MINUS: bool = true;

    /// Writes the values of eight texts, which were read as plain numbers, into eight slots. Returns a bit for each
    /// text that is no value, or that only slower code can read: [`Read::read`] must read those.
    #[inline(always)]
    fn numbers(&self, _numbers: &Numbers, _slots: &mut [u8]) -> u32 {
        !0
    }

    /// Why [`Read::read`] returned no value.
    fn explain(&self, text: &[u8]) -> CellError;

    /// A quick check, which rejects most bad cells. It returns the error of [`Read::lenient`] if the text is no value
    /// under any policy. `None`: the check cannot decide.
    fn refuse(&self, _text: &[u8]) -> Option<CellError> {
        None
    }

    /// The value as a number, for `min` and `max`; NaN for a type without numbers.
    fn magnitude(&self, _value: Self::Value) -> f64 {
        f64::NAN
    }

    /// Applies the column's policies to a text that [`Read::read`] did not accept.
    fn lenient(&self, text: &[u8], _policies: Policies) -> Result<Self::Value, CellError> {
        Err(self.explain(text))
    }
}

/// A value as ClickHouse's `Native` format stores it: little-endian, fixed width.
pub(crate) trait Native: Copy {
    const WIDTH: usize;
    /// Writes the value into `WIDTH` bytes.
    fn put(self, slot: &mut [u8]);
    fn get(slot: &[u8]) -> Self;
    /// Writes eight values into `8 * WIDTH` bytes.
    #[inline(always)]
    fn put_eight(values: &[Self; EIGHT], slots: &mut [u8]) {
        for (slot, value) in slots.chunks_exact_mut(Self::WIDTH).zip(values) {
            value.put(slot);
        }
    }
}

macro_rules! native {
    ($($t:ty),*) => {$(
        impl Native for $t {
            const WIDTH: usize = size_of::<$t>();
            #[inline(always)]
            fn put_eight(values: &[Self; EIGHT], slots: &mut [u8]) {
                // the number of values is known at compile time here, so they are written as one vector
                if let Some(slots) = slots.as_chunks_mut::<{ size_of::<$t>() }>().0.first_chunk_mut::<EIGHT>() {
                    for (slot, value) in slots.iter_mut().zip(values) {
                        *slot = value.to_le_bytes();
                    }
                }
            }
            #[inline(always)]
            fn put(self, slot: &mut [u8]) {
                slot.copy_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn get(slot: &[u8]) -> Self {
                let mut bytes = [0; size_of::<$t>()];
                bytes.copy_from_slice(slot);
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}
native!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);
