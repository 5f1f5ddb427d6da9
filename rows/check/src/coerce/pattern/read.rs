//! Reads a text by a pattern.

use rows_bytes::date::{Day, days};
use rows_types::CellError;

use super::{Name, Number, Part, Pattern, Width};
use crate::coerce::date::problem;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Seconds since midnight.
    pub clock: u32,
    pub nanos: u32,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

impl Pattern {
    /// Reads a text.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Written, CellError> {
        let mut found = Found::default();
        let mut rest = text;
        for part in &self.0 {
            rest = found.part(*part, rest).ok_or(CellError::NotFormat)?;
        }
        if rest.is_empty() { found.written() } else { Err(CellError::NotFormat) }
    }
}

/// The parts of a text that were read so far.
#[derive(Default)]
struct Found {
    year: u32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    weekday: Option<u32>,
    hour: u32,
    half: Option<u32>,
    minute: u32,
    second: u32,
    nanos: u32,
    /// Hours and minutes east of UTC, and whether they are negative.
    offset: Option<(u32, u32, bool)>,
}

impl Found {
    /// Reads a part from the start of a text; returns the rest. `None`: the text has another form.
    fn part<'t>(&mut self, part: Part, text: &'t [u8]) -> Option<&'t [u8]> {
        match part {
            Part::Byte(byte) => text.strip_prefix(&[byte]),
            Part::Zulu => {
                self.offset = Some((0, 0, false));
                text.strip_prefix(b"Z")
            }
            Part::Number(number, width) => {
                let (value, rest) = number_of(width, text)?;
                match number {
                    Number::Year => self.year = value,
                    Number::YearOfCentury => self.year = if value < 69 { 2000 + value } else { 1900 + value },
                    Number::Month => self.month = value,
                    Number::Day => self.day = value,
                    Number::DayOfYear => self.day_of_year = Some(value),
                    Number::Hour | Number::HourOfHalf => self.hour = value,
                    Number::Minute => self.minute = value,
                    Number::Second => self.second = value,
                }
                Some(rest)
            }
            Part::Month(name) => {
                let (at, rest) = name_of(&MONTHS, name, text)?;
                self.month = at + 1;
                Some(rest)
            }
            Part::Weekday(name) => {
                let (at, rest) = name_of(&WEEKDAYS, name, text)?;
                self.weekday = Some(at);
                Some(rest)
            }
            Part::Half => {
                let (at, rest) = name_of(&["AM", "PM"], Name::Full, text)?;
                self.half = Some(at);
                Some(rest)
            }
            Part::Fraction { point, places } => {
                let Some(digits) = (if point { text.strip_prefix(b".") } else { Some(text) }) else {
                    return if places.is_none() { Some(text) } else { None };
                };
                let most = usize::from(places.unwrap_or(9));
                let count = digits.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
                if count == 0 || places.is_some() && count < most {
                    return None;
                }
                self.nanos = value(&digits[..count]) * 10u32.pow(9 - count as u32);
                let rest = &digits[count..];
                let zeros =
                    if places.is_none() { rest.iter().take_while(|b| **b == b'0').count() } else { 0 };
                Some(&rest[zeros..])
            }
            Part::Offset { colon } => self.offset(text, colon),
        }
    }

    fn offset<'t>(&mut self, text: &'t [u8], colon: bool) -> Option<&'t [u8]> {
        let (sign, rest) = text.split_first()?;
        if *sign == b'Z' {
            self.offset = Some((0, 0, false));
            return Some(rest);
        }
        if !matches!(sign, b'+' | b'-') {
            return None;
        }
        let (hours, rest) = number_of(Width::Digits(2), rest)?;
        let minutes = match rest {
            [b':', after @ ..] => Some(number_of(Width::Digits(2), after)?),
            [b'0'..=b'9', ..] if !colon => Some(number_of(Width::Digits(2), rest)?),
            _ if colon => return None,
            _ => None,
        };
        let (minutes, rest) = minutes.unwrap_or((0, rest));
        self.offset = Some((hours, minutes, *sign == b'-'));
        Some(rest)
    }

    /// Joins the parts.
    fn written(&self) -> Result<Written, CellError> {
        let day = self.day()?;
        if self.weekday.is_some_and(|weekday| (day + 4).rem_euclid(7) as u32 != weekday) {
            return Err(CellError::NoSuchDay);
        }
        let hour = match self.half {
            None => self.hour,
            Some(half) if (1..=12).contains(&self.hour) => self.hour % 12 + 12 * half,
            Some(_) => return Err(CellError::NoSuchTime),
        };
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return Err(CellError::NoSuchTime);
        }
        let offset = match self.offset {
            Some((hours, minutes, _)) if hours > 18 || minutes > 59 => return Err(CellError::NoSuchTime),
            Some((hours, minutes, negative)) => {
                let seconds = (hours * 3600 + minutes * 60) as i32;
                Some(if negative { -seconds } else { seconds })
            }
            None => None,
        };
        let clock = hour * 3600 + self.minute * 60 + self.second;
        Ok(Written { day, clock, nanos: self.nanos, offset })
    }

    /// Days since 1970.
    fn day(&self) -> Result<i32, CellError> {
        let day_in = |month: u32, day: u32| {
            let missing = || problem(Day { year: self.year, month_day: 128 * month + day });
            days(self.year, month, day).ok_or_else(missing)
        };
        let Some(number) = self.day_of_year else { return day_in(self.month, self.day) };
        let day = day_in(1, 1)? + number as i32 - 1;
        if number > 0 && day <= day_in(12, 31)? { Ok(day) } else { Err(CellError::NoSuchDay) }
    }
}

/// The number at the start of a text, and the rest.
fn number_of(width: Width, text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = match width {
        Width::Digits(count) => text.split_at_checked(count)?,
        Width::Padded => {
            let (two, rest) = text.split_at_checked(2)?;
            (two.strip_prefix(b" ").unwrap_or(two), rest)
        }
        Width::Shortest => {
            let count = text.iter().take(2).take_while(|b| b.is_ascii_digit()).count();
            text.split_at(count)
        }
    };
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| (value(digits), rest))
}

fn value(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |n, digit| 10 * n + u32::from(digit - b'0'))
}

/// Which of the names a text begins with, and the rest.
fn name_of<'t>(names: &[&str], name: Name, text: &'t [u8]) -> Option<(u32, &'t [u8])> {
    let names = names.iter().map(|full| if name == Name::Short { &full[..3] } else { full });
    let mut found = (0..).zip(names).filter_map(|(at, name)| {
        let (front, rest) = text.split_at_checked(name.len())?;
        front.eq_ignore_ascii_case(name.as_bytes()).then_some((at, rest))
    });
    found.next()
}
