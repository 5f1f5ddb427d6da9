//! The table of scalar types: all that the row engine knows of a type without parts, except how a value is read
//! (`rows-check`) and shown (`rows-infer`).
//!
//! **Promise:** a type that is added here is in all lists: the names that are allowed, the widths and limits, the
//! policies and constraints that fit, the candidates of inference, the types of the tests and of the fuzzer. For what a
//! line cannot say, the compiler or a test names the place.

use std::fmt;

use super::Quoted;

/// A line of the table: what all types of one name have in common.
#[derive(Debug)]
pub struct ScalarInfo {
    /// The name in ClickHouse.
    pub name: &'static str,
    /// Its arguments.
    pub(super) arguments: Arguments,
    /// What its values are.
    pub family: Family,
    /// See [`Scalar::width`]. `None`: a value is a text, or the width depends on the arguments.
    width: Option<usize>,
    /// The length of the shortest text of a value in an array, tuple or map, in bytes. Of a day or moment with a
    /// format it is 1.
    pub shortest: u64,
    /// See [`Scalar::may_hold`].
    marks: &'static str,
    /// Whether ClickHouse has `LowCardinality` of it.
    pub(super) low_cardinality: bool,
    /// The types of this name that inference tries for texts. It chooses the first type that holds all texts of a
    /// column, so the narrower of two types comes first.
    pub inferred: &'static [&'static str],
}

/// The types that are alike in policies, constraints and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Text of any content.
    Text,
    /// A truth value.
    Bool,
    /// A whole number.
    Integer,
    /// A binary floating-point number.
    Float,
    /// A decimal number with a fixed number of fraction digits.
    Decimal,
    /// A day of the calendar.
    Day,
    /// A point in time.
    Moment,
    /// A time of day, or a span of time.
    Clock,
    /// A UUID.
    Uuid,
    /// An IP address.
    Address,
    /// One of a list of names.
    Enum,
    /// A JSON object. It is sent to the table as its text.
    Object,
}

/// What a type takes in parentheses, and the type that follows from it.
#[derive(Debug)]
pub(super) enum Arguments {
    /// Nothing.
    None(Scalar),
    /// A number of bytes, 1..=65536.
    Length(fn(u32) -> Scalar),
    /// A precision, 1..=76, and a scale, 0..=precision.
    Precision(fn(u8, u8) -> Scalar),
    /// A time zone or nothing.
    Zone(fn(Zone) -> Scalar),
    /// A number of fraction digits, 0..=9.
    Digits(fn(u8) -> Scalar),
    /// A number of fraction digits, 0..=9, and maybe a time zone.
    DigitsZone(fn(u8, Zone) -> Scalar),
    /// Names with their values, which the width of the type bounds.
    Names(fn(Names) -> Scalar),
}

/// A time zone, as written.
type Zone = Option<String>;
/// Names of an enum with their values, in the order of the values.
type Names = Vec<(String, i16)>;

/// What inference tries of `DateTime64`.
const FRACTIONS: [&str; 3] = ["DateTime64(3)", "DateTime64(6)", "DateTime64(9)"];
/// Marks of days and moments: with a format, a text can have any of them.
const WHEN: &str = "-+.: /";

/// Makes [`Scalar`] and [`SCALARS`] from the table.
macro_rules! scalars {
    ($($variant:ident $(($($argument:ty),+))?: $name:literal, $arguments:ident, $family:ident, $width:expr,
        $shortest:literal, $marks:expr, $low_cardinality:literal, $inferred:expr;)*) => {
        /// A type without parts, with its arguments.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Scalar {
            $(
                #[doc = concat!("`", $name, "`, with the arguments that it has in ClickHouse.")]
                $variant $(($($argument),+))?,
            )*
        }

        /// All scalar types, in the order of messages.
        pub static SCALARS: &[ScalarInfo] = &[$(ScalarInfo {
            name: $name,
            arguments: Arguments::$arguments(Scalar::$variant),
            family: Family::$family,
            width: $width,
            shortest: $shortest,
            marks: $marks,
            low_cardinality: $low_cardinality,
            inferred: &$inferred,
        }),*];

        impl Scalar {
            /// Its line of the table.
            #[must_use]
            pub fn info(&self) -> &'static ScalarInfo {
                enum Line { $($variant),* }
                &SCALARS[match self { $(Self::$variant { .. } => Line::$variant),* } as usize]
            }
        }
    };
}

