//! What happens to cells that a column's type cannot hold as they are written. The author of a model chooses each
//! policy; without a policy the cell is rejected.

use crate::types::{Family, Scalar, Type};

/// The policies of a column. The default rejects in all cases. In an array, tuple or map, a policy applies to the
/// elements whose type it fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// What happens to a number that its type cannot hold.
    pub on_overflow: OnOverflow,
    /// What happens to NaN and infinity.
    pub non_finite: NonFinite,
    /// What happens to a decimal with more digits after the point than its type has, and to a date with a time of day.
    pub on_precision_loss: OnPrecisionLoss,
    /// What happens to a whole number that is written with a fraction or an exponent.
    pub integral_floats: IntegralFloats,
    /// What happens to bytes that are not UTF-8.
    pub on_invalid_utf8: OnInvalidUtf8,
}

/// What happens to a number outside its type's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOverflow {
    /// The cell is rejected.
    #[default]
    Reject,
    /// The nearest value that the type can hold is loaded. Only for integers and decimals.
    Clamp,
}

/// What happens to NaN and infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// The cell is rejected.
    #[default]
    Reject,
    /// `nan`, `inf` and `infinity` are accepted, in upper or lower case, with or without a `-`. Only for floats. A NaN
    /// violates every `min` and `max`.
    Accept,
}

/// What happens to a decimal with more digits after the point than its type has, and to a date with a time of day (in a
/// column whose format has one).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPrecisionLoss {
    /// The cell is rejected.
    #[default]
    Reject,
    /// The nearest decimal is loaded. If two are equally near, it is the one farther from zero. Of a date, the day is
    /// loaded. Only for decimals and dates.
    Round,
}

/// What happens to a whole number that is written with a fraction or an exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntegralFloats {
    /// The cell is rejected.
    #[default]
    Reject,
    /// `1.0`, `1e3` and `-2.50e1` are read exactly, if the number is whole. Only for integers.
    Accept,
}

/// What happens to bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalidUtf8 {
    /// The cell is rejected.
    #[default]
    Reject,
    /// Each maximal invalid sequence becomes one U+FFFD, as in [`String::from_utf8_lossy`]. Only for `String`. An
    /// escape that is no character (`\ud800` in JSON) is still rejected, because it is no invalid byte.
    Replace,
}

impl Policies {
    /// The policies without those that load another value than the written one.
    #[must_use]
    pub fn exact(self) -> Self {
        Self {
            on_overflow: OnOverflow::Reject,
            on_precision_loss: OnPrecisionLoss::Reject,
            on_invalid_utf8: OnInvalidUtf8::Reject,
            ..self
        }
    }

    /// What to change, if a policy does not fit the type.
    #[must_use]
    pub fn problem(self, ty: &Type) -> Option<String> {
        let any = |is: fn(&Scalar) -> bool| ty.any(&|part| part.scalar().is_some_and(is));
        let integer = any(|scalar| scalar.info().family == Family::Integer);
        let decimal = any(|scalar| scalar.info().family == Family::Decimal);
        let day = any(|scalar| scalar.info().family == Family::Day);
        let float = any(|scalar| scalar.info().family == Family::Float);
        let string = any(|scalar| *scalar == Scalar::String);
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
                decimal || day,
                "onPrecisionLoss: round",
                "decimals and dates",
            ),
            (self.integral_floats != IntegralFloats::Reject, integer, "integralFloats: accept", "integers"),
            (self.on_invalid_utf8 != OnInvalidUtf8::Reject, string, "onInvalidUtf8: replace", "String"),
        ];
        let (_, _, policy, types) = fits.into_iter().find(|(set, fits, ..)| *set && !fits)?;
        Some(format!("{policy} is for {types}, not for {ty}; remove it"))
    }
}
