//! ClickHouse type names: parsed once, shown in their canonical spelling.

mod build;
mod parse;
mod scalar;
#[cfg(test)]
mod tests;

use std::fmt;

use build::Refusal;
pub use scalar::{Family, SCALARS, Scalar, ScalarInfo};

/// A ClickHouse column type that a file can be loaded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// The type without `Nullable` and `LowCardinality`.
    pub base: Base,
    /// Whether `Nullable` is around it.
    pub nullable: bool,
    /// Whether `LowCardinality` is around it.
    pub low_cardinality: bool,
}

/// A type without `Nullable` and `LowCardinality` around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A value without parts.
    Scalar(Scalar),
    /// Elements.
    Array(Box<Type>),
    /// Elements. Either all have a name, or none has.
    Tuple(Vec<(Option<String>, Type)>),
    /// Keys and values.
    Map(Box<Type>, Box<Type>),
}

/// Why a type name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// There is no type of this name, or files cannot be loaded into it.
    #[error("type '{name}' is not supported; allowed are {}", scalar::allowed())]
    Unsupported {
        /// The name as written.
        name: String,
    },
    /// The name is known, but its arguments are not valid.
    #[error("failed to read type '{name}': {problem}")]
    Malformed {
        /// The name as written.
        name: String,
        /// What to change.
        problem: String,
    },
}

impl TypeError {
    /// Stable name for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "UnsupportedType",
            Self::Malformed { .. } => "MalformedType",
        }
    }
}

impl Type {
    /// Parses a type as ClickHouse spells it. Blanks between tokens are optional; names are case-sensitive.
    ///
    /// Source: <https://clickhouse.com/docs/sql-reference/data-types>.
    pub fn parse(name: &str) -> Result<Self, TypeError> {
        let malformed = |problem: String| TypeError::Malformed { name: parse::clip(name), problem };
        if name.len() > parse::MAX_LEN {
            return Err(malformed("the name is too long".to_owned()));
        }
        let node = parse::node(name).map_err(|problem| {
            // a type that is not supported can have arguments of any form
            let first =
                name.trim_start().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let unsupported = !first.is_empty() && !build::is_known(first);
            if unsupported { TypeError::Unsupported { name: parse::clip(name) } } else { malformed(problem) }
        })?;
        build::ty(&node).map_err(|e| match e {
            Refusal::Unsupported => TypeError::Unsupported { name: parse::clip(name) },
            Refusal::Malformed(problem) => malformed(problem),
        })
    }

    /// Whether the column can hold NULL.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// The same type, able to hold NULL: `T` becomes `Nullable(T)`, `LowCardinality(T)` becomes
    /// `LowCardinality(Nullable(T))`. An `Array` and a `Map` cannot be NULL.
    pub fn nullable(&self) -> Result<Self, TypeError> {
        match &self.base {
            Base::Array(_) | Base::Map(..) => Err(TypeError::Malformed {
                name: format!("Nullable({self})"),
                problem: "an Array or Map cannot be NULL; an empty one stands for nothing".to_owned(),
            }),
            _ => Ok(Self { nullable: true, ..self.clone() }),
        }
    }

    /// Whether values have an inner structure: `Array`, `Tuple`, `Map`, `JSON`.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.scalar().is_none_or(|scalar| *scalar == Scalar::Json)
    }

    /// The type without `Nullable` and `LowCardinality`, if its values have no parts.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.base {
            Base::Scalar(scalar) => Some(scalar),
            Base::Array(_) | Base::Tuple(_) | Base::Map(..) => None,
        }
    }

    /// What its values are, if they have no parts.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        self.scalar().map(|scalar| scalar.info().family)
    }

    /// Whether values are days or points in time.
    #[must_use]
    pub fn is_day_or_moment(&self) -> bool {
        matches!(self.family(), Some(Family::Day | Family::Moment))
    }

    /// Whether `is` is true of this type, or of a type inside it.
    #[must_use]
    pub fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self)
            || match &self.base {
                Base::Array(element) => element.any(is),
                Base::Map(key, value) => key.any(is) || value.any(is),
                Base::Tuple(elements) => elements.iter().any(|(_, ty)| ty.any(is)),
                Base::Scalar(_) => false,
            }
    }

    /// A type without `Nullable` and `LowCardinality`.
    #[must_use]
    pub fn plain(base: Base) -> Self {
        Self { base, nullable: false, low_cardinality: false }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low_cardinality, self.nullable) {
            (false, false) => write!(f, "{}", self.base),
            (false, true) => write!(f, "Nullable({})", self.base),
            (true, false) => write!(f, "LowCardinality({})", self.base),
            (true, true) => write!(f, "LowCardinality(Nullable({}))", self.base),
        }
    }
}

impl std::str::FromStr for Type {
    type Err = TypeError;

    fn from_str(name: &str) -> Result<Self, TypeError> {
        Self::parse(name)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => write!(f, "{scalar}"),
            Self::Array(element) => write!(f, "Array({element})"),
            Self::Tuple(elements) => write_tuple(f, elements),
            Self::Map(key, value) => write!(f, "Map({key}, {value})"),
        }
    }
}

fn write_tuple(f: &mut fmt::Formatter<'_>, elements: &[(Option<String>, Type)]) -> fmt::Result {
    f.write_str("Tuple(")?;
    for (i, (name, ty)) in elements.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        match name {
            None => write!(f, "{comma}{ty}")?,
            Some(name) if parse::is_identifier(name) => write!(f, "{comma}{name} {ty}")?,
            Some(name) => {
                write!(f, "{comma}`")?;
                write_escaped(f, name, '`')?;
                write!(f, "` {ty}")?;
            }
        }
    }
    f.write_str(")")
}

/// A ClickHouse string literal.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        write_escaped(f, self.0, '\'')?;
        f.write_str("'")
    }
}

/// Writes the text with the escapes that it needs between quotes of this kind.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            c if c == quote => write!(f, "\\{c}")?,
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}