// The variant and its arguments, the name, the form of the arguments, the family, the bytes of a value, the bytes of
// the shortest text (such as nine digits since 1970, `HH:MM:SS`, `0.0.0.0`, `::`), the marks, whether there is
// `LowCardinality` of it, and what inference tries.
#[rustfmt::skip]
scalars! {
    String:               "String",      None,       Text,    None,     1,  "",    true,  [];
    FixedString(u32):     "FixedString", Length,     Text,    None,     1,  "",    true,  [];
    Bool:                 "Bool",        None,       Bool,    Some(1),  1,  "",    true,  [];
    Int8:                 "Int8",        None,       Integer, Some(1),  1,  "-",   true,  [];
    Int16:                "Int16",       None,       Integer, Some(2),  1,  "-",   true,  [];
    Int32:                "Int32",       None,       Integer, Some(4),  1,  "-",   true,  [];
    Int64:                "Int64",       None,       Integer, Some(8),  1,  "-",   true,  [];
    Int128:               "Int128",      None,       Integer, Some(16), 1,  "-",   true,  [];
    Int256:               "Int256",      None,       Integer, Some(32), 1,  "-",   true,  [];
    UInt8:                "UInt8",       None,       Integer, Some(1),  1,  "-",   true,  [];
    UInt16:               "UInt16",      None,       Integer, Some(2),  1,  "-",   true,  [];
    UInt32:               "UInt32",      None,       Integer, Some(4),  1,  "-",   true,  [];
    UInt64:               "UInt64",      None,       Integer, Some(8),  1,  "-",   true,  [];
    UInt128:              "UInt128",     None,       Integer, Some(16), 1,  "-",   true,  [];
    UInt256:              "UInt256",     None,       Integer, Some(32), 1,  "-",   true,  [];
    Float32:              "Float32",     None,       Float,   Some(4),  1,  "-+.", true,  [];
    Float64:              "Float64",     None,       Float,   Some(8),  1,  "-+.", true,  [];
    BFloat16:             "BFloat16",    None,       Float,   Some(2),  1,  "-+.", false, [];
    Decimal(u8, u8):      "Decimal",     Precision,  Decimal, None,     1,  "-.",  false, [];
    Date:                 "Date",        None,       Day,     Some(2),  9,  WHEN,  true,  ["Date"];
    Date32:               "Date32",      None,       Day,     Some(4),  9,  WHEN,  true,  ["Date32"];
    DateTime(Zone):       "DateTime",    Zone,       Moment,  Some(4),  9,  WHEN,  true,  ["DateTime"];
    DateTime64(u8, Zone): "DateTime64",  DigitsZone, Moment,  Some(8),  9,  WHEN,  false, FRACTIONS;
    Time:                 "Time",        None,       Clock,   Some(4),  8,  "-.:", false, [];
    Time64(u8):           "Time64",      Digits,     Clock,   Some(8),  8,  "-.:", false, [];
    Uuid:                 "UUID",        None,       Uuid,    Some(16), 36, "-",   true,  ["UUID"];
    Ipv4:                 "IPv4",        None,       Address, Some(4),  7,  ".",   true,  ["IPv4"];
    Ipv6:                 "IPv6",        None,       Address, Some(16), 2,  ".:",  true,  ["IPv6"];
    Enum8(Names):         "Enum8",       Names,      Enum,    Some(1),  1,  "",    false, [];
    Enum16(Names):        "Enum16",      Names,      Enum,    Some(2),  1,  "",    false, [];
    Json:                 "JSON",        None,       Object,  None,     2,  "",    false, [];
}

