//! ClickHouse type names: parsed once, shown in their canonical spelling.

mod build;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use build::Refusal;

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
    /// A text.
    String,
    /// A text of this many bytes.
    FixedString(u32),
    /// A truth value.
    Bool,
    /// Bits: 8, 16, 32, 64, 128, 256.
    Int(u16),
    /// Bits, as for `Int`.
    UInt(u16),
    /// A number in 32 bits.
    Float32,
    /// A number in 64 bits.
    Float64,
    /// The first 16 bits of a `Float32`.
    BFloat16,
    /// Precision 1..=76, scale 0..=precision.
    Decimal(u8, u8),
    /// A day in 16 bits.
    Date,
    /// A day in 32 bits.
    Date32,
    /// Time zone as written.
    DateTime(Option<String>),
    /// Fraction digits 0..=9, time zone as written.
    DateTime64(u8, Option<String>),
    /// Seconds; they can be negative.
    Time,
    /// Fraction digits 0..=9.
    Time64(u8),
    /// A UUID.
    Uuid,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Names in the order of their values.
    Enum8(Vec<(String, i16)>),
    /// As `Enum8`.
    Enum16(Vec<(String, i16)>),
    /// A JSON object. It is sent to the table as its text.
    Json,
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
    #[error("type '{name}' is not supported; allowed are {ALLOWED}")]
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

const ALLOWED: &str = "String, FixedString(N), Bool, Int8 to Int256, UInt8 to UInt256, Float32, Float64, BFloat16, \
                       Decimal(P, S), Date, Date32, DateTime, DateTime64(P), Time, Time64(P), UUID, IPv4, IPv6, \
                       Enum8(…), Enum16(…), JSON, Nullable(T) and LowCardinality(T) of these, and Array(T), \
                       Tuple(…), Map(K, V)";

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
        matches!(self.base, Base::Array(_) | Base::Tuple(_) | Base::Map(..) | Base::Json)
    }

    /// Whether values are days or points in time.
    #[must_use]
    pub fn is_day_or_moment(&self) -> bool {
        matches!(self.base, Base::Date | Base::Date32 | Base::DateTime(_) | Base::DateTime64(..))
    }

    /// Whether `is` is true of this type, or of a type inside it.
    #[must_use]
    pub fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self)
            || match &self.base {
                Base::Array(element) => element.any(is),
                Base::Map(key, value) => key.any(is) || value.any(is),
                Base::Tuple(elements) => elements.iter().any(|(_, ty)| ty.any(is)),
                _ => false,
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
            Self::String => f.write_str("String"),
            Self::FixedString(n) => write!(f, "FixedString({n})"),
            Self::Bool => f.write_str("Bool"),
            Self::Int(bits) => write!(f, "Int{bits}"),
            Self::UInt(bits) => write!(f, "UInt{bits}"),
            Self::Float32 => f.write_str("Float32"),
            Self::Float64 => f.write_str("Float64"),
            Self::BFloat16 => f.write_str("BFloat16"),
            Self::Decimal(p, s) => write!(f, "Decimal({p}, {s})"),
            Self::Date => f.write_str("Date"),
            Self::Date32 => f.write_str("Date32"),
            Self::DateTime(None) => f.write_str("DateTime"),
            Self::DateTime(Some(zone)) => write!(f, "DateTime({})", Quoted(zone)),
            Self::DateTime64(p, None) => write!(f, "DateTime64({p})"),
            Self::DateTime64(p, Some(zone)) => write!(f, "DateTime64({p}, {})", Quoted(zone)),
            Self::Time => f.write_str("Time"),
            Self::Time64(p) => write!(f, "Time64({p})"),
            Self::Uuid => f.write_str("UUID"),
            Self::Ipv4 => f.write_str("IPv4"),
            Self::Ipv6 => f.write_str("IPv6"),
            Self::Enum8(names) => write_enum(f, "Enum8", names),
            Self::Enum16(names) => write_enum(f, "Enum16", names),
            Self::Json => f.write_str("JSON"),
            Self::Array(element) => write!(f, "Array({element})"),
            Self::Tuple(elements) => write_tuple(f, elements),
            Self::Map(key, value) => write!(f, "Map({key}, {value})"),
        }
    }
}

fn write_enum(f: &mut fmt::Formatter<'_>, ty: &str, names: &[(String, i16)]) -> fmt::Result {
    write!(f, "{ty}(")?;
    for (i, (name, value)) in names.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{} = {value}", Quoted(name))?;
    }
    f.write_str(")")
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
