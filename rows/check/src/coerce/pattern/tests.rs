use chrono::{DateTime, NaiveDate, NaiveDateTime, Timelike};
use proptest::prelude::*;
use rows_types::CellError;

use super::{Pattern, Written};

fn read(pattern: &str, text: &str) -> Result<Written, CellError> {
    Pattern::new(pattern).unwrap_or_else(|e| panic!("{e}")).read(text.as_bytes())
}

/// Seconds since 1970, nanoseconds and offset.
fn moment(pattern: &str, text: &str) -> Result<(i64, u32, Option<i32>), CellError> {
    read(pattern, text).map(|w| (i64::from(w.day) * 86_400 + i64::from(w.clock), w.nanos, w.offset))
}

fn day(pattern: &str, text: &str) -> Result<String, CellError> {
    let first = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    read(pattern, text).map(|w| (first + chrono::Days::new(u64::try_from(w.day).unwrap())).to_string())
}

#[test]
fn a_number_has_its_fixed_length_without_signs_and_blanks() {
    assert_eq!(day("%Y%m%d", "20240105").as_deref(), Ok("2024-01-05"));
    for wrong in [
        "2024015",
        "202415",
        "2024 1 5",
        "+2024105",
        "-0240105",
        "202401 5",
        "20240105 ",
        " 20240105",
        "２024015",
    ] {
        assert_eq!(day("%Y%m%d", wrong), Err(CellError::NotFormat), "{wrong}");
    }
    for wrong in ["5.1.2024", " 5.01.2024", "05.01.24", "05/01/2024", "05.01.2024\n"] {
        assert_eq!(day("%d.%m.%Y", wrong), Err(CellError::NotFormat), "{wrong}");
    }
}

#[test]
fn a_blank_or_a_shorter_number_is_read_only_where_the_directive_is_for_it() {
    assert_eq!(day("%e %b %Y", " 5 Jan 2024").as_deref(), Ok("2024-01-05"));
    assert_eq!(day("%e %b %Y", "15 jan 2024").as_deref(), Ok("2024-01-15"));
    assert_eq!(day("%e %b %Y", "5 Jan 2024"), Err(CellError::NotFormat));
    for text in ["1/5/2024", "01/5/2024", "01/05/2024"] {
        assert_eq!(day("%-m/%-d/%Y", text).as_deref(), Ok("2024-01-05"));
    }
    assert_eq!(day("%-m/%-d/%Y", "/5/2024"), Err(CellError::NotFormat));
    assert_eq!(day("%-m/%-d/%Y", "001/5/2024"), Err(CellError::NotFormat));
}

#[test]
fn a_day_and_a_time_exist() {
    for wrong in ["2023-02-29", "2024-00-01", "2024-13-01", "2024-04-31", "2024-01-00"] {
        assert_eq!(day("%F", wrong), Err(CellError::NoSuchDay), "{wrong}");
    }
    assert_eq!(day("%F", "1899-12-31"), Err(CellError::OutOfRange));
    let with_time = |time: &str| moment("%F %H:%M:%S%.f", &format!("2024-01-05 {time}"));
    assert_eq!(with_time("23:59:59.5"), Ok((1_704_499_199, 500_000_000, None)));
    for wrong in ["23:59:60", "23:59:60.500", "12:60:00", "24:00:00"] {
        assert_eq!(with_time(wrong), Err(CellError::NoSuchTime), "{wrong}");
    }
}

#[test]
fn a_fraction_has_its_point_and_one_to_nine_digits() {
    let nanos = |pattern: &str, text: &str| {
        moment(&format!("%F %T{pattern}"), &format!("2024-01-05 10:00:00{text}")).map(|found| found.1)
    };
    assert_eq!(nanos("%.f", ""), Ok(0));
    assert_eq!(nanos("%.f", ".5"), Ok(500_000_000));
    assert_eq!(nanos("%.f", ".123456789000"), Ok(123_456_789));
    assert_eq!(nanos("%.3f", ".123"), Ok(123_000_000));
    assert_eq!(nanos(",%3f", ",123"), Ok(123_000_000));
    assert_eq!(nanos(",%f", ",12"), Ok(120_000_000));
    for (pattern, wrong) in
        [("%.f", "."), ("%.f", ".x"), ("%.3f", ".12"), ("%.3f", ".1234"), ("%.3f", ""), (",%f", ",")]
    {
        assert_eq!(nanos(pattern, wrong), Err(CellError::NotFormat), "{pattern} {wrong}");
    }
}

#[test]
fn an_offset_has_one_of_four_forms() {
    let at = |pattern: &str, offset: &str| {
        moment(&format!("%F %T{pattern}"), &format!("2024-01-05 10:00:00{offset}"))
            .map(|found| found.2.unwrap())
    };
    for (text, seconds) in
        [("Z", 0), ("+02", 7200), ("-0530", -19_800), ("+05:30", 19_800), ("+00", 0), ("-00:00", 0)]
    {
        assert_eq!(at("%z", text), Ok(seconds), "{text}");
    }
    assert_eq!(at("%:z", "-05:30"), Ok(-19_800));
    for wrong in ["", "z", "+2", "02:00", "+02:0", "+02:", "+020", "+02000", " +02", "UTC"] {
        assert_eq!(at("%z", wrong), Err(CellError::NotFormat), "{wrong}");
    }
    assert_eq!(at("%:z", "+0200"), Err(CellError::NotFormat));
    assert_eq!(at("%:z", "+02"), Err(CellError::NotFormat));
    assert_eq!(at("%z", "+19:00"), Err(CellError::NoSuchTime));
    assert_eq!(at("%z", "+02:60"), Err(CellError::NoSuchTime));
}