impl Scalar {
    /// The length of a value in bytes. `None`: a value is a text of any length.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        match self {
            Self::FixedString(n) => Some(*n as usize),
            Self::Decimal(..=9, _) => Some(4),
            Self::Decimal(..=18, _) => Some(8),
            Self::Decimal(..=38, _) => Some(16),
            Self::Decimal(..) => Some(32),
            _ => self.info().width,
        }
    }

    /// Whether the text of a value can contain this byte: a letter, a digit, or a mark. Of a day or moment in a column
    /// with a format, the text can contain the bytes of the format too.
    #[must_use]
    pub fn may_hold(&self, byte: u8) -> bool {
        match self.info().family {
            Family::Text | Family::Object => true,
            Family::Enum => self.names().iter().any(|(name, _)| name.as_bytes().contains(&byte)),
            _ => byte.is_ascii_alphanumeric() || self.info().marks.as_bytes().contains(&byte),
        }
    }

    /// The names of an enum in the order of their values; empty for all other types.
    #[must_use]
    pub fn names(&self) -> &[(String, i16)] {
        match self {
            Self::Enum8(names) | Self::Enum16(names) => names,
            _ => &[],
        }
    }

    /// The time zone, if one is written.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::DateTime(zone) | Self::DateTime64(_, zone) => zone.as_deref(),
            _ => None,
        }
    }
}

impl ScalarInfo {
    /// The line of this name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        SCALARS.iter().find(|info| info.name == name)
    }

    /// The type with letters for its arguments, such as `Decimal(P, S)`, as messages and the documentation show it.
    #[must_use]
    pub fn spelling(&self) -> String {
        let arguments = match self.arguments {
            Arguments::None(_) | Arguments::Zone(_) => "",
            Arguments::Length(_) => "(N)",
            Arguments::Precision(_) => "(P, S)",
            Arguments::Digits(_) | Arguments::DigitsZone(_) => "(P)",
            Arguments::Names(_) => "(…)",
        };
        format!("{}{arguments}", self.name)
    }

    /// A type of this name, for tests.
    #[must_use]
    pub fn example(&self) -> String {
        let arguments = match self.arguments {
            Arguments::None(_) | Arguments::Zone(_) => "",
            Arguments::Length(_) | Arguments::Digits(_) | Arguments::DigitsZone(_) => "(3)",
            Arguments::Precision(_) => "(9, 2)",
            Arguments::Names(_) => "('a' = 1, 'b' = 2)",
        };
        format!("{}{arguments}", self.name)
    }
}

/// The spellings of all scalar types. Integers of one name and several sizes are the first and the last.
pub(super) fn spellings() -> Vec<(String, Zone)> {
    let letters = |info: &ScalarInfo| info.name.trim_end_matches(|c: char| c.is_ascii_digit());
    let sizes = SCALARS.chunk_by(|a, b| a.family == Family::Integer && letters(a) == letters(b));
    sizes.map(|all| (all[0].spelling(), all[1..].last().map(ScalarInfo::spelling))).collect()
}

/// The types that a file can be loaded into, for messages.
pub(super) fn allowed() -> String {
    let scalars = spellings().into_iter().map(|(first, last)| match last {
        Some(last) => format!("{first} to {last}, "),
        None => first + ", ",
    });
    let parts = "Nullable(T) and LowCardinality(T) of these, and Array(T), Tuple(…), Map(K, V)";
    scalars.chain([parts.to_owned()]).collect()
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().name)?;
        match self {
            Self::FixedString(n) => write!(f, "({n})"),
            Self::Decimal(p, s) => write!(f, "({p}, {s})"),
            Self::DateTime(Some(zone)) => write!(f, "({})", Quoted(zone)),
            Self::DateTime64(p, None) | Self::Time64(p) => write!(f, "({p})"),
            Self::DateTime64(p, Some(zone)) => write!(f, "({p}, {})", Quoted(zone)),
            Self::Enum8(names) | Self::Enum16(names) => {
                for (at, (name, value)) in names.iter().enumerate() {
                    write!(f, "{}{} = {value}", if at == 0 { "(" } else { ", " }, Quoted(name))?;
                }
                f.write_str(")")
            }
            _ => Ok(()),
        }
    }
}
