//! Values of every type are the same after the way from text to `Native` bytes and back to text.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;
use proptest::sample::select;
use rows_check::{Checker, Columns, Plan};
use rows_infer::Rendered;
use rows_types::{Column, Family, Format, Input, SCALARS, Scalar, Schema, Type};
use serde_json::Value;

/// Only JSON null is NULL.
fn json_lines() -> Input {
    Input { format: Format::JsonLines, null_values: Vec::new(), ..Input::default() }
}

/// The block of a file, and its rows as JSON lines. Every row must be good.
fn check(schema: &Schema, file: &str) -> (Vec<u8>, String) {
    let mut checker = Checker::new(Arc::new(
        Plan::bind(Columns::compile(schema.clone()).unwrap(), json_lines(), None).unwrap(),
    ));
    let outcome = checker.check(file.as_bytes(), 1, "job");
    assert_eq!(outcome.rejects().next(), None);
    let block = outcome.block();
    let (mut rows, mut out) = (Rendered::new(schema, &block).unwrap(), Vec::new());
    while rows.append(&mut out).unwrap() {}
    (block, String::from_utf8(out).unwrap())
}

/// A type, and values of the type as they are rendered.
#[derive(Clone, Debug)]
struct Cells {
    ty: String,
    values: Vec<String>,
}

const ROWS: usize = 8;

fn cells(ty: impl Into<String>, value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Cells> {
    let ty = ty.into();
    prop::collection::vec(value, ROWS).prop_map(move |values| Cells { ty: ty.clone(), values }).boxed()
}

/// A text as the JSON string that the renderer writes, made in another way.
fn json(text: &str) -> String {
    let mut out = serde_json::to_string(text).unwrap().replace('/', "\\/");
    for (plain, escaped) in [("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029"), ("\\u000b", "\\u000B")] {
        out = out.replace(plain, escaped);
    }
    (0..0x20).fold(out, |out, n: u32| out.replace(&format!("\\u{n:04x}"), &format!("\\u{n:04X}")))
}

fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{text}\"")
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}|[\"\\\\/\n\t\r\u{0}-\u{1f}\u{2027}-\u{202a}é😀]{0,8}"
}

/// `bits` random bits in decimal digits, as an integer with or without a sign.
fn integer(bits: u32, signed: bool) -> BoxedStrategy<String> {
    let low = (any::<u128>(), 0..128u32).prop_map(|(n, shift)| n >> shift);
    if bits < 256 {
        let drop = 128 - bits;
        return low
            .prop_map(move |n| {
                let n = n << drop;
                if signed { (n.cast_signed() >> drop).to_string() } else { (n >> drop).to_string() }
            })
            .boxed();
    }
    // 2^255 and 2^256 have 77 and 78 digits
    let sign = if signed { "-?" } else { "" };
    let long = proptest::string::string_regex(&format!("{sign}[1-5][0-9]{{0,75}}")).unwrap();
    prop_oneof![low.prop_map(|n| n.to_string()), long].boxed()
}

