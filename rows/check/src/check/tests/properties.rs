//! Properties that hold for any bytes.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use rows_bytes::simd::Level;

use super::{json_lines, native, plan, reconcile, schema, show};
use crate::{Checker, Plan};
use rows_types::{Format, Input};

const SPEC: &str = "k String, i Int32, f Nullable(Float64), d Decimal(18, 4), t DateTime, u Nullable(UUID), \
                    e Enum8('a' = 1, 'b' = 2), l LowCardinality(Nullable(String)), x FixedString(3), ip IPv6";

fn bind(input: &Input) -> Arc<Plan> {
    plan(schema(SPEC), input, b"").0
}

fn no_header() -> Input {
    Input { header: false, ..Input::default() }
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"a"[..],
        b",",
        b",",
        b",",
        b"\n",
        b"\r\n",
        b"\"",
        b"\"\"",
        b"1",
        b"-5",
        b"1.5",
        b"\xff",
        b"\xc3\xa9",
        b"2026-01-01 00:00:00",
        b"k,1,1.5,2.5,0,,a,l,xyz,::1\n",
        b"\"k\",1,,2.5,0,,b,\"l\"\"\",x,::1\r\n",
        b"",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|p| p.concat())
}

fn json_soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"{"[..],
        b"}",
        b"\n",
        b"\"k\":",
        b"\"i\":1,",
        b"\"",
        b"\\",
        b"null",
        b"[",
        b"]",
        b"\"x\":{}",
        b",",
        b" ",
        b"\\u00e9",
        b"\xff",
        b"{\"k\":\"a\",\"i\":1,\"d\":1,\"t\":0,\"e\":\"a\",\"x\":\"\",\"ip\":\"::\"}\n",
        b"{\"i\":1e400}\n",
        b"{}\n",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn csv_of_any_bytes_is_counted_row_by_row(bytes in soup().boxed().prop_union(any::<Vec<u8>>().boxed())) {
        let plan = bind(&no_header());
        let mut shown = Vec::new();
        for level in Level::all() {
            shown.push(show_lossy(&plan, level, &bytes));
        }
        prop_assert!(shown.windows(2).all(|w| w[0] == w[1]));
    }

    #[test]
    fn json_of_any_bytes_is_counted_row_by_row(bytes in json_soup().boxed().prop_union(any::<Vec<u8>>().boxed())) {
        show_lossy(&bind(&json_lines()), Level::detect(), &bytes);
    }

    #[test]
    fn a_checker_of_any_dialect_accounts_for_any_bytes(
        input in super::rejects::dialect(),
        format in prop::sample::select(vec![Format::Csv, Format::JsonLines, Format::Json]),
        bytes in soup().boxed().prop_union(json_soup().boxed()).or(any::<Vec<u8>>().boxed()),
    ) {
        let plan = bind(&Input { format, header: false, ..input });
        for level in Level::all() {
            reconcile(&Checker::at_level(plan.clone(), level).check(&bytes, 1, ""));
        }
    }

    #[test]
    fn an_integer_survives_text(n: i64, m: u64, small: i8, wide: i128) {
        let file = format!("{n},{m},{small},{wide}\n");
        round_trip("a Int64, b UInt64, c Int8, d Int128", &file, &[n.to_string(), m.to_string(), small.to_string(), wide.to_string()]);
    }

    #[test]
    fn a_float_survives_text(bits: u64, small_bits: u32) {
        let (a, b) = (f64::from_bits(bits), f32::from_bits(small_bits));
        prop_assume!(a.is_finite() && b.is_finite());
        round_trip("a Float64, b Float32", &format!("{a:?},{b:?}\n"), &[format!("{a:?}"), format!("{b:?}")]);
        round_trip("a Float64, b Float32", &format!("{a},{b}\n"), &[format!("{a:?}"), format!("{b:?}")]);
    }

    #[test]
    fn a_short_float_is_what_the_standard_library_reads(whole in 0u32..1_000_000, fraction in 0u32..1_000_000, places in 1usize..8) {
        let text = format!("{whole}.{fraction:0places$}");
        let (a, b): (f64, f32) = (text.parse().unwrap(), text.parse().unwrap());
        round_trip("a Float64, b Float32", &format!("{text},{text}\n"), &[format!("{a:?}"), format!("{b:?}")]);
    }

    #[test]
    fn a_decimal_survives_text(n in -999_999_999_999_999_999i64..=999_999_999_999_999_999, scale in 0u32..=18) {
        let ten = 10u64.pow(scale);
        let (sign, size) = (if n < 0 { "-" } else { "" }, n.unsigned_abs());
        let fraction = format!("{:0width$}", size % ten, width = scale as usize);
        let text = if scale == 0 { format!("{sign}{size}") } else { format!("{sign}{}.{fraction}", size / ten) };
        for precision in [18, 30, 76] {
            let ty = format!("a Decimal({precision}, {scale})");
            let shown = if precision == 76 { hex256(i128::from(n)) } else { n.to_string() };
            round_trip(&ty, &format!("{text}\n"), &[shown]);
        }
    }

    #[test]
    fn a_moment_survives_text(seconds in 0i64..=4_294_967_295, nanos in 0i32..1_000_000_000) {
        let at = jiff::Timestamp::new(seconds, nanos).unwrap();
        let whole = jiff::Timestamp::from_second(seconds).unwrap();
        let local = whole.to_zoned(jiff::tz::TimeZone::get("America/New_York").unwrap());
        let epoch = if seconds < 100_000_000 { whole.to_string() } else { seconds.to_string() };
        let text = format!("{at},{whole},{},{epoch}\n", local.strftime("%Y-%m-%d %H:%M:%S%:z"));
        let shown = [at.to_string(), whole.to_string(), whole.to_string(), whole.to_string()];
        round_trip("a DateTime64(9), b DateTime, c DateTime('America/New_York'), d DateTime", &text, &shown);
    }

    #[test]
    fn a_day_survives_text(days in -25_567i64..=120_529) {
        let day = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap().to_string();
        round_trip("a Date32", &format!("{day}\n"), &[day]);
    }

    #[test]
    fn a_day_is_a_day_only_if_the_calendar_has_it(year in 1890i16..2310, month in 0i8..14, day in 0i8..33) {
        let plan = plan(schema("a Date32"), &no_header(), b"").0;
        let mut checker = Checker::new(plan);
        let real = jiff::civil::Date::new(year, month, day).is_ok() && (1900..2300).contains(&year);
        let ok = checker.check(format!("{year:04}-{month:02}-{day:02}\n").as_bytes(), 1, "").ok() == 1;
        prop_assert_eq!(ok, real);
    }

    #[test]
    fn an_address_and_a_uuid_survive_text(a: u32, b: u128, c: u128) {
        let (a, b) = (std::net::Ipv4Addr::from(a), std::net::Ipv6Addr::from(b));
        let h = format!("{c:032x}");
        let c = format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]);
        round_trip("a IPv4, b IPv6, c UUID", &format!("{a},{b},{c}\n"), &[a.to_string(), b.to_string(), c]);
    }

    #[test]
    fn an_ipv6_address_is_what_the_standard_library_reads(text in "[0-9a-f:]{0,20}|([0-9a-f]{1,4}:){0,8}:?[0-9a-f:.]{0,8}") {
        let plan = plan(schema("a Nullable(IPv6), b String"), &no_header(), b"").0;
        let mut checker = Checker::new(plan);
        let ok = checker.check(format!("{text},x\n").as_bytes(), 1, "").ok() == 1;
        let expected = text.is_empty() || text.parse::<std::net::IpAddr>().is_ok();
        prop_assert_eq!(ok, expected);
    }

    #[test]
    fn a_text_survives_csv_and_json(text in "\\PC{0,40}|[\",\r\n\\\\x]{0,12}") {
        let csv = format!("\"{}\",1\n", text.replace('"', "\"\""));
        round_trip("a String, b UInt8", &csv, &[text.escape_debug().to_string(), "1".to_owned()]);
        let json = format!("{}\n", serde_json::json!({ "a": text, "b": 1 }));
        let (plan, bytes) = plan(schema("a String, b UInt8"), &json_lines(), json.as_bytes());
        let mut checker = Checker::new(plan);
        let outcome = checker.check(bytes, 1, "job");
        prop_assert_eq!(&native::rows(&outcome.block())[0].values[0], &text.escape_debug().to_string());
    }

    #[test]
    fn texts_of_any_length_survive_in_every_kind_of_column(
        texts in prop::collection::vec("[a-c]{0,3}|[a-z\"\n, ]{0,70}|\\PC{0,20}|[a-z]{120,140}", 1..30),
        quotes in prop::collection::vec(any::<bool>(), 30),
    ) {
        // name, type, maximum length in bytes, whether it is padded to that length, whether it can be NULL
        let columns = [
            ("a", "String", 600, false, false),
            ("b", "Nullable(String)", 600, false, true),
            ("c", "LowCardinality(String)", 600, false, false),
            ("d", "LowCardinality(Nullable(String))", 600, false, true),
            ("e", "FixedString(9)", 9, true, false),
            ("f", "FixedString(600)", 600, true, false),
            ("g", "Nullable(FixedString(16))", 16, true, true),
        ];
        let spec = columns.map(|c| format!("{} {}, ", c.0, c.1)).concat() + "n UInt8";
        let (mut csv, mut json, mut expected) = (String::new(), String::new(), Vec::new());
        for (i, text) in texts.iter().enumerate() {
            let plain = !quotes[i] && !text.contains(['"', ',', '\n', '\r']);
            // some records are bad
            let number = if i % 5 == 3 { "x".to_owned() } else { i.to_string() };
            let mut values = Vec::new();
            json.push('{');
            for (name, _, most, filled, nullable) in columns {
                let fits = (0..=most.min(text.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
                let cell = &text[..fits];
                let null = cell.is_empty() && plain && nullable;
                let quoted = format!("\"{}\"", cell.replace('"', "\"\""));
                csv.push_str(if plain { cell } else { &quoted });
                csv.push(',');
                let value = if null { serde_json::Value::Null } else { cell.into() };
                let _ = write!(json, "\"{name}\":{value},");
                let zeros = "\0".repeat(if filled { most - fits } else { 0 });
                values.push(if null { "NULL".to_owned() } else { format!("{cell}{zeros}").escape_debug().to_string() });
            }
            let _ = writeln!(csv, "{number}");
            let _ = writeln!(json, "\"n\":\"{number}\"}}");
            values.push(number);
            expected.extend((i % 5 != 3).then_some(values));
        }
        for (input, file) in [(no_header(), csv), (json_lines(), json)] {
            let plan = plan(schema(&spec), &input, b"").0;
            for level in Level::all() {
                let mut checker = Checker::at_level(plan.clone(), level);
                // twice: the second time, the buffers contain the bytes of the first
                for _ in 0..2 {
                    let rows = native::rows(&checker.check(file.as_bytes(), 1, "job").block());
                    let values: Vec<_> = rows.into_iter().map(|row| row.values).collect();
                    prop_assert_eq!(&values, &expected);
                }
            }
        }
    }
}

fn hex256(n: i128) -> String {
    let high = if n < 0 { "f" } else { "0" };
    format!("{}{n:032x}", high.repeat(32))
}

fn round_trip(spec: &str, file: &str, expected: &[String]) {
    let plan = plan(schema(spec), &no_header(), b"").0;
    let mut checker = Checker::new(plan);
    let outcome = checker.check(file.as_bytes(), 1, "job");
    let rejects: Vec<_> = outcome.rejects().collect();
    assert!(rejects.is_empty(), "{rejects:?}");
    assert_eq!(native::rows(&outcome.block())[0].values, expected);
}

fn show_lossy(plan: &Arc<Plan>, level: Level, bytes: &[u8]) -> String {
    let mut checker = Checker::at_level(plan.clone(), level);
    let outcome = checker.check(bytes, 1, "job");
    reconcile(&outcome);
    show(&outcome)
}
