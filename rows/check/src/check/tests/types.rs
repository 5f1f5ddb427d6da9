//! The fidelity rules: which texts each type accepts as which values, and which it rejects with which code.

use std::sync::Arc;

use super::{native, schema};
use crate::Checker;
use rows_types::Code::{self, InvalidEnum, InvalidType, OutOfRange, PrecisionLoss, TooLong};
use rows_types::{Column, Input, Schema, Type};

/// Reads the text as a cell of a record of its own, after a delimiter, without quotes. The file has no header.
fn read(schema: &Schema, text: &str) -> Result<String, Code> {
    let input = Input { header: false, delimiter: '|', quote: '\0', ..Input::default() };
    let plan = Arc::new(super::bind(schema.clone(), input, None).unwrap());
    let mut checker = Checker::new(plan);
    let file = format!("x|{text}\n");
    let outcome = checker.check(file.as_bytes(), 1, "job");
    match outcome.rejects().next() {
        Some(reject) => Err(reject.code),
        None => Ok(native::rows(&outcome.block()).remove(0).values.remove(1)),
    }
}

#[track_caller]
fn accepts(ty: &str, cases: &[(&str, &str)]) {
    let schema = schema(&format!("k String, v {ty}"));
    for (text, expected) in cases {
        assert_eq!(read(&schema, text).as_deref(), Ok(*expected), "{ty} reads {text:?}");
    }
}

#[track_caller]
fn same(ty: &str, texts: &[&str]) {
    accepts(ty, &texts.iter().map(|t| (*t, *t)).collect::<Vec<_>>());
}

#[track_caller]
fn rejects(ty: &str, code: Code, texts: &[&str]) {
    let schema = schema(&format!("k String, v {ty}"));
    for text in texts {
        assert_eq!(read(&schema, text), Err(code), "{ty} reads {text:?}");
    }
}

const NO_INTEGER: &[&str] = &[
    "x", "-", "1.0", "1.", "1e3", "+5", "007", "00", "-01", " 7", "7 ", "1_000", "0x10", "12a", "--1", "1,5",
    "٣", "1\u{0}", "\t1",
];

#[test]
fn integers_hold_exactly_their_range() {
    same("Int8", &["0", "127", "-128", "7"]);
    same("Int16", &["32767", "-32768"]);
    same("Int32", &["2147483647", "-2147483648"]);
    same(
        "Int64",
        &["9223372036854775807", "-9223372036854775808", "123456789012345678", "12345678901234567"],
    );
    same("UInt8", &["0", "255"]);
    same("UInt16", &["65535"]);
    same("UInt32", &["4294967295", "12345678", "123456789"]);
    same("UInt64", &["18446744073709551615", "1234567890123456", "9007199254740993"]);
    same("Int128", &["170141183460469231731687303715884105727", "-170141183460469231731687303715884105728"]);
    same("UInt128", &["340282366920938463463374607431768211455"]);
    accepts(
        "Int256",
        &[
            ("-340282366920938463463374607431768211456", &("ff".repeat(16) + &"00".repeat(16))),
            ("-1", &"ff".repeat(32)),
            ("256", &format!("{}0100", "00".repeat(30))),
        ],
    );
    accepts(
        "UInt256",
        &[(
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            &"ff".repeat(32),
        )],
    );
    rejects("Int8", OutOfRange, &["128", "-129", "300", "99999999999999999999999"]);
    rejects("Int64", OutOfRange, &["9223372036854775808", "-9223372036854775809", "99999999999999999999"]);
    rejects("UInt8", OutOfRange, &["256", "300000", "-1", "-0"]);
    rejects("UInt64", OutOfRange, &["18446744073709551616", "100000000000000000000", "-5"]);
    rejects("Int128", OutOfRange, &["170141183460469231731687303715884105728"]);
    rejects("UInt128", OutOfRange, &["340282366920938463463374607431768211456", "-1"]);
    rejects(
        "Int256",
        OutOfRange,
        &["57896044618658097711785492504343953926634992332820282019728792003956564819968"],
    );
    rejects(
        "UInt256",
        OutOfRange,
        &["115792089237316195423570985008687907853269984665640564039457584007913129639936"],
    );
    accepts("Int32", &[("-0", "0")]);
}

