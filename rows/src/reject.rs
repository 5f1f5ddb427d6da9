//! Rejects: what a person is told about a bad cell.

mod build;
pub(crate) mod message;
mod summary;
mod text;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use build::Rejects;
pub(crate) use message::Messages;
pub(crate) use summary::summary;

/// One bad cell, or one bad record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject<'a> {
    /// Number of the record in the file, from 1.
    pub row: u64,
    /// The row key's text in this record, "" if it has none.
    pub event_id: Cow<'a, str>,
    /// The column, "" for a reject of the whole record.
    pub column: &'a str,
    /// The column's ClickHouse type, "" for a reject of the whole record.
    pub ty: &'a str,
    /// What is wrong, as a stable code.
    pub code: Code,
    /// The cell's text, cut at 256 bytes on a character edge.
    pub observed: Cow<'a, str>,
    /// What is wrong and what to change.
    pub message: Cow<'a, str>,
    /// The record's text without its line end, cut at 1024 bytes on a character edge.
    pub record: Cow<'a, str>,
}

/// All bad cells of one column with one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The column, "" for rejects of whole records.
    pub column: String,
    /// The code.
    pub error: Code,
    /// How many cells.
    pub count: u64,
    /// Number of the first record with one, from 1.
    pub first_row: u64,
    /// The masked text of that cell.
    pub sample: String,
}

/// The stable codes of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The file has no such column, the JSON line no such key.
    MissingColumn,
    /// The cell is empty or null where a value is required.
    MissingValue,
    /// The text is not written as the type demands.
    InvalidType,
    /// A number or date that the type cannot hold.
    OutOfRange,
    /// Digits would be lost.
    PrecisionLoss,
    /// Not a name of the enum.
    InvalidEnum,
    /// Longer than the type holds.
    TooLong,
    /// A constraint of the column is not kept.
    Constraint,
    /// The record cannot be split into cells.
    MalformedRow,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// The JSON line has a key that no column has.
    UnknownColumn,
}

impl Code {
    /// All codes, in their order.
    #[cfg(test)]
    pub(crate) const ALL: [Self; Self::COUNT] = [
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
    pub(crate) const COUNT: usize = 11;

    /// The code as it stands in tables and files.
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
