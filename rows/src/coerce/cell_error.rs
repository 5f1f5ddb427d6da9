//! Why a cell is bad: the small code that a reject is made from.

use crate::reject::Code;

/// What is wrong with a cell or a record. It takes one byte, so that a reject costs little until a caller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum CellError {
    MissingColumn,
    MissingValue,
    // the text does not have the form that the type requires
    NotNumber,
    NotInteger,
    NotPlainDecimal,
    Blanks,
    PlusSign,
    LeadingZeros,
    BarePoint,
    NotFinite,
    NotBool,
    NotDate,
    NoSuchDay,
    NotDateTime,
    NoSuchTime,
    Gap,
    NotTime,
    NoSuchClock,
    NotFormat,
    NotEpoch,
    NotUuid,
    NotIpv4,
    NotIpv6,
    Nested,
    BadEscape,
    HalfCharacter,
    // the text is no array, tuple, map or JSON object
    NotArray,
    NotTuple,
    NotMap,
    NotQuoted,
    OpenText,
    TupleLength,
    TupleName,
    SameKey,
    NotJsonObject,
    TooDeep,
    // the type cannot hold it
    OutOfRange,
    Negative,
    FloatTooLarge,
    FloatTooSmall,
    Scale,
    SubSecond,
    TimeOfDay,
    JsonNumber,
    NotInEnum,
    TooLong,
    // constraints
    BelowMin,
    AboveMax,
    NanInBounds,
    TooShort,
    TooManyChars,
    Pattern,
    NotOneOf,
    // the record
    Ragged,
    AfterQuote,
    OpenQuote,
    OpenEscape,
    NotJson,
    DuplicateKey,
    UnknownKey,
    InvalidUtf8,
}

impl CellError {
    /// How many there are: [`CellError::InvalidUtf8`] is the last.
    pub(crate) const COUNT: usize = Self::InvalidUtf8 as usize + 1;

    #[inline]
    pub(crate) fn code(self) -> Code {
        match self {
            Self::MissingColumn => Code::MissingColumn,
            Self::MissingValue => Code::MissingValue,
            Self::OutOfRange | Self::Negative | Self::FloatTooLarge | Self::FloatTooSmall => Code::OutOfRange,
            Self::Scale | Self::SubSecond | Self::TimeOfDay | Self::JsonNumber => Code::PrecisionLoss,
            Self::NotInEnum => Code::InvalidEnum,
            Self::TooLong => Code::TooLong,
            Self::BelowMin
            | Self::AboveMax
            | Self::NanInBounds
            | Self::TooShort
            | Self::TooManyChars
            | Self::Pattern
            | Self::NotOneOf => Code::Constraint,
            Self::Ragged
            | Self::AfterQuote
            | Self::OpenQuote
            | Self::OpenEscape
            | Self::NotJson
            | Self::DuplicateKey => Code::MalformedRow,
            Self::UnknownKey => Code::UnknownColumn,
            Self::InvalidUtf8 | Self::HalfCharacter => Code::InvalidUtf8,
            _ => Code::InvalidType,
        }
    }
}

/// [`not_a_number`] for a text that contains a byte of no number, as most bad cells do. `None` if the slower check must
/// decide.
pub(crate) fn no_number(text: &[u8]) -> Option<CellError> {
    /// 0 for the bytes of a number. For the others, whether a slower check is needed.
    const KIND: [u8; 256] = {
        let mut kind = [OTHER; 256];
        let mut byte = 0;
        while byte < 256 {
            let b = byte as u8;
            if b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'e' | b'E') {
                kind[byte] = 0;
            } else if !b.is_ascii() || b.is_ascii_whitespace() || b == b'+' {
                kind[byte] = OTHER | HARD;
            }
            byte += 1;
        }
        kind
    };
    const OTHER: u8 = 1;
    const HARD: u8 = 2;
    // a longer text justifies the slower check
    if text.len() > 32 || text.iter().fold(0, |kinds, b| kinds | KIND[usize::from(*b)]) != OTHER {
        return None;
    }
    if is_float_word(text) { None } else { Some(CellError::NotNumber) }
}

/// Whether the text is a word for NaN or infinity.
#[inline]
fn is_float_word(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    match unsigned.len() {
        3 => unsigned.eq_ignore_ascii_case(b"nan") || unsigned.eq_ignore_ascii_case(b"inf"),
        8 => unsigned.eq_ignore_ascii_case(b"infinity"),
        _ => false,
    }
}