#[test]
fn a_literal_z_after_a_time_is_utc() {
    assert_eq!(moment("%Y%m%dT%H%M%SZ", "20240501T100000Z"), Ok((1_714_557_600, 0, Some(0))));
    assert_eq!(moment("%Y%m%dT%H%M%SZ", "20240501T100000"), Err(CellError::NotFormat));
    assert_eq!(moment("Z%F", "Z2024-05-01"), Ok((1_714_521_600, 0, None)));
}

#[test]
fn names_twelve_hours_short_years_and_days_of_the_year_are_read() {
    assert_eq!(day("%d-%b-%y", "05-JAN-24").as_deref(), Ok("2024-01-05"));
    assert_eq!(day("%D", "12/31/68").as_deref(), Ok("2068-12-31"));
    assert_eq!(read("%D", "01/01/69").map(|w| w.day), Ok(-365));
    assert_eq!(day("%B %d, %Y", "september 30, 2024").as_deref(), Ok("2024-09-30"));
    assert_eq!(day("%a, %d %b %Y", "Fri, 05 Jan 2024").as_deref(), Ok("2024-01-05"));
    assert_eq!(day("%A %F", "Thursday 2024-01-05"), Err(CellError::NoSuchDay), "it was a Friday");
    assert_eq!(day("%d %b %Y", "05 Jän 2024"), Err(CellError::NotFormat));
    assert_eq!(day("%Y%j", "2024366").as_deref(), Ok("2024-12-31"));
    assert_eq!(day("%Y%j", "2023366"), Err(CellError::NoSuchDay));
    assert_eq!(day("%Y%j", "2024000"), Err(CellError::NoSuchDay));
    let noon = |text: &str| read("%F %I:%M %p", text).map(|w| w.clock / 60);
    assert_eq!(noon("2024-01-05 12:05 AM"), Ok(5));
    assert_eq!(noon("2024-01-05 12:05 pm"), Ok(725));
    assert_eq!(noon("2024-01-05 01:05 PM"), Ok(785));
    assert_eq!(noon("2024-01-05 00:05 PM"), Err(CellError::NoSuchTime));
    assert_eq!(noon("2024-01-05 13:05 PM"), Err(CellError::NoSuchTime));
}

#[test]
fn a_pattern_gives_each_part_once_and_says_what_to_change() {
    for (pattern, problem) in [
        ("%d.%m", "does not give day, month and year"),
        ("%H:%M", "does not give day, month and year"),
        ("%d.%m.%Y %d", "twice"),
        ("%F %j", "does not give day, month and year"),
        ("%F %I:%M", "needs both %I and %p"),
        ("%F %M", "without the hour, minute or second before it"),
        ("%F %H:%S", "without the hour, minute or second before it"),
        ("%F%z", "without the hour, minute or second before it"),
        ("%F %H:%M:%SZ%z", "twice"),
        ("%-d%m%Y", "has digits after a number of any length"),
        ("%Y-%m-%-d1", "has digits after a number of any length"),
        ("%Q %F", "%Q is not known"),
        ("%F %T.%10f", "a fraction has one to nine digits"),
        ("%F 50%", "ends within a directive"),
        ("%Z %F", "%Z is not known"),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert!(error.contains(problem) && error.contains(pattern), "{pattern}: {error}");
    }
    assert!(Pattern::new("100%% %F").is_ok());
    assert_eq!(day("%Y年%m月%d日", "2024年01月05日").as_deref(), Ok("2024-01-05"));
}

/// Patterns that `chrono` reads as well, with the same meaning of each directive.
const PATTERNS: &[&str] = &[
    "%Y%m%d%H%M%S",
    "%d.%m.%Y %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%b %d, %Y %I:%M:%S %p",
    "%a %e %B %Y %k:%M",
    "%m/%d/%Y %R",
    "%Y-%j %T",
    "%-m/%-d/%Y %-H:%M",
];

proptest! {
    #[test]
    fn what_chrono_writes_is_read_back(
        seconds in -2_208_988_800i64..10_413_792_000, nanos in 0u32..1_000_000_000, pattern in prop::sample::select(PATTERNS),
    ) {
        let nanos = if pattern.contains("%.f") { nanos } else { 0 };
        let time = DateTime::from_timestamp(seconds, nanos).unwrap().naive_utc();
        let text = time.format(pattern).to_string();
        let expected = NaiveDateTime::parse_from_str(&text, pattern).unwrap();
        let expected = (expected.and_utc().timestamp(), expected.nanosecond(), None);
        prop_assert_eq!(moment(pattern, &text), Ok(expected), "{} {}", pattern, text);
    }

    #[test]
    fn what_is_read_has_the_value_that_chrono_reads(
        seconds in -2_208_988_800i64..10_413_792_000, pattern in prop::sample::select(PATTERNS),
        at in 0usize..30, with in prop::sample::select(&[" ", "0", "1", "6", "9", "+", "-", ".", "Z", "J", "", "00"][..]),
    ) {
        let time = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
        let mut text = time.format(pattern).to_string();
        let at = at.min(text.len() - 1);
        text.replace_range(at..=at, with);
        let Ok((seconds, nanos, _)) = moment(pattern, &text) else { return Ok(()) };
        let expected = NaiveDateTime::parse_from_str(&text, pattern).unwrap_or_else(|e| panic!("{pattern} {text}: {e}"));
        prop_assert_eq!((seconds, nanos), (expected.and_utc().timestamp(), expected.nanosecond()), "{} {}", pattern, text);
    }

    #[test]
    fn no_pattern_and_no_text_panics(pattern in "(%[-_:.a-zA-Z0-9%]{1,3}|\\PC){0,8}", text in prop::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(pattern) = Pattern::new(&pattern) {
            let _ = pattern.read(&text);
        }
    }
}
