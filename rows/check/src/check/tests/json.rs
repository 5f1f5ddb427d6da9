//! JSON lines.

use expect_test::expect;

use super::{check, json_lines, run, schema};
use rows_types::{Input, UnknownColumns};

const SPEC: &str = "id UInt64, name String, n Nullable(Float64)";

#[test]
fn keys_come_in_any_order_with_any_blanks() {
    let file = "{\"id\":1,\"name\":\"a\",\"n\":1.5}\n\t{ \"name\" : \"b\" , \"n\":null, \"id\" : 2 } \r\n{\"n\":1e3,\"id\":3,\"name\":\"c\"}";
    check(
        SPEC,
        &json_lines(),
        file,
        &expect![[r#"
        1: 1 | a | 1.5
        2: 2 | b | NULL
        3: 3 | c | 1000.0
    "#]],
    );
}

#[test]
fn a_required_key_that_is_absent_is_a_missing_column_and_null_a_missing_value() {
    check(
        SPEC,
        &json_lines(),
        "{}\n{\"id\":null,\"name\":null}\n{\"id\":1,\"name\":\"x\"}\n",
        &expect![[r#"
        3: 1 | x | NULL
        1  id MISSING_COLUMN "" The required column 'id' is missing
        1  name MISSING_COLUMN "" The required column 'name' is missing
        2  id MISSING_VALUE "null" The value is missing; give one, or make the column Nullable or give it a default
        2  name MISSING_VALUE "null" The value is missing; give one, or make the column Nullable or give it a default
    "#]],
    );
}

#[test]
fn an_unknown_key_is_rejected_or_ignored() {
    let file = "{\"id\":1,\"name\":\"a\",\"x\":[1,{\"y\":2}],\"z\":\"\"}\n";
    check(
        SPEC,
        &json_lines(),
        file,
        &expect![[r#"
        1 1  UNKNOWN_COLUMN "{\"id\":1,\"name\":\"a\",\"x\":[1,{\"y\":2}],\"z\":\"\"}" The object has keys that are no columns: 'x', 'z'; add them to the model or set unknownColumns: ignore
    "#]],
    );
    let ignore = Input { unknown_columns: UnknownColumns::Ignore, ..json_lines() };
    check(
        SPEC,
        &ignore,
        file,
        &expect![[r#"
        1: 1 | a | NULL
    "#]],
    );
}

#[test]
fn an_object_or_array_is_no_scalar() {
    check(
        SPEC,
        &json_lines(),
        "{\"id\":[1],\"name\":{\"a\":\"}\"},\"n\":1}\n",
        &expect![[r#"
        1 [1] id INVALID_TYPE "[1]" An object or array cannot be a UInt64; give a single value
        1 [1] name INVALID_TYPE "{\"a\":\"}\"}" An object or array cannot be a String; give a single value
    "#]],
    );
}

#[test]
fn numbers_are_kept_exactly_as_written() {
    check(
        "a UInt64, b String, c Decimal(38, 20)",
        &json_lines(),
        "{\"a\":18446744073709551615,\"b\":9007199254740993.10,\"c\":0.12345678901234567890}\n{\"a\":\"42\",\"b\":true,\"c\":\"1\"}\n",
        &expect![[r#"
            1: 18446744073709551615 | 9007199254740993.10 | 12345678901234567890
            2: 42 | true | 100000000000000000000
        "#]],
    );
}

#[test]
fn escapes_are_decoded() {
    check(
        "s String, e Enum8('a\"b' = 1)",
        &json_lines(),
        "{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\",\"\\u0065\":\"a\\\"b\"}\n",
        &expect![[r#"
            1: \"\\/\u{8}\u{c}\n\r\té😀 | a"b
        "#]],
    );
}

#[test]
fn a_lone_surrogate_is_no_text_and_an_unknown_escape_no_json() {
    check(
        "s String",
        &json_lines(),
        "{\"s\":\"\\ud800\"}\n{\"s\":\"\\x\"}\n",
        &expect![[r#"
            1 \ud800 s INVALID_UTF8 "\\ud800" A \u escape is half of a surrogate pair; write both halves, or the character itself
            2 \x s INVALID_TYPE "\\x" A backslash escape is not known; write \\ for a backslash
        "#]],
    );
}

#[test]
fn what_is_no_object_is_malformed() {
    for line in [
        "[]",
        "1",
        "x",
        "{",
        "{\"id\":1",
        "{\"id\":1,}",
        "{\"id\" 1}",
        "{id:1}",
        "{\"id\":1}{}",
        "{\"id\":1} x",
        "{\"id\":tru}",
        "{\"id\":01}",
        "{\"id\":1.}",
        "{\"id\":}",
        "{\"name\":\"a",
        "{\"name\":\"a\tb\"}",
        "{\"id\":[1}",
        "{,}",
        "{\"q\":nope}",
        "{\"id\":1 \"name\":\"\"}",
        "{\"id\":+1}",
        "{\"id\":NaN}",
        " ",
    ] {
        let (plan, _) = super::plan(super::schema(SPEC), &json_lines(), b"");
        let mut checker = crate::Checker::new(plan);
        let outcome = checker.check(line.as_bytes(), 1, "job");
        let codes: Vec<_> = outcome.rejects().map(|r| r.code).collect();
        assert_eq!(codes, [rows_types::Code::MalformedRow], "{line}");
    }
}

#[test]
fn a_key_that_stands_twice_is_malformed() {
    check(
        SPEC,
        &json_lines(),
        "{\"id\":1,\"name\":\"a\",\"id\":2}\n",
        &expect![[r#"
        1 1  MALFORMED_ROW "{\"id\":1,\"name\":\"a\",\"id\":2}" A key, or two names of the same column, occur twice in the object; keep one
    "#]],
    );
}

#[test]
fn blank_lines_are_no_records() {
    check(
        "id UInt64",
        &json_lines(),
        "\n{\"id\":1}\n\r\n{\"id\":2}\n\n",
        &expect![[r#"
        1: 1
        2: 2
    "#]],
    );
}

#[test]
fn null_values_are_looked_for_in_strings_too() {
    let input = Input { null_values: vec!["N/A".to_owned()], ..json_lines() };
    check(
        SPEC,
        &input,
        "{\"id\":1,\"name\":\"\",\"n\":\"N/A\"}\n{\"id\":\"N/A\",\"name\":\"N/A\"}\n",
        &expect![[r#"
        1: 1 |  | NULL
        2 N/A id MISSING_VALUE "N/A" The value is missing; give one, or make the column Nullable or give it a default
        2 N/A name MISSING_VALUE "N/A" The value is missing; give one, or make the column Nullable or give it a default
    "#]],
    );
}

#[test]
fn a_line_like_the_one_before_is_held_to_the_same_rules() {
    let first = "{\"k\": \"a\", \"n\": 1, \"a\": [1]}\n";
    let cases = [
        "{\"k\": \"b\", \"n\": 2, \"a\": [1,\n2]}\n",
        "{\"k\": \"b\", \"n\": 02, \"a\": [1]}\n",
        "{\"k\": \"b\", \"n\": 2, \"a\": [1]} x\n",
        "{\"k\": \"b\", \"n\": 2, \"a\": [1]}{\n",
        "{\"k\": \"b\n\", \"n\": 2, \"a\": [1]}\n",
        "{\"k\": \"b\", \"n\": 2, \"a\": [1]",
        "{\"k\": \"b\", \"n\": 2x, \"a\": [1]}\n",
        "{\"k\": b, \"n\": 2, \"a\": [1]}\n",
        "{\"k\": \"b\", \"n\": 2, \"a\": [1}\n",
    ];
    for second in cases {
        let spec = schema("k String, n Int32, a Array(Int8)");
        // a file of one line has no line before it
        let alone = run(&spec, &json_lines(), second.as_bytes());
        let both = run(&spec, &json_lines(), format!("{first}{second}").as_bytes());
        assert!(both.starts_with("1: a | 1 | [1]\n2 "), "{both}");
        let words =
            |text: &str| text.lines().map(|l| l.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&both)[1..], words(&alone), "{second}");
    }
}

#[test]
fn lines_of_other_shapes_between_are_read_all_the_same() {
    check(
        "k String, n Nullable(Int32), s String",
        &Input { unknown_columns: UnknownColumns::Ignore, ..json_lines() },
        "{\"k\":\"a\",\"n\":1,\"s\":\"x\"}\n{\"k\":\"b\",\"n\":-2,\"s\":\"\\u0041\"}\r\n{\"s\":\"y\",\"k\":\"c\"}\n{\"s\":\"z\",\"k\":\"d\"}\n\n{\"s\":\"\",\"k\":\"e\",\"n\":null}\n{\"other\":[1,{}],\"s\":\"f\",\"k\":\"f\"}\n{\"other\":{\"k\":\"no\"},\"s\":\"g\",\"k\":\"g\"}",
        &expect![[r#"
            1: a | 1 | x
            2: b | -2 | A
            3: c | NULL | y
            4: d | NULL | z
            5: e | NULL | 
            6: f | NULL | f
            7: g | NULL | g
        "#]],
    );
}

#[test]
fn an_enum_is_read_as_what_its_string_stands_for() {
    let spec = r#"e Enum8('a' = 1, '\\u0061' = 2, 'b"' = 3, 'b\\"' = 4)"#;
    let lines =
        [r#"{"e":"a"}"#, r#"{"e":"\u0061"}"#, r#"{"e":"\\u0061"}"#, r#"{"e":"b\""}"#, r#"{"e":"b\\\""}"#];
    check(
        spec,
        &json_lines(),
        &lines.map(|line| format!("{line}\n")).concat(),
        &expect![[r#"
        1: a
        2: a
        3: \u0061
        4: b"
        5: b\"
    "#]],
    );
}
