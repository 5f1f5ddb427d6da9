//! ClickHouse type names: parsed once, shown in their canonical spelling.

mod parse;

use std::fmt;

/// A ClickHouse column type that a file can be loaded into.
///
/// Scalars only, with `Nullable(T)` and `LowCardinality(T)` around them. `Array`, `Tuple`, `Map` and `JSON` are refused
/// by [`Type::parse`] for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    pub(crate) scalar: Scalar,
    pub(crate) nullable: bool,
    pub(crate) low_cardinality: bool,
}

/// What one value is, without its wrappers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    String,
    FixedString(u32),
    Bool,
    /// Bits: 8, 16, 32, 64, 128, 256.
    Int(u16),
    UInt(u16),
    Float32,
    Float64,
    /// Precision 1..=76, scale 0..=precision.
    Decimal(u8, u8),
    Date,
    Date32,
    /// Time zone as written.
    DateTime(Option<String>),
    /// Fraction digits 0..=9, time zone as written.
    DateTime64(u8, Option<String>),
    Uuid,
    Ipv4,
    Ipv6,
    /// Names in the order of their values.
    Enum8(Vec<(String, i16)>),
    Enum16(Vec<(String, i16)>),
}

/// Why a type name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// No type of this name, or one that files cannot be loaded into yet.
    #[error("type '{name}' is not supported; allowed are {ALLOWED}")]
    Unsupported {
        /// The name as written.
        name: String,
    },
    /// The name is known, what is in its parentheses is not.
    #[error("failed to read type '{name}': {problem}")]
    Malformed {
        /// The name as written.
        name: String,
        /// What to change.
        problem: String,
    },
}

impl TypeError {
    /// Stable word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "UnsupportedType",
            Self::Malformed { .. } => "MalformedType",
        }
    }
}

const ALLOWED: &str = "String, FixedString(N), Bool, Int8 to Int256, UInt8 to UInt256, Float32, Float64, Decimal(P, S), \
                       Date, Date32, DateTime, DateTime64(P), UUID, IPv4, IPv6, Enum8(…), Enum16(…), and Nullable(T) or \
                       LowCardinality(T) of these";

impl Type {
    /// Parses a type as ClickHouse spells it; blanks between tokens are free, names are case-sensitive.
    ///
    /// Source: <https://clickhouse.com/docs/sql-reference/data-types>.
    pub fn parse(name: &str) -> Result<Self, TypeError> {
        parse::parse(name)
    }

    /// Whether the column can hold NULL.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// The same type, able to hold NULL: `T` becomes `Nullable(T)`, `LowCardinality(T)` becomes `LowCardinality(Nullable(T))`.
    #[must_use]
    pub fn nullable(&self) -> Self {
        Self { nullable: true, ..self.clone() }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low_cardinality, self.nullable) {
            (false, false) => write!(f, "{}", self.scalar),
            (false, true) => write!(f, "Nullable({})", self.scalar),
            (true, false) => write!(f, "LowCardinality({})", self.scalar),
            (true, true) => write!(f, "LowCardinality(Nullable({}))", self.scalar),
        }
    }
}

impl std::str::FromStr for Type {
    type Err = TypeError;

    fn from_str(name: &str) -> Result<Self, TypeError> {
        Self::parse(name)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("String"),
            Self::FixedString(n) => write!(f, "FixedString({n})"),
            Self::Bool => f.write_str("Bool"),
            Self::Int(bits) => write!(f, "Int{bits}"),
            Self::UInt(bits) => write!(f, "UInt{bits}"),
            Self::Float32 => f.write_str("Float32"),
            Self::Float64 => f.write_str("Float64"),
            Self::Decimal(p, s) => write!(f, "Decimal({p}, {s})"),
            Self::Date => f.write_str("Date"),
            Self::Date32 => f.write_str("Date32"),
            Self::DateTime(None) => f.write_str("DateTime"),
            Self::DateTime(Some(zone)) => write!(f, "DateTime({})", Quoted(zone)),
            Self::DateTime64(p, None) => write!(f, "DateTime64({p})"),
            Self::DateTime64(p, Some(zone)) => write!(f, "DateTime64({p}, {})", Quoted(zone)),
            Self::Uuid => f.write_str("UUID"),
            Self::Ipv4 => f.write_str("IPv4"),
            Self::Ipv6 => f.write_str("IPv6"),
            Self::Enum8(names) => write_enum(f, "Enum8", names),
            Self::Enum16(names) => write_enum(f, "Enum16", names),
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

/// A ClickHouse string literal.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for c in self.0.chars() {
            match c {
                '\'' => f.write_str("\\'")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("'")
    }
}

#[cfg(test)]
mod tests {
    use super::Type;
    use proptest::prelude::*;

