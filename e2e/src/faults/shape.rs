//! The three shapes of files and tables.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The columns of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Three columns.
    Narrow,
    /// Twenty columns of many types.
    Wide,
    /// Four columns, in a table with a partition for each day.
    Partitioned,
}

/// The type of the cells of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Any text or NULL.
    OptionalText,
    /// One of a few texts.
    Country,
    /// An integer from 0 to 4,294,967,295.
    UInt32,
    /// An integer from 0 to 18,446,744,073,709,551,615.
    UInt64,
    /// An integer from -2,147,483,648 to 2,147,483,647.
    Int32,
    /// An integer of 64 bits or NULL.
    OptionalInt64,
    /// A number with two digits after the decimal point.
    Float,
    /// A number with at most four digits after the decimal point.
    Decimal,
    /// `2026-03-31`.
    Date,
    /// `2026-03-31 23:59:59`.
    DateTime,
    /// A UUID with hyphens.
    Uuid,
    /// `true` or `false`.
    Bool,
    /// One of [`STATUSES`].
    Status,
}

/// The names of the enum.
pub const STATUSES: [&str; 5] = ["new", "paid", "sent", "done", "void"];
/// The texts of `Country` cells.
pub const COUNTRIES: [&str; 8] = ["de", "fr", "pl", "us", "jp", "br", "in", "za"];
/// The separator between the cells of a row's text. No generated cell contains it.
pub const SEPARATOR: char = '\u{1f}';
/// The text for NULL in a row's text.
pub const NULL: &str = "\\N";

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in file and table.
    pub name: &'static str,
    /// The type of its cells.
    pub kind: Kind,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const NARROW: [Column; 3] =
    [column("id", Kind::Text), column("at", Kind::UInt32), column("amount", Kind::Float)];
const PARTITIONED: [Column; 4] = [
    column("id", Kind::UInt64),
    column("day", Kind::Date),
    column("name", Kind::Text),
    column("amount", Kind::Float),
];
const WIDE: [Column; 20] = [
    column("id", Kind::UInt64),
    column("event", Kind::Uuid),
    column("created", Kind::DateTime),
    column("updated", Kind::DateTime),
    column("day", Kind::Date),
    column("price", Kind::Decimal),
    column("ratio", Kind::Float),
    column("score", Kind::Float),
    column("delta", Kind::Int32),
    column("parent", Kind::OptionalInt64),
    column("active", Kind::Bool),
    column("country", Kind::Country),
    column("status", Kind::Status),
    column("a", Kind::UInt32),
    column("b", Kind::UInt32),
    column("c", Kind::Int32),
    column("d", Kind::Int32),
    column("title", Kind::Text),
    column("note", Kind::OptionalText),
    column("code", Kind::Text),
];

impl Shape {
    /// Returns its columns, in the order of file and table.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Narrow => &NARROW,
            Self::Wide => &WIDE,
            Self::Partitioned => &PARTITIONED,
        }
    }

    /// Returns the approximate size of a CSV row in bytes.
    #[must_use]
    pub fn row_bytes(self) -> u64 {
        match self {
            Self::Narrow => 27,
            Self::Wide => 230,
            Self::Partitioned => 45,
        }
    }

    /// Returns the SQL of a row's text: row number and cells, with [`SEPARATOR`] between them. The plain reading of a
    /// file makes the same text.
    #[must_use]
    pub fn row_sql(self) -> String {
        let mut sql = "concatWithSeparator('\\x1f', toString(_row)".to_owned();
        for column in self.columns() {
            let _ = write!(sql, ", {}", column.sql());
        }
        sql + ")"
    }

    /// Returns the column names and ClickHouse types, in the form of a CREATE TABLE.
    #[must_use]
    pub fn columns_sql(self) -> String {
        let columns = self.columns().iter().map(|column| {
            let ty = column.kind.ty();
            if column.kind.is_optional() {
                format!("{} Nullable({ty})", column.name)
            } else {
                format!("{} {ty}", column.name)
            }
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Returns the `columns` of an `IngestModel`'s spec as YAML, indented by two spaces.
    #[must_use]
    pub fn columns_yaml(self) -> String {
        self.columns().iter().fold(String::new(), |mut yaml, column| {
            let nullable = if column.kind.is_optional() { ", nullable: true" } else { "" };
            let _ = write!(yaml, "\n  - {{name: {}, type: \"{}\"{nullable}}}", column.name, column.kind.ty());
            yaml
        })
    }
}

impl Column {
    fn sql(self) -> String {
        match self.kind {
            Kind::OptionalText | Kind::OptionalInt64 => {
                format!("ifNull(toString({}), '\\\\N')", self.name)
            }
            Kind::DateTime => format!("toString({}, 'UTC')", self.name),
            _ => format!("toString({})", self.name),
        }
    }
}

impl Kind {
    /// Returns whether a cell may be empty.
    #[must_use]
    pub fn is_optional(self) -> bool {
        matches!(self, Self::OptionalText | Self::OptionalInt64)
    }

    /// Returns whether any text is a good cell.
    #[must_use]
    pub fn takes_any_text(self) -> bool {
        matches!(self, Self::Text | Self::OptionalText | Self::Country)
    }

    /// Returns whether JSON writes it without quotes.
    #[must_use]
    pub fn is_bare_in_json(self) -> bool {
        matches!(
            self,
            Self::UInt32
                | Self::UInt64
                | Self::Int32
                | Self::OptionalInt64
                | Self::Float
                | Self::Decimal
                | Self::Bool
        )
    }

    /// Returns the ClickHouse type, without `Nullable`.
    fn ty(self) -> &'static str {
        match self {
            Self::Text | Self::OptionalText => "String",
            Self::Country => "LowCardinality(String)",
            Self::UInt32 => "UInt32",
            Self::UInt64 => "UInt64",
            Self::Int32 => "Int32",
            Self::OptionalInt64 => "Int64",
            Self::Float => "Float64",
            Self::Decimal => "Decimal(18, 4)",
            Self::Date => "Date",
            Self::DateTime => "DateTime",
            Self::Uuid => "UUID",
            Self::Bool => "Bool",
            Self::Status => "Enum8('new' = 1, 'paid' = 2, 'sent' = 3, 'done' = 4, 'void' = 5)",
        }
    }
}
