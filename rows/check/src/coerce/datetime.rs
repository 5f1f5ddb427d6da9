//! `DateTime` and `DateTime64`.
//!
//! Accepted are `YYYY-MM-DD HH:MM:SS` (or a `T` in place of the blank), optionally with a fraction, and optionally with
//! `Z` or an offset `±HH:MM`. Accepted are also seconds since 1970-01-01 UTC of nine or ten digits (1973 to 2286),
//! optionally with a fraction. Fewer digits could be a year or a day (`2024`, `20240105`), more digits could be
//! milliseconds: these need the column's `format`.
//!
//! * A time without offset is a local time in the column's zone. For a plain `DateTime` it is UTC, whatever the
//!   server's zone is.
//! * A local time that the zone skipped is rejected. If the zone had a local time twice, the first one is used.
//! * A fraction finer than the type's precision is `PRECISION_LOSS`, unless the digits beyond it are zeros. There is no
//!   second 60.
//! * Range: `DateTime` 1970-01-01 to 2106-02-07 06:28:15 UTC, `DateTime64` 1900-01-01 to 2299-12-31 23:59:59 (with nine
//!   digits to 2262-04-11), <https://clickhouse.com/docs/sql-reference/data-types/datetime64>.

use std::sync::Arc;

use rows_bytes::moment::{fields, hms};
use rows_bytes::simd::Lanes;
use rows_bytes::text::{Text, digits};
use rows_types::CellError;

use super::date::explain_day;
use super::format::{Format, Moment};
use super::zone::{Clock, FIRST, LAST};
use super::{Native, Read};

const TENS: [i64; 10] =
    [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// The integers that hold moments.
pub(crate) trait Ticks: Native {
    fn from_ticks(ticks: i64) -> Option<Self>;
}

impl Ticks for u32 {
    #[inline(always)]
    fn from_ticks(ticks: i64) -> Option<Self> {
        Self::try_from(ticks).ok()
    }
}

impl Ticks for i64 {
    #[inline(always)]
    fn from_ticks(ticks: i64) -> Option<Self> {
        Some(ticks)
    }
}

/// Reads `DateTime` (seconds in 32 bits) and `DateTime64` (10^-digits seconds in 64 bits).
#[derive(Debug)]
pub(crate) struct DateTime<T> {
    digits: u8,
    /// 10^digits.
    unit: i64,
    /// `None`: UTC.
    clock: Option<Arc<Clock>>,
    format: Format,
    marker: std::marker::PhantomData<T>,
}

impl<T: Ticks> DateTime<T> {
    pub(crate) fn new(digits: u8, zone: Option<&str>, format: Format) -> Self {
        let clock = zone.and_then(Clock::of);
        Self { digits, unit: TENS[usize::from(digits)], clock, format, marker: std::marker::PhantomData }
    }

    fn ticks(&self, seconds: i64, nanos: u32) -> Result<T, CellError> {
        let unit = TENS[usize::from(9 - self.digits)];
        let (fraction, lost) = (i64::from(nanos) / unit, i64::from(nanos) % unit);
        if lost != 0 {
            return Err(CellError::SubSecond);
        }
        self.join(seconds, fraction).ok_or(CellError::OutOfRange)
    }

    /// Joins seconds and a fraction in the type's own unit, if the seconds are in range.
    #[inline(always)]
    fn join(&self, seconds: i64, fraction: i64) -> Option<T> {
        if (FIRST..=LAST).contains(&seconds) { self.join_in_range(seconds, fraction) } else { None }
    }

    #[inline(always)]
    fn join_in_range(&self, seconds: i64, fraction: i64) -> Option<T> {
        T::from_ticks(seconds.checked_mul(self.unit)?.checked_add(fraction)?)
    }

    /// Joins seconds in the column's zone, of the years 1900 to 2299, and a fraction in the type's own unit.
    #[inline(always)]
    fn join_local(&self, local: i64, fraction: i64) -> Option<T> {
        match &self.clock {
            None => self.join_in_range(local, fraction),
            Some(clock) => self.join(clock.to_utc(local).ok()?, fraction),
        }
    }

    #[inline(always)]
    fn at(&self, moment: Moment) -> Result<T, CellError> {
        match moment {
            Moment::Universal(seconds, nanos) => self.ticks(seconds, nanos),
            Moment::Local(seconds, nanos) => self.ticks(self.to_utc(seconds)?, nanos),
        }
    }

    #[inline(always)]
    fn to_utc(&self, local: i64) -> Result<i64, CellError> {
        self.clock.as_ref().map_or(Ok(local), |clock| clock.to_utc(local))
    }

    /// Reads every text that is not in the usual form.
    #[inline(never)]
    fn other(&self, text: Text<'_>) -> Result<T, CellError> {
        if text.len() == 0 {
            return Err(CellError::MissingValue);
        }
        if self.format != Format::Iso {
            return self.at(self.format.moment(text.bytes())?);
        }
        if let Some(moment) = epoch(text) {
            return self.at(moment);
        }
        self.at(iso(text)?)
    }
}

impl<T: Ticks> Read for DateTime<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<T> {
        let len = text.len();
        if self.format != Format::Iso {
            return self.other(text).ok();
        }
        if len >= 19
            && let Some((day, seconds)) = lanes.moment(text.head()?)
        {
            let local = i64::from(day.number()?) * 86_400 + i64::from(seconds);
            if len == 19 {
                return self.join_local(local, 0);
            }
            let places = len - 20;
            if text.byte(19) == b'.'
                && places <= usize::from(self.digits)
                && let Some(fraction) = digits(text, 20, places)
            {
                return self.join_local(local, fraction as i64 * TENS[usize::from(self.digits) - places]);
            }
        }
        // seconds since 1970
        if len.wrapping_sub(9) < 2
            && text.byte(0) != b'0'
            && let Some((seconds, point)) = lanes.decimal(text.front(&mut None), len)
            && point == len
        {
            return self.join(seconds as i64, 0);
        }
        self.other(text).ok()
    }

    fn explain(&self, text: &[u8]) -> CellError {
        self.other(Text::whole(text)).err().unwrap_or(CellError::NotDateTime)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        let first = *text.first()?;
        // nine digits can be seconds since 1970
        (self.format == Format::Iso && (text.len() < 9 || !first.is_ascii_digit()))
            .then_some(CellError::NotDateTime)
    }
}

