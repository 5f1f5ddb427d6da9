//! Proposes a schema for a sample: the narrowest types that lose nothing, and that the next file is likely to fit too.
//!
//! The engine's own readers decide what a value is: a type is proposed only if its reader accepts every cell of the
//! sample. Before the schema is returned, it is tried on the complete sample ([`refine_on_sample`]). The rules, the most specific
//! types first:
//!
//! * **Bool** only for `true` and `false`. 0 and 1 are numbers.
//! * **Whole numbers**: the narrowest type that holds the sample, then one size up, because a sample rarely contains
//!   the extremes: a maximum of 200 gives `UInt16`, not `UInt8`. A type of 64 bits or more is not widened.
//! * **Fractions**: `Decimal` if every value of a CSV file has the same number of fraction digits, at least two
//!   (prices). If all have one digit, the next file may have two. All other fractions are `Float64` if each number is
//!   the same, digit by digit, after conversion to `Float64` and back, and a wide `Decimal` if not. JSON writers drop
//!   trailing zeros, so JSON gives `Float64`.
//! * **Leading zeros** (`00123`) give text: such cells are postcodes and article numbers, not numbers. A JSON string of
//!   digits is text too.
//! * **Dates and times** in ISO 8601, or in one `format` that reads all of them. If day and month could be swapped, a
//!   note says so. `DateTime64` has 3, 6 or 9 digits.
//! * **`UUID`, `IPv4`, `IPv6`**; **`Array(T)`** of one kind of element, **`JSON`** for objects. A key that holds both
//!   single values and nested ones is left out.
//! * **`LowCardinality(String)`** if there are at least 100 values, at most 1,000 different ones, and these are less
//!   than a tenth of all values. Never an enum: the next file may contain another name.
//! * **NULL** only if it occurs: an empty cell, JSON null, an absent key. An empty cell of a text column is the empty
//!   text, unless `""` occurs too. Words such as `NA` become null values if all other cells of a column fit its type.

mod choose;
mod detect;
mod keys;
mod names;
mod nested;
mod numbers;
mod refine_on_sample;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use rows_bytes::simd::Level;
use rows_split::cells::{Cell, Kind};
use rows_split::csv::dialect;
use rows_split::decode::decode;
use rows_split::{Chunk, array, csv, json};
use rows_types::{Column, Format, Input, Type, UnknownColumns};

pub use detect::{Known, detect};
use stats::{Candidates, Stats};

/// The maximum number of columns of a model.
const MAX_COLUMNS: usize = 1000;

/// A schema that fits a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// How to read the sample.
    pub input: Input,
    /// The columns, in the file's order.
    pub columns: Vec<Proposed>,
    /// The first column in which all rows have different values.
    pub row_key: Option<String>,
    /// The columns to sort by. Empty: the row key.
    pub order_by: Vec<String>,
    /// What is uncertain about the proposal in general.
    pub notes: Vec<String>,
    /// The number of records in the sample.
    pub rows: u64,
    /// The number of records that no schema with these columns can load: malformed ones, and text that is not UTF-8.
    pub bad_rows: u64,
}

/// A column that fits a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// A name that a column of a table can have.
    pub name: String,
    /// The type, without `Nullable`.
    pub ty: String,
    /// Whether the sample contains NULL.
    pub nullable: bool,
    /// The name in the file, if it differs from `name`.
    pub aliases: Vec<String>,
    /// The value of an absent array.
    pub default: Option<String>,
    /// How dates are written, if not as in ISO 8601.
    pub format: Option<String>,
    /// What is uncertain about the column. The notes contain no value of the sample.
    pub notes: Vec<String>,
}

/// Why no schema can be proposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// Two columns have the same name.
    #[error(
        "the header names column '{name}' twice; rename one in the file, or say that it has no header if its first line is data"
    )]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The file has more columns than a model can have.
    #[error("the file has more than {max} columns; a model has at most so many")]
    TooManyColumns {
        /// The maximum.
        max: usize,
    },
    /// A name is too long to be an alias.
    #[error("the name of column {number} is longer than 128 characters; shorten it in the file")]
    NameTooLong {
        /// The number of the column, from 1.
        number: usize,
    },
    /// No column of the file can be loaded.
    #[error("no column of the file can be loaded; give it a header line, or objects with keys")]
    NoColumns,
}

impl Proposed {
    fn column(&self) -> Option<Column> {
        let ty = Type::parse(&self.ty).ok()?;
        let ty = if self.nullable { ty.nullable().ok()? } else { ty };
        let (aliases, default, format) = (self.aliases.clone(), self.default.clone(), self.format.clone());
        Some(Column { aliases, default, format, ..Column::new(self.name.clone(), ty) })
    }
}

/// Proposes a schema for the records of a sample. `header` is the result of [`rows_split::parse_header`], if the file has a
/// header.
pub fn infer(input: Input, header: Option<&[String]>, sample: &[Chunk]) -> Result<Proposal, InferError> {
    let candidates = Candidates::new();
    let mut table = Table::new(&input, &candidates, header)?;
    for chunk in sample {
        table.chunk(&chunk.bytes)?;
    }
    let Table { names, stats, rows, .. } = table;
    let names = names::columns(&names)?;
    let (mut proposal, mut stats) = choose::propose(&candidates, input, names, stats, rows);
    refine_on_sample::refine_on_sample(&mut proposal, &mut stats, header, sample);
    if proposal.columns.is_empty() {
        return Err(InferError::NoColumns);
    }
    keys::choose(&mut proposal, &stats, rows);
    Ok(proposal)
}

