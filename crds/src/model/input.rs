//! How files are read, and when bad rows end a job: what a job may say too.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a file is read. What is absent is taken from the model, then from the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputSpec {
    /// The format, unless the upload's Content-Type says it. Default: CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Whether the first record names the columns. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Between two cells: one ASCII character. Default: `,` (TSV: a tab). CSV and TSV only, like the fields up to
    /// `columnsBy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub delimiter: Option<String>,
    /// Around a cell: one ASCII character; empty: cells have no quotes. Default: `"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1))]
    pub quote: Option<String>,
    /// Makes a delimiter, quote, line end or itself data: one ASCII character; empty: there is none, the default. With a
    /// backslash `\n \t \r \b \f \v \0` are control characters, and a cell `\N` without quotes is NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1), regex(pattern = "^[ -~]?$"))]
    pub escape: Option<String>,
    /// A line that begins with it is skipped: one ASCII character; empty: no line is, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1), regex(pattern = "^[ -~]?$"))]
    pub comment: Option<String>,
    /// What ends a line. Default: lf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_end: Option<LineEnd>,
    /// Whether letter case matters in the names of a header. Default: exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_case: Option<HeaderCase>,
    /// What says which cell is which column's. Default: name, where the file has a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns_by: Option<ColumnsBy>,
    /// Unquoted texts that mean NULL in a nullable column, besides the empty cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub null_values: Option<Vec<String>>,
    /// What a column means that the file has and the model has not. Default: reject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_columns: Option<UnknownColumns>,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Format {
    /// RFC 4180.
    #[serde(rename = "CSV")]
    Csv,
    /// The same with tabs.
    #[serde(rename = "TSV")]
    Tsv,
    /// One JSON object a line.
    #[serde(rename = "JSONLines")]
    JsonLines,
    /// One JSON array of objects.
    #[serde(rename = "JSON")]
    Json,
}

/// What ends a line outside quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// LF or CRLF, also mixed.
    Lf,
    /// LF, CRLF or CR, also mixed.
    Any,
}

/// How the names of a header are compared with those of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeaderCase {
    /// Letter by letter.
    Exact,
    /// In Unicode lower case.
    Ignore,
}

/// What says which cell of a file with a header is which column's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnsBy {
    /// The name above it.
    Name,
    /// Its place: the header is skipped, and cells are taken in the model's order.
    Position,
}

/// What an unknown column of a file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownColumns {
    /// The file does not fit the model.
    Reject,
    /// The column is passed over.
    Ignore,
}

/// When bad rows end a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorPolicy {
    /// More bad rows than this are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_errors: Option<i64>,
    /// A greater share of bad rows than this, from 0 to 1, is too much; judged once 1,000 rows are done or the job ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub max_error_ratio: Option<f64>,
    /// What happens then.
    #[serde(default)]
    pub on_exceeded: OnExceeded,
    /// How many bad cells of a job are stored; all are counted.
    #[serde(default = "default_max_stored_errors")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub max_stored_errors: i64,
}

fn default_max_stored_errors() -> i64 {
    10_000
}

impl Default for ErrorPolicy {
    fn default() -> Self {
        Self {
            max_errors: None,
            max_error_ratio: None,
            on_exceeded: OnExceeded::default(),
            max_stored_errors: default_max_stored_errors(),
        }
    }
}

/// What happens when a job has too many bad rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnExceeded {
    /// The job is FAILED; rows loaded so far stay.
    #[default]
    Abort,
    /// The job goes on.
    Continue,
}
