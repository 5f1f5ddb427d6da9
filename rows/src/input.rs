//! How the text of a file is written: format, header, delimiter, quote, null texts.

use serde::{Deserialize, Serialize};

/// How a file's text is to be read. Part of a model's revision; a job may override it.
///
/// `null_values` are texts that stand for NULL in an unquoted cell (or a JSON string). An empty unquoted cell always
/// stands for "no value", so the default list holds just the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Input {
    /// CSV, TSV or JSON lines.
    pub format: Format,
    /// Whether the first record names the columns. Without it, cells are taken in the schema's order. Not used by JSON lines.
    pub header: bool,
    /// One ASCII character between cells. TSV reads the default `,` as a tab.
    pub delimiter: char,
    /// One ASCII character around cells that hold delimiters, quotes or line ends (RFC 4180); NUL: no quoting.
    pub quote: char,
    /// Unquoted texts that mean NULL.
    pub null_values: Vec<String>,
    /// What to do with columns or keys that the schema does not know.
    pub unknown_columns: UnknownColumns,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            format: Format::Csv,
            header: true,
            delimiter: ',',
            quote: '"',
            null_values: vec![String::new()],
            unknown_columns: UnknownColumns::Reject,
        }
    }
}

/// The text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// RFC 4180, with any ASCII delimiter and quote; LF, CRLF or a mix of both; a byte-order mark is skipped.
    #[serde(rename = "CSV")]
    Csv,
    /// As CSV, with a tab between cells.
    #[serde(rename = "TSV")]
    Tsv,
    /// One JSON object a line (RFC 8259, <https://jsonlines.org>).
    #[serde(rename = "JSONLines")]
    JsonLines,
}

/// What becomes of columns (CSV) or keys (JSON) that the schema does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownColumns {
    /// A header with such a column fails the job; a JSON line with such a key is rejected.
    Reject,
    /// They are skipped.
    Ignore,
}

/// The bytes that structure a delimited file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub delimiter: u8,
    pub quote: u8,
}

impl Input {
    /// The structural bytes, or what is wrong with them.
    ///
    /// Characters outside ASCII fall back to the defaults in [`Input::dialect`]; [`crate::Plan::bind`] refuses them.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.format == Format::JsonLines {
            return None;
        }
        let Dialect { delimiter, quote } = self.dialect();
        if !self.delimiter.is_ascii() || !self.quote.is_ascii() {
            Some("delimiter and quote must be one ASCII character each")
        } else if delimiter == quote || [delimiter, quote].iter().any(|b| matches!(b, b'\n' | b'\r')) {
            Some("delimiter and quote must differ, and neither can be a line end")
        } else {
            None
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        let ascii = |c: char, or: u8| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(or);
        let delimiter = match self.format {
            Format::Tsv if self.delimiter == ',' => b'\t',
            _ => ascii(self.delimiter, b','),
        };
        Dialect { delimiter, quote: ascii(self.quote, b'"') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_written_as_the_custom_resource_has_it() {
        let text = r#"{"format":"JSONLines","header":false,"delimiter":";","quote":"'","nullValues":["\\N"],"unknownColumns":"Ignore"}"#;
        let input: Input = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&input).unwrap(), text);
        assert_eq!(serde_json::from_str::<Input>("{}").unwrap(), Input::default());
    }
}
