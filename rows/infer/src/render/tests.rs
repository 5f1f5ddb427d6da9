//! Rows as JSON, and bytes that are not a block.

use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::{BlockError, Rendered};
use rows_check::{Checker, Columns, Plan};
use rows_types::{Column, Format, Input, Schema, Type};

fn schema(columns: &[(&str, &str)]) -> Schema {
    let column = |(name, ty): &(&str, &str)| Column::new(*name, Type::parse(ty).unwrap());
    Schema::new(columns.iter().map(column).collect(), None).unwrap()
}

/// The block of a JSON lines file.
fn block(schema: &Schema, file: &str) -> Vec<u8> {
    let input = Input { format: Format::JsonLines, ..Input::default() };
    let mut checker =
        Checker::new(Arc::new(Plan::bind(Columns::compile(schema.clone()).unwrap(), input, None).unwrap()));
    let outcome = checker.check(file.as_bytes(), 1, "job");
    assert_eq!(outcome.rejects().next(), None);
    outcome.block()
}

fn render(schema: &Schema, block: &[u8]) -> Result<String, BlockError> {
    let (mut rows, mut out) = (Rendered::new(schema, block)?, Vec::new());
    while rows.append(&mut out)? {}
    Ok(String::from_utf8(out).unwrap())
}

/// Checks how JSON values, one on each line, are rendered as values of the type.
#[track_caller]
fn shows(ty: &str, file: &str, expected: &Expect) {
    let schema = schema(&[("v", ty)]);
    let lines = file.lines().map(|value| format!("{{\"v\":{value}}}\n")).collect::<Vec<_>>().concat();
    expected.assert_eq(
        &render(&schema, &block(&schema, &lines)).unwrap().replace("{\"v\":", "").replace("}\n", "\n"),
    );
}

