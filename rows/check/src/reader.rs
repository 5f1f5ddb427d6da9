//! One reader for each type without inner structure, chosen when a column is compiled.

use rows_bytes::simd::Portable;
use rows_bytes::text::Text;
use rows_types::{Base, CellError, Policies};

use crate::coerce::boolean::Bool;
use crate::coerce::date::Date;
use crate::coerce::datetime::DateTime;
use crate::coerce::decimal::Decimal;
use crate::coerce::enums::Enum;
use crate::coerce::float::{BFloat16, Float32, Float64};
use crate::coerce::format::Format;
use crate::coerce::int::{BigInt, Int, Signed256, Unsigned256};
use crate::coerce::ip::{Ipv4, Ipv6};
use crate::coerce::time::Time;
use crate::coerce::uuid::Uuid;
use crate::coerce::{Native, Read};

/// What reads a value without inner structure.
#[derive(Debug)]
pub(crate) enum Reader {
    String,
    FixedString(usize),
    Bool(Bool),
    Int8(Int<i8>),
    Int16(Int<i16>),
    Int32(Int<i32>),
    Int64(Int<i64>),
    Int128(BigInt<i128>),
    Int256(BigInt<Signed256>),
    UInt8(Int<u8>),
    UInt16(Int<u16>),
    UInt32(Int<u32>),
    UInt64(Int<u64>),
    UInt128(BigInt<u128>),
    UInt256(BigInt<Unsigned256>),
    Float32(Float32),
    Float64(Float64),
    BFloat16(BFloat16),
    Decimal32(Decimal<i32>),
    Decimal64(Decimal<i64>),
    Decimal128(Decimal<i128>),
    Decimal256(Decimal<Signed256>),
    Date(Date<u16>),
    Date32(Date<i32>),
    DateTime(DateTime<u32>),
    DateTime64(DateTime<i64>),
    Time(Time<i32>),
    Time64(Time<i64>),
    Uuid(Uuid),
    Ipv4(Ipv4),
    Ipv6(Ipv6),
    Enum8(Enum<i8>),
    Enum16(Enum<i16>),
    /// A JSON object, whose text is the value. The module `nested` checks it.
    Json,
}

/// Runs `$then` with `$r` as the reader if the type has a fixed width, and `$texts` if not.
macro_rules! with_reader {
    ($reader:expr, $r:ident => $then:expr, texts => $texts:expr) => {{
        use $crate::reader::Reader as R;
        match $reader {
            R::String | R::FixedString(_) | R::Json => $texts,
            R::Bool($r) => $then,
            R::Int8($r) => $then,
            R::Int16($r) => $then,
            R::Int32($r) => $then,
            R::Int64($r) => $then,
            R::Int128($r) => $then,
            R::Int256($r) => $then,
            R::UInt8($r) => $then,
            R::UInt16($r) => $then,
            R::UInt32($r) => $then,
            R::UInt64($r) => $then,
            R::UInt128($r) => $then,
            R::UInt256($r) => $then,
            R::Float32($r) => $then,
            R::Float64($r) => $then,
            R::BFloat16($r) => $then,
            R::Decimal32($r) => $then,
            R::Decimal64($r) => $then,
            R::Decimal128($r) => $then,
            R::Decimal256($r) => $then,
            R::Date($r) => $then,
            R::Date32($r) => $then,
            R::DateTime($r) => $then,
            R::DateTime64($r) => $then,
            R::Time($r) => $then,
            R::Time64($r) => $then,
            R::Uuid($r) => $then,
            R::Ipv4($r) => $then,
            R::Ipv6($r) => $then,
            R::Enum8($r) => $then,
            R::Enum16($r) => $then,
        }
    }};
}
pub(crate) use with_reader;

