//! The pattern in which a column's dates and times are written: the directives of strptime, each of one fixed form.
//!
//! | directive | text |
//! |---|---|
//! | `%Y`, `%y` | the year in four digits; in two digits, 69 to 99 for 1969 to 1999, 00 to 68 for 2000 to 2068 |
//! | `%m`, `%d`, `%j` | month and day in two digits; day of the year in three digits |
//! | `%H`, `%I`, `%M`, `%S` | hour of 24, hour of 12 (with `%p`), minute, second in two digits |
//! | `%e`, `%k`, `%l` | as `%d`, `%H`, `%I`, but a blank in place of a leading zero |
//! | `%-m`, `%-d`, `%-H`, `%-I` … | the same in one or two digits |
//! | `%b`, `%B`, `%a`, `%A`, `%p` | `Jan`, `January`, `Mon`, `Monday`, `AM`, in any letter case |
//! | `%f`, `%3f`, `%.f`, `%.3f` | a fraction of one to nine digits, or of three; with the point, and without a number of digits optional |
//! | `%z`, `%:z` | the offset from UTC: `Z`, `+02`, `+0200` or `+02:00`; `Z` or `+02:00` |
//! | `%F`, `%T`, `%R`, `%D`, `%%` | `%Y-%m-%d`, `%H:%M:%S`, `%H:%M`, `%m/%d/%y`, `%` |
//!
//! Each other byte stands for itself; a `Z` after a time of day means UTC. There is no second 60.

use rows_bytes::date::{Day, days};
use rows_types::CellError;

use super::date::problem;

/// A pattern that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Box<[Part]>);

/// A part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Byte(u8),
    Number(Number, Width),
    Month(Name),
    Weekday(Name),
    Half,
    Fraction {
        point: bool,
        places: Option<u8>,
    },
    Offset {
        colon: bool,
    },
    /// The letter `Z` as the offset 0.
    Zulu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    HourOfHalf,
    Minute,
    Second,
}

/// How many bytes a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Digits(usize),
    /// Two bytes; the first may be a blank.
    Padded,
    /// One or two digits.
    Shortest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Short,
    Full,
}

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
    /// Checks a pattern. The error says what to change.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal(&mut parts, &rest[..at]);
            rest = directive(&mut parts, &rest[at + 1..])
                .map_err(|problem| format!("'{text}' is no pattern: {problem}"))?;
        }
        literal(&mut parts, rest);
        let pattern = Self(parts.into());
        match pattern.problem() {
            Some(problem) => Err(format!("'{text}' {problem}")),
            None => Ok(pattern),
        }
    }

    /// Whether a text has an offset from UTC.
    pub(crate) fn has_offset(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Offset { .. } | Part::Zulu))
    }

    /// Why the parts do not make a day, or a day and a time.
    fn problem(&self) -> Option<String> {
        let count = |is: fn(&Part) -> bool| self.0.iter().filter(|part| is(part)).count();
        let year = count(|p| matches!(p, Part::Number(Number::Year | Number::YearOfCentury, _)));
        let month = count(|p| matches!(p, Part::Month(_) | Part::Number(Number::Month, _)));
        let day = count(|p| matches!(p, Part::Number(Number::Day, _)));
        let day_of_year = count(|p| matches!(p, Part::Number(Number::DayOfYear, _)));
        let hour = count(|p| matches!(p, Part::Number(Number::Hour, _)));
        let hour_of_half = count(|p| matches!(p, Part::Number(Number::HourOfHalf, _)));
        let half = count(|p| *p == Part::Half);
        let minute = count(|p| matches!(p, Part::Number(Number::Minute, _)));
        let second = count(|p| matches!(p, Part::Number(Number::Second, _)));
        let fraction = count(|p| matches!(p, Part::Fraction { .. }));
        let offset = count(|p| matches!(p, Part::Offset { .. } | Part::Zulu));
        let weekday = count(|p| matches!(p, Part::Weekday(_)));
        let all = [
            year,
            month,
            day,
            day_of_year,
            hour + hour_of_half,
            half,
            minute,
            second,
            fraction,
            offset,
            weekday,
        ];
        if all.iter().any(|count| *count > 1) {
            return Some("gives a part of the date or time twice; remove one".to_owned());
        }
        if year == 0 || (month, day, day_of_year) != (1, 1, 0) && (month, day, day_of_year) != (0, 0, 1) {
            return Some("does not give day, month and year".to_owned());
        }
        if hour_of_half != half {
            return Some("needs both %I and %p, or %H".to_owned());
        }
        let coarser = [hour + hour_of_half, minute, second, fraction];
        if coarser.windows(2).any(|pair| pair[0] < pair[1]) || offset > coarser[0] {
            return Some("gives a part of a time without the hour, minute or second before it".to_owned());
        }
        let follows = self.0.windows(2).find(|pair| pair[0].has_open_end() && pair[1].begins_with_digit());
        follows.map(|_| {
            "has digits after a number of any length; put a character between them, or give the number a fixed length"
                .to_owned()
        })
    }

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

impl Part {
    /// Whether it belongs to a time of day.
    fn is_clock(&self) -> bool {
        matches!(self, Self::Half | Self::Fraction { .. })
            || matches!(
                self,
                Self::Number(Number::Hour | Number::HourOfHalf | Number::Minute | Number::Second, _)
            )
    }

