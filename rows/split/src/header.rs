//! The header of a file: its names, and the columns that they name.

use std::collections::HashMap;

use rows_types::{HeaderCase, Input, Schema, UnknownColumns, listed};

use crate::csv;

/// Why a file cannot be read with a schema. `reason()` is `HeaderMismatch` for all except invalid input settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No column of the file is in the schema.
    #[error(
        "no column of the header is known: found {found}, expected {expected}; check the delimiter and the header line"
    )]
    NoneMatches {
        /// The header's names.
        found: String,
        /// The schema's names.
        expected: String,
    },
    /// A column of the file is not in the schema, and the input settings refuse such columns.
    #[error(
        "the header has unknown columns: {names}; add them to the model, rename them, or set unknownColumns: ignore"
    )]
    Unknown {
        /// The unknown names of the header.
        names: String,
    },
    /// Two columns of the file name the same column of the schema.
    #[error("the header names column '{name}' twice; remove one")]
    Duplicate {
        /// The schema's name of the column.
        name: String,
    },
    /// The header line is malformed: wrong quotes, or bytes that are not UTF-8.
    #[error("failed to read the header: {problem}")]
    Malformed {
        /// What to change.
        problem: String,
    },
    /// The columns of the file are matched by position, and their number differs from the schema's.
    #[error(
        "the header has {found} columns where the model has {expected}; columnsBy: position needs one for each"
    )]
    Count {
        /// How many columns the header has.
        found: usize,
        /// How many columns the schema has.
        expected: usize,
    },
    /// A setting cannot be used.
    #[error("the input settings cannot be used: {problem}")]
    Input {
        /// What to change.
        problem: String,
    },
}

impl HeaderError {
    /// Stable name for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Input { .. } => "InvalidInput",
            _ => "HeaderMismatch",
        }
    }
}

/// Splits a header record into names and removes blanks around them. The record has no line end; a byte-order mark is
/// skipped.
pub fn parse_header(input: &Input, record: &[u8]) -> Result<Vec<String>, HeaderError> {
    let malformed = |problem: &str| HeaderError::Malformed { problem: problem.to_owned() };
    usable(input)?;
    let dialect = input.dialect();
    let text =
        std::str::from_utf8(record).map_err(|_| malformed("it is not UTF-8; save the file as UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if csv::has_bare_return(text.as_bytes(), dialect) {
        return Err(malformed(
            "it contains a carriage return; if carriage returns end lines, set input.lineEnd: any",
        ));
    }
    let cells = csv::fields(text.as_bytes(), dialect).map_err(|e| malformed(e.message()))?;
    Ok(cells.into_iter().map(|c| String::from_utf8_lossy(&c).trim().to_owned()).collect())
}

/// Refuses input settings that cannot be used.
pub(crate) fn usable(input: &Input) -> Result<(), HeaderError> {
    let problem = |(field, error)| HeaderError::Input { problem: format!("{field} {error}") };
    input.problem().map_or(Ok(()), |found| Err(problem(found)))
}

/// For each column of the schema: the field that has its name.
pub(crate) fn match_names(
    schema: &Schema,
    input: &Input,
    names: &[String],
) -> Result<Vec<Option<usize>>, HeaderError> {
    let mut field_of = vec![None; schema.columns().len()];
    let mut unknown = Vec::new();
    let lower = match input.header_case {
        HeaderCase::Exact => None,
        HeaderCase::Ignore => Some(lower_names(schema)?),
    };
    for (field, name) in names.iter().enumerate() {
        let column = match &lower {
            None => schema.find(name),
            Some(columns) => columns.get(&lowercase(name)).copied(),
        };
        match column {
            None => unknown.push(name.as_str()),
            Some(column) if field_of[column].is_some() => {
                return Err(HeaderError::Duplicate { name: schema.columns()[column].name.clone() });
            }
            Some(column) => field_of[column] = Some(field),
        }
    }
    if field_of.iter().all(Option::is_none) {
        let found = listed(names.iter().map(String::as_str));
        return Err(HeaderError::NoneMatches { found, expected: listed(schema.column_names()) });
    }
    if !unknown.is_empty() && input.unknown_columns == UnknownColumns::Reject {
        return Err(HeaderError::Unknown { names: listed(unknown.into_iter()) });
    }
    Ok(field_of)
}

/// The columns by their names and aliases in lower case. It is an error if two columns have the same.
fn lower_names(schema: &Schema) -> Result<HashMap<String, usize>, HeaderError> {
    let mut columns: HashMap<String, usize> = HashMap::new();
    for (at, column) in schema.columns().iter().enumerate() {
        for name in std::iter::once(&column.name).chain(&column.aliases) {
            if let Some(other) = columns.insert(lowercase(name), at).filter(|other| *other != at) {
                let other = &schema.columns()[other].name;
                let problem = format!(
                    "headerCase: ignore makes '{name}' of column '{}' and a name of column '{other}' the same; \
                     rename one, or set headerCase: exact",
                    column.name
                );
                return Err(HeaderError::Input { problem });
            }
        }
    }
    Ok(columns)
}

/// Converts each character alone, so that the result for a letter does not depend on the letters around it.
fn lowercase(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}