fn decimal(precision: u32, scale: u32) -> BoxedStrategy<String> {
    (prop::collection::vec(0u8..10, 1..=precision as usize), any::<bool>())
        .prop_map(move |(digits, negative)| {
            let digits: String = digits.iter().map(u8::to_string).collect();
            let digits = format!("{digits:0>width$}", width = scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
            let whole = if whole.is_empty() { "0" } else { whole };
            let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
            let point = if fraction.is_empty() { "" } else { "." };
            format!("{sign}{whole}{point}{fraction}")
        })
        .boxed()
}

/// Floats as JavaScript writes them: `{:?}` without `.0`, and `{}` where `{:?}` uses an exponent too early.
fn float<F: std::fmt::Debug + std::fmt::Display + Copy>(value: F, size: f64) -> String {
    let plain = size == 0.0 || (1e-6..1e21).contains(&size.abs());
    let text = if plain { value.to_string() } else { format!("{value:?}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Whether exactly one text with the fewest digits is nearest. If two are, Rust and ClickHouse choose different ones.
fn has_one_text(plain: &str, json: &str) -> bool {
    let digits = |text: &str| {
        let mantissa = text.split('e').next().unwrap_or_default().replace(['.', '-'], "");
        mantissa.trim_matches('0').to_owned()
    };
    digits(plain) == digits(json)
}

fn float64() -> BoxedStrategy<String> {
    let any = prop_oneof![any::<f64>(), (-1e6..1e6), (-1000i32..1000).prop_map(f64::from)];
    any.prop_filter("one text", |f| {
        f.is_finite() && has_one_text(&f.to_string(), &serde_json::to_string(f).unwrap())
    })
    .prop_map(|f| float(f, f))
    .boxed()
}

fn float32() -> BoxedStrategy<String> {
    let any = prop_oneof![any::<f32>(), (-1000i16..1000).prop_map(f32::from)];
    any.prop_filter("one text", |f| {
        f.is_finite() && has_one_text(&f.to_string(), &serde_json::to_string(f).unwrap())
    })
    .prop_map(|f| float(f, f.into()))
    .boxed()
}

/// The first half of a `Float32`, as a float.
fn bfloat16() -> BoxedStrategy<String> {
    any::<u16>()
        .prop_map(|half| f32::from_bits(u32::from(half) << 16))
        .prop_filter("one text", |f| {
            f.is_finite() && has_one_text(&f.to_string(), &serde_json::to_string(f).unwrap())
        })
        .prop_map(|f| float(f, f.into()))
        .boxed()
}

fn span(digits: usize) -> BoxedStrategy<String> {
    (any::<bool>(), 0u32..1000, 0u32..60, 0u32..60, 0u32..1_000_000_000)
        .prop_map(move |(negative, hours, minutes, seconds, nanos)| {
            let fraction = &format!("{nanos:09}")[..digits];
            let zero = hours + minutes + seconds == 0 && fraction.bytes().all(|b| b == b'0');
            let sign = if negative && !zero { "-" } else { "" };
            let point = if digits == 0 { "" } else { "." };
            quoted(format_args!("{sign}{hours:02}:{minutes:02}:{seconds:02}{point}{fraction}"))
        })
        .boxed()
}

/// Moments of these years as local times of the zone, without those that the zone has twice.
fn moment(years: std::ops::Range<i16>, digits: usize, zone: &'static str) -> BoxedStrategy<String> {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
    (years, 1i8..=12, 1i8..=28, 0i8..24, 0i8..60, 0i8..60, 0u32..1_000_000_000)
        .prop_filter_map("shown", move |(y, m, d, hour, minute, second, nanos)| {
            let at = DateTime::new(y, m, d, hour, minute, second, 0).unwrap();
            if zone.to_ambiguous_zoned(at).is_ambiguous() {
                return None;
            }
            let fraction = format!("{nanos:09}");
            let point = if digits == 0 { "" } else { "." };
            Some(quoted(format_args!("{}{point}{}", at.strftime("%Y-%m-%d %H:%M:%S"), &fraction[..digits])))
        })
        .boxed()
}

fn day(years: std::ops::Range<i16>) -> BoxedStrategy<String> {
    (years, 1i8..=12, 1i8..=28).prop_map(|(y, m, d)| quoted(jiff::civil::date(y, m, d))).boxed()
}

fn ipv6() -> impl Strategy<Value = String> {
    let groups = prop::array::uniform8(prop_oneof![Just(0u16), Just(0u16), any::<u16>()]);
    groups.prop_map(|groups| {
        quoted(match groups {
            // the spelling of the C library, which Rust does not use
            [0, 0, 0, 0, 0, 0, high, low] if high > 0 => {
                format!("::{}", Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
            }
            _ => Ipv6Addr::from(groups).to_string(),
        })
    })
}

fn uuid() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(quoted)
}

fn fixed_string(width: usize) -> impl Strategy<Value = String> {
    text().prop_filter_map("short", move |text| {
        (text.len() <= width).then(|| json(&format!("{text}{}", "\0".repeat(width - text.len()))))
    })
}

const ZONES: &[&str] = &["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
const NAMES: &str = "'a' = -100, '/\"é' = 0, 'eightchr' = 3";

/// Values of a scalar type, with any arguments.
fn of(scalar: &Scalar) -> BoxedStrategy<Cells> {
    let decimals = (1..=76u32).prop_flat_map(|p| (Just(p), 0..=p));
    let name = || select(vec!["a", "/\"é", "eightchr"]).prop_map(json);
    let bits = scalar.width().map_or(0, |width| 8 * u32::try_from(width).unwrap());
    let name_of = scalar.info().name;
    match scalar {
        Scalar::String => cells("String", text().prop_map(|text| json(&text))),
        Scalar::FixedString(_) => {
            (3..40usize).prop_flat_map(|n| cells(format!("FixedString({n})"), fixed_string(n))).boxed()
        }
        Scalar::Bool => cells("Bool", any::<bool>().prop_map(|b| b.to_string())),
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 | Scalar::Int128 | Scalar::Int256 => {
            cells(name_of, integer(bits, true))
        }
        Scalar::UInt8
        | Scalar::UInt16
        | Scalar::UInt32
        | Scalar::UInt64
        | Scalar::UInt128
        | Scalar::UInt256 => cells(name_of, integer(bits, false)),
        Scalar::Float32 => cells("Float32", float32()),
        Scalar::Float64 => cells("Float64", float64()),
        Scalar::BFloat16 => cells("BFloat16", bfloat16()),
        Scalar::Decimal(..) => {
            decimals.prop_flat_map(|(p, s)| cells(format!("Decimal({p}, {s})"), decimal(p, s))).boxed()
        }
        Scalar::Date => cells("Date", day(1970..2149)),
        Scalar::Date32 => cells("Date32", day(1900..2300)),
        Scalar::DateTime(_) => prop_oneof![
            cells("DateTime", moment(1970..2106, 0, "UTC")),
            select(ZONES).prop_flat_map(|z| cells(format!("DateTime('{z}')"), moment(1971..2106, 0, z))),
        ]
        .boxed(),
        Scalar::DateTime64(..) => prop_oneof![
            (0..=9usize).prop_flat_map(|d| cells(format!("DateTime64({d})"), moment(1900..2262, d, "UTC"))),
            (0..=9usize, select(ZONES)).prop_flat_map(|(d, z)| {
                cells(format!("DateTime64({d}, '{z}')"), moment(1901..2262, d, z))
            }),
        ]
        .boxed(),
        Scalar::Time => cells("Time", span(0)),
        Scalar::Time64(_) => {
            (0..=9usize).prop_flat_map(|digits| cells(format!("Time64({digits})"), span(digits))).boxed()
        }
        Scalar::Uuid => cells("UUID", uuid()),
        Scalar::Ipv4 => cells("IPv4", any::<u32>().prop_map(|n| quoted(Ipv4Addr::from(n)))),
        Scalar::Ipv6 => cells("IPv6", ipv6()),
        Scalar::Enum8(_) | Scalar::Enum16(_) => cells(format!("{name_of}({NAMES})"), name()),
        Scalar::Json => cells("JSON", json_object()),
    }
}

/// Every scalar type but `JSON`, which has parts here.
fn scalar() -> BoxedStrategy<Cells> {
    let types = SCALARS.iter().filter(|info| info.family != Family::Object);
    let types = types.map(|info| of(Type::parse(&info.example()).unwrap().scalar().unwrap()));
    proptest::strategy::Union::new(types).boxed()
}

/// Whether ClickHouse has a dictionary for the type.
fn may_be_low_cardinality(ty: &str) -> bool {
    Type::parse(&format!("LowCardinality({ty})")).is_ok()
}

/// Objects without blanks, as the engine accepts them; escapes are not changed.
fn json_object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i32>().prop_map(|n| n.to_string()),
        text().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            object_of(inner),
        ]
    });
    object_of(value)
}

fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    // no dot in keys: it would mean another level
    prop::collection::btree_map("[a-zé /\"\\\\{}]{0,4}", value, 0..4).prop_map(|members| {
        let member =
            |(key, value): (&String, &String)| format!("{}:{value}", serde_json::to_string(key).unwrap());
        format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
    })
}

