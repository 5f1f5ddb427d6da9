//! The columns of a model.

use std::collections::HashSet;
use std::sync::Arc;

use crate::policy::Policies;
use crate::types::Type;

/// The columns of a model's revision in the table's order, and which of them is the row key.
///
/// Cheap to clone. Only names are checked here. `rows_check::Columns::compile` checks everything that could fail later
/// for a row: default, format, pattern, bounds, policies.
#[derive(Clone, Debug)]
pub struct Schema {
    columns: Arc<[Column]>,
    row_key: usize,
}

/// One column of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The column's name in the table, and in the file unless the file uses an alias.
    pub name: String,
    /// Its ClickHouse type.
    pub ty: Type,
    /// Other names that it may have in a file's header or as a JSON key.
    pub aliases: Vec<String>,
    /// The text, written as in a file, that replaces a missing value.
    pub default: Option<String>,
    /// How dates are written, if not as in ISO 8601: `epoch_seconds`, `epoch_millis`, `epoch_micros`, `epoch_nanos`, or
    /// a strftime pattern such as `%d.%m.%Y %H:%M`.
    pub format: Option<String>,
    /// The bounds of a value beyond its type.
    pub constraints: Constraints,
    /// What to do with cells that the type cannot hold as they are written.
    pub policies: Policies,
}

impl Column {
    /// A column with this name and type, and with no other setting.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
            aliases: Vec::new(),
            default: None,
            format: None,
            constraints: Constraints::default(),
            policies: Policies::default(),
        }
    }

    /// Whether a record may lack this column.
    #[inline]
    #[must_use]
    pub fn may_be_absent(&self) -> bool {
        self.ty.nullable || self.default.is_some()
    }
}

/// Bounds on the values of a column. NULL is within all bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// Smallest number.
    pub min: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
    /// Fewest characters (Unicode scalar values).
    pub min_length: Option<u32>,
    /// Most characters.
    pub max_length: Option<u32>,
    /// Regular expression that must match somewhere in the text; anchor it with `^…$` to match all of it.
    pub pattern: Option<String>,
    /// The only texts allowed, as they are written in the file; empty: any.
    pub one_of: Vec<String>,
}

/// Why columns are not a valid schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// There is no column.
    #[error("a model needs at least one column")]
    NoColumns,
    /// There are more columns than the engine accepts.
    #[error("a model has at most {max} columns")]
    TooManyColumns {
        /// The maximum.
        max: usize,
    },
    /// A name or alias is used twice.
    #[error("the column name or alias '{name}' is used twice; each must be unique")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The row key is no column.
    #[error("the row key '{name}' is not a column; name one of the columns")]
    UnknownRowKey {
        /// The row key.
        name: String,
    },
    /// The default is no value of the type.
    #[error("the default of column '{column}' is not a {ty}: {message}")]
    BadDefault {
        /// The column.
        column: String,
        /// Its type.
        ty: String,
        /// What is wrong with the value.
        message: String,
    },
    /// The constraint cannot be applied.
    #[error("column '{column}': {problem}")]
    BadConstraint {
        /// The column.
        column: String,
        /// What to change.
        problem: String,
    },
    /// The date format cannot be used.
    #[error("the format of column '{column}' cannot be used: {problem}")]
    BadFormat {
        /// The column.
        column: String,
        /// What to change.
        problem: String,
    },
}

impl SchemaError {
    /// The reason as a stable identifier for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoColumns => "NoColumns",
            Self::TooManyColumns { .. } => "TooManyColumns",
            Self::DuplicateName { .. } => "DuplicateName",
            Self::UnknownRowKey { .. } => "UnknownRowKey",
            Self::BadDefault { .. } => "BadDefault",
            Self::BadConstraint { .. } => "BadConstraint",
            Self::BadFormat { .. } => "BadFormat",
        }
    }
}

/// The maximum number of columns. Rejects number columns with 16 bits; the design allows 1,000 columns.
const MAX_COLUMNS: usize = 10_000;

impl Schema {
    /// Checks the names of the columns. `row_key` names the column that identifies a row in rejects. `None`: the first column.
    pub fn new(columns: Vec<Column>, row_key: Option<&str>) -> Result<Self, SchemaError> {
        if columns.is_empty() {
            return Err(SchemaError::NoColumns);
        }
        if columns.len() > MAX_COLUMNS {
            return Err(SchemaError::TooManyColumns { max: MAX_COLUMNS });
        }
        let mut seen = HashSet::new();
        for name in columns.iter().flat_map(|c| std::iter::once(&c.name).chain(&c.aliases)) {
            if !seen.insert(name.as_str()) {
                return Err(SchemaError::DuplicateName { name: name.clone() });
            }
        }
        let row_key = match row_key {
            None => 0,
            Some(name) => columns
                .iter()
                .position(|c| c.name == name)
                .ok_or_else(|| SchemaError::UnknownRowKey { name: name.to_owned() })?,
        };
        Ok(Self { columns: columns.into(), row_key })
    }

    /// The columns in the table's order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The index of the row key.
    #[must_use]
    pub fn row_key(&self) -> usize {
        self.row_key
    }

    /// The columns' names in the table's order.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| c.name.as_str())
    }

    /// The column that a header's cell or a JSON key names.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name || c.aliases.iter().any(|a| a == name))
    }
}