#[test]
fn an_integer_is_written_in_the_grammar_of_json_numbers() {
    for ty in ["Int8", "Int64", "UInt8", "UInt64", "Int128", "UInt256"] {
        rejects(ty, InvalidType, NO_INTEGER);
    }
}

#[test]
fn floats_are_the_nearest_ones_and_always_finite() {
    accepts(
        "Float64",
        &[
            ("12.5", "12.5"),
            ("8.0", "8.0"),
            ("0", "0.0"),
            ("-0", "-0.0"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("0.1", "0.1"),
            ("1E-7", "1e-7"),
            ("9007199254740993", "9007199254740992.0"),
            ("1.7976931348623157e308", "1.7976931348623157e308"),
            ("5e-324", "5e-324"),
            ("123456789.123456", "123456789.123456"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("0e5", "0.0"),
            ("1234567.8", "1234567.8"),
            ("12345678.9", "12345678.9"),
        ],
    );
    accepts(
        "Float32",
        &[
            ("0.1", "0.1"),
            ("16777217", "16777216.0"),
            ("3.4028235e38", "3.4028235e38"),
            ("0.12345", "0.12345"),
        ],
    );
    rejects("Float64", OutOfRange, &["1e400", "-1e400", "1e-400"]);
    rejects("Float32", OutOfRange, &["1e39", "3.5e38", "1e-60"]);
    for ty in ["Float32", "Float64"] {
        rejects(
            ty,
            InvalidType,
            &[
                "inf", "-inf", "nan", "NaN", "Infinity", "+1.5", ".5", "5.", "00.5", "01", " 7", "7 ",
                "1_0.5", "1.2.3", "1e", "e5", "1,5", "0x1p3", "-", ".", "1.5f", "--1",
            ],
        );
    }
}

#[test]
fn decimals_are_exact_and_never_rounded() {
    accepts(
        "Decimal(9, 2)",
        &[
            ("1.23", "123"),
            ("-1.2", "-120"),
            ("1.2300", "123"),
            ("0", "0"),
            ("9999999.99", "999999999"),
            ("-0.01", "-1"),
            ("5", "500"),
        ],
    );
    accepts("Decimal(18, 4)", &[("99999999999999.9999", "999999999999999999"), ("-123456.7", "-1234567000")]);
    accepts(
        "Decimal(38, 10)",
        &[("1234567890123456789012345678.0123456789", "12345678901234567890123456780123456789")],
    );
    accepts("Decimal(76, 0)", &[("-1", &"ff".repeat(32))]);
    accepts("Decimal64(3)", &[("1.5", "1500")]);
    rejects("Decimal(9, 2)", PrecisionLoss, &["1.239", "0.001", "1.2345678901234567890123"]);
    rejects("Decimal(9, 2)", OutOfRange, &["10000000", "-10000000.00", "123456789012345678901234567890"]);
    rejects("Decimal(38, 0)", OutOfRange, &["100000000000000000000000000000000000000"]);
    rejects(
        "Decimal(9, 2)",
        InvalidType,
        &["1.2.3", "1e3", "+1.5", ".5", "5.", "1_000", " 1", "00.5", "abc", "1,5", "-"],
    );
}

#[test]
fn a_bool_is_true_false_one_or_zero() {
    accepts("Bool", &[("true", "true"), ("1", "true"), ("True", "true"), ("FALSE", "false"), ("0", "false")]);
    rejects("Bool", InvalidType, &["yes", "on", "t", "2", "tRue", " true", "truee"]);
}

#[test]
fn a_date_is_a_day_of_the_calendar_in_range() {
    same("Date", &["1970-01-01", "2149-06-06", "2024-02-29", "2000-02-29", "2026-11-23"]);
    same("Date32", &["1900-01-01", "2299-12-31", "1969-12-31"]);
    rejects(
        "Date",
        InvalidType,
        &[
            "2026-02-30",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "1900-02-29x",
            "2026-1-1",
            "20260101",
            "2026/01/01",
            "2026-02-03x",
            " 2026-02-03",
            "2026-02-03 00:00:00",
            "abc",
            "2023-02-29",
            "+026-01-01",
        ],
    );
    rejects("Date", OutOfRange, &["1969-12-31", "2149-06-07", "9999-12-31", "0001-01-01"]);
    rejects("Date32", OutOfRange, &["1899-12-31", "2300-01-01"]);
    rejects("Date32", InvalidType, &["1900-02-29", "2100-02-29", "0001-02-30"]);
}

#[test]
fn a_time_without_an_offset_is_on_the_clock_of_the_columns_zone() {
    accepts(
        "DateTime",
        &[
            ("2026-11-23 01:02:03", "2026-11-23T01:02:03Z"),
            ("2026-11-23T01:02:03", "2026-11-23T01:02:03Z"),
            ("2026-11-23T01:02:03Z", "2026-11-23T01:02:03Z"),
            ("2026-11-23T01:02:03+02:00", "2026-11-22T23:02:03Z"),
            ("2026-11-23T01:02:03.000", "2026-11-23T01:02:03Z"),
            ("1716045542", "2024-05-18T15:19:02Z"),
            ("100000000", "1973-03-03T09:46:40Z"),
            ("4294967295", "2106-02-07T06:28:15Z"),
            ("1969-12-31 23:30:00-01:00", "1970-01-01T00:30:00Z"),
        ],
    );
    accepts(
        "DateTime('Europe/Berlin')",
        &[
            ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-12-01 12:00:00", "2026-12-01T11:00:00Z"),
            ("2026-07-01 12:00:00Z", "2026-07-01T12:00:00Z"),
        ],
    );
}

#[test]
fn digits_that_could_be_a_year_or_a_day_or_milliseconds_are_no_seconds() {
    for ty in ["DateTime", "DateTime64(3)"] {
        rejects(
            ty,
            InvalidType,
            &["0", "2024", "202401", "20240105", "10000000", "1704449472000", "20240105101112"],
        );
    }
    let seconds = with_format("DateTime", "epoch_seconds");
    assert_eq!(read(&seconds, "2024").as_deref(), Ok("1970-01-01T00:33:44Z"));
}

#[test]
fn of_a_time_shown_twice_the_first_is_taken_and_one_skipped_is_rejected() {
    accepts("DateTime('Europe/Berlin')", &[("2026-10-25 02:30:00", "2026-10-25T00:30:00Z")]);
    rejects("DateTime('Europe/Berlin')", InvalidType, &["2026-03-29 02:30:00"]);
}

#[test]
fn a_time_of_day_is_real_and_a_moment_in_range() {
    rejects(
        "DateTime",
        InvalidType,
        &[
            "2026-01-01 25:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 00:00:60",
            "2026-01-01 00:60:00",
            "2026-02-30 00:00:00",
            "2026-01-01",
            "2026-01-01 00:00",
            "2026-01-01  00:00:00",
            "2026-01-01 00:00:00 ",
            "2026-01-01 0:00:00",
            "-1",
            "2026-01-01 00:00:00+2",
            "2026-01-01 00:00:00+99:00",
            "12345678901",
            "0123",
            "2026-01-01x00:00:00",
            "+5",
            "2026-01-01 00:00:00.",
            "now",
        ],
    );
    rejects(
        "DateTime",
        OutOfRange,
        &["1969-12-31 23:59:59", "2106-02-07 06:28:16", "4294967296", "9999-01-01 00:00:00"],
    );
    rejects("DateTime", PrecisionLoss, &["2026-01-01 00:00:00.5", "1716045542.5"]);
}

#[test]
fn a_fraction_of_a_second_is_kept_or_rejected() {
    accepts(
        "DateTime64(3)",
        &[
            ("2026-01-01 00:00:00.123", "2026-01-01T00:00:00.123Z"),
            ("2026-01-01 00:00:00.1", "2026-01-01T00:00:00.1Z"),
            ("2026-01-01 00:00:00", "2026-01-01T00:00:00Z"),
            ("2026-01-01 00:00:00.1230000", "2026-01-01T00:00:00.123Z"),
            ("1900-01-01 00:00:00", "1900-01-01T00:00:00Z"),
            ("2299-12-31 23:59:59.999", "2299-12-31T23:59:59.999Z"),
            ("1716045542.25", "2024-05-18T15:19:02.25Z"),
        ],
    );
    accepts(
        "DateTime64(9, 'Asia/Tokyo')",
        &[("2026-01-01T09:00:00.123456789", "2026-01-01T00:00:00.123456789Z")],
    );
    rejects("DateTime64(3)", PrecisionLoss, &["2026-01-01 00:00:00.1234", "1716045542.0001"]);
    rejects("DateTime64(9)", OutOfRange, &["2262-04-12 00:00:00"]);
    rejects("DateTime64(3)", OutOfRange, &["2300-01-01 00:00:00", "1899-12-31 23:59:59"]);
}

#[test]
fn a_uuid_is_hyphenated_hexadecimal_of_either_case() {
    accepts(
        "UUID",
        &[
            ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
            ("FFFFFFFF-0123-4567-89AB-cdefCDEF0001", "ffffffff-0123-4567-89ab-cdefcdef0001"),
        ],
    );
    rejects(
        "UUID",
        InvalidType,
        &[
            "550e8400e29b41d4a716446655440000",
            "{550e8400-e29b-41d4-a716-446655440000}",
            "550e8400-e29b-41d4-a716-44665544000g",
            "550e8400-e29b-41d4-a716-44665544000",
            "550e8400+e29b-41d4-a716-446655440000",
            "x",
            "550e8400-e29b-41d4-a716-4466554400é",
            "550e8400-e29b-41d4-a716-44665544000`",
            "550e8400-e29b-41d4-a716-44665544000/",
            "550e8400-e29b-41d4-a716-44665544000:",
            "550e8400-e29b-41d4-a716-44665544000@",
        ],
    );
}

#[test]
fn an_ip_address_is_written_as_its_rfc_says() {
    same("IPv4", &["0.0.0.0", "255.255.255.255", "192.0.2.1"]);
    rejects(
        "IPv4",
        InvalidType,
        &[
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.4 ",
            "1..2.3",
            ".1.2.3.4",
            "1.2.3.",
            "a.b.c.d",
        ],
    );
    same("IPv6", &["::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "fe80::", "1::8", "::ffff:1.2.3.4"]);
    accepts(
        "IPv6",
        &[
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ],
    );
    rejects(
        "IPv6",
        InvalidType,
        &[
            ":",
            ":::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1::2::3",
            "12345::",
            "fe80::1%eth0",
            "g::",
            "1:",
            ":1",
            "1:2:3:4:5:6:7:8::",
            "::1:2:3:4:5:6:7:8",
        ],
    );
}

#[test]
fn an_enum_takes_its_names_and_nothing_else() {
    let ty = "Enum8('new' = 1, 'paid' = 2, 'a longer name' = -3)";
    same(ty, &["new", "paid", "a longer name"]);
    rejects(ty, InvalidEnum, &["1", "New", "new ", "ne", "newer", "x"]);
    same("Enum16('a' = 1, 'b' = 1000)", &["a", "b"]);
    same("Enum8('a' = 1, 'b' = 2, 'eightchr' = 3)", &["a", "b", "eightchr"]);
    rejects("Enum8('a' = 1, 'eightchr' = 3)", InvalidEnum, &["eightchrs", "eightch", "A"]);
}

#[test]
fn texts_are_kept_as_they_are() {
    same("String", &["x", " x ", "007", "a,b", "é€😀"]);
    accepts("String", &[("\\N", "\\\\N")]);
    accepts("FixedString(3)", &[("abc", "abc"), ("a", "a\\0\\0"), ("é", "é\\0")]);
    rejects("FixedString(3)", TooLong, &["abcd", "éé"]);
    same("LowCardinality(String)", &["x", "y"]);
    same("LowCardinality(UInt32)", &["7"]);
    same("LowCardinality(Nullable(FixedString(1)))", &["z"]);
}

#[test]
fn a_wrapped_type_reads_as_the_type_in_it() {
    rejects("Nullable(UInt8)", OutOfRange, &["256"]);
    rejects("LowCardinality(Nullable(Int8))", OutOfRange, &["-129"]);
    same("Nullable(Decimal(9, 0))", &["5"]);
}

fn with_format(ty: &str, format: &str) -> Schema {
    let column = Column { format: Some(format.to_owned()), ..Column::new("v", Type::parse(ty).unwrap()) };
    Schema::new(vec![Column::new("k", Type::parse("String").unwrap()), column], None).unwrap()
}

#[test]
fn a_format_replaces_the_usual_spelling_of_dates() {
    let days = with_format("Date", "%d.%m.%Y");
    assert_eq!(read(&days, "23.11.2026").as_deref(), Ok("2026-11-23"));
    assert_eq!(read(&days, "2026-11-23"), Err(InvalidType));
    assert_eq!(read(&days, "30.02.2026"), Err(InvalidType));
    assert_eq!(read(&days, "23.11.1926"), Err(OutOfRange));
    let zoned = with_format("DateTime('Europe/Berlin')", "%d.%m.%Y %H:%M");
    assert_eq!(read(&zoned, "01.07.2026 12:00").as_deref(), Ok("2026-07-01T10:00:00Z"));
    let offset = with_format("DateTime64(3)", "%Y%m%dT%H%M%S%z");
    assert_eq!(read(&offset, "20260701T120000+0200").as_deref(), Ok("2026-07-01T10:00:00Z"));
    let millis = with_format("DateTime64(3)", "epoch_millis");
    assert_eq!(read(&millis, "1716045542123").as_deref(), Ok("2024-05-18T15:19:02.123Z"));
    assert_eq!(read(&millis, "-1").as_deref(), Ok("1969-12-31T23:59:59.999Z"));
    assert_eq!(read(&millis, "2026-01-01 00:00:00"), Err(InvalidType));
    assert_eq!(read(&with_format("DateTime", "epoch_millis"), "1716045542123"), Err(PrecisionLoss));
}

#[test]
fn times_are_clocks_or_spans_of_either_sign() {
    accepts(
        "Time",
        &[("12:34:56", "45296"), ("00:00:00", "0"), ("-999:59:59", "-3599999"), ("100:00:01.000", "360001")],
    );
    rejects(
        "Time",
        InvalidType,
        &[
            "1:02:03",
            "12:34",
            "12:34:5",
            "12-34-56",
            "24:60:00",
            "12:34:56.",
            "+12:34:56",
            "1000:00:00",
            "45296",
            "x",
        ],
    );
    rejects("Time", PrecisionLoss, &["12:34:56.5"]);
    accepts("Time64(3)", &[("12:34:56.7", "45296700"), ("-00:00:01.5", "-1500"), ("00:00:00.1230", "123")]);
    rejects("Time64(3)", PrecisionLoss, &["00:00:00.1234"]);
    rejects("Time64(0)", InvalidType, &["00:00:00.a", "00:00:00 "]);
}

#[test]
fn a_bfloat16_is_the_front_of_the_nearest_float32() {
    accepts(
        "BFloat16",
        &[("1", "1.0"), ("1.007", "1.0"), ("-2.5", "-2.5"), ("0", "0.0"), ("3.39e38", "3.3895314e38")],
    );
    rejects("BFloat16", OutOfRange, &["1e39", "1e-50", "1e-41"]);
    rejects("BFloat16", InvalidType, &["nan", "x", " 1"]);
}
