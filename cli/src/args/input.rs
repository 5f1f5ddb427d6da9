//! The flags that set how a file is read.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use crds::model::{ColumnsBy, Format, HeaderCase, InputSpec, LineEnd, UnknownColumns};
use rows_types::{Choice, FORMATS};

/// How a file is read, if it differs from the model.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "File format (over what the model says)")]
pub struct InputArgs {
    /// Format of the file
    #[arg(long, value_parser = formats())]
    pub format: Option<Format>,
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
    #[arg(long, value_parser = one_of(LineEnd::ALL.iter().copied()))]
    pub line_end: Option<LineEnd>,
    /// Whether upper and lower case differ in the names of the header
    #[arg(long, value_parser = one_of(HeaderCase::ALL.iter().copied()))]
    pub header_case: Option<HeaderCase>,
    /// How cells are assigned to columns if there is a header
    #[arg(long, value_parser = one_of(ColumnsBy::ALL.iter().copied()))]
    pub columns_by: Option<ColumnsBy>,
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

/// Reads one of the values by its name as a flag.
fn one_of<T: Copy + Send + Sync>(
    values: impl Iterator<Item = Choice<T>> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T> {
    let shown = values.clone().map(|(_, flag, about)| PossibleValue::new(flag).help(about));
    PossibleValuesParser::new(shown).try_map(move |text| {
        values.clone().find(|(_, flag, _)| *flag == text).map(|(value, ..)| value).ok_or("no such value")
    })
}

fn formats() -> impl TypedValueParser<Value = Format> {
    one_of(FORMATS.iter().map(|info| (info.format, info.flag, info.about)))
}

impl InputArgs {
    /// Returns what the flags set, or else the format from the file's name. `None` if there is neither.
    pub fn to_spec(&self, guessed: Option<Format>) -> Option<InputSpec> {
        let spec = InputSpec {
            format: self.format.or(guessed),
            header: if self.header || self.no_header { Some(self.header) } else { None },
            delimiter: self.delimiter.clone().map(|d| if d == "\\t" { "\t".to_owned() } else { d }),
            quote: self.quote.clone(),
            escape: self.escape.clone(),
            comment: self.comment.clone(),
            line_end: self.line_end,
            header_case: self.header_case,
            columns_by: self.columns_by,
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
        let flags = InputArgs { format: Some(Format::Csv), no_header: true, ..InputArgs::default() };
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
