//! What happens to cells that a column's type cannot hold as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ColumnSpec;

/// What happens to a number beyond its type's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnOverflow {
    /// The cell is rejected.
    #[default]
    Reject,
    /// The nearest value of the type is stored.
    Clamp,
}

/// What happens to NaN and infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// The cell is rejected.
    #[default]
    Reject,
    /// It is stored.
    Accept,
}

/// What happens to a decimal with more fractional digits than its type has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnPrecisionLoss {
    /// The cell is rejected.
    #[default]
    Reject,
    /// The nearest value is stored; a half is rounded away from zero.
    Round,
}

/// What happens to an integer that is written with a fraction or an exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntegralFloats {
    /// The cell is rejected.
    #[default]
    Reject,
    /// It is stored.
    Accept,
}

/// What happens to bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalidUtf8 {
    /// The cell is rejected.
    #[default]
    Reject,
    /// Each invalid sequence is stored as one U+FFFD.
    Replace,
}

impl ColumnSpec {
    /// Returns the policies for the row engine.
    pub(crate) fn policies(&self) -> rows_types::Policies {
        rows_types::Policies {
            on_overflow: match self.on_overflow {
                OnOverflow::Reject => rows_types::OnOverflow::Reject,
                OnOverflow::Clamp => rows_types::OnOverflow::Clamp,
            },
            non_finite: match self.non_finite {
                NonFinite::Reject => rows_types::NonFinite::Reject,
                NonFinite::Accept => rows_types::NonFinite::Accept,
            },
            on_precision_loss: match self.on_precision_loss {
                OnPrecisionLoss::Reject => rows_types::OnPrecisionLoss::Reject,
                OnPrecisionLoss::Round => rows_types::OnPrecisionLoss::Round,
            },
            integral_floats: match self.integral_floats {
                IntegralFloats::Reject => rows_types::IntegralFloats::Reject,
                IntegralFloats::Accept => rows_types::IntegralFloats::Accept,
            },
            on_invalid_utf8: match self.on_invalid_utf8 {
                OnInvalidUtf8::Reject => rows_types::OnInvalidUtf8::Reject,
                OnInvalidUtf8::Replace => rows_types::OnInvalidUtf8::Replace,
            },
        }
    }
}
