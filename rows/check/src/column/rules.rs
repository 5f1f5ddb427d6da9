//! Constraints, compiled for checking.

use std::collections::HashSet;

use regex::Regex;
use rows_types::{CellError, Column, Family, SchemaError};

use super::ColumnReader;
use crate::coerce::{Native, Read};
use crate::reader::with_reader;

/// What a value must satisfy besides its type.
#[derive(Debug)]
pub(crate) struct Rules {
    min: Option<f64>,
    max: Option<f64>,
    min_length: usize,
    max_length: usize,
    pattern: Option<Regex>,
    one_of: HashSet<String>,
}

impl Rules {
    /// The rules of a column, if it has any.
    pub(crate) fn new(column: &Column) -> Result<Option<Self>, SchemaError> {
        let c = &column.constraints;
        let refuse =
            |problem: String| Err(SchemaError::BadConstraint { column: column.name.clone(), problem });
        let text = column.ty.family() == Some(Family::Text);
        let number = matches!(column.ty.family(), Some(Family::Integer | Family::Float | Family::Decimal));
        if (c.min.is_some() || c.max.is_some()) && !number {
            return refuse(format!("min and max are for numbers, not for {}", column.ty));
        }
        if (c.min_length.is_some() || c.max_length.is_some() || c.pattern.is_some()) && !text {
            return refuse(format!("minLength, maxLength and pattern are for texts, not for {}", column.ty));
        }
        if let (Some(min), Some(max)) = (c.min, c.max)
            && min > max
        {
            return refuse("min is greater than max".to_owned());
        }
        if c.min_length.unwrap_or(0) > c.max_length.unwrap_or(u32::MAX) {
            return refuse("minLength is greater than maxLength".to_owned());
        }
        let pattern = match c.pattern.as_deref().map(Regex::new).transpose() {
            Ok(pattern) => pattern,
            Err(e) => return refuse(format!("the pattern is no regular expression: {e}")),
        };
        let none = c.min.is_none() && c.max.is_none() && c.min_length.is_none() && c.max_length.is_none();
        if none && pattern.is_none() && c.one_of.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            min: c.min,
            max: c.max,
            min_length: c.min_length.unwrap_or(0) as usize,
            max_length: c.max_length.map_or(usize::MAX, |n| n as usize),
            pattern,
            one_of: c.one_of.iter().cloned().collect(),
        }))
    }

    /// Whether the rules need the text.
    pub(crate) fn on_text(&self) -> bool {
        self.pattern.is_some()
            || !self.one_of.is_empty()
            || self.min_length > 0
            || self.max_length < usize::MAX
    }

    pub(crate) fn text(&self, text: &str) -> Result<(), CellError> {
        if self.min_length > 0 || self.max_length < usize::MAX {
            let length = text.chars().count();
            if length < self.min_length {
                return Err(CellError::TooShort);
            }
            if length > self.max_length {
                return Err(CellError::TooManyChars);
            }
        }
        if self.pattern.as_ref().is_some_and(|p| !p.is_match(text)) {
            return Err(CellError::Pattern);
        }
        if !self.one_of.is_empty() && !self.one_of.contains(text) {
            return Err(CellError::NotOneOf);
        }
        Ok(())
    }

    /// Checks a number against `min` and `max`.
    pub(crate) fn number(&self, number: f64) -> Result<(), CellError> {
        // a type without numbers gives NaN too, but it has neither bound
        if number.is_nan() && (self.min.is_some() || self.max.is_some()) {
            return Err(CellError::NanInBounds);
        }
        if self.min.is_some_and(|min| number < min) {
            return Err(CellError::BelowMin);
        }
        if self.max.is_some_and(|max| number > max) {
            return Err(CellError::AboveMax);
        }
        Ok(())
    }

    /// Checks a value in `Native` form against `min` and `max`.
    pub(crate) fn value(&self, reader: &ColumnReader, value: &[u8]) -> Result<(), CellError> {
        fn magnitude<R: Read>(reader: &R, value: &[u8]) -> f64 {
            reader.magnitude(R::Value::get(value))
        }
        match reader {
            ColumnReader::Scalar(reader) => {
                with_reader!(reader, r => self.number(magnitude(r, value)), texts => Ok(()))
            }
            ColumnReader::Nested(_) => Ok(()),
        }
    }
}
