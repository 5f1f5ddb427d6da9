//! Why a stream cannot be cut.

use crate::array::Broken;

/// Why a stream cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// The file has nothing but blank lines.
    #[error("the file is empty; send at least a header line")]
    EmptyFile,
    /// A record is longer than [`MAX_RECORD_BYTES`](rows_types::MAX_RECORD_BYTES).
    #[error(
        "record {row} is longer than {limit} bytes; a quote that is never closed makes one record of many lines"
    )]
    RecordTooLong {
        /// Number of the record, 0 for the header.
        row: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The file has bytes that no text file has.
    #[error("the file is not text: byte {offset} is NUL; send {}", advice(*.offset))]
    Binary {
        /// Offset in the decoded stream.
        offset: u64,
    },
    /// The header line opens a quote that is never closed.
    #[error("the header line opens a quote that is never closed")]
    UnterminatedQuote,
    /// The header line is too long, and contains carriage returns.
    #[error(
        "no line feed ends the header line, but it holds carriage returns; if they end lines, set input.lineEnd: any"
    )]
    ReturnInHeader,
    /// The file should be a JSON array and does not begin with one.
    #[error(
        "the file is not a JSON array: byte {offset} should be '['; use format JSONLines for one object a line"
    )]
    NotAnArray {
        /// Offset in the decoded stream.
        offset: u64,
    },
    /// The JSON array has no end.
    #[error("the JSON array is never closed; the file may be cut off")]
    UnterminatedArray,
    /// There is more than blanks after the JSON array.
    #[error("there is text after the JSON array, at byte {offset}; send one array a file")]
    AfterArray {
        /// Offset in the decoded stream.
        offset: u64,
    },
    /// There is no comma between two elements of the JSON array.
    #[error(
        "there is no comma before record {row}, at byte {offset}; separate the records of a JSON array by commas"
    )]
    MissingComma {
        /// Number of the record after the missing comma.
        row: u64,
        /// Offset in the decoded stream.
        offset: u64,
    },
    /// A comma of the JSON array has no element before or after it.
    #[error("record {row}, at byte {offset}, is empty; remove the extra comma")]
    MissingRecord {
        /// Number of the missing record.
        row: u64,
        /// Offset in the decoded stream.
        offset: u64,
    },
}

impl CutError {
    /// The error for an array that is malformed before this record, at this byte.
    pub(super) fn of_array(broken: Broken, row: u64, offset: u64) -> Self {
        match broken {
            Broken::NoArray => Self::NotAnArray { offset },
            Broken::NoComma => Self::MissingComma { row, offset },
            Broken::NoRecord => Self::MissingRecord { row, offset },
            Broken::AfterArray => Self::AfterArray { offset },
        }
    }

    /// Stable name for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::EmptyFile => "EmptyFile",
            Self::RecordTooLong { .. } => "RecordTooLong",
            Self::Binary { .. } => "BinaryFile",
            Self::UnterminatedQuote => "UnterminatedQuote",
            Self::ReturnInHeader => "HeaderMismatch",
            Self::NotAnArray { .. } => "NotJsonArray",
            Self::UnterminatedArray => "UnterminatedArray",
            Self::AfterArray { .. } | Self::MissingComma { .. } | Self::MissingRecord { .. } => {
                "MalformedArray"
            }
        }
    }
}

/// A NUL among the first two bytes can be half of a Latin letter in UTF-16; binary formats begin with other bytes.
fn advice(offset: u64) -> &'static str {
    match offset {
        0 | 1 => "it as UTF-8, or with a byte-order mark if it is UTF-16",
        _ => "UTF-8 text, which may be compressed with gzip, zstd, bzip2 or xz",
    }
}