/// Why a text is no number in JSON's grammar. Only for texts that are none.
pub(crate) fn not_a_number(text: &[u8]) -> CellError {
    if text.is_empty() {
        return CellError::MissingValue;
    }
    if std::str::from_utf8(text).is_err() {
        return CellError::InvalidUtf8;
    }
    let trimmed = text.trim_ascii();
    if trimmed.len() != text.len() {
        return CellError::Blanks;
    }
    if let Some(rest) = text.strip_prefix(b"+") {
        return if rest.first().is_some_and(u8::is_ascii_digit) {
            CellError::PlusSign
        } else {
            CellError::NotNumber
        };
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if is_float_word(text) {
        return CellError::NotFinite;
    }
    let number_like = unsigned.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if number_like && memchr::memchr_iter(b'.', unsigned).count() <= 1 && unsigned != b"." {
        if unsigned.starts_with(b".") || unsigned.ends_with(b".") {
            return CellError::BarePoint;
        }
        if unsigned.len() > 1 && unsigned[0] == b'0' && unsigned[1] != b'.' {
            return CellError::LeadingZeros;
        }
    }
    CellError::NotNumber
}

#[cfg(test)]
mod tests {
    use crate::coerce::Read;
    use crate::coerce::Text;
    use crate::column::{Reader, with_reader};
    use crate::policy::{IntegralFloats, NonFinite, OnOverflow, OnPrecisionLoss, Policies};
    use crate::simd::Portable;
    use crate::{Column, Type};
    use proptest::prelude::*;

    const TYPES: &[&str] = &[
        "Bool",
        "Int8",
        "UInt64",
        "Int128",
        "UInt256",
        "Float32",
        "Float64",
        "BFloat16",
        "Decimal(9, 2)",
        "Decimal(76, 5)",
        "Date",
        "Date32",
        "DateTime",
        "DateTime64(3)",
        "Time",
        "Time64(3)",
        "UUID",
        "IPv4",
        "IPv6",
        "Enum8('n/a' = 1)",
    ];

    /// A text that `refuse` rejects is no value, and the slower check returns the same error.
    fn hold(ty: &str, format: Option<&str>, policies: Policies, text: &[u8]) -> bool {
        let mut column = Column { policies, ..Column::new("c", Type::parse(ty).unwrap()) };
        column.format = format.map(str::to_owned);
        let reader = Reader::new(&column).unwrap();
        with_reader!(&reader, reader => {
            let Some(error) = reader.refuse(text) else { return false };
            assert!(reader.read(Portable, Text::whole(text)).is_none(), "{ty} {text:?}");
            assert_eq!(reader.lenient(text, policies).err(), Some(error), "{ty} {text:?}");
            true
        }, texts => false)
    }

    proptest! {
        #[test]
        fn what_is_refused_at_a_glance_is_refused_for_the_same_reason(
            text in "[-+.0-9eEnaifty/: \t]{0,12}|[-]?([nN][aA][nN]|[iI][nN][fF](inity)?)|[0-9]{9,10}|\\PC{0,40}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T0-9:.]{0,12}|[-0-9a-f:.]{0,40}",
            broken: bool,
            lenient: bool,
        ) {
            let mut bytes = text.into_bytes();
            if broken {
                bytes.push(0xff);
            }
            let policies = if lenient {
                Policies {
                    non_finite: NonFinite::Accept,
                    integral_floats: IntegralFloats::Accept,
                    on_overflow: OnOverflow::Clamp,
                    on_precision_loss: OnPrecisionLoss::Round,
                    ..Policies::default()
                }
            } else {
                Policies::default()
            };
            for ty in TYPES {
                hold(ty, None, policies, &bytes);
            }
            hold("Date", Some("%d.%m.%Y"), policies, &bytes);
            hold("DateTime", Some("%d.%m.%Y %H:%M"), policies, &bytes);
        }
    }

    #[test]
    fn the_usual_bad_text_is_refused_at_a_glance() {
        let refused = |ty: &&&str| hold(ty, None, Policies::default(), b"n/a");
        assert_eq!(TYPES.iter().filter(refused).count(), TYPES.len() - 1, "all but the enum");
    }
}