/// The cells of an array; `counts` is how many values each cell has.
fn array_of(cells: &Cells, counts: &[usize]) -> Cells {
    let values = counts.iter().enumerate().map(|(at, count)| {
        let values = (0..*count).map(|n| cells.values[(at + n) % ROWS].as_str());
        format!("[{}]", values.collect::<Vec<_>>().join(","))
    });
    Cells { ty: format!("Array({})", cells.ty), values: values.collect() }
}

fn tuple_of(elements: &[Cells], names: bool) -> Cells {
    let name = |at: usize| ["a", "b/", "c d"][at];
    let of = |at: usize, ty: &str| if names { format!("`{}` {ty}", name(at)) } else { ty.to_owned() };
    let types: Vec<_> = elements.iter().enumerate().map(|(at, element)| of(at, &element.ty)).collect();
    let values = (0..ROWS).map(|row| {
        let value = |(at, element): (usize, &Cells)| {
            let value = &element.values[row];
            if names { format!("{}:{value}", json(name(at))) } else { value.clone() }
        };
        let values = elements.iter().enumerate().map(value).collect::<Vec<_>>().join(",");
        if names { format!("{{{values}}}") } else { format!("[{values}]") }
    });
    Cells { ty: format!("Tuple({})", types.join(", ")), values: values.collect() }
}