/// The statistics of each column.
struct Table<'a> {
    input: &'a Input,
    candidates: &'a Candidates,
    names: Vec<String>,
    by_name: HashMap<Vec<u8>, usize>,
    stats: Vec<Stats>,
    /// The number of records that could be split.
    rows: u64,
}

impl<'a> Table<'a> {
    fn new(
        input: &'a Input,
        candidates: &'a Candidates,
        header: Option<&[String]>,
    ) -> Result<Self, InferError> {
        let by_name = HashMap::new();
        let mut table = Self { input, candidates, names: Vec::new(), by_name, stats: Vec::new(), rows: 0 };
        for name in header.unwrap_or_default() {
            if !name.is_empty() && table.names.contains(name) {
                return Err(InferError::Duplicate { name: name.chars().take(64).collect() });
            }
            table.add(name.clone())?;
        }
        Ok(table)
    }

    fn add(&mut self, name: String) -> Result<(), InferError> {
        if self.names.len() == MAX_COLUMNS {
            return Err(InferError::TooManyColumns { max: MAX_COLUMNS });
        }
        self.names.push(name);
        self.stats.push(Stats::new(self.candidates));
        Ok(())
    }

    fn chunk(&mut self, bytes: &[u8]) -> Result<(), InferError> {
        let dialect = self.input.dialect();
        let mut at = 0;
        loop {
            if self.input.format == Format::Json {
                let Some((start, end)) = array::record(bytes, at, Level::detect()) else { return Ok(()) };
                self.object(bytes, start, end)?;
                at = end;
                continue;
            }
            at = csv::skip_blank_lines(bytes, at, dialect);
            if at >= bytes.len() {
                return Ok(());
            }
            at = if self.input.format == Format::JsonLines {
                let next = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
                self.object(bytes, at, at + csv::trimmed_line(&bytes[at..next]).len())?;
                next
            } else {
                self.record(bytes, at)?
            };
        }
    }

    /// Adds a record of delimited text to the statistics, unless it is malformed. Returns the offset after it.
    fn record(&mut self, bytes: &[u8], start: usize) -> Result<usize, InferError> {
        let dialect = self.input.dialect();
        let mut fields = Vec::new();
        let csv::Record { next, problem, .. } =
            csv::record(bytes, start, dialect, |field| fields.push(field));
        if self.names.is_empty() {
            for number in 1..=fields.len() {
                self.add(format!("column_{number}"))?;
            }
        }
        let is_text = std::str::from_utf8(&bytes[start..next]).is_ok();
        if problem.is_some() || fields.len() != self.names.len() || !is_text {
            return Ok(next);
        }
        let mut scratch = Vec::new();
        for (field, stats) in fields.iter().zip(&mut self.stats) {
            let raw = &bytes[field.start..field.end];
            scratch.clear();
            if dialect.escape != 0 {
                dialect::unescape(raw, field.quoted, dialect, &mut scratch);
            } else if field.quoted {
                csv::unescape(raw, dialect.quote, &mut scratch);
            }
            let text = if dialect.escape != 0 || field.quoted { &scratch } else { raw };
            let null = is_null(self.input, text) || (dialect.escape == b'\\' && raw == b"\\N");
            stats.text(text, field.quoted, !field.quoted && null, self.candidates);
        }
        self.rows += 1;
        Ok(next)
    }

    /// Adds a JSON object to the statistics. Skips bytes that are no JSON object.
    fn object(&mut self, bytes: &[u8], start: usize, end: usize) -> Result<(), InferError> {
        let is_text = std::str::from_utf8(&bytes[start..end]).is_ok();
        let Some(members) = json::members(bytes, start, end).ok().filter(|_| is_text) else { return Ok(()) };
        let dialect = self.input.dialect();
        let (mut key_text, mut text) = (Vec::new(), Vec::new());
        for (key, value) in members {
            let Ok(key) = decode(bytes, key, true, dialect, &mut key_text) else { continue };
            let known = self.by_name.get(key).copied();
            let column = known.unwrap_or(self.names.len());
            if known.is_none() {
                self.by_name.insert(key.to_vec(), column);
                self.add(String::from_utf8_lossy(key).into_owned())?;
            }
            let Ok(decoded) = decode(bytes, value, true, dialect, &mut text) else { continue };
            self.value(column, value, decoded);
        }
        self.rows += 1;
        Ok(())
    }

    fn value(&mut self, column: usize, cell: Cell, text: &[u8]) {
        let Some(stats) = self.stats.get_mut(column) else { return };
        match cell.kind {
            Kind::Nested => stats.nested(text),
            Kind::Null => stats.null(),
            Kind::Plain => stats.word(text, self.candidates),
            _ => {
                stats.strings = true;
                stats.text(text, true, is_null(self.input, text), self.candidates);
            }
        }
    }
}

/// Whether a text is one of the input's null values. The empty text is checked in [`Stats::text`].
fn is_null(input: &Input, text: &[u8]) -> bool {
    !text.is_empty() && input.null_values.iter().any(|null| null.as_bytes() == text)
}

impl Proposal {
    /// Notes that a column is left out, and makes the schema accept files that have it.
    fn leave_out(&mut self, name: &str, error: &str) {
        self.notes.push(format!("{name} is left out: {error}; unknownColumns: ignore passes over it"));
        self.input.unknown_columns = UnknownColumns::Ignore;
    }
}
