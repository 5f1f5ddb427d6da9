//! The reject codes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reject codes. They are stable: a rename is a breaking change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The file lacks the column, or the JSON line lacks the key.
    MissingColumn,
    /// The cell is empty or null where a value is required.
    MissingValue,
    /// The text does not have the form that the type requires.
    InvalidType,
    /// The type cannot hold the number or date.
    OutOfRange,
    /// Digits would be lost.
    PrecisionLoss,
    /// The text is not a name of the enum.
    InvalidEnum,
    /// The text is longer than the type can hold.
    TooLong,
    /// The value violates a constraint of the column.
    Constraint,
    /// The record cannot be split into cells.
    MalformedRow,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// The JSON line has a key that is no column.
    UnknownColumn,
}

impl Code {
    /// All codes, in their order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::MissingColumn,
        Self::MissingValue,
        Self::InvalidType,
        Self::OutOfRange,
        Self::PrecisionLoss,
        Self::InvalidEnum,
        Self::TooLong,
        Self::Constraint,
        Self::MalformedRow,
        Self::InvalidUtf8,
        Self::UnknownColumn,
    ];
    /// How many there are.
    pub const COUNT: usize = 11;

    /// The code as it is written in tables and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingColumn => "MISSING_COLUMN",
            Self::MissingValue => "MISSING_VALUE",
            Self::InvalidType => "INVALID_TYPE",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::PrecisionLoss => "PRECISION_LOSS",
            Self::InvalidEnum => "INVALID_ENUM",
            Self::TooLong => "TOO_LONG",
            Self::Constraint => "CONSTRAINT",
            Self::MalformedRow => "MALFORMED_ROW",
            Self::InvalidUtf8 => "INVALID_UTF8",
            Self::UnknownColumn => "UNKNOWN_COLUMN",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_stands_at_its_number() {
        assert!(Code::ALL.iter().enumerate().all(|(at, code)| *code as usize == at));
        assert_eq!(Code::UnknownColumn as usize + 1, Code::COUNT, "the last code");
    }
}