#[test]
fn a_row_has_the_columns_in_the_tables_order_and_nothing_else() {
    let schema =
        schema(&[("b/\"", "String"), ("a", "LowCardinality(Nullable(String))"), ("n", "Nullable(UInt8)")]);
    let block = block(&schema, "{\"n\":1,\"b/\\\"\":\"x\"}\n{\"a\":\"y\",\"b/\\\"\":\"\"}\n");
    expect![[r#"
        {"b\/\"":"x","a":null,"n":1}
        {"b\/\"":"","a":"y","n":null}
    "#]]
    .assert_eq(&render(&schema, &block).unwrap());
}

// The expected texts below are those that ClickHouse 26.9 prints.

#[test]
fn numbers_are_written_in_full_and_decimals_without_zeros_at_the_end() {
    shows(
        "UInt256",
        "115792089237316195423570985008687907853269984665640564039457584007913129639935\n0\n10000000000000000000",
        &expect![[r#"
        115792089237316195423570985008687907853269984665640564039457584007913129639935
        0
        10000000000000000000
    "#]],
    );
    shows(
        "Int256",
        "-57896044618658097711785492504343953926634992332820282019728792003956564819968\n-1",
        &expect![[r#"
        -57896044618658097711785492504343953926634992332820282019728792003956564819968
        -1
    "#]],
    );
    shows(
        "Int128",
        "-170141183460469231731687303715884105728",
        &expect![[r#"
        -170141183460469231731687303715884105728
    "#]],
    );
    shows(
        "Decimal(9, 3)",
        "1.5\n-0.05\n12.000\n0\n-999999.999",
        &expect![[r#"
        1.5
        -0.05
        12
        0
        -999999.999
    "#]],
    );
    shows(
        "Decimal(76, 76)",
        "-0.0000000000000000000000000000000000000000000000000000000000000000000000000001",
        &expect![[r#"
        -0.0000000000000000000000000000000000000000000000000000000000000000000000000001
    "#]],
    );
}

#[test]
fn floats_have_the_fewest_digits_and_an_exponent_only_when_long() {
    let file = "0.1\n-0.0\n100\n1e20\n1e21\n1.5e21\n1e-6\n1.5e-6\n1e-7\n-2.5e-7\n5e-324\n9007199254740993";
    shows(
        "Float64",
        file,
        &expect![[r#"
        0.1
        -0
        100
        100000000000000000000
        1e21
        1.5e21
        0.000001
        0.0000015
        1e-7
        -2.5e-7
        5e-324
        9007199254740992
    "#]],
    );
    // for each of the last two, there are two shortest texts that are equally near
    shows(
        "Float32",
        "0.1\n16777217\n3.4028235e38\n2683966.25\n334199.125",
        &expect![[r#"
        0.1
        16777216
        3.4028235e38
        2683966.2
        334199.12
    "#]],
    );
}

#[test]
fn times_are_on_the_clock_of_the_columns_zone_with_all_their_digits() {
    shows(
        "DateTime",
        "\"2026-07-01T12:00:00+02:00\"\n\"1970-01-01 00:00:00\"\n4294967295",
        &expect![[r#"
        "2026-07-01 10:00:00"
        "1970-01-01 00:00:00"
        "2106-02-07 06:28:15"
    "#]],
    );
    shows(
        "DateTime('Europe/Berlin')",
        "\"2026-07-01T10:00:00Z\"\n\"2026-12-01 12:00:00\"",
        &expect![[r#"
        "2026-07-01 12:00:00"
        "2026-12-01 12:00:00"
    "#]],
    );
    shows(
        "DateTime64(3, 'Asia/Tokyo')",
        "\"1969-12-31T23:59:59.5Z\"",
        &expect![[r#"
        "1970-01-01 08:59:59.500"
    "#]],
    );
    shows(
        "DateTime64(9)",
        "\"1900-01-01 00:00:00.000000001\"",
        &expect![[r#"
        "1900-01-01 00:00:00.000000001"
    "#]],
    );
    shows(
        "DateTime64(0)",
        "\"2299-12-31 23:59:59\"",
        &expect![[r#"
        "2299-12-31 23:59:59"
    "#]],
    );
    shows(
        "Date32",
        "\"1900-01-01\"\n\"2299-12-31\"",
        &expect![[r#"
        "1900-01-01"
        "2299-12-31"
    "#]],
    );
    shows(
        "Date",
        "\"2149-06-06\"",
        &expect![[r#"
        "2149-06-06"
    "#]],
    );
}

#[test]
fn texts_are_escaped_and_a_fixed_string_keeps_its_zero_bytes() {
    shows(
        "String",
        r#""\"\\\/\b\f\n\r\t\u0000\u000b\u001f\u2028\u2029\u2027é😀""#,
        &expect![[r#"
        "\"\\\/\b\f\n\r\t\u0000\u000B\u001F\u2028\u2029‧é😀"
    "#]],
    );
    shows(
        "FixedString(4)",
        "\"ab\"\n\"é\"",
        &expect![[r#"
        "ab\u0000\u0000"
        "é\u0000\u0000"
    "#]],
    );
    shows(
        "Enum16('x/' = -1000, 'y' = 1000)",
        "\"x/\"\n\"y\"",
        &expect![[r#"
        "x\/"
        "y"
    "#]],
    );
    shows(
        "Bool",
        "1\nfalse",
        &expect![[r#"
        true
        false
    "#]],
    );
}

#[test]
fn an_address_is_written_as_the_c_library_does() {
    let file =
        "\"::\"\n\"::1\"\n\"::1.2.3.4\"\n\"::1:0\"\n\"1.2.3.4\"\n\"1:0:0:2:0:0:0:3\"\n\"1:0:2:3:4:5:6:7\"";
    shows(
        "IPv6",
        file,
        &expect![[r#"
        "::"
        "::1"
        "::1.2.3.4"
        "::0.1.0.0"
        "::ffff:1.2.3.4"
        "1:0:0:2::3"
        "1:0:2:3:4:5:6:7"
    "#]],
    );
    shows(
        "IPv4",
        "\"192.0.2.1\"",
        &expect![[r#"
        "192.0.2.1"
    "#]],
    );
    shows(
        "UUID",
        "\"550E8400-e29b-41d4-a716-446655440000\"",
        &expect![[r#"
        "550e8400-e29b-41d4-a716-446655440000"
    "#]],
    );
}

#[test]
fn parts_are_shown_as_json_has_them() {
    shows(
        "Array(LowCardinality(Nullable(String)))",
        "[\"a/\",null,\"b\"]\n[]\n[\"b\"]",
        &expect![[r#"
            ["a\/",null,"b"]
            []
            ["b"]
        "#]],
    );
    shows(
        "Tuple(`a/` Int8, b Nullable(Tuple(Date, Array(Bool))))",
        "{\"b\":[\"2000-01-01\",[true,false]],\"a/\":1}\n{\"a/\":2}",
        &expect![[r#"
            {"a\/":1,"b":["2000-01-01",[true,false]]}
            {"a\/":2,"b":null}
        "#]],
    );
    shows(
        "Map(UInt64, Map(String, Decimal(9, 2)))",
        "{\"1\":{\"x/\":1.50},\"2\":{}}\n{}",
        &expect![[r#"
            {"1":{"x\/":1.5},"2":{}}
            {}
        "#]],
    );
    // an array without elements has no dictionary
    shows(
        "Array(Array(LowCardinality(String)))",
        "[]\n[[]]",
        &expect![[r#"
            []
            [[]]
        "#]],
    );
}

#[test]
fn json_is_shown_as_it_is_sent_without_its_blanks() {
    shows(
        "Nullable(JSON)",
        "{ \"b\": [1, 2.50,\t{}], \"a \\\" {\": \"x / \\\\\" }\nnull",
        &expect![[r#"
            {"b":[1,2.50,{}],"a \" {":"x / \\"}
            null
        "#]],
    );
}

#[test]
fn spans_have_a_sign_and_two_or_three_digits_of_hours() {
    shows(
        "Time",
        "\"01:02:03\"\n\"-999:59:59\"\n\"-00:00:01\"",
        &expect![[r#"
            "01:02:03"
            "-999:59:59"
            "-00:00:01"
        "#]],
    );
    shows(
        "Time64(3)",
        "\"100:00:00.5\"\n\"-00:00:00.05\"",
        &expect![[r#"
            "100:00:00.500"
            "-00:00:00.050"
        "#]],
    );
    shows(
        "BFloat16",
        "0.1\n1e30\n-2",
        &expect![[r#"
            0.099609375
            9.953038e29
            -2
        "#]],
    );
}

#[test]
fn no_block_is_no_rows() {
    assert_eq!(render(&schema(&[("a", "String")]), b"").as_deref(), Ok(""));
}

/// A row of one column with these bytes as its data.
fn one_row(ty: &str, data: &[u8]) -> Result<String, BlockError> {
    let mut block = vec![3, 1];
    let text = |block: &mut Vec<u8>, text: &str| {
        block.push(text.len() as u8);
        block.extend_from_slice(text.as_bytes());
    };
    text(&mut block, "v");
    text(&mut block, ty);
    block.extend_from_slice(data);
    text(&mut block, "job_in");
    text(&mut block, "LowCardinality(String)");
    // the version, the flags, one key, and for one row the number of its key
    block.extend([1u64, 0x600, 1].iter().flat_map(|word| word.to_le_bytes()));
    text(&mut block, "j");
    block.extend_from_slice(&1u64.to_le_bytes());
    block.push(0);
    text(&mut block, "row_in");
    text(&mut block, "UInt64");
    block.extend_from_slice(&[0; 8]);
    render(&schema(&[("v", ty)]), &block)
}

#[test]
fn a_block_that_the_engine_does_not_write_is_an_error_with_its_column() {
    let dictionary = |version: u64, flags: u64, keys: u64, rows: u64, number: u8| {
        let words = [version, flags, keys].map(u64::to_le_bytes).concat();
        [&words[..], b"\x01x", &rows.to_le_bytes(), &[number]].concat()
    };
    let low = "LowCardinality(String)";
    assert_eq!(one_row(low, &dictionary(1, 0x600, 1, 1, 0)).as_deref(), Ok("{\"v\":\"x\"}\n"));
    for (ty, data, problem) in [
        (low, dictionary(2, 0x600, 1, 1, 0), "its dictionary is of another version"),
        (low, dictionary(1, 0x200, 1, 1, 0), "its dictionary is not one that comes with the block"),
        (low, dictionary(1, 0x603, 1, 1, 0), "its dictionary is not one that comes with the block"),
        (low, dictionary(1, 0x600, 1, 2, 0), "its dictionary has not as many rows as the block"),
        (low, dictionary(1, 0x600, 1, 1, 1), "it holds a number that its dictionary has not"),
        (low, dictionary(1, 0x600, u64::MAX, 1, 0), "it is cut off"),
        ("Bool", vec![2], "it holds a truth value that is neither 0 nor 1"),
        ("Nullable(Bool)", vec![2, 0], "it holds a truth value that is neither 0 nor 1"),
        ("String", vec![1, 0xff], "it holds a text that is not UTF-8"),
        ("String", vec![0xff; 10], "a length in it has more than 63 bits"),
        ("Enum8('a' = 1)", vec![0], "it holds a number without a name"),
        ("Date32", vec![0xff, 0xff, 0xff, 0x7f], "it holds a time that no calendar has"),
        ("JSON", [&2u64.to_le_bytes()[..], b"\x02{}"].concat(), "its JSON is not sent as text"),
        ("JSON", [&1u64.to_le_bytes()[..], b"\x02[]"].concat(), "it holds a text that is no JSON object"),
        ("JSON", [&1u64.to_le_bytes()[..], b"\x03{}}"].concat(), "it holds a text that is no JSON object"),
        ("Array(UInt8)", [0xff; 8].to_vec(), "it is cut off"),
        ("Array(String)", vec![0xff; 8], "it is cut off"),
        (
            "Array(Array(UInt8))",
            [&[3u64, 2, 1, 3].map(u64::to_le_bytes).concat()[..], b"abc"].concat(),
            "an array in it ends before it begins",
        ),
    ] {
        let column = "v".to_owned();
        assert_eq!(one_row(ty, &data), Err(BlockError::Column { column, problem }), "{ty} {data:?}");
    }
    // the value has no meaning if the cell is NULL
    assert_eq!(one_row("Nullable(Enum8('a' = 1))", &[1, 0]).as_deref(), Ok("{\"v\":null}\n"));
}

#[test]
fn a_block_of_another_schema_is_refused() {
    let ours = schema(&[("a", "UInt8"), ("b", "String")]);
    let block = block(&ours, "{\"a\":1,\"b\":\"x\"}\n");
    for (theirs, said) in [
        (schema(&[("a", "UInt8")]), "failed to read the block: it has not as many columns as the schema"),
        (
            schema(&[("a", "UInt8"), ("c", "String")]),
            "failed to read column 'c' of the block: it has another name or type than in the schema",
        ),
        (
            schema(&[("a", "Int8"), ("b", "String")]),
            "failed to read column 'a' of the block: it has another name or type than in the schema",
        ),
    ] {
        assert_eq!(render(&theirs, &block).unwrap_err().to_string(), said);
    }
    let longer = [&block[..], &[0]].concat();
    let said = render(&ours, &longer).unwrap_err().to_string();
    assert_eq!(said, "failed to read the block: it goes on after its columns");
}

const MANY: &[(&str, &str)] = &[
    ("s", "String"),
    ("f", "FixedString(3)"),
    ("n", "Nullable(Decimal(40, 3))"),
    ("l", "LowCardinality(Nullable(String))"),
    ("m", "LowCardinality(UInt16)"),
    ("e", "Enum16('a' = 1, 'b' = 300)"),
    ("t", "Nullable(DateTime64(3, 'Europe/Berlin'))"),
    ("d", "Date32"),
    ("b", "Bool"),
    ("x", "Float64"),
    ("a", "Array(LowCardinality(String))"),
    ("p", "Nullable(Tuple(a Nullable(Time64(3)), b Map(UUID, Array(BFloat16))))"),
    ("j", "Nullable(JSON)"),
];
const FILE: &str = r#"{"s":"é","f":"a","n":1.5,"l":"x","m":7,"e":"b","t":"2026-01-01 00:00:00","d":"2000-01-01","b":true,"x":2.5,"a":["x","y"],"p":{"b":{"550e8400-e29b-41d4-a716-446655440000":[1,2]}},"j":{"a":{"b":["c",null]}}}
{"s":"","f":"abc","n":null,"l":null,"m":8,"e":"a","t":null,"d":"1999-01-01","b":false,"x":1e300,"a":[],"p":{"a":"-01:00:00.5","b":{}}}
{"s":"zz","f":"abc","n":null,"l":"x","m":7,"e":"a","t":null,"d":"1999-01-01","b":false,"x":0,"a":["x"],"p":null,"j":{}}
"#;

#[test]
fn a_block_that_is_cut_off_anywhere_is_an_error() {
    let schema = schema(MANY);
    let block = block(&schema, FILE);
    assert_eq!(render(&schema, &block).unwrap().lines().count(), 3);
    for end in 1..block.len() {
        assert!(render(&schema, &block[..end]).is_err(), "{end} of {} bytes", block.len());
    }
}

proptest! {
    #[test]
    fn a_block_with_some_bytes_changed_is_rows_or_an_error(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let schema = schema(MANY);
        let mut block = block(&schema, FILE);
        for (at, byte) in changes {
            let at = at.index(block.len());
            block[at] = byte;
        }
        if let Ok(lines) = render(&schema, &block) {
            for line in lines.lines() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn the_data_of_a_column_can_be_any_bytes(
        ty in prop::sample::select(MANY).prop_map(|(_, ty)| ty),
        data in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let _ = one_row(ty, &data);
    }

    #[test]
    fn a_block_can_be_any_bytes(bytes: Vec<u8>) {
        let _ = render(&schema(MANY), &bytes);
    }
}
