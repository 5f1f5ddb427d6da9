//! Why a cell is bad: the small word that a reject is made from.

use crate::reject::Code;

/// What is wrong with a cell or a record. One byte, so that a reject costs little until somebody reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Why {
    MissingColumn,
    MissingValue,
    // not written as the type demands
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
    // not written as an array, tuple, map or JSON object
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

impl Why {
    pub(crate) fn code(self) -> Code {
        match self {
            Self::MissingColumn => Code::MissingColumn,
            Self::MissingValue => Code::MissingValue,
            Self::OutOfRange | Self::Negative | Self::FloatTooLarge | Self::FloatTooSmall => Code::OutOfRange,
            Self::Scale | Self::SubSecond | Self::JsonNumber => Code::PrecisionLoss,
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

/// Why a text is no number in JSON's grammar, `exponent` being allowed or not. Only for texts that are none.
pub(crate) fn not_a_number(text: &[u8]) -> Why {
    if text.is_empty() {
        return Why::MissingValue;
    }
    if std::str::from_utf8(text).is_err() {
        return Why::InvalidUtf8;
    }
    let trimmed = text.trim_ascii();
    if trimmed.len() != text.len() {
        return Why::Blanks;
    }
    if let Some(rest) = text.strip_prefix(b"+") {
        return if rest.first().is_some_and(u8::is_ascii_digit) { Why::PlusSign } else { Why::NotNumber };
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if [&b"nan"[..], b"inf", b"infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return Why::NotFinite;
    }
    let number_like = unsigned.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if number_like && memchr::memchr_iter(b'.', unsigned).count() <= 1 && unsigned != b"." {
        if unsigned.starts_with(b".") || unsigned.ends_with(b".") {
            return Why::BarePoint;
        }
        if unsigned.len() > 1 && unsigned[0] == b'0' && unsigned[1] != b'.' {
            return Why::LeadingZeros;
        }
    }
    Why::NotNumber
}
