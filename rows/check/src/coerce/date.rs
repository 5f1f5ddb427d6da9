//! `Date` and `Date32`: `YYYY-MM-DD`, a day of the Gregorian calendar, in the type's range.
//!
//! Ranges: <https://clickhouse.com/docs/sql-reference/data-types/date> (1970-01-01 to 2149-06-06) and
//! <https://clickhouse.com/docs/sql-reference/data-types/date32> (1900-01-01 to 2299-12-31).

use rows_bytes::date::{Day, FIRST_YEAR, fields};
use rows_bytes::simd::Lanes;
use rows_bytes::text::Text;
use rows_types::{CellError, OnPrecisionLoss, Policies};

use super::format::Format;
use super::{Native, Read};

/// Reads `Date` (16 bits) and `Date32` (32 bits).
#[derive(Debug)]
pub(crate) struct Date<T> {
    format: Format,
    marker: std::marker::PhantomData<T>,
}

impl<T> Date<T> {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, marker: std::marker::PhantomData }
    }
}

/// The integers that hold days.
pub(crate) trait Days: Native {
    fn from_days(days: i32) -> Option<Self>;
}

impl Days for u16 {
    #[inline(always)]
    fn from_days(days: i32) -> Option<Self> {
        Self::try_from(days).ok()
    }
}

impl Days for i32 {
    #[inline(always)]
    fn from_days(days: i32) -> Option<Self> {
        Some(days)
    }
}

impl<T: Days> Read for Date<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<T> {
        if self.format != Format::Iso {
            return self.format.day(text.bytes(), false).ok().and_then(T::from_days);
        }
        if text.len() != 10 {
            return None;
        }
        T::from_days(lanes.day(text.front(&mut None))?.number()?)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() {
            return CellError::MissingValue;
        }
        if self.format != Format::Iso {
            return self.format.day(text, false).err().unwrap_or(CellError::OutOfRange);
        }
        explain_day(Text::whole(text)).unwrap_or(if text.len() == 10 {
            CellError::OutOfRange
        } else {
            CellError::NotDate
        })
    }

    fn lenient(&self, text: &[u8], policies: Policies) -> Result<T, CellError> {
        if policies.on_precision_loss == OnPrecisionLoss::Reject
            || text.is_empty()
            || self.format == Format::Iso
        {
            return Err(self.explain(text));
        }
        T::from_days(self.format.day(text, true)?).ok_or(CellError::OutOfRange)
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        let first = *text.first()?;
        (self.format == Format::Iso && (text.len() < 10 || !first.is_ascii_digit()))
            .then_some(CellError::NotDate)
    }
}

/// Why a day has no number: it does not exist, or is not in the years 1900 to 2299.
pub(super) fn problem(day: Day) -> CellError {
    // the calendar repeats every 400 years
    let year = FIRST_YEAR + (day.year + 400 - FIRST_YEAR % 400) % 400;
    if (Day { year, ..day }).number().is_some() { CellError::OutOfRange } else { CellError::NoSuchDay }
}

/// What is wrong with the first ten bytes as a date of the years 1900 to 2299. `None`: nothing is wrong.
pub(crate) fn explain_day(text: Text<'_>) -> Option<CellError> {
    let Some(day) = text.head().filter(|_| text.len() >= 10).and_then(fields) else {
        return Some(CellError::NotDate);
    };
    if day.number().is_some() { None } else { Some(problem(day)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::read;
    use proptest::prelude::*;
    use rows_bytes::spoil::{SUSPECTS, spoiled};

    fn plain(text: &[u8]) -> Option<i32> {
        let written = text.len() == 10
            && text
                .iter()
                .enumerate()
                .all(|(i, b)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() });
        let text = std::str::from_utf8(text).ok().filter(|_| written)?;
        let date: jiff::civil::Date = text.parse().ok()?;
        let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
        (1900..2300).contains(&date.year()).then_some(days as i32)
    }

    #[test]
    fn every_day_is_read_and_no_other() {
        let day = Date::<i32>::new(Format::Iso);
        for (year, month) in [1899, 1900, 1999, 2000, 2024, 2026, 2299, 2300]
            .into_iter()
            .flat_map(|y| (0..100).map(move |m| (y, m)))
        {
            for days in 0..100 {
                let text = format!("{year}-{month:02}-{days:02}");
                let expected = plain(text.as_bytes()).map(|n| n.to_le_bytes().to_vec());
                assert_eq!(read(&day, text.as_bytes()), expected, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_day_is_what_jiff_says(
            text in "(19|20|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-[0-3][0-9]", at in 0usize..20, byte in prop::sample::select(SUSPECTS),
            cut in 0usize..11,
        ) {
            for text in [text.clone().into_bytes(), spoiled(text.clone().into_bytes(), at, byte), text.as_bytes()[..cut].to_vec()] {
                let days = plain(&text);
                let expected = days.map(|n| n.to_le_bytes().to_vec());
                prop_assert_eq!(read(&Date::<i32>::new(Format::Iso), &text), expected);
                let expected = days.and_then(|n| u16::try_from(n).ok()).map(|n| n.to_le_bytes().to_vec());
                prop_assert_eq!(read(&Date::<u16>::new(Format::Iso), &text), expected);
            }
        }
    }
}
