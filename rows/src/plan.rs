//! Maps the cells of a record to columns.

use std::collections::HashMap;

use crate::coerce::CellError;
use crate::column::Compiled;
use crate::input::{ColumnsBy, Dialect, HeaderCase, Input, UnknownColumns};
use crate::schema::Schema;
use crate::split::cells::{Cell, Kind};
use crate::split::csv::{self, Malformed};
use crate::split::json::Keys;

/// A schema bound to a file: for each column of the schema, the file's field that fills it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) schema: Schema,
    pub(crate) input: Input,
    /// For each column: the field of the record (from 0) that fills it. `None`: the file has no such field.
    pub(crate) field_of: Vec<Option<usize>>,
    /// How many fields a well-formed record has. Not used for JSON.
    pub(crate) fields: usize,
    /// Columns that are not in the file, have no default and cannot be NULL. Every row is rejected because of them.
    pub(crate) missing: Vec<usize>,
    pub(crate) dialect: Dialect,
    /// Texts that mean NULL, without the empty one.
    pub(crate) null_texts: Vec<Box<[u8]>>,
    /// For each column: whether the reader could accept the raw bytes of a text that means NULL, or of a quoted or
    /// escaped text, as another value. Then cells are checked for NULL and decoded before they are read.
    pub(crate) needs_precheck: Vec<bool>,
    /// For each field of the file: its column.
    column_of: Vec<Option<usize>>,
}

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

fn usable(input: &Input) -> Result<(), HeaderError> {
    let problem = |(field, error)| HeaderError::Input { problem: format!("{field} {error}") };
    input.problem().map_or(Ok(()), |found| Err(problem(found)))
}

impl Plan {
    /// Binds a schema to a file.
    ///
    /// `header` is the result of [`parse_header`]. It is `None` for JSON and for files without a header. The fields of
    /// such a file are the schema's columns in order, as with [`ColumnsBy::Position`]. Names match exactly, or by
    /// alias; letter case matters unless [`HeaderCase::Ignore`] is set. A header without a required column can be bound
    /// if at least one name matches: then every row is rejected with `MISSING_COLUMN`.
    pub fn bind(schema: Schema, input: Input, header: Option<&[String]>) -> Result<Self, HeaderError> {
        usable(&input)?;
        let columns = schema.columns().len();
        let (field_of, fields) = match header.filter(|_| !input.format.is_json()) {
            Some(names) if input.columns_by == ColumnsBy::Name => {
                (match_names(&schema, &input, names)?, names.len())
            }
            Some(names) if names.len() != columns => {
                return Err(HeaderError::Count { found: names.len(), expected: columns });
            }
            _ => ((0..columns).map(Some).collect(), columns),
        };
        let missing = (0..columns)
            .filter(|&c| field_of[c].is_none() && !schema.compiled()[c].may_be_absent())
            .collect();
        let null_texts: Vec<Box<[u8]>> =
            input.null_values.iter().filter(|t| !t.is_empty()).map(|t| t.as_bytes().into()).collect();
        let takes_null = |column: &Compiled| {
            !column.reader.is_text()
                && (column.reader.takes(b"") || null_texts.iter().any(|text| column.reader.takes(text)))
        };
        let dialect = input.dialect();
        // the bytes that make the decoded text differ from the raw text
        let special = if input.format.is_json() { [b'\\', 0] } else { [dialect.quote, dialect.escape] };
        let takes_special = |column: &Compiled, format: Option<&str>| {
            !column.reader.is_text()
                && special.iter().any(|byte| *byte != 0 && column.reader.may_hold(*byte, format))
        };
        let columns = schema.compiled().iter().zip(schema.columns());
        let needs_precheck = columns
            .map(|(column, spec)| takes_null(column) || takes_special(column, spec.format.as_deref()))
            .collect();
        let mut column_of = vec![None; fields];
        for (column, field) in field_of.iter().enumerate() {
            if let Some(field) = field {
                column_of[*field] = Some(column);
            }
        }
        Ok(Self { schema, input, field_of, fields, missing, dialect, null_texts, needs_precheck, column_of })
    }

    /// The schema that was bound.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The input settings that were bound.
    #[must_use]
    pub fn input(&self) -> &Input {
        &self.input
    }

    pub(crate) fn is_json(&self) -> bool {
        self.input.format.is_json()
    }

    /// The columns that are in the file, each with its number, and with its field in the file.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, (&Compiled, usize))> {
        let columns = self.schema.compiled().iter().zip(&self.field_of).enumerate();
        columns.filter_map(|(at, (column, field))| Some((at, (column, (*field)?))))
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.schema.columns(), self.input.unknown_columns == UnknownColumns::Reject)
    }

    /// Whether a text that is not empty means NULL. JSON strings are checked too, quoted CSV cells are not.
    pub(crate) fn is_null_text(&self, cell: Cell, bytes: &[u8]) -> bool {
        let plain = cell.kind == Kind::Plain || (cell.kind == Kind::Quoted && self.is_json());
        plain && self.null_texts.iter().any(|text| **text == *cell.text(bytes))
    }

    /// Writes a record's fields to the cells of their columns.
    pub(crate) fn place(
        &self,
        bytes: &[u8],
        fields: &[csv::Field],
        problem: Option<Malformed>,
        cells: &mut [Cell],
    ) -> Result<(), CellError> {
        for (field, column) in fields.iter().zip(&self.column_of) {
            let Some(column) = column else { continue };
            cells[*column] = self.cell(bytes, *field);
        }
        match problem {
            Some(Malformed::AfterQuote) => Err(CellError::AfterQuote),
            Some(Malformed::OpenQuote) => Err(CellError::OpenQuote),
            Some(Malformed::OpenEscape) => Err(CellError::OpenEscape),
            None if fields.len() != self.fields => Err(CellError::Ragged),
            None => Ok(()),
        }
    }

    fn cell(&self, bytes: &[u8], field: csv::Field) -> Cell {
        let Dialect { quote, escape, .. } = self.dialect;
        let text = &bytes[field.start..field.end];
        let (start, len) = (field.start as u32, text.len() as u32);
        if escape == b'\\' && !field.quoted {
            if text == b"\\N" {
                return Cell { start, len: 0, kind: Kind::Null };
            }
            // without a quote character, an empty cell is an empty text: NULL has its own spelling
            if text.is_empty() && quote == 0 {
                return Cell { start, len, kind: Kind::Quoted };
            }
        }
        let escaped = (field.quoted && memchr::memchr(quote, text).is_some())
            || (escape != 0 && memchr::memchr(escape, text).is_some());
        let kind = match (escaped, field.quoted) {
            (true, _) => Kind::Escaped,
            (false, true) => Kind::Quoted,
            (false, false) => Kind::Plain,
        };
        Cell { start, len, kind }
    }
}

fn match_names(schema: &Schema, input: &Input, names: &[String]) -> Result<Vec<Option<usize>>, HeaderError> {
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
        let expected: Vec<&str> = schema.column_names().collect();
        let found: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(HeaderError::NoneMatches { found: listed(&found), expected: listed(&expected) });
    }
    if !unknown.is_empty() && input.unknown_columns == UnknownColumns::Reject {
        return Err(HeaderError::Unknown { names: listed(&unknown) });
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

/// At most ten names in quotes, each cut after 64 characters.
fn listed(names: &[&str]) -> String {
    let quoted = names.iter().take(10).map(|n| format!("'{}'", n.chars().take(64).collect::<String>()));
    let mut text = quoted.collect::<Vec<_>>().join(", ");
    if names.len() > 10 {
        text.push_str(", …");
    }
    text
}