/// Seconds since 1970 of the `YYYY-MM-DD HH:MM:SS` in the first 19 bytes, read as UTC.
fn clock(text: Text<'_>) -> Option<i64> {
    let (day, seconds) = fields(text.head()?)?;
    Some(i64::from(day.number()?) * 86_400 + i64::from(seconds))
}

/// Seconds since 1970 in nine or ten digits, optionally with a fraction of at most nine digits.
fn epoch(text: Text<'_>) -> Option<Moment> {
    let bytes = text.bytes();
    let point = memchr::memchr(b'.', bytes).unwrap_or(bytes.len());
    let (whole, fraction) = (&bytes[..point], bytes.get(point + 1..));
    let plain = |d: &[u8]| !d.is_empty() && d.iter().all(u8::is_ascii_digit);
    if !(9..=10).contains(&whole.len()) || !plain(whole) || whole[0] == b'0' {
        return None;
    }
    let seconds = digits(text, 0, point)? as i64;
    match fraction {
        None => Some(Moment::Universal(seconds, 0)),
        Some(fraction) if plain(fraction) && fraction.len() <= 9 => {
            let nanos = digits(text, point + 1, fraction.len())? as i64 * TENS[9 - fraction.len()];
            Some(Moment::Universal(seconds, nanos as u32))
        }
        Some(_) => None,
    }
}

/// ISO 8601 with an optional fraction, `Z` or offset after the seconds; or what is wrong with the text.
fn iso(text: Text<'_>) -> Result<Moment, CellError> {
    if text.len() < 19 {
        return Err(CellError::NotDateTime);
    }
    let Some(seconds) = clock(text) else {
        return Err(explain_clock(text));
    };
    let mut rest = &text.bytes()[19..];
    let mut nanos = 0;
    if let [b'.', after @ ..] = rest {
        let places = after.iter().take_while(|b| b.is_ascii_digit()).count();
        if places == 0 {
            return Err(CellError::NotDateTime);
        }
        let (kept, beyond) = after[..places].split_at(places.min(9));
        if beyond.iter().any(|b| *b != b'0') {
            return Err(CellError::SubSecond);
        }
        nanos = kept.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')) * TENS[9 - kept.len()] as u32;
        rest = &after[places..];
    }
    match rest {
        [] => Ok(Moment::Local(seconds, nanos)),
        b"Z" => Ok(Moment::Universal(seconds, nanos)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            let pair = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let (hours, minutes) = (pair(h1, h2), pair(m1, m2));
            if hours > 18 || minutes > 59 {
                return Err(CellError::NoSuchTime);
            }
            let offset = hours * 3600 + minutes * 60;
            Ok(Moment::Universal(if *sign == b'+' { seconds - offset } else { seconds + offset }, nanos))
        }
        _ => Err(CellError::NotDateTime),
    }
}

