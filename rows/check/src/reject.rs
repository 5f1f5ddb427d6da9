//! Rejects: what a user sees of a bad cell or a bad record.

mod build;
mod record;
mod summary;
mod text;

use std::borrow::Cow;

use rows_types::Code;

pub(crate) use build::Rejects;
pub(crate) use summary::summary;

/// One bad cell, or one bad record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject<'a> {
    /// Number of the record in the file, from 1.
    pub row: u64,
    /// The row key's text in this record, "" if it has none.
    pub event_id: Cow<'a, str>,
    /// The column, "" for a reject of the complete record.
    pub column: &'a str,
    /// The column's ClickHouse type, "" for a reject of the complete record.
    pub ty: &'a str,
    /// What is wrong, as a stable code.
    pub code: Code,
    /// The cell's text, cut at the last character boundary within 256 bytes.
    pub observed: Cow<'a, str>,
    /// What is wrong and what to change.
    pub message: Cow<'a, str>,
    /// The record's text without its line end, cut at the last character boundary within 1024 bytes.
    pub record: Cow<'a, str>,
}

/// All bad cells of one column with one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The column, "" for rejects of complete records.
    pub column: String,
    /// The code.
    pub error: Code,
    /// The number of cells.
    pub count: u64,
    /// Number of the first record with such a cell, from 1.
    pub first_row: u64,
    /// The masked text of that cell.
    pub sample: String,
}
