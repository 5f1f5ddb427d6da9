//! Columns compiled for reading: the reader, the value for absent cells, and the rules.

pub(crate) mod fixed;
pub(crate) mod nested;
mod output;
mod rules;
pub(crate) mod texts;

use std::sync::Arc;

use rows_types::{CellError, Column, Policies, Schema, SchemaError, Type};

use crate::message::{self, Messages};
use crate::nested::{Nested, Node};
use crate::reader::Reader;

pub(crate) use output::Output;
pub(crate) use rules::Rules;

/// A column, ready to read.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub reader: ColumnReader,
    pub nullable: bool,
    pub low_cardinality: bool,
    /// The type's canonical name.
    pub ty: String,
    /// The value for an absent cell: in `Native` form, or a text.
    pub default: Option<Vec<u8>>,
    pub policies: Policies,
    pub rules: Option<Rules>,
    pub messages: Messages,
}

/// What reads the cells of a column.
#[derive(Debug)]
pub(crate) enum ColumnReader {
    Scalar(Reader),
    Nested(Box<Node>),
}

impl ColumnReader {
    pub(crate) fn new(column: &Column) -> Result<Self, SchemaError> {
        let bad = |problem| SchemaError::BadFormat { column: column.name.clone(), problem };
        if column.format.is_some() && !column.ty.any(&Type::is_day_or_moment) {
            return Err(bad(format!("{} has no format; only dates and times have one", column.ty)));
        }
        match column.ty.scalar() {
            Some(scalar) if !column.ty.is_nested() => {
                Reader::new(scalar, column.format.as_deref()).map(Self::Scalar).map_err(bad)
            }
            _ => Ok(Self::Nested(Box::new(Node::new(column, &column.ty)?))),
        }
    }

    /// Bytes of a value; `None` for a value of any length.
    pub(crate) fn width(&self) -> Option<usize> {
        match self {
            Self::Scalar(reader) => reader.width(),
            Self::Nested(_) => None,
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Scalar(reader) if reader.is_text())
    }

    /// The value in `Native` form (a text, or a value with inner structure, is unchanged), or what is wrong.
    fn value(&self, text: &[u8], policies: Policies) -> Result<Vec<u8>, CellError> {
        match self {
            Self::Scalar(reader) => reader.value(text, policies),
            Self::Nested(node) => Nested::new(node).push(node, text).map(|()| text.to_vec()),
        }
    }

    /// Whether the text is a value of the type. Readers of texts and of values with inner structure accept every text.
    pub(crate) fn takes(&self, text: &[u8]) -> bool {
        match self {
            Self::Scalar(reader) => reader.takes(text),
            Self::Nested(_) => true,
        }
    }
}

/// The columns of a schema, ready to read.
///
/// Cheap to clone. Everything that could fail later for a row was checked when they were compiled: default, format,
/// pattern, bounds, policies.
#[derive(Clone, Debug)]
pub struct Columns {
    schema: Schema,
    compiled: Arc<[Compiled]>,
}

impl Columns {
    /// Compiles the columns of a schema. It fails if a default is no value of its column, or if a format, a constraint or
    /// a policy cannot be used.
    pub fn compile(schema: Schema) -> Result<Self, SchemaError> {
        let compiled = schema.columns().iter().map(Compiled::new).collect::<Result<_, _>>()?;
        Ok(Self { schema, compiled })
    }

    /// The schema of the columns.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether a text is a value of a column, as it is written and under no policy. Columns of texts and of values with
    /// inner structure accept every text.
    #[must_use]
    pub fn takes(&self, column: usize, text: &[u8]) -> bool {
        self.compiled.get(column).is_some_and(|column| column.reader.takes(text))
    }

    pub(crate) fn compiled(&self) -> &[Compiled] {
        &self.compiled
    }
}

impl Compiled {
    pub(crate) fn new(column: &Column) -> Result<Self, SchemaError> {
        let reader = ColumnReader::new(column)?;
        let policies = column.policies;
        if let Some(problem) = policies.problem(&column.ty) {
            return Err(SchemaError::BadConstraint { column: column.name.clone(), problem });
        }
        let rules = Rules::new(column)?;
        let default = match &column.default {
            None => None,
            Some(text) => {
                let refused = |error: CellError| SchemaError::BadDefault {
                    column: column.name.clone(),
                    ty: column.ty.to_string(),
                    message: message::of_cell(error, column, &column.ty.to_string()).into_owned(),
                };
                let exact = Column { policies: policies.exact(), ..column.clone() };
                let value =
                    ColumnReader::new(&exact)?.value(text.as_bytes(), exact.policies).map_err(refused)?;
                if let Some(rules) = &rules {
                    rules.text(text).map_err(refused)?;
                    rules.value(&reader, &value).map_err(refused)?;
                }
                Some(value)
            }
        };
        let ty = column.ty.to_string();
        let (nullable, low_cardinality) = (column.ty.nullable, column.ty.low_cardinality);
        Ok(Self {
            reader,
            nullable,
            low_cardinality,
            ty,
            default,
            policies,
            rules,
            messages: Messages::default(),
        })
    }

    /// Whether a record may lack this column.
    pub(crate) fn may_be_absent(&self) -> bool {
        self.nullable || self.default.is_some()
    }
}
