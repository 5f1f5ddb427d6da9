//! The messages of bad cells: what is wrong, and what to change.

use std::borrow::Cow;
use std::sync::OnceLock;

use rows_types::{CellError, Column, Family, IntegralFloats, Scalar, listed};

/// The message for a bad cell of a column of this type.
pub(crate) fn of_cell(error: CellError, column: &Column, ty: &str) -> Cow<'static, str> {
    of_constraint(error, column)
        .or_else(|| of_type(error, column, ty))
        .map_or_else(|| Cow::Borrowed(of_any_cell(error, column)), Cow::Owned)
}

/// The messages of a column's cells. Each is built once, when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Messages(OnceLock<Box<[OnceLock<Box<str>>]>>);

impl Messages {
    pub(crate) fn of_cell(&self, error: CellError, column: &Column, ty: &str) -> &str {
        let all = self.0.get_or_init(|| (0..CellError::COUNT).map(|_| OnceLock::new()).collect());
        match all.get(error as usize) {
            Some(message) => message.get_or_init(|| of_cell(error, column, ty).into()),
            None => "",
        }
    }
}

/// The message for a value that the column's type does not accept. `None`: the message does not depend on the type.
fn of_type(error: CellError, column: &Column, ty: &str) -> Option<String> {
    Some(match error {
        CellError::MissingColumn => format!("The required column '{}' is missing", column.name),
        CellError::NotNumber => {
            format!("Not a number; {ty} takes digits only, such as 42{}", fraction_hint(column))
        }
        CellError::NotInteger if column.policies.integral_floats == IntegralFloats::Accept => {
            format!("Not a whole number, which {ty} asks for; correct the value or change the column's type")
        }
        CellError::NotInteger => format!(
            "Not a whole number; {ty} takes no fraction and no exponent, unless the column says integralFloats: accept"
        ),
        CellError::NotPlainDecimal => format!("{ty} takes no exponent; write the number out"),
        CellError::NotTuple => {
            format!("Not a tuple; write (1, 'a'), [1, \"a\"] or, for {ty} with names, a JSON object")
        }
        CellError::TupleLength => {
            format!("Too few or too many elements; {ty} takes each of its elements once")
        }
        CellError::TupleName => format!("A key is no element of {ty}, or occurs twice"),
        CellError::NotFormat => {
            format!("Not written in the column's format '{}'", column.format.as_deref().unwrap_or_default())
        }
        CellError::Nested => format!("An object or array cannot be a {ty}; give a single value"),
        CellError::OutOfRange => {
            format!("Out of the range of {ty}; widen the column's type or correct the value")
        }
        CellError::Negative => {
            format!("{ty} holds no negative numbers; use a signed type or correct the value")
        }
        CellError::FloatTooLarge => format!("Too large for {ty}"),
        CellError::FloatTooSmall => format!("Too small for {ty}: it would become 0"),
        CellError::Scale => {
            format!(
                "More digits after the point than {ty} keeps; round the value, raise the scale or set onPrecisionLoss: round"
            )
        }
        CellError::TimeOfDay => {
            "Has a time of day, and the column holds days; use a DateTime column, or set onPrecisionLoss: round to drop it".into()
        }
        CellError::SubSecond => {
            format!("A finer time than {ty} keeps; shorten the fraction or use a finer DateTime64")
        }
        CellError::NotInEnum => format!("Not a name of the enum; allowed are {}", enum_names(column)),
        CellError::TooLong => format!("Too long for {ty} (counted in bytes)"),
        _ => return None,
    })
}