fn explain_clock(text: Text<'_>) -> CellError {
    if let Some(error) = explain_day(text) {
        return if error == CellError::NotDate { CellError::NotDateTime } else { error };
    }
    let time = &text.bytes()[11..19];
    let written =
        time.iter().enumerate().all(|(i, b)| if i % 3 == 2 { *b == b':' } else { b.is_ascii_digit() });
    if written && hms(text.word(11)).is_none() { CellError::NoSuchTime } else { CellError::NotDateTime }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::read;
    use proptest::prelude::*;
    use rows_bytes::spoil::{SUSPECTS, spoiled};
    use rows_types::zone;

    /// The value that jiff reads. Jiff accepts more than this type does, so only texts in the usual form are given to
    /// it.
    fn plain(text: &[u8], zone_name: &str) -> Option<i64> {
        let form = b"dddd-dd-dd dd:dd:dd";
        let fits = |(b, form): (&u8, &u8)| match form {
            b'd' => b.is_ascii_digit(),
            b' ' => matches!(b, b' ' | b'T'),
            _ => b == form,
        };
        let fraction = text.get(19..)?;
        let written = text.iter().zip(form).all(fits)
            && text[17] < b'6'
            && (fraction.is_empty()
                || (1..=3).contains(&(fraction.len() - 1))
                    && fraction[0] == b'.'
                    && fraction[1..].iter().all(u8::is_ascii_digit));
        let time: jiff::civil::DateTime = std::str::from_utf8(text).ok().filter(|_| written)?.parse().ok()?;
        let utc = zone(zone_name)?.to_ambiguous_timestamp(time);
        let gap = matches!(utc.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
        let utc = utc.earlier().ok().filter(|_| !gap)?;
        let in_range = (1900..2300).contains(&time.year())
            && (FIRST..=LAST).contains(&utc.as_millisecond().div_euclid(1000));
        in_range.then_some(utc.as_millisecond())
    }

    fn bytes<T: Native>(value: T) -> Vec<u8> {
        let mut bytes = vec![0; T::WIDTH];
        value.put(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn a_moment_is_what_jiff_says(
            text in "(19|20|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-[0-3][0-9][ T]([0-2][0-9]:[0-6][0-9]:[0-6][0-9]|[01][0-9]:[0-5][0-9]:[0-5][0-9])(\\.[0-9]{0,4})?",
            at in 0usize..40, byte in prop::sample::select(SUSPECTS), cut in 0usize..24,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Africa/Casablanca", "America/New_York", "Asia/Tokyo"]),
        ) {
            let front = &text.as_bytes()[..cut.min(text.len())];
            let four_places = text.len() == 24;
            for text in [text.clone().into_bytes(), spoiled(text.clone().into_bytes(), at, byte), front.to_vec()] {
                let expected = plain(&text, zone);
                let thousandths = DateTime::<i64>::new(3, Some(zone), Format::Iso);
                // other tests cover zeros beyond the type's precision, and offsets
                if !four_places && !text.ends_with(b"Z") {
                    prop_assert_eq!(read(&thousandths, &text), expected.map(bytes), "{:?}", String::from_utf8_lossy(&text));
                }
                if text.len() == 19 {
                    let seconds = expected.and_then(|n| u32::try_from(n.div_euclid(1000)).ok());
                    prop_assert_eq!(read(&DateTime::<u32>::new(0, Some(zone), Format::Iso), &text), seconds.map(bytes));
                }
            }
        }

        #[test]
        fn seconds_since_1970_have_nine_or_ten_digits(text in "[0-9]{1,12}|[1-4][0-9]{8,9}[.x]?", at in 0usize..20, byte in prop::sample::select(SUSPECTS)) {
            for text in [text.clone().into_bytes(), spoiled(text.clone().into_bytes(), at, byte)] {
                // other tests cover a fraction of zeros
                if text.contains(&b'.') && !text.ends_with(b".") {
                    continue;
                }
                let written = matches!(text.len(), 9 | 10) && text[0] != b'0' && text.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(&text).ok().filter(|_| written).and_then(|t| t.parse::<i64>().ok());
                prop_assert_eq!(read(&DateTime::<i64>::new(0, Some("Europe/Berlin"), Format::Iso), &text), number.map(bytes));
                let number = number.and_then(|n| u32::try_from(n).ok());
                prop_assert_eq!(read(&DateTime::<u32>::new(0, None, Format::Iso), &text), number.map(bytes));
            }
        }
    }
}
