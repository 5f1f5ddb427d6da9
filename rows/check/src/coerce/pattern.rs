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

mod read;

pub(crate) use read::Written;

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

#[cfg(test)]
mod tests;
