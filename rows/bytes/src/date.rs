//! Days of the Gregorian calendar: `YYYY-MM-DD` and its number.

use crate::words::{digit_pairs, is_digits, word_at};

/// First year of the table of days. It has the years that `Date32` and `DateTime64` can hold.
pub const FIRST_YEAR: u32 = 1900;
const YEARS: usize = 400;

/// A day as it is written; it need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The year.
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
    pub fn number(self) -> Option<i32> {
        let first = *YEAR_DAYS.get(self.year.wrapping_sub(FIRST_YEAR) as usize)?;
        let day = *YEAR_DAY[(first & 1) as usize].get(self.month_day as usize)?;
        (day != NO_DAY).then_some((first >> 1) + i32::from(day))
    }
}

/// Days since 1970-01-01; month and day are below 100. `None` if the day does not exist, or is not in the years 1900 to
/// 2299.
#[inline]
pub fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    Day { year, month_day: 128 * month + day }.number()
}

/// The day in a `YYYY-MM-DD`, which need not exist.
#[inline(always)]
pub fn fields(head: &[u8; 10]) -> Option<Day> {
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
