//! How the text of a file is written: format, header, delimiter, quote, escape, line ends, comments, null texts.

use serde::{Deserialize, Serialize};

use crate::format::Format;

/// How to read a file's text. Part of a model's revision; a job may override it.
///
/// `null_values` are texts that mean NULL in an unquoted cell (or a JSON string). An empty unquoted cell always means
/// "no value", so the default list contains only the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Input {
    /// CSV, TSV, JSON lines or a JSON array. The JSON formats use only `null_values` and `unknown_columns`.
    pub format: Format,
    /// Whether the first record names the columns. Without it, cells are taken in the schema's order.
    pub header: bool,
    /// One ASCII character between cells. TSV reads the default `,` as a tab.
    pub delimiter: char,
    /// One ASCII character around cells that hold delimiters, quotes or line ends (RFC 4180); NUL: no quoting.
    pub quote: char,
    /// One ASCII character: a delimiter, quote, line end or escape character after it is data, in quoted and unquoted
    /// cells. A backslash also begins `\n \t \r \b \f \v \0`, and an unquoted cell `\N` is NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// One ASCII character: a line that begins with it is skipped like a blank line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// What ends a line.
    #[serde(skip_serializing_if = "is_default")]
    pub line_end: LineEnd,
    /// Whether letter case matters in the names of a header.
    #[serde(skip_serializing_if = "is_default")]
    pub header_case: HeaderCase,
    /// Whether a field belongs to a column by its name in the header or by its position.
    #[serde(skip_serializing_if = "is_default")]
    pub columns_by: ColumnsBy,
    /// Unquoted texts that mean NULL.
    pub null_values: Vec<String>,
    /// What to do with columns or keys that are not in the schema.
    pub unknown_columns: UnknownColumns,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            format: Format::Csv,
            header: true,
            delimiter: ',',
            quote: '"',
            escape: None,
            comment: None,
            line_end: LineEnd::Lf,
            header_case: HeaderCase::Exact,
            columns_by: ColumnsBy::Name,
            null_values: vec![String::new()],
            unknown_columns: UnknownColumns::Reject,
        }
    }
}

/// What ends a line outside quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// LF or CRLF, also mixed. A lone carriage return is data.
    #[default]
    Lf,
    /// LF, CRLF or CR, also mixed.
    Any,
}

/// How the names of a header are compared with those of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HeaderCase {
    /// Letter case matters, as it always does in the keys of JSON.
    #[default]
    Exact,
    /// Letter case does not matter: names are compared in Unicode lower case.
    Ignore,
}

/// How the cells of a file with a header are assigned to columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ColumnsBy {
    /// By the name in the header.
    #[default]
    Name,
    /// By position: the header is skipped, and cells are taken in the schema's order.
    Position,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What happens to a column of a file that the model does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum UnknownColumns {
    /// A header with such a column fails the job; a JSON line with such a key is rejected.
    #[serde(alias = "Reject")]
    Reject,
    /// They are skipped.
    #[serde(alias = "Ignore")]
    Ignore,
}

/// A value of a setting, its name as a flag, and what it is, for the help of the flag.
pub type Choice<T> = (T, &'static str, &'static str);

impl LineEnd {
    /// All values.
    pub const ALL: &[Choice<Self>] = &[(Self::Lf, "lf", "LF or CRLF"), (Self::Any, "any", "LF, CRLF or CR")];
}

impl HeaderCase {
    /// All values.
    pub const ALL: &[Choice<Self>] = &[
        (Self::Exact, "exact", "Upper and lower case differ"),
        (Self::Ignore, "ignore", "Upper and lower case are the same"),
    ];
}

impl ColumnsBy {
    /// All values.
    pub const ALL: &[Choice<Self>] = &[
        (Self::Name, "name", "By the name in the header"),
        (Self::Position, "position", "By the position; the header is skipped"),
    ];
}

/// The bytes that structure a delimited file. 0: there is no such byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells.
    pub quote: u8,
    /// Before a byte that is data.
    pub escape: u8,
    /// At the start of a line that is skipped.
    pub comment: u8,
    /// Whether a lone carriage return ends a line too.
    pub any_line_end: bool,
}

impl Dialect {
    /// RFC 4180, but with any delimiter and quote.
    #[must_use]
    pub const fn rfc(delimiter: u8, quote: u8) -> Self {
        Self { delimiter, quote, escape: 0, comment: 0, any_line_end: false }
    }

    /// Whether only delimiter and quote are special. The fast paths read only such files.
    #[must_use]
    #[inline]
    pub fn is_rfc(self) -> bool {
        self == Self::rfc(self.delimiter, self.quote)
    }

    /// Whether the byte ends a line.
    #[inline]
    #[must_use]
    pub fn ends_line(self, byte: u8) -> bool {
        byte == b'\n' || (byte == b'\r' && self.any_line_end)
    }
}

impl Input {
    /// Whether the first record of the file names its columns.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.header && !self.format.is_json()
    }

    /// The setting that cannot be used, by its name in a model, and what it must be. `None`: all settings can be used.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.format.is_json() {
            return None;
        }
        let delimiter = char::from(self.dialect().delimiter);
        let chars = [
            ("delimiter", Some(if self.delimiter.is_ascii() { delimiter } else { self.delimiter })),
            ("quote", Some(self.quote).filter(|c| *c != '\0')),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        let usable = |c: char| c.is_ascii() && !matches!(c, '\n' | '\r' | '\0');
        if let Some((field, _)) = chars.iter().find(|(_, c)| c.is_some_and(|c| !usable(c))) {
            return Some((field, "must be one ASCII character, and no line end"));
        }
        let [delimiter, quote, escape, comment] = chars.map(|(_, c)| c);
        if delimiter == quote {
            Some(("delimiter", "must not be the quote character"))
        } else if escape.is_some() && escape == delimiter {
            Some(("escape", "must not be the delimiter"))
        } else if escape.is_some() && escape == quote {
            Some(("escape", "must not be the quote character; a doubled quote is one without any escape"))
        } else if comment.is_some() && [delimiter, quote, escape].contains(&comment) {
            Some((
                "comment",
                "must not be the delimiter, quote or escape character: records begin with those",
            ))
        } else {
            None
        }
    }

    /// The structural bytes. Characters that [`Input::problem`] refuses are replaced by the defaults.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        let ascii = |c: char, or: u8| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(or);
        let delimiter = match self.format {
            Format::Tsv if self.delimiter == ',' => b'\t',
            _ => ascii(self.delimiter, b','),
        };
        Dialect {
            delimiter,
            quote: ascii(self.quote, b'"'),
            escape: ascii(self.escape.unwrap_or('\0'), 0),
            comment: ascii(self.comment.unwrap_or('\0'), 0),
            any_line_end: self.line_end == LineEnd::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_written_as_the_custom_resource_has_it() {
        let text = r#"{"format":"JSONLines","header":false,"delimiter":";","quote":"'","nullValues":["\\N"],"unknownColumns":"ignore"}"#;
        let input: Input = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&input).unwrap(), text);
        assert_eq!(serde_json::from_str::<Input>("{}").unwrap(), Input::default());
        let text = r##"{"format":"JSON","header":true,"delimiter":",","quote":"\u0000","escape":"\\","comment":"#","lineEnd":"any","headerCase":"ignore","columnsBy":"position","nullValues":[],"unknownColumns":"reject"}"##;
        let input: Input = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&input).unwrap(), text);
        // as older chunks on Kafka have it
        let old = text.replace("\"reject\"", "\"Reject\"");
        assert_eq!(serde_json::from_str::<Input>(&old).unwrap(), input);
    }
}