fn map_of(keys: &Cells, values: &Cells, counts: &[usize]) -> Cells {
    let cell = |(at, count): (usize, &usize)| {
        let mut seen = Vec::new();
        for n in 0..*count {
            let key = keys.values[(at + n) % ROWS].as_str();
            let key = if key.starts_with('"') { key.to_owned() } else { quoted(key) };
            let value = &values.values[(at + 2 * n) % ROWS];
            if !seen.iter().any(|(other, _)| *other == key) {
                seen.push((key, value));
            }
        }
        let entries: Vec<_> = seen.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        format!("{{{}}}", entries.join(","))
    };
    let values_of = counts.iter().enumerate().map(cell).collect();
    Cells { ty: format!("Map({}, {})", keys.ty, values.ty), values: values_of }
}

/// Types of any depth; their parts can have NULLs and dictionaries.
fn any_type() -> BoxedStrategy<Cells> {
    let counts = || prop::collection::vec(0..4usize, ROWS);
    let part = |inner: BoxedStrategy<Cells>| {
        (inner, any::<bool>(), any::<bool>()).prop_map(|(Cells { mut ty, mut values }, null, low)| {
            if null && Type::parse(&format!("Nullable({ty})")).is_ok() {
                ty = format!("Nullable({ty})");
                "null".clone_into(&mut values[1]);
            }
            let ty = if low && may_be_low_cardinality(&ty) { format!("LowCardinality({ty})") } else { ty };
            Cells { ty, values }
        })
    };
    prop_oneof![4 => scalar(), 1 => cells("JSON", json_object())]
        .prop_recursive(3, 8, 3, move |inner| {
            let part = part(inner.boxed()).boxed();
            prop_oneof![
                (part.clone(), counts()).prop_map(|(cells, counts)| array_of(&cells, &counts)),
                (prop::collection::vec(part.clone(), 1..=3), any::<bool>())
                    .prop_map(|(elements, names)| tuple_of(&elements, names)),
                (scalar(), part, counts()).prop_map(|(keys, values, counts)| map_of(&keys, &values, &counts)),
            ]
        })
        .boxed()
}

