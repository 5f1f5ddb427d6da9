//! How dates and times are written: as ISO 8601, as seconds or smaller units since 1970, or in the user's own pattern.

use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use rows_bytes::date;
use rows_types::CellError;

use super::not_a_number::not_a_number;

/// The `format` of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// `YYYY-MM-DD`. For times `YYYY-MM-DD HH:MM:SS`, or seconds since 1970 of nine or ten digits.
    #[default]
    Iso,
    /// An integer: the time since 1970 in units of 10^-n seconds.
    Epoch(u8),
    /// A strftime pattern: <https://docs.rs/jiff/0.2/jiff/fmt/strtime/index.html#conversion-specifications>.
    Pattern(String),
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
            None => {
                let format = Self::Pattern(text.to_owned());
                format.try_out(text, day).map(|()| format)
            }
        }
    }

    /// Checks the pattern: writes a moment with it and reads the moment back.
    fn try_out(&self, pattern: &str, day: bool) -> Result<(), String> {
        let sample = civil::date(2026, 11, 23).at(13, 14, 15, 0).to_zoned(jiff::tz::TimeZone::UTC);
        let written = sample
            .and_then(|zoned| BrokenDownTime::from(&zoned).to_string(pattern))
            .map_err(|e| format!("'{pattern}' is no strftime pattern: {e}"))?;
        let complete =
            if day { self.day(written.as_bytes()).is_ok() } else { self.moment(written.as_bytes()).is_ok() };
        let what = if day { "day, month and year" } else { "a day and a time" };
        if complete { Ok(()) } else { Err(format!("'{pattern}' does not give {what}")) }
    }

    /// Days since 1970.
    pub(crate) fn day(&self, text: &[u8]) -> Result<i32, CellError> {
        let Self::Pattern(pattern) = self else { return Err(CellError::NotDate) };
        let time = BrokenDownTime::parse(pattern, text).map_err(|_| CellError::NotFormat)?;
        let day = time.to_date().map_err(|_| CellError::NoSuchDay)?;
        days(day).ok_or(CellError::OutOfRange)
    }

    /// The moment in a text that is not ISO 8601.
    pub(crate) fn moment(&self, text: &[u8]) -> Result<Moment, CellError> {
        match self {
            Self::Iso => Err(CellError::NotDateTime),
            Self::Epoch(unit) => epoch(text, *unit),
            Self::Pattern(pattern) => {
                let time = BrokenDownTime::parse(pattern, text).map_err(|_| CellError::NotFormat)?;
                if time.offset().is_some() {
                    let at = time.to_timestamp().map_err(|_| CellError::NoSuchDay)?.as_nanosecond();
                    let (seconds, nanos) = (at.div_euclid(1_000_000_000), at.rem_euclid(1_000_000_000));
                    return Ok(Moment::Universal(seconds as i64, nanos as u32));
                }
                let at = time.to_datetime().map_err(|_| CellError::NoSuchDay)?;
                let day = days(at.date()).ok_or(CellError::OutOfRange)?;
                let clock =
                    i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second());
                Ok(Moment::Local(i64::from(day) * 86_400 + clock, at.subsec_nanosecond() as u32))
            }
        }
    }
}

fn days(day: civil::Date) -> Option<i32> {
    date::days(u32::try_from(day.year()).ok()?, day.month() as u32, day.day() as u32)
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
