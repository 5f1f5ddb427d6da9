//! The flags that set how a file is read.

use clap::{Args, ValueEnum};
use crds::model::{ColumnsBy, Format, HeaderCase, InputSpec, LineEnd, UnknownColumns};

/// How a file is read, if it differs from the model.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "File format (over what the model says)")]
pub struct InputArgs {
    /// Format of the file
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Character between two cells
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// Character around a cell; '' for none
    #[arg(long, value_name = "CHAR")]
    pub quote: Option<String>,
    /// Character that makes the next character data
    #[arg(long, value_name = "CHAR")]
    pub escape: Option<String>,
    /// Character that starts a line to skip
    #[arg(long, value_name = "CHAR")]
    pub comment: Option<String>,
    /// What ends a line
    #[arg(long, value_enum)]
    pub line_end: Option<LineEndArg>,
    /// Whether upper and lower case differ in the names of the header
    #[arg(long, value_enum)]
    pub header_case: Option<HeaderCaseArg>,
    /// How cells are assigned to columns if there is a header
    #[arg(long, value_enum)]
    pub columns_by: Option<ColumnsByArg>,
    /// The first record names the columns
    #[arg(long, conflicts_with = "no_header")]
    pub header: bool,
    /// The first record is data; the cells are in the order of the model's columns
    #[arg(long)]
    pub no_header: bool,
    /// Unquoted text that means NULL; can be repeated
    #[arg(long = "null-value", value_name = "TEXT")]
    pub null_values: Vec<String>,
    /// Skip columns that the model does not have
    #[arg(long)]
    pub ignore_unknown_columns: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// RFC 4180
    Csv,
    /// The same with tabs as delimiter
    Tsv,
    /// One JSON object per line
    Jsonl,
    /// One JSON array of objects
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LineEndArg {
    /// LF or CRLF
    Lf,
    /// LF, CRLF or CR
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeaderCaseArg {
    /// Upper and lower case differ
    Exact,
    /// Upper and lower case are the same
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColumnsByArg {
    /// By the name in the header
    Name,
    /// By the position; the header is skipped
    Position,
}

impl InputArgs {
    /// Returns what the flags set, or else the format from the file's name. `None` if there is neither.
    pub fn to_spec(&self, guessed: Option<Format>) -> Option<InputSpec> {
        let format = self.format.map(|f| match f {
            FormatArg::Csv => Format::Csv,
            FormatArg::Tsv => Format::Tsv,
            FormatArg::Jsonl => Format::JsonLines,
            FormatArg::Json => Format::Json,
        });
        let spec = InputSpec {
            format: format.or(guessed),
            header: if self.header || self.no_header { Some(self.header) } else { None },
            delimiter: self.delimiter.clone().map(|d| if d == "\\t" { "\t".to_owned() } else { d }),
            quote: self.quote.clone(),
            escape: self.escape.clone(),
            comment: self.comment.clone(),
            line_end: self.line_end.map(|l| match l {
                LineEndArg::Lf => LineEnd::Lf,
                LineEndArg::Any => LineEnd::Any,
            }),
            header_case: self.header_case.map(|c| match c {
                HeaderCaseArg::Exact => HeaderCase::Exact,
                HeaderCaseArg::Ignore => HeaderCase::Ignore,
            }),
            columns_by: self.columns_by.map(|c| match c {
                ColumnsByArg::Name => ColumnsBy::Name,
                ColumnsByArg::Position => ColumnsBy::Position,
            }),
            null_values: if self.null_values.is_empty() { None } else { Some(self.null_values.clone()) },
            unknown_columns: self.ignore_unknown_columns.then_some(UnknownColumns::Ignore),
        };
        (spec != InputSpec::default()).then_some(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_format_that_the_file_name_implies() {
        let flags = InputArgs { format: Some(FormatArg::Csv), no_header: true, ..InputArgs::default() };
        let spec = flags.to_spec(Some(Format::Tsv)).unwrap();
        assert_eq!((spec.format, spec.header), (Some(Format::Csv), Some(false)));
        assert_eq!(InputArgs::default().to_spec(None), None);
    }

    #[test]
    fn a_typed_backslash_t_is_a_tab() {
        let flags = InputArgs { delimiter: Some("\\t".into()), ..InputArgs::default() };
        assert_eq!(flags.to_spec(None).unwrap().delimiter.unwrap(), "\t");
    }
}
