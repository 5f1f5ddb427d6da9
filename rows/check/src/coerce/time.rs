//! `Time` and `Time64`: a time of day or a span, `[-]HH:MM:SS` with two or three digits of hours. `Time64` can have a
//! fraction.
//!
//! Range: -999:59:59 to 999:59:59, <https://clickhouse.com/docs/sql-reference/data-types/time>. A fraction finer than
//! the type's precision is `PRECISION_LOSS`, unless the digits beyond it are zeros.

use rows_bytes::simd::Lanes;
use rows_bytes::text::Text;
use rows_types::CellError;

use super::Read;
use crate::coerce::Native;

/// The integers that hold times.
pub(crate) trait Span: Native {
    fn from_ticks(ticks: i64) -> Self;
}

impl Span for i32 {
    fn from_ticks(ticks: i64) -> Self {
        // fits: 999:59:59 is the maximum, in seconds
        ticks as Self
    }
}

impl Span for i64 {
    fn from_ticks(ticks: i64) -> Self {
        ticks
    }
}

/// Reads `Time` (seconds in 32 bits) and `Time64` (10^-digits seconds in 64 bits).
#[derive(Debug)]
pub(crate) struct Time<T> {
    digits: u8,
    marker: std::marker::PhantomData<T>,
}

impl<T: Span> Time<T> {
    pub(crate) fn new(digits: u8) -> Self {
        Self { digits, marker: std::marker::PhantomData }
    }

    fn parse(&self, text: &[u8]) -> Result<T, CellError> {
        let (negative, clock) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let point = memchr::memchr(b'.', clock).unwrap_or(clock.len());
        let fraction = clock.get(point + 1..);
        let two = |pair: &[u8]| match pair {
            [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => {
                Ok(i64::from(a - b'0') * 10 + i64::from(b - b'0'))
            }
            _ => Err(CellError::NotTime),
        };
        let (hours, rest) =
            clock[..point].split_at_checked(point.wrapping_sub(6)).ok_or(CellError::NotTime)?;
        let [b':', m1, m2, b':', s1, s2] = rest else { return Err(CellError::NotTime) };
        let hours = match hours {
            [_, _] => two(hours)?,
            [a, pair @ ..] if a.is_ascii_digit() => i64::from(a - b'0') * 100 + two(pair)?,
            _ => return Err(CellError::NotTime),
        };
        let (minutes, seconds) = (two(&[*m1, *m2])?, two(&[*s1, *s2])?);
        if minutes > 59 || seconds > 59 {
            return Err(CellError::NoSuchClock);
        }
        let places = usize::from(self.digits);
        let mut ticks = hours * 3600 + minutes * 60 + seconds;
        let fraction = fraction.unwrap_or(b"0");
        if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
            return Err(CellError::NotTime);
        }
        if fraction.iter().skip(places).any(|b| *b != b'0') {
            return Err(CellError::SubSecond);
        }
        for place in 0..places {
            ticks = ticks * 10 + fraction.get(place).map_or(0, |b| i64::from(b - b'0'));
        }
        Ok(T::from_ticks(if negative { -ticks } else { ticks }))
    }
}

impl<T: Span> Read for Time<T> {
    type Value = T;

    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<T> {
        self.parse(text.bytes()).ok()
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() {
            CellError::MissingValue
        } else {
            self.parse(text).err().unwrap_or(CellError::NotTime)
        }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (!matches!(text.first()?, b'-' | b'0'..=b'9')).then_some(CellError::NotTime)
    }
}