    /// Whether its text may be longer or shorter.
    fn has_open_end(&self) -> bool {
        matches!(self, Self::Number(_, Width::Shortest) | Self::Fraction { places: None, .. })
    }

    fn begins_with_digit(&self) -> bool {
        match self {
            Self::Byte(byte) => byte.is_ascii_digit(),
            Self::Number(..) => true,
            Self::Fraction { point, .. } => !point,
            _ => false,
        }
    }
}

/// Adds the bytes of a text. A `Z` directly after a time of day is an offset.
fn literal(parts: &mut Vec<Part>, text: &str) {
    for byte in text.bytes() {
        let after_clock = parts.last().is_some_and(Part::is_clock);
        parts.push(if byte == b'Z' && after_clock { Part::Zulu } else { Part::Byte(byte) });
    }
}

/// Adds the directive at the start of `text`, which comes after a `%`. Returns what follows.
fn directive<'t>(parts: &mut Vec<Part>, text: &'t str) -> Result<&'t str, String> {
    use Number::{Day, DayOfYear, Hour, HourOfHalf, Minute, Month, Second, Year, YearOfCentury};
    let flags = text.find(|c: char| c.is_ascii_alphabetic() || c == '%').unwrap_or(text.len());
    let (flag, rest) = text.split_at(flags);
    let Some(letter) = rest.chars().next() else {
        return Err("it ends within a directive; write %% for a percent sign".to_owned());
    };
    let rest = &rest[1..];
    let two = Width::Digits(2);
    let added: &[Part] = match (flag, letter) {
        ("", 'Y') => &[Part::Number(Year, Width::Digits(4))],
        ("", 'y') => &[Part::Number(YearOfCentury, two)],
        ("", 'm') => &[Part::Number(Month, two)],
        ("", 'd') => &[Part::Number(Day, two)],
        ("", 'j') => &[Part::Number(DayOfYear, Width::Digits(3))],
        ("", 'H') => &[Part::Number(Hour, two)],
        ("", 'I') => &[Part::Number(HourOfHalf, two)],
        ("", 'M') => &[Part::Number(Minute, two)],
        ("", 'S') => &[Part::Number(Second, two)],
        ("", 'e') | ("_", 'd') => &[Part::Number(Day, Width::Padded)],
        ("", 'k') | ("_", 'H') => &[Part::Number(Hour, Width::Padded)],
        ("", 'l') | ("_", 'I') => &[Part::Number(HourOfHalf, Width::Padded)],
        ("-", 'm') => &[Part::Number(Month, Width::Shortest)],
        ("-", 'd' | 'e') => &[Part::Number(Day, Width::Shortest)],
        ("-", 'H' | 'k') => &[Part::Number(Hour, Width::Shortest)],
        ("-", 'I' | 'l') => &[Part::Number(HourOfHalf, Width::Shortest)],
        ("-", 'M') => &[Part::Number(Minute, Width::Shortest)],
        ("-", 'S') => &[Part::Number(Second, Width::Shortest)],
        ("", 'b' | 'h') => &[Part::Month(Name::Short)],
        ("", 'B') => &[Part::Month(Name::Full)],
        ("", 'a') => &[Part::Weekday(Name::Short)],
        ("", 'A') => &[Part::Weekday(Name::Full)],
        ("", 'p' | 'P') => &[Part::Half],
        ("", 'z') => &[Part::Offset { colon: false }],
        (":", 'z') => &[Part::Offset { colon: true }],
        ("", '%') => &[Part::Byte(b'%')],
        (_, 'f') => &[fraction(flag)?],
        ("", 'F') => return nested(parts, "%Y-%m-%d", rest),
        ("", 'D') => return nested(parts, "%m/%d/%y", rest),
        ("", 'T') => return nested(parts, "%H:%M:%S", rest),
        ("", 'R') => return nested(parts, "%H:%M", rest),
        _ => {
            return Err(format!(
                "%{flag}{letter} is not known; use %Y %y %m %d %j %b %B %a %A %H %I %p %M %S %f %z %:z %F %T %R %D, \
                 %e %k %l for a blank in place of a zero, and %-d for one or two digits"
            ));
        }
    };
    parts.extend_from_slice(added);
    Ok(rest)
}

/// Adds the directives that a directive stands for.
fn nested<'t>(parts: &mut Vec<Part>, pattern: &str, rest: &'t str) -> Result<&'t str, String> {
    let mut left = pattern;
    while let Some(at) = left.find('%') {
        literal(parts, &left[..at]);
        left = directive(parts, &left[at + 1..])?;
    }
    Ok(rest)
}

/// The fraction of a `%f` with this text between `%` and `f`.
fn fraction(flag: &str) -> Result<Part, String> {
    let (point, places) = flag.strip_prefix('.').map_or((false, flag), |places| (true, places));
    let places = match places.as_bytes() {
        [] => None,
        [digit @ b'1'..=b'9'] => Some(digit - b'0'),
        _ => return Err(format!("%{flag}f is not known; a fraction has one to nine digits, such as %.3f")),
    };
    Ok(Part::Fraction { point, places })
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

#[cfg(test)]
mod tests;
