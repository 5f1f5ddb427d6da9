//! Why a cell is bad: the small code that a reject is made from.

use crate::code::Code;

/// What is wrong with a cell or a record. It takes one byte, so that a reject costs little until a caller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CellError {
    /// The record has no such cell.
    MissingColumn,
    /// The cell is empty or NULL where a value is required.
    MissingValue,
    // the text does not have the form that the type requires
    /// Not a number.
    NotNumber,
    /// A number that is not whole.
    NotInteger,
    /// A decimal with an exponent.
    NotPlainDecimal,
    /// A number with blanks around it.
    Blanks,
    /// A number with a plus before it.
    PlusSign,
    /// A number with leading zeros.
    LeadingZeros,
    /// A decimal point without digits on both sides.
    BarePoint,
    /// NaN or infinity.
    NotFinite,
    /// Not a truth value.
    NotBool,
    /// Not a date.
    NotDate,
    /// A day that is not in the calendar.
    NoSuchDay,
    /// Not a moment.
    NotDateTime,
    /// A time of day that no clock shows.
    NoSuchTime,
    /// A local time that the zone skipped.
    Gap,
    /// Not a time.
    NotTime,
    /// A time with more than 59 minutes or seconds.
    NoSuchClock,
    /// Not written in the column's format.
    NotFormat,
    /// Not a whole number, which the format asks for.
    NotEpoch,
    /// Not a UUID.
    NotUuid,
    /// Not an IPv4 address.
    NotIpv4,
    /// Not an IPv6 address.
    NotIpv6,
    /// An object or array in a column of single values.
    Nested,
    /// An escape that is not known.
    BadEscape,
    /// An escape that is half of a surrogate pair.
    HalfCharacter,
    // the text is no array, tuple, map or JSON object
    /// Not an array.
    NotArray,
    /// Not a tuple.
    NotTuple,
    /// Not a map.
    NotMap,
    /// A text without quotes in an array, tuple or map.
    NotQuoted,
    /// A text in quotes that is never closed.
    OpenText,
    /// A tuple with too few or too many elements.
    TupleLength,
    /// A key that is no element of the tuple, or occurs twice.
    TupleName,
    /// A key that occurs twice.
    SameKey,
    /// Not a JSON object.
    NotJsonObject,
    /// Nested too deep.
    TooDeep,
    // the type cannot hold it
    /// Out of the type's range.
    OutOfRange,
    /// A negative number in a type without sign.
    Negative,
    /// A number that would become infinite.
    FloatTooLarge,
    /// A number that would become 0.
    FloatTooSmall,
    /// More digits after the point than the type has.
    Scale,
    /// A finer time than the type has.
    SubSecond,
    /// The text has a time of day, and the type holds days.
    TimeOfDay,
    /// A number that a JSON column cannot keep.
    JsonNumber,
    /// Not a name of the enum.
    NotInEnum,
    /// More bytes than the type has.
    TooLong,
    // constraints
    /// Below `min`.
    BelowMin,
    /// Above `max`.
    AboveMax,
    /// NaN in a column with `min` or `max`.
    NanInBounds,
    /// Fewer characters than `minLength`.
    TooShort,
    /// More characters than `maxLength`.
    TooManyChars,
    /// Does not match `pattern`.
    Pattern,
    /// Not one of `oneOf`.
    NotOneOf,
    // the record
    /// A record with a wrong number of fields.
    Ragged,
    /// Text after a closing quote.
    AfterQuote,
    /// A quote that is never closed.
    OpenQuote,
    /// An escape character at the end of the file.
    OpenEscape,
    /// Not a JSON object, as a record.
    NotJson,
    /// A record in which a key, or two names of a column, occur twice.
    DuplicateKey,
    /// A record with a key that is no column.
    UnknownKey,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
}

impl CellError {
    /// How many there are: [`CellError::InvalidUtf8`] is the last.
    pub const COUNT: usize = Self::InvalidUtf8 as usize + 1;

    /// The code that users see.
    #[inline]
    #[must_use]
    pub fn code(self) -> Code {
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
