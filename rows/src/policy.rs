//! What becomes of cells that a column's type cannot hold as they are written. Each policy is a choice of the model's
//! author; without one the cell is rejected.

use crate::types::{Base, Type};

/// The policies of a column; the default rejects everywhere. In arrays, tuples and maps they are those of the elements
/// that they fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// What becomes of a number that its type cannot hold.
    pub on_overflow: OnOverflow,
    /// What becomes of NaN and infinity.
    pub non_finite: NonFinite,
    /// What becomes of a decimal with more digits after the point than its type keeps.
    pub on_precision_loss: OnPrecisionLoss,
    /// What becomes of a whole number that is written with a fraction or an exponent.
    pub integral_floats: IntegralFloats,
    /// What becomes of bytes that are not UTF-8.
    pub on_invalid_utf8: OnInvalidUtf8,
}

/// What becomes of a number outside its type's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOverflow {
    /// The cell is rejected.
    #[default]
    Reject,
    /// The nearest value that the type can hold is loaded. Integers and decimals only.
    Clamp,
}

/// What becomes of NaN and infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// The cell is rejected.
    #[default]
    Reject,
    /// `nan`, `inf` and `infinity` are read, in letters of either case and with or without a `-`. Floats only. A NaN
    /// breaks every `min` and `max`.
    Accept,
}

/// What becomes of a decimal with more digits after the point than its type keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPrecisionLoss {
    /// The cell is rejected.
    #[default]
    Reject,
    /// The nearest value is loaded, of two that are as near the one farther from zero. Decimals only.
    Round,
}

/// What becomes of a whole number that is written with a fraction or an exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntegralFloats {
    /// The cell is rejected.
    #[default]
    Reject,
    /// `1.0`, `1e3` and `-2.50e1` are read, exactly, if the number is whole. Integers only.
    Accept,
}

/// What becomes of bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalidUtf8 {
    /// The cell is rejected.
    #[default]
    Reject,
    /// Each maximal invalid sequence becomes one U+FFFD, as in [`String::from_utf8_lossy`]. `String` only. An escape that
    /// makes no character (`\ud800` in JSON) is no byte and stays rejected.
    Replace,
}

impl Policies {
    /// Without the policies that load another value than the one that is written.
    pub(crate) fn exact(self) -> Self {
        Self {
            on_overflow: OnOverflow::Reject,
            on_precision_loss: OnPrecisionLoss::Reject,
            on_invalid_utf8: OnInvalidUtf8::Reject,
            ..self
        }
    }

    /// What to change, if a policy does not fit the type.
    pub(crate) fn problem(self, ty: &Type) -> Option<String> {
        let any = |is: fn(&Base) -> bool| ty.any(&|part| is(&part.base));
        let integer = any(|base| matches!(base, Base::Int(_) | Base::UInt(_)));
        let decimal = any(|base| matches!(base, Base::Decimal(..)));
        let float = any(|base| matches!(base, Base::Float32 | Base::Float64 | Base::BFloat16));
        let string = any(|base| *base == Base::String);
        let fits = [
            (
                self.on_overflow != OnOverflow::Reject,
                integer || decimal,
                "onOverflow: clamp",
                "integers and decimals",
            ),
            (self.non_finite != NonFinite::Reject, float, "nonFinite: accept", "floats"),
            (
                self.on_precision_loss != OnPrecisionLoss::Reject,
                decimal,
                "onPrecisionLoss: round",
                "decimals",
            ),
            (self.integral_floats != IntegralFloats::Reject, integer, "integralFloats: accept", "integers"),
            (self.on_invalid_utf8 != OnInvalidUtf8::Reject, string, "onInvalidUtf8: replace", "String"),
        ];
        let (_, _, policy, types) = fits.into_iter().find(|(set, fits, ..)| *set && !fits)?;
        Some(format!("{policy} is for {types}, not for {ty}; remove it"))
    }
}
