//! The only place that makes SQL text of an identifier.
//!
//! A text from a user gets into a statement only through these types: they are checked when they are made, and quote
//! themselves when they are shown. Values are never formatted into a statement; they are query parameters.

use std::{fmt, str::FromStr};

/// What is wrong with an identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is not a name ClickHouse takes here: use letters, digits and '_', at most 128, no digit first"
)]
pub struct BadIdent(String);

/// A column, table, database or cluster name: letters, digits and `_`, at most 128, no digit first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(String);

impl Ident {
    /// Returns the name as it was given, unquoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ident {
    type Err = BadIdent;

    fn from_str(text: &str) -> Result<Self, BadIdent> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if first && text.len() <= 128 && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadIdent(text.chars().take(128).collect()))
        }
    }
}

/// Quoted with backticks.
impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// A table with its database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The database.
    pub database: Ident,
    /// The table.
    pub table: Ident,
}

impl TableName {
    /// Checks both names and returns the table.
    pub fn new(database: &str, table: &str) -> Result<Self, BadIdent> {
        Ok(Self { database: database.parse()?, table: table.parse()? })
    }

    /// Returns `database.table`, unquoted, as people write it.
    #[must_use]
    pub fn plain(&self) -> String {
        format!("{}.{}", self.database.as_str(), self.table.as_str())
    }
}

/// Both parts quoted with backticks.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// Returns a text as a ClickHouse string literal, for the few places that accept no parameter (a comment in DDL, a
/// setting).
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_end_its_quotes_is_refused() {
        for bad in ["", "1a", "a`b", "a b", "a.b", "a;DROP", "ä", &"a".repeat(129)] {
            assert!(bad.parse::<Ident>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_quoted() {
        let table = TableName::new("shop", "data_1").unwrap();
        assert_eq!(table.to_string(), "`shop`.`data_1`");
        assert_eq!(table.plain(), "shop.data_1");
    }

    #[test]
    fn a_literal_cannot_end_early() {
        assert_eq!(literal(r"a'b\"), r"'a\'b\\'");
    }
}
