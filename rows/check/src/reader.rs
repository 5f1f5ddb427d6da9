//! One reader for each type without inner structure, chosen when a column is compiled.

use rows_bytes::simd::Portable;
use rows_bytes::text::Text;
use rows_types::{CellError, Policies, Scalar};

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

/// Makes [`Reader`], [`Reader::new`] and [`with_reader`] from the list of readers. `$d` is a dollar sign.
macro_rules! readers {
    ($d:tt, $format:ident, $($scalar:pat => $name:ident($reader:ty) = $new:expr;)*) => {
        /// What reads a value without inner structure.
        #[derive(Debug)]
        pub(crate) enum Reader {
            String,
            FixedString(usize),
            /// A JSON object, whose text is the value. The module `nested` checks it.
            Json,
            $($name($reader),)*
        }

        impl Reader {
            /// The reader of a type, with the format of a column.
            pub(crate) fn new(scalar: &Scalar, $format: Option<&str>) -> Result<Self, String> {
                Ok(match scalar {
                    Scalar::String => Self::String,
                    Scalar::FixedString(n) => Self::FixedString(*n as usize),
                    Scalar::Json => Self::Json,
                    $($scalar => Self::$name($new),)*
                })
            }
        }

        /// Runs `$then` with `$r` as the reader if the type has a fixed width, and `$texts` if not.
        macro_rules! with_reader {
            ($d reader:expr, $d r:ident => $d then:expr, texts => $d texts:expr) => {{
                use $d crate::reader::Reader as R;
                match $d reader {
                    R::String | R::FixedString(_) | R::Json => $d texts,
                    $(R::$name($d r) => $d then,)*
                }
            }};
        }
        pub(crate) use with_reader;
    };
}

// The type, and its reader: name, Rust type, how it is made.
readers! {
    $, format,
    Scalar::Bool => Bool(Bool) = Bool;
    Scalar::Int8 => Int8(Int<i8>) = Int::new();
    Scalar::Int16 => Int16(Int<i16>) = Int::new();
    Scalar::Int32 => Int32(Int<i32>) = Int::new();
    Scalar::Int64 => Int64(Int<i64>) = Int::new();
    Scalar::Int128 => Int128(BigInt<i128>) = BigInt::new();
    Scalar::Int256 => Int256(BigInt<Signed256>) = BigInt::new();
    Scalar::UInt8 => UInt8(Int<u8>) = Int::new();
    Scalar::UInt16 => UInt16(Int<u16>) = Int::new();
    Scalar::UInt32 => UInt32(Int<u32>) = Int::new();
    Scalar::UInt64 => UInt64(Int<u64>) = Int::new();
    Scalar::UInt128 => UInt128(BigInt<u128>) = BigInt::new();
    Scalar::UInt256 => UInt256(BigInt<Unsigned256>) = BigInt::new();
    Scalar::Float32 => Float32(Float32) = Float32;
    Scalar::Float64 => Float64(Float64) = Float64;
    Scalar::BFloat16 => BFloat16(BFloat16) = BFloat16;
    Scalar::Decimal(p @ ..=9, s) => Decimal32(Decimal<i32>) = Decimal::new(*p, *s);
    Scalar::Decimal(p @ ..=18, s) => Decimal64(Decimal<i64>) = Decimal::new(*p, *s);
    Scalar::Decimal(p @ ..=38, s) => Decimal128(Decimal<i128>) = Decimal::new(*p, *s);
    Scalar::Decimal(p, s) => Decimal256(Decimal<Signed256>) = Decimal::new(*p, *s);
    Scalar::Date => Date(Date<u16>) = Date::new(Format::new(format, true)?);
    Scalar::Date32 => Date32(Date<i32>) = Date::new(Format::new(format, true)?);
    Scalar::DateTime(zone) => DateTime(DateTime<u32>) =
        DateTime::new(0, zone.as_deref(), Format::new(format, false)?);
    Scalar::DateTime64(p, zone) => DateTime64(DateTime<i64>) =
        DateTime::new(*p, zone.as_deref(), Format::new(format, false)?);
    Scalar::Time => Time(Time<i32>) = Time::new(0);
    Scalar::Time64(p) => Time64(Time<i64>) = Time::new(*p);
    Scalar::Uuid => Uuid(Uuid) = Uuid;
    Scalar::Ipv4 => Ipv4(Ipv4) = Ipv4;
    Scalar::Ipv6 => Ipv6(Ipv6) = Ipv6;
    Scalar::Enum8(names) => Enum8(Enum<i8>) = Enum::new(names);
    Scalar::Enum16(names) => Enum16(Enum<i16>) = Enum::new(names);
}

impl Reader {
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

    /// Whether the text is a value of the type. Readers of texts accept every text.
    pub(crate) fn takes(&self, text: &[u8]) -> bool {
        with_reader!(self, r => r.read(Portable, Text::whole(text)).is_some(), texts => true)
    }
}

#[cfg(test)]
mod tests;
