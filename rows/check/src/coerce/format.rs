//! How dates and times are written: as ISO 8601, as seconds or smaller units since 1970, or in the user's own pattern.

use rows_types::CellError;

use super::not_a_number::not_a_number;
use super::pattern::{Pattern, Written};

/// The `format` of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// `YYYY-MM-DD`. For times `YYYY-MM-DD HH:MM:SS`, or seconds since 1970 of nine or ten digits.
    #[default]
    Iso,
    /// An integer: the time since 1970 in units of 10^-n seconds.
    Epoch(u8),
    /// The directives of strptime.
    Pattern(Pattern),
}

/// A moment as it is written: in UTC, or as a local time in the column's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Seconds since 1970 UTC, and nanoseconds.
    Universal(i64, u32),
    /// Seconds since 1970, as if the local time were UTC, and nanoseconds.
    Local(i64, u32),
}

impl Format {
    /// The format of a column. `day`: the format must give a day; without it, a day and a time.
    pub(crate) fn new(text: Option<&str>, day: bool) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::Iso) };
        let epoch = match text {
            "epoch_seconds" => Some(0),
            "epoch_millis" => Some(3),
            "epoch_micros" => Some(6),
            "epoch_nanos" => Some(9),
            _ => None,
        };
        match epoch {
            Some(_) if day => {
                Err("epochs are moments, this column holds days; use a pattern such as %d.%m.%Y".to_owned())
            }
            Some(unit) => Ok(Self::Epoch(unit)),
            None => Pattern::new(text).and_then(|pattern| {
                if day && pattern.has_offset() {
                    return Err(format!(
                        "'{text}' has an offset, which can change the day; use a DateTime column"
                    ));
                }
                Ok(Self::Pattern(pattern))
            }),
        }
    }

    /// Days since 1970. `drop_clock`: a time of day is dropped; otherwise only midnight is accepted.
    pub(crate) fn day(&self, text: &[u8], drop_clock: bool) -> Result<i32, CellError> {
        let Self::Pattern(pattern) = self else { return Err(CellError::NotDate) };
        let Written { day, clock, nanos, .. } = pattern.read(text)?;
        if (clock, nanos) == (0, 0) || drop_clock { Ok(day) } else { Err(CellError::TimeOfDay) }
    }

    /// The moment in a text that is not ISO 8601.
    pub(crate) fn moment(&self, text: &[u8]) -> Result<Moment, CellError> {
        match self {
            Self::Iso => Err(CellError::NotDateTime),
            Self::Epoch(unit) => epoch(text, *unit),
            Self::Pattern(pattern) => {
                let Written { day, clock, nanos, offset } = pattern.read(text)?;
                let seconds = i64::from(day) * 86_400 + i64::from(clock);
                Ok(match offset {
                    Some(offset) => Moment::Universal(seconds - i64::from(offset), nanos),
                    None => Moment::Local(seconds, nanos),
                })
            }
        }
    }
}

fn epoch(text: &[u8], unit: u8) -> Result<Moment, CellError> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(if text.is_empty() { CellError::MissingValue } else { CellError::NotEpoch });
    }
    if digits.len() > 1 && digits[0] == b'0' {
        return Err(not_a_number(text));
    }
    let number: i64 =
        std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(CellError::OutOfRange)?;
    let second = 10i64.pow(u32::from(unit));
    let nanos = number.rem_euclid(second) * (1_000_000_000 / second);
    Ok(Moment::Universal(number.div_euclid(second), nanos as u32))
}