    #[test]
    fn a_type_is_shown_in_its_canonical_spelling() {
        for (name, shown) in [
            ("String", "String"),
            (" Nullable( UInt64 ) ", "Nullable(UInt64)"),
            ("LowCardinality(Nullable(String))", "LowCardinality(Nullable(String))"),
            ("Decimal32(4)", "Decimal(9, 4)"),
            ("Decimal(20)", "Decimal(20, 0)"),
            ("Decimal(76,76)", "Decimal(76, 76)"),
            ("DateTime('Europe/Berlin')", "DateTime('Europe/Berlin')"),
            ("DateTime64(3,'UTC')", "DateTime64(3, 'UTC')"),
            ("Enum8('a','b'=5,'it''s \\\\ \\'x\\'')", "Enum8('a' = 1, 'b' = 5, 'it\\'s \\\\ \\'x\\'' = 6)"),
            ("Enum('b' = 1000, 'a' = -1)", "Enum16('a' = -1, 'b' = 1000)"),
            ("FixedString(16)", "FixedString(16)"),
            ("Int256", "Int256"),
        ] {
            assert_eq!(Type::parse(name).map(|t| t.to_string()).as_deref(), Ok(shown), "{name}");
        }
    }

    #[test]
    fn a_type_that_files_cannot_fill_is_refused_with_those_that_can() {
        for name in [
            "Array(String)",
            "Tuple(a Int8)",
            "Map(String, Int8)",
            "JSON",
            "int8",
            "Varchar",
            "Nullable(Array(Int8))",
            "Int24",
        ] {
            let error = Type::parse(name).unwrap_err();
            assert_eq!(error.reason(), "UnsupportedType", "{name}");
            assert!(error.to_string().contains("allowed are String, FixedString(N)"), "{error}");
        }
    }

    #[test]
    fn a_type_with_wrong_arguments_is_refused() {
        for name in [
            "",
            "(",
            "Nullable",
            "Nullable()",
            "Nullable(Int8, Int8)",
            "Nullable(Nullable(Int8))",
            "Nullable(LowCardinality(String))",
            "LowCardinality(Decimal(9, 2))",
            "String(5)",
            "FixedString",
            "FixedString(0)",
            "FixedString(x)",
            "Decimal",
            "Decimal(0, 0)",
            "Decimal(77, 0)",
            "Decimal(5, 6)",
            "Decimal32(10)",
            "DateTime(5)",
            "DateTime('Mars/Phobos')",
            "DateTime64",
            "DateTime64(10)",
            "Enum8()",
            "Enum8('a' = 128)",
            "Enum8('a' = 1, 'a' = 2)",
            "Enum8('a' = 1, 'b' = 1)",
            "Enum8(a = 1)",
            "Enum8('a",
            "Int8)",
            "Int8 x",
            "Enum8('\\q' = 1)",
            "Bool()",
            "UUID('x')",
        ] {
            assert_eq!(Type::parse(name).map_err(|e| e.reason()), Err("MalformedType"), "{name}");
        }
    }

    #[test]
    fn a_type_becomes_nullable_inside_low_cardinality() {
        assert_eq!(
            Type::parse("LowCardinality(String)").unwrap().nullable().to_string(),
            "LowCardinality(Nullable(String))"
        );
        assert_eq!(Type::parse("Int8").unwrap().nullable().to_string(), "Nullable(Int8)");
        assert!(Type::parse("Nullable(Int8)").unwrap().is_nullable());
    }

    proptest! {
        #[test]
        fn any_name_is_parsed_or_refused_and_what_is_shown_parses_to_the_same(name in "\\PC{0,30}|[A-Za-z0-9(),'= ]{0,40}") {
            if let Ok(ty) = Type::parse(&name) {
                prop_assert_eq!(Type::parse(&ty.to_string()), Ok(ty));
            }
        }

        #[test]
        fn an_enum_of_any_names_parses_to_itself(names in prop::collection::hash_set("\\PC{0,8}|['\\\\\n\t]{1,3}", 1..8)) {
            let list: Vec<(String, i16)> = names.into_iter().zip(1..).collect();
            let ty = Type { scalar: super::Scalar::Enum8(list), nullable: true, low_cardinality: false };
            prop_assert_eq!(Type::parse(&ty.to_string()), Ok(ty));
        }
    }
}
