//! How files are read, and when bad rows end a job: settings of a model that a job can override.

pub use rows_types::{ColumnsBy, Format, HeaderCase, LineEnd, UnknownColumns};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a file is read. A field that is absent is taken from the model, then from the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputSpec {
    /// The format. The Content-Type of an upload overrides the model's format, but not the job's. Default: CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Whether the first record names the columns. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// The character between two cells: one ASCII character. Default: `,` (TSV: a tab). This field and those up to
    /// `columnsBy` are for CSV and TSV only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub delimiter: Option<String>,
    /// The character around a cell: one ASCII character. Empty: cells have no quotes. Default: `"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1))]
    pub quote: Option<String>,
    /// The escape character: a delimiter, quote, line end or escape character after it is data. One ASCII character;
    /// empty (the default): no character is special. With a backslash `\n \t \r \b \f \v \0` are control characters, and a cell
    /// `\N` without quotes is NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1), regex(pattern = "^[ -~]?$"))]
    pub escape: Option<String>,
    /// A line that begins with this character is skipped: one ASCII character; empty (the default): no line is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1), regex(pattern = "^[ -~]?$"))]
    pub comment: Option<String>,
    /// What ends a line. Default: lf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_end: Option<LineEnd>,
    /// Whether letter case matters in the names of a header. Default: exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_case: Option<HeaderCase>,
    /// How cells are assigned to columns. Default: name, if the file has a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns_by: Option<ColumnsBy>,
    /// Texts that mean NULL in a nullable column when they are not quoted. An empty cell without quotes always means
    /// NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub null_values: Option<Vec<String>>,
    /// What happens if the file has a column that the model does not have. Default: reject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_columns: Option<UnknownColumns>,
}

/// When bad rows end a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorPolicy {
    /// The most bad rows that a job may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_errors: Option<i64>,
    /// The largest share of bad rows that a job may have, from 0 to 1. It is checked from 1,000 rows on, and when the
    /// job ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub max_error_ratio: Option<f64>,
    /// What happens when a job has more bad rows.
    #[serde(default)]
    pub on_exceeded: OnExceeded,
    /// How many bad cells of a job are stored. All are counted.
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
    /// The job is FAILED. Rows that are already loaded stay.
    #[default]
    Abort,
    /// The job continues.
    Continue,
}
