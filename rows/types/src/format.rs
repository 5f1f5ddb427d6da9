//! The table of formats: what a flag, the name of a file and a content type call them.

use serde::{Deserialize, Serialize};

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Format {
    /// RFC 4180, with any ASCII delimiter and quote; LF, CRLF or a mix of both; a byte-order mark is skipped.
    #[serde(rename = "CSV")]
    Csv,
    /// As CSV, with a tab between cells.
    #[serde(rename = "TSV")]
    Tsv,
    /// One JSON object on each line (RFC 8259, <https://jsonlines.org>).
    #[serde(rename = "JSONLines")]
    JsonLines,
    /// One JSON array of objects, on any number of lines.
    #[serde(rename = "JSON")]
    Json,
}

/// A line of the table.
#[derive(Debug)]
pub struct FormatInfo {
    /// The format.
    pub format: Format,
    /// The name in the custom resource.
    pub name: &'static str,
    /// The name as a flag.
    pub flag: &'static str,
    /// What it is, for the help of the flag.
    pub about: &'static str,
    /// The extensions of file names that mean this format and no other.
    pub extensions: &'static [&'static str],
    /// The content types that mean this format. The first is the usual one.
    pub content_types: &'static [&'static str],
    /// Whether records are JSON objects.
    is_json: bool,
}

/// All formats.
pub static FORMATS: &[FormatInfo] = &[
    FormatInfo {
        format: Format::Csv,
        name: "CSV",
        flag: "csv",
        about: "RFC 4180",
        // files with this extension have any delimiter
        extensions: &[],
        content_types: &["text/csv"],
        is_json: false,
    },
    FormatInfo {
        format: Format::Tsv,
        name: "TSV",
        flag: "tsv",
        about: "The same with tabs as delimiter",
        extensions: &["tsv"],
        content_types: &["text/tab-separated-values"],
        is_json: false,
    },
    FormatInfo {
        format: Format::JsonLines,
        name: "JSONLines",
        flag: "jsonl",
        about: "One JSON object per line",
        extensions: &["jsonl", "ndjson"],
        content_types: &[
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonlines",
        ],
        is_json: true,
    },
    FormatInfo {
        format: Format::Json,
        name: "JSON",
        flag: "json",
        about: "One JSON array of objects",
        extensions: &["json"],
        content_types: &["application/json"],
        is_json: true,
    },
];

impl Format {
    /// Its line of the table.
    #[must_use]
    pub fn info(self) -> &'static FormatInfo {
        &FORMATS[self as usize]
    }

    /// Whether records are JSON objects. Their keys name the cells, so such a file has no header.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.info().is_json
    }

    /// The format of files with this extension, if there is only one.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        FORMATS.iter().find(|info| info.extensions.contains(&extension)).map(|info| info.format)
    }

    /// The format that a content type means, in lower case and without parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        FORMATS.iter().find(|info| info.content_types.contains(&content_type)).map(|info| info.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_its_own_line_under_its_name() {
        for info in FORMATS {
            assert_eq!(info.format.info().name, info.name);
            assert_eq!(serde_json::to_value(info.format).unwrap(), info.name);
            assert!(!info.content_types.is_empty(), "{}", info.name);
        }
        // a format that has no line here has no name in the custom resource either
        let names: Vec<&str> = FORMATS.iter().map(|info| info.name).collect();
        let error = serde_json::from_str::<Format>("\"\"").unwrap_err().to_string();
        let listed: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(listed, names, "{error}");
    }

    #[test]
    fn the_guide_lists_every_format() {
        let guide = include_str!("../../../docs/guide.md");
        let names: Vec<String> = FORMATS.iter().map(|info| format!("`{}`", info.name)).collect();
        let row = format!("| `format` | {} |", names.join(", "));
        assert!(guide.contains(&row), "docs/guide.md#files has not: {row}");
    }
}
