//! `Date` and `Date32`: `YYYY-MM-DD`, a day of the Gregorian calendar, in the type's range.
//!
//! Ranges: <https://clickhouse.com/docs/sql-reference/data-types/date> (1970-01-01 to 2149-06-06) and
//! <https://clickhouse.com/docs/sql-reference/data-types/date32> (1900-01-01 to 2299-12-31).

use super::cell_error::CellError;
use super::format::Format;
use super::text::Text;
use super::{Native, Read};
use crate::policy::{OnPrecisionLoss, Policies};
use crate::simd::Lanes;
use crate::words::{digit_pairs, is_digits, word_at};

/// First year of the table of days. It has the years that `Date32` and `DateTime64` can hold.
pub(crate) const FIRST_YEAR: u32 = 1900;
const YEARS: usize = 400;

/// A day as it is written; it need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub year: u32,
    /// 128 times the month, plus the day; both are below 100.
    pub month_day: u32,
}

/// For each year: twice the days from 1970-01-01 to its first day, plus one in a leap year.
static YEAR_DAYS: [i32; YEARS] = {
    let mut table = [0; YEARS];
    let mut days = -25_567;
    let mut i = 0;
    while i < YEARS {
        let year = FIRST_YEAR as usize + i;
        let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        table[i] = days * 2 + leap as i32;
        days += if leap { 366 } else { 365 };
        i += 1;
    }
    table
};

/// More than the `month_day` of any day that exists.
const MONTH_DAYS: usize = 13 * 128;

const NO_DAY: u16 = u16::MAX;

/// For common years and for leap years, for each `month_day`: days since the first of January, or `NO_DAY`.
static YEAR_DAY: [[u16; MONTH_DAYS]; 2] = {
    let mut table = [[NO_DAY; MONTH_DAYS]; 2];
    let mut leap = 0;
    while leap < 2 {
        let lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let (mut days, mut month) = (0, 1);
        while month <= 12 {
            let mut day = 1;
            while day <= lengths[month - 1] {
                table[leap][128 * month + day] = days;
                days += 1;
                day += 1;
            }
            month += 1;
        }
        leap += 1;
    }
    table
};

impl Day {
    /// Days since 1970-01-01. `None` if the day does not exist, or is not in the years 1900 to 2299.
    #[inline(always)]
    pub(crate) fn number(self) -> Option<i32> {
        let first = *YEAR_DAYS.get(self.year.wrapping_sub(FIRST_YEAR) as usize)?;
        let day = *YEAR_DAY[(first & 1) as usize].get(self.month_day as usize)?;
        (day != NO_DAY).then_some((first >> 1) + i32::from(day))
    }

    /// Why it has no number: it does not exist, or is not in the years 1900 to 2299.
    pub(crate) fn problem(self) -> CellError {
        // the calendar repeats every 400 years
        let year = FIRST_YEAR + (self.year + 400 - FIRST_YEAR % 400) % 400;
        if (Self { year, ..self }).number().is_some() { CellError::OutOfRange } else { CellError::NoSuchDay }
    }
}

/// Days since 1970-01-01; month and day are below 100. `None` if the day does not exist, or is not in the years 1900 to
/// 2299.
pub(crate) fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    Day { year, month_day: 128 * month + day }.number()
}

/// The day in a `YYYY-MM-DD`, which need not exist.
#[inline(always)]
pub(crate) fn fields(head: &[u8; 10]) -> Option<Day> {
    let (front, back) = (word_at::<0, 10>(head), word_at::<2, 10>(head));
    // bytes 0 to 7 are YYYY-MM-, bytes 2 to 9 end in DD
    let digits =
        (front & 0xffff_ffff) | ((front >> 8) & 0x0000_ffff_0000_0000) | (back & 0xffff_0000_0000_0000);
    let dashes = (front >> 32) as u8 == b'-' && (front >> 56) as u8 == b'-';
    if !dashes || !is_digits(digits) {
        return None;
    }
    let pairs = digit_pairs(digits);
    let lane = |i: u32| ((pairs >> (16 * i)) & 0xff) as u32;
    Some(Day { year: lane(0) * 100 + lane(1), month_day: lane(2) * 128 + lane(3) })
}

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
        match self.explain(text) {
            CellError::TimeOfDay if policies.on_precision_loss == OnPrecisionLoss::Round => {
                T::from_days(self.format.day(text, true)?).ok_or(CellError::OutOfRange)
            }
            error => Err(error),
        }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        let first = *text.first()?;
        (self.format == Format::Iso && (text.len() < 10 || !first.is_ascii_digit()))
            .then_some(CellError::NotDate)
    }
}

/// What is wrong with the first ten bytes as a date of the years 1900 to 2299. `None`: nothing is wrong.
pub(crate) fn explain_day(text: Text<'_>) -> Option<CellError> {
    let Some(day) = text.head().filter(|_| text.len() >= 10).and_then(fields) else {
        return Some(CellError::NotDate);
    };
    if day.number().is_some() { None } else { Some(day.problem()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::{SUSPECTS, read, spoiled};
    use proptest::prelude::*;

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