/// The message for an error that a cell of any type can have.
fn of_any_cell(error: CellError, column: &Column) -> &'static str {
    match error {
        CellError::MissingValue => {
            "The value is missing; give one, or make the column Nullable or give it a default"
        }
        CellError::Blanks => "There are blanks around the value; remove them",
        CellError::PlusSign => "A number has no '+' before it; remove it",
        CellError::LeadingZeros => {
            "A number has no leading zeros; remove them, or make the column a String if they matter"
        }
        CellError::BarePoint => "A decimal point needs digits on both sides, such as 0.5",
        CellError::NotFinite => {
            "NaN and infinity are not loaded; leave the value out and make the column Nullable, or set nonFinite: accept"
        }
        CellError::NotBool => "Not a Bool; write true, false, 1 or 0",
        CellError::NotDate => "Not a date; write YYYY-MM-DD, or set the column's format",
        CellError::NoSuchDay => "There is no such day in the calendar",
        CellError::NotDateTime => {
            "Not a time; write YYYY-MM-DD HH:MM:SS or seconds since 1970 (nine or ten digits), or set the column's format"
        }
        CellError::NoSuchTime => "There is no such time of day; hours go to 23, minutes and seconds to 59",
        CellError::Gap => {
            "The clock of the column's time zone skipped this time; write it with an offset such as +02:00"
        }
        CellError::NotTime => "Not a time; write HH:MM:SS, hours with two or three digits",
        CellError::NoSuchClock => "There is no such time; minutes and seconds go to 59",
        CellError::NotArray => "Not an array; write [1, 2] or ['a', 'b'] with texts in quotes",
        CellError::NotMap => "Not a map; write {'key': value}",
        CellError::NotQuoted => "A text in an array, tuple or map must be in quotes, such as 'a'",
        CellError::OpenText => "A text in quotes is never closed",
        CellError::SameKey => "A key occurs twice; keep one",
        CellError::NotJsonObject => "Not a JSON object; write {\"key\": value} (RFC 8259)",
        CellError::TooDeep => "Nested too deep",
        CellError::JsonNumber => "A number that JSON columns cannot keep exactly; write it as a string",
        CellError::NotEpoch => "Not a whole number, which the column's format asks for",
        CellError::NotUuid => "Not a UUID; write 8-4-4-4-12 hexadecimal digits",
        CellError::NotIpv4 => {
            "Not an IPv4 address; write four numbers 0 to 255 without leading zeros, such as 192.0.2.1"
        }
        CellError::NotIpv6 => "Not an IPv6 address, such as 2001:db8::1",
        CellError::BadEscape => "A backslash escape is not known; write \\\\ for a backslash",
        CellError::HalfCharacter => {
            "A \\u escape is half of a surrogate pair; write both halves, or the character itself"
        }
        CellError::InvalidUtf8 if column.ty.scalar() == Some(&Scalar::String) => {
            "The bytes are not UTF-8; save the file as UTF-8, or set the column's onInvalidUtf8: replace"
        }
        CellError::InvalidUtf8 => "The bytes are not UTF-8; save the file as UTF-8",
        // all other errors have a message in `of_constraint` or `of_type`, or are those of a record
        _ => "The record cannot be read",
    }
}

/// The message for a value that violates a constraint of the column. `None`: the error is another one.
fn of_constraint(error: CellError, column: &Column) -> Option<String> {
    let c = &column.constraints;
    Some(match error {
        CellError::BelowMin => format!("Less than the column's minimum {}", c.min.unwrap_or(f64::NAN)),
        CellError::AboveMax => format!("More than the column's maximum {}", c.max.unwrap_or(f64::NAN)),
        CellError::NanInBounds => {
            "NaN is within no bounds, and the column has a minimum or maximum".to_owned()
        }
        CellError::TooShort => {
            format!("Shorter than the column's minimum of {} characters", c.min_length.unwrap_or(0))
        }
        CellError::TooManyChars => {
            format!("Longer than the column's maximum of {} characters", c.max_length.unwrap_or(0))
        }
        CellError::Pattern => {
            format!("Does not match the column's pattern {}", c.pattern.as_deref().unwrap_or_default())
        }
        CellError::NotOneOf => {
            format!("Not one of the column's values: {}", listed(c.one_of.iter().map(String::as_str)))
        }
        _ => return None,
    })
}

fn fraction_hint(column: &Column) -> &'static str {
    match column.ty.family() {
        Some(Family::Float | Family::Decimal) => " or 4.2",
        _ => "",
    }
}

fn enum_names(column: &Column) -> String {
    let names = column.ty.scalar().map(Scalar::names).unwrap_or_default();
    listed(names.iter().map(|(name, _)| name.as_str()))
}