/// Every type, with or without NULLs, with or without a dictionary.
fn wrapped() -> impl Strategy<Value = Cells> {
    let nulls = prop::option::of(prop::collection::vec(any::<bool>(), ROWS));
    (any_type(), nulls, any::<bool>()).prop_map(|(Cells { mut ty, mut values }, nulls, low_cardinality)| {
        let low_cardinality = low_cardinality && may_be_low_cardinality(&ty);
        let nullable = Type::parse(&format!("Nullable({ty})")).is_ok();
        if let Some(nulls) = nulls.filter(|_| nullable) {
            ty = format!("Nullable({ty})");
            for (value, null) in values.iter_mut().zip(nulls) {
                if null {
                    "null".clone_into(value);
                }
            }
        }
        if low_cardinality {
            ty = format!("LowCardinality({ty})");
            // some value must occur twice
            values.splice(ROWS / 2.., values[..ROWS / 2].to_vec()).for_each(drop);
        }
        Cells { ty, values }
    })
}

/// One to six columns with any characters in their names. Some columns have the first value as default, and then some
/// rows lack them.
fn tables() -> impl Strategy<Value = (Schema, String, String)> {
    let column = (wrapped(), "\\PC{0,4}", prop::collection::vec(any::<bool>(), ROWS), any::<bool>());
    prop::collection::vec(column, 1..=6).prop_map(|columns| {
        let mut all = Vec::new();
        let (mut file, mut expected) = (vec![Vec::new(); ROWS], vec![Vec::new(); ROWS]);
        for (at, (cells, name, absent, has_default)) in columns.into_iter().enumerate() {
            let mut column = Column::new(format!("{at}{name}"), Type::parse(&cells.ty).unwrap());
            let key = json(&column.name);
            // as in a file: a string without its quotes and escapes
            let default = match serde_json::from_str::<Value>(&cells.values[0]) {
                Ok(Value::String(text)) => Some(text),
                Ok(Value::Null) => None,
                _ => Some(cells.values[0].clone()),
            };
            column.default = default.filter(|_| has_default);
            let nothing = match &column.default {
                Some(_) => Some(cells.values[0].clone()),
                None if column.ty.is_nullable() => Some("null".to_owned()),
                None => None,
            };
            for ((value, absent), (file, expected)) in
                cells.values.into_iter().zip(absent).zip(file.iter_mut().zip(&mut expected))
            {
                match &nothing {
                    Some(nothing) if absent => expected.push(format!("{key}:{nothing}")),
                    _ => {
                        file.push(format!("{key}: {value}"));
                        expected.push(format!("{key}:{value}"));
                    }
                }
            }
            all.push(column);
        }
        // the order of keys in the file has no effect
        file.iter_mut().step_by(2).for_each(|row| row.reverse());
        let lines = |rows: Vec<Vec<String>>| -> String {
            rows.iter().map(|row| format!("{{{}}}\n", row.join(","))).collect::<Vec<_>>().concat()
        };
        (Schema::new(all, None).unwrap(), lines(file), lines(expected))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_value_of_any_type_is_rendered_as_it_was_written(cells in any_type()) {
        let schema = Schema::new(vec![Column::new("v", Type::parse(&cells.ty).unwrap())], None).unwrap();
        let file = cells.values.iter().map(|v| format!("{{\"v\":{v}}}\n")).collect::<Vec<_>>().concat();
        prop_assert_eq!(check(&schema, &file).1, file, "{}", cells.ty);
    }

    #[test]
    fn what_is_rendered_makes_the_same_block((schema, file, expected) in tables()) {
        let (block, rendered) = check(&schema, &file);
        prop_assert_eq!(&rendered, &expected);
        let (again, rendered_again) = check(&schema, &rendered);
        prop_assert!(again == block, "the blocks of\n{file}and\n{rendered}differ");
        prop_assert_eq!(rendered_again, rendered);
    }
}
