//! `Date` and `Date32`: `YYYY-MM-DD`, a day of the Gregorian calendar, in the type's range.
//!
//! Ranges: <https://clickhouse.com/docs/sql-reference/data-types/date> (1970-01-01 to 2149-06-06) and
//! <https://clickhouse.com/docs/sql-reference/data-types/date32> (1900-01-01 to 2299-12-31).

use super::format::Format;
use super::text::Text;
use super::why::Why;
use super::{Native, Read};
use crate::simd::Lanes;
use crate::words::{digit_pairs, is_digits, word_at};

/// First and last year of the table of days: what `Date32` and `DateTime64` hold.
pub(crate) const FIRST_YEAR: u32 = 1900;
const YEARS: usize = 400;

/// For each year: days from 1970-01-01 to its first day, doubled, plus one in a leap year.
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

/// For common and leap years, for months 0 to 15: days before the month and in it; no days in a month that is none.
static MONTH_DAYS: [[(u16, u16); 16]; 2] = {
    let mut table = [[(0, 0); 16]; 2];
    let mut leap = 0;
    while leap < 2 {
        let lengths = [31, 28 + leap as u16, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let (mut before, mut month) = (0, 1);
        while month <= 12 {
            table[leap][month] = (before, lengths[month - 1]);
            before += lengths[month - 1];
            month += 1;
        }
        leap += 1;
    }
    table
};

/// Days since 1970-01-01, for a real day of the years 1900 to 2299.
#[inline(always)]
pub(crate) fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let first = *YEAR_DAYS.get(year.wrapping_sub(FIRST_YEAR) as usize)?;
    let (before, length) = *MONTH_DAYS[(first & 1) as usize].get(month as usize)?;
    (day.wrapping_sub(1) < u32::from(length)).then_some((first >> 1) + i32::from(before) + day as i32 - 1)
}

/// Days since 1970-01-01 of the `YYYY-MM-DD` in the first ten bytes.
#[inline(always)]
pub(crate) fn ymd(text: Text<'_>) -> Option<i32> {
    let [year, month, day] = fields(text)?;
    days(year, month, day)
}

/// Year, month and day of the `YYYY-MM-DD` in the first ten bytes, whether or not there is such a day.
#[inline(always)]
fn fields(text: Text<'_>) -> Option<[u32; 3]> {
    let head = text.head::<10>()?;
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
    Some([lane(0) * 100 + lane(1), lane(2), lane(3)])
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
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<T> {
        let days = match &self.format {
            Format::Iso if text.len() == 10 => ymd(text)?,
            Format::Iso => return None,
            format => format.day(text.bytes()).ok()?,
        };
        T::from_days(days)
    }

    fn explain(&self, text: &[u8]) -> Why {
        if text.is_empty() {
            return Why::MissingValue;
        }
        if self.format != Format::Iso {
            return self.format.day(text).err().unwrap_or(Why::OutOfRange);
        }
        explain_day(Text::whole(text)).unwrap_or(if text.len() == 10 {
            Why::OutOfRange
        } else {
            Why::NotDate
        })
    }

    fn refuse(&self, text: &[u8]) -> Option<Why> {
        let first = *text.first()?;
        (self.format == Format::Iso && (text.len() < 10 || !first.is_ascii_digit())).then_some(Why::NotDate)
    }
}

/// What is wrong with the first ten bytes as a date of the years 1900 to 2299; `None`: nothing.
pub(crate) fn explain_day(text: Text<'_>) -> Option<Why> {
    let Some([year, month, day]) = fields(text).filter(|_| text.len() >= 10) else {
        return Some(Why::NotDate);
    };
    if days(year, month, day).is_some() {
        return None;
    }
    // the calendar repeats every 400 years
    let same_calendar = FIRST_YEAR + (year + 400 - FIRST_YEAR % 400) % 400;
    Some(if days(same_calendar, month, day).is_some() { Why::OutOfRange } else { Why::NoSuchDay })
}