impl Reader {
    /// The reader of a type, with the format of a column. `None`: the type has inner structure.
    pub(crate) fn new(base: &Base, format: Option<&str>) -> Result<Option<Self>, String> {
        let format = |day: bool| Format::new(format, day);
        Ok(Some(match base {
            Base::String => Self::String,
            Base::FixedString(n) => Self::FixedString(*n as usize),
            Base::Bool => Self::Bool(Bool),
            Base::Int(8) => Self::Int8(Int::new()),
            Base::Int(16) => Self::Int16(Int::new()),
            Base::Int(32) => Self::Int32(Int::new()),
            Base::Int(64) => Self::Int64(Int::new()),
            Base::Int(128) => Self::Int128(BigInt::new()),
            Base::Int(_) => Self::Int256(BigInt::new()),
            Base::UInt(8) => Self::UInt8(Int::new()),
            Base::UInt(16) => Self::UInt16(Int::new()),
            Base::UInt(32) => Self::UInt32(Int::new()),
            Base::UInt(64) => Self::UInt64(Int::new()),
            Base::UInt(128) => Self::UInt128(BigInt::new()),
            Base::UInt(_) => Self::UInt256(BigInt::new()),
            Base::Float32 => Self::Float32(Float32),
            Base::Float64 => Self::Float64(Float64),
            Base::BFloat16 => Self::BFloat16(BFloat16),
            Base::Decimal(p @ ..=9, s) => Self::Decimal32(Decimal::new(*p, *s)),
            Base::Decimal(p @ ..=18, s) => Self::Decimal64(Decimal::new(*p, *s)),
            Base::Decimal(p @ ..=38, s) => Self::Decimal128(Decimal::new(*p, *s)),
            Base::Decimal(p, s) => Self::Decimal256(Decimal::new(*p, *s)),
            Base::Date => Self::Date(Date::new(format(true)?)),
            Base::Date32 => Self::Date32(Date::new(format(true)?)),
            Base::DateTime(zone) => Self::DateTime(DateTime::new(0, zone.as_deref(), format(false)?)),
            Base::DateTime64(p, zone) => Self::DateTime64(DateTime::new(*p, zone.as_deref(), format(false)?)),
            Base::Time => Self::Time(Time::new(0)),
            Base::Time64(p) => Self::Time64(Time::new(*p)),
            Base::Uuid => Self::Uuid(Uuid),
            Base::Ipv4 => Self::Ipv4(Ipv4),
            Base::Ipv6 => Self::Ipv6(Ipv6),
            Base::Enum8(names) => Self::Enum8(Enum::new(names)),
            Base::Enum16(names) => Self::Enum16(Enum::new(names)),
            Base::Json => Self::Json,
            Base::Array(_) | Base::Tuple(_) | Base::Map(..) => return Ok(None),
        }))
    }

    /// Bytes of a value; `None` for a text of any length.
    pub(crate) fn width(&self) -> Option<usize> {
        fn of<R: Read>(_: &R) -> usize {
            R::Value::WIDTH
        }
        match self {
            Self::FixedString(n) => Some(*n),
            reader => with_reader!(reader, r => Some(of(r)), texts => None),
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::FixedString(_))
    }

    /// The value in `Native` form (a text is unchanged), or what is wrong.
    pub(crate) fn value(&self, text: &[u8], policies: Policies) -> Result<Vec<u8>, CellError> {
        fn value<R: Read>(reader: &R, text: &[u8], policies: Policies) -> Result<Vec<u8>, CellError> {
            let value = match reader.read(Portable, Text::whole(text)) {
                Some(value) => value,
                None => reader.lenient(text, policies)?,
            };
            let mut bytes = vec![0; R::Value::WIDTH];
            value.put(&mut bytes);
            Ok(bytes)
        }
        match self {
            Self::FixedString(n) if text.len() > *n => Err(CellError::TooLong),
            reader => with_reader!(reader, r => value(r, text, policies), texts => Ok(text.to_vec())),
        }
    }

    /// Whether a text that contains this byte can be a value of the fixed-width type. `format` is the column's.
    pub(crate) fn may_hold(&self, byte: u8, format: Option<&str>) -> bool {
        match self {
            Self::Enum8(names) => names.holds(byte),
            Self::Enum16(names) => names.holds(byte),
            _ => {
                let format = format.is_some_and(|format| format.as_bytes().contains(&byte));
                format || byte.is_ascii_alphanumeric() || b"+-.: /".contains(&byte)
            }
        }
    }

    /// Whether the text is a value of the type. Readers of texts accept every text.
    pub(crate) fn takes(&self, text: &[u8]) -> bool {
        with_reader!(self, r => r.read(Portable, Text::whole(text)).is_some(), texts => true)
    }
}

#[cfg(test)]
mod tests;
