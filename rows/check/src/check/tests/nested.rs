//! Cells with inner structure: which values they are read as, with which messages they are rejected, and which rows of
//! a record batch remain.

use std::fmt::Write as _;

use expect_test::expect;
use proptest::prelude::*;
use rows_bytes::simd::Level;

use super::{check, compiles, json_lines, native, plan, run, schema};
use crate::Checker;
use crate::nested::{Node, explain};
use rows_types::{Column, Input, Schema, Type};

/// Cells with a vertical bar as delimiter, without quotes around them.
fn bars() -> Input {
    Input { header: false, delimiter: '|', quote: '\0', ..Input::default() }
}

#[test]
fn arrays_are_read_as_clickhouse_and_json_write_them() {
    check(
        "k String, v Array(Int8)",
        &bars(),
        "a|[1,2,-3]\nb|[]\nc| [ 1 , 2 ] \nd|[\"7\",'8']\n",
        &expect![[r#"
            1: a | [1, 2, -3]
            2: b | []
            3: c | [1, 2]
            4: d | [7, 8]
        "#]],
    );
    check(
        "k String, v Array(LowCardinality(Nullable(String)))",
        &bars(),
        "a|['x','it''s \\'q\\' \\n\\x41',NULL]\nb|[\"x\", \"\\u00fc\", null, true, 1.50]\n",
        &expect![[r#"
            1: a | [x, it\'s \'q\' \nA, NULL]
            2: b | [x, ü, NULL, true, 1.50]
        "#]],
    );
    check(
        "k String, v Array(Array(Nullable(DateTime)))",
        &bars(),
        "a|[['2026-11-23 01:02:03'],[],[null,\"\"]]\n",
        &expect![[r#"
            1: a | [[2026-11-23T01:02:03Z], [], [NULL, NULL]]
        "#]],
    );
}

#[test]
fn tuples_and_maps_are_read_as_clickhouse_and_json_write_them() {
    check(
        "k String, t Tuple(a Int8, b Nullable(String)), m Map(String, Array(UInt8)), n Nullable(Tuple(Date))",
        &bars(),
        "a|(1,'x')|{'p':[1],'q':[]}|('2026-11-23')\nb|[2, null]|{}|NULL\nc|{\"b\": \"y\", \"a\": 3}|{\"p\": [1, 2]}|\nd|{\"a\": 4}|{1:[2]}|[\"2026-01-01\"]\n",
        &expect![[r#"
            1: a | (1, x) | {p: [1], q: []} | (2026-11-23)
            2: b | (2, NULL) | {} | NULL
            3: c | (3, y) | {p: [1, 2]} | NULL
            4: d | (4, NULL) | {1: [2]} | (2026-01-01)
        "#]],
    );
}

#[test]
fn json_lines_give_their_values_as_they_are() {
    check(
        "k String, a Array(Map(String, Float64)), t Tuple(x Int32, y Array(UUID)), j JSON",
        &json_lines(),
        "{\"k\":\"a\",\"a\":[{\"p\":1.5},{}],\"t\":{\"y\":[],\"x\":-1},\"j\":{\"b\": [1, {\"c\":null}], \"d\":\"\\u0041\"}}\n\
         {\"k\":\"b\",\"a\":[],\"t\":[2,[\"550e8400-e29b-41d4-a716-446655440000\"]],\"j\":{}}\n\
         {\"k\":\"c\",\"a\":\"[{'p':2}]\",\"t\":\"(3,[])\",\"j\":\"{\\\"e\\\": 1}\"}\n",
        &expect![[r#"
            1: a | [{p: 1.5}, {}] | (-1, []) | {\"b\": [1, {\"c\":null}], \"d\":\"\\u0041\"}
            2: b | [] | (2, [550e8400-e29b-41d4-a716-446655440000]) | {}
            3: c | [{p: 2.0}] | (3, []) | {\"e\": 1}
        "#]],
    );
}

#[test]
fn a_reject_says_what_is_wrong_at_which_place() {
    check(
        "k String, v Array(Tuple(a Int8, b Array(Enum8('x' = 1))))",
        &bars(),
        "1|[(1,['x']),(300,['x'])]\n2|[(1,['y'])]\n3|[(1,['x'],2)]\n4|[(1)]\n5|[{\"a\":1}]\n6|[{\"a\":1,\"a\":2}]\n7|[1]\n8|[(1,['x'])\n9|x\n10|[(1,['x'])] [\n11|[(1,['x]\n12|\n",
        &expect![[r#"
            1 1 v OUT_OF_RANGE "[(1,['x']),(300,['x'])]" Out of the range of Int8; widen the column's type or correct the value (in element 'a' of element 2)
            2 2 v INVALID_ENUM "[(1,['y'])]" Not a name of the enum; allowed are 'x' (in element 1 of element 'b' of element 1)
            3 3 v INVALID_TYPE "[(1,['x'],2)]" Too few or too many elements; Tuple(a Int8, b Array(Enum8('x' = 1))) takes each of its elements once (in element 1)
            4 4 v INVALID_TYPE "[(1)]" Too few or too many elements; Tuple(a Int8, b Array(Enum8('x' = 1))) takes each of its elements once (in element 1)
            5 5 v MISSING_VALUE "[{\"a\":1}]" The value is missing; give one, or make the column Nullable or give it a default (in element 'b' of element 1)
            6 6 v INVALID_TYPE "[{\"a\":1,\"a\":2}]" A key is no element of Tuple(a Int8, b Array(Enum8('x' = 1))), or occurs twice (in element 1)
            7 7 v INVALID_TYPE "[1]" Not a tuple; write (1, 'a'), [1, "a"] or, for Tuple(a Int8, b Array(Enum8('x' = 1))) with names, a JSON object (in element 1)
            8 8 v INVALID_TYPE "[(1,['x'])" Not an array; write [1, 2] or ['a', 'b'] with texts in quotes
            9 9 v INVALID_TYPE "x" Not an array; write [1, 2] or ['a', 'b'] with texts in quotes
            10 10 v INVALID_TYPE "[(1,['x'])] [" Not an array; write [1, 2] or ['a', 'b'] with texts in quotes
            11 11 v INVALID_TYPE "[(1,['x]" A text in quotes is never closed (in element 1 of element 'b' of element 1)
            12 12 v MISSING_VALUE "" The value is missing; give one, or make the column Nullable or give it a default
        "#]],
    );
    check(
        "k String, v Map(String, Int8)",
        &bars(),
        "1|{'a':1,\"a\":2}\n2|{'a':1,'b'}\n3|{a:1}\n4|{'a':1,}\n5|{'a':x}\n6|{'a\\q':1}\n7|{'\\xff':1}\n",
        &expect![[r#"
            1 1 v INVALID_TYPE "{'a':1,\"a\":2}" A key occurs twice; keep one
            2 2 v INVALID_TYPE "{'a':1,'b'}" Not a map; write {'key': value}
            3 3 v INVALID_TYPE "{a:1}" A text in an array, tuple or map must be in quotes, such as 'a' (in key 1)
            4 4 v MISSING_VALUE "{'a':1,}" The value is missing; give one, or make the column Nullable or give it a default (in key 2)
            5 5 v INVALID_TYPE "{'a':x}" Not a number; Int8 takes digits only, such as 42 (in value 1)
            6 6 v INVALID_TYPE "{'a\\q':1}" A backslash escape is not known; write \\ for a backslash (in key 1)
            7 7 v INVALID_UTF8 "{'\\xff':1}" The bytes are not UTF-8; save the file as UTF-8, or set the column's onInvalidUtf8: replace (in key 1)
        "#]],
    );
}

#[test]
fn json_columns_take_only_what_the_table_keeps() {
    let deep = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    let good = [
        "{}",
        "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":1e5,\"d\":0.0e-9}",
        "{\"a\":[9007199254740993,{\"x\":0.5,\"y\":9007199254740993}],\"b\":[9007199254740992,0.5]}",
        "{\"a\":[{\"x\":1},{\"x\":2}],\"b\":{\"x\":1},\"x\":{\"c\":1},\"x.d\":2}",
        &deep(99),
    ];
    for text in good {
        let shown = run(&schema("k String, v JSON"), &bars(), format!("k|{text}\n").as_bytes());
        assert!(shown.starts_with("1: k | {"), "{text}: {shown}");
    }
    let bad = [
        ("[1]", "INVALID_TYPE"),
        ("1", "INVALID_TYPE"),
        ("{\"a\":01}", "INVALID_TYPE"),
        ("{\"a\":1,}", "INVALID_TYPE"),
        ("{'a':1}", "INVALID_TYPE"),
        ("{\"a\":nan}", "INVALID_TYPE"),
        ("{\"a\":\"\\ud800\"}", "INVALID_UTF8"),
        ("{\"a\":\"\\x\"}", "INVALID_TYPE"),
        ("{\"a\":1}{", "INVALID_TYPE"),
        ("{\"a\":18446744073709551616}", "PRECISION_LOSS"),
        ("{\"a\":1e400}", "PRECISION_LOSS"),
        ("{\"a\":1e-400}", "PRECISION_LOSS"),
        ("{\"a\":[9007199254740993,0.5]}", "PRECISION_LOSS"),
        ("{\"a\":[[0.5],[[-9007199254740993]]]}", "PRECISION_LOSS"),
        ("{\"a\":1,\"a\":1}", "INVALID_TYPE"),
        ("{\"a\":1,\"\\u0061\":1}", "INVALID_TYPE"),
        ("{\"a\":{\"b\":1},\"a.b\":1}", "INVALID_TYPE"),
        ("{\"a\":[{\"b\":1,\"b\":2}]}", "INVALID_TYPE"),
        (&deep(100), "INVALID_TYPE"),
        (&deep(100_000), "INVALID_TYPE"),
    ];
    for (text, code) in bad {
        let shown = run(&schema("k String, v JSON"), &bars(), format!("k|{text}\n").as_bytes());
        assert!(shown.starts_with(&format!("1 k v {code}")), "{text}: {shown}");
    }
}

#[test]
fn an_absent_cell_is_the_default_or_null_or_rejected() {
    let mut columns = vec![
        Column::new("k", Type::parse("String").unwrap()),
        Column::new("d", Type::parse("Array(Int8)").unwrap()),
        Column::new("n", Type::parse("Nullable(JSON)").unwrap()),
        Column::new("r", Type::parse("Map(String, Int8)").unwrap()),
    ];
    columns[1].default = Some("[1, 2]".to_owned());
    let schema = Schema::new(columns.clone(), None).unwrap();
    let lines = "{\"k\":\"a\",\"r\":{}}\n{\"k\":\"b\",\"d\":null,\"n\":null,\"r\":{}}\n{\"k\":\"c\"}\n{\"k\":\"d\",\"r\":null}\n";
    expect![[r#"
        1: a | [1, 2] | NULL | {}
        2: b | [1, 2] | NULL | {}
        3 c r MISSING_COLUMN "" The required column 'r' is missing
        4 d r MISSING_VALUE "null" The value is missing; give one, or make the column Nullable or give it a default
    "#]]
    .assert_eq(&run(&schema, &json_lines(), lines.as_bytes()));
    // a file without the columns `d` and `n`
    let header = Input { delimiter: ';', ..Input::default() };
    expect![[r#"
        1: a | [1, 2] | NULL | {x: 1}
    "#]]
    .assert_eq(&run(&schema, &header, b"k;r\na;{'x':1}\n"));
    columns[1].default = Some("[1, x]".to_owned());
    assert_eq!(compiles(columns).unwrap_err().reason(), "BadDefault");
}

#[test]
fn bad_rows_leave_nothing_behind_in_a_column_with_parts() {
    let mut file = String::new();
    let mut expected = String::new();
    for i in 1..=20_000 {
        let (n, list) = (i % 5, (0..i % 5).map(|j| format!("'{i}-{j}'")).collect::<Vec<_>>().join(","));
        if i % 7 == 0 {
            let _ = writeln!(file, "{i}|[{list}]|{{'k':1}}|(x,'t')");
        } else if i % 11 == 0 {
            let _ = writeln!(file, "{i}|[{list}|{{'k':1}}|({n},'t')");
        } else {
            let _ = writeln!(file, "{i}|[{list}]|{{'k':{n}}}|({n},'t{i}')");
            let _ = writeln!(
                expected,
                "{i}: {i} | [{}] | {{k: {n}}} | ({n}, t{i})",
                list.replace('\'', "").replace(',', ", ")
            );
        }
    }
    let spec =
        schema("k String, a Array(LowCardinality(String)), m Map(String, Int8), t Tuple(Int8, String)");
    let shown = run(&spec, &bars(), file.as_bytes());
    let (good, bad): (Vec<&str>, Vec<&str>) = shown.lines().partition(|line| line.contains(" | "));
    assert_eq!(good.join("\n") + "\n", expected);
    assert_eq!(bad.len(), 20_000 - good.len());
}

#[test]
fn only_days_and_moments_inside_have_a_format() {
    let mut column = Column::new("v", Type::parse("Array(Tuple(Date, String))").unwrap());
    column.format = Some("%d.%m.%Y".to_owned());
    let spec =
        Schema::new(vec![column.clone(), Column::new("k", Type::parse("String").unwrap())], None).unwrap();
    expect![[r#"
        1: [(2026-11-23, a)] | x
    "#]]
    .assert_eq(&run(&spec, &bars(), b"[('23.11.2026','a')]|x\n"));
    column.ty = Type::parse("Array(String)").unwrap();
    assert_eq!(compiles(vec![column]).unwrap_err().reason(), "BadFormat");
}

proptest! {
    #[test]
    fn any_text_is_a_value_or_a_reject(text in "[\\[\\](){}:,'\"\\\\ anul10x.\\-]{0,40}|\\PC{0,30}") {
        for ty in ["Array(Nullable(Int8))", "Map(String, Array(Float64))", "Tuple(a Int8, b String)", "JSON", "Array(JSON)"] {
            let file = format!("k|{}\n", text.replace(['|', '\n', '\r'], ""));
            run(&schema(&format!("k String, v {ty}")), &bars(), file.as_bytes());
        }
    }

    #[test]
    fn a_text_that_is_refused_at_once_is_no_value_for_that_reason(
        text in "[ \t\r\n]{0,2}[\\[\\](){}'\"anul1x]{0,3}|\\PC{0,5}|n/a",
        ty in prop::sample::select(vec![
            "Array(String)", "Map(String, Int8)", "Tuple(Int8, String)", "Tuple(a Int8)", "Nullable(Tuple(a Int8))", "JSON",
        ]),
    ) {
        let column = Column::new("v", Type::parse(ty).unwrap());
        let node = Node::new(&column, &column.ty).unwrap();
        let begins = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(['[', '(', '{']);
        if let Some(error) = node.refuse(text.as_bytes()) {
            let (place, ty, known) = explain(&node, &column.ty, text.as_bytes()).unwrap();
            prop_assert_eq!((place.as_str(), ty, known), ("", &column.ty, error));
        } else {
            prop_assert!(begins || text.trim_ascii().is_empty() || ty.starts_with("Nullable") || ty == "JSON");
        }
    }

    /// The fast path does not read the arrays of column `b`: they contain an additional blank.
    #[test]
    fn an_array_is_the_same_however_it_is_read(
        lists in prop::collection::vec(list(), 1..20), quoted: bool, behind in "[a-z'\",\\[\\]]{0,80}",
    ) {
        for ty in ELEMENTS {
            let schema = schema(&format!("a Array({ty}), b Array({ty}), c String"));
            let doubled = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let cell = |text: &str| if quoted { doubled(text) } else { text.to_owned() };
            let row = |list: &String| format!("{}|{}|{}\n", cell(list), cell(&format!(" {list}")), cell(&behind));
            let quote = if quoted { '"' } else { '\0' };
            both_are_the_same(&schema, &Input { quote, ..bars() }, &lists.iter().map(row).collect::<String>());
            // as JSON lines: those arrays that are JSON
            let json = lists.iter().filter(|list| serde_json::from_str::<Vec<serde_json::Value>>(list).is_ok());
            let line = |list: &String| format!("{{\"a\":{list},\"b\":[ {},\"c\":\"{}\"}}\n", &list[1..], "c".repeat(behind.len()));
            both_are_the_same(&schema, &json_lines(), &json.map(line).collect::<String>());
        }
    }
}

/// Types of elements. The fast path reads most of them.
const ELEMENTS: [&str; 14] = [
    "String",
    "Nullable(String)",
    "LowCardinality(String)",
    "FixedString(9)",
    "Int16",
    "Nullable(Int64)",
    "Float64",
    "Decimal(9, 2)",
    "DateTime",
    "Date",
    "Bool",
    "Enum8('a' = 1, 'a\"b' = 2, 'x,y' = 3)",
    "UUID",
    "IPv6",
];

/// Checks that the columns `a` and `b` have the same values, or are bad for the same reason.
fn both_are_the_same(schema: &Schema, input: &Input, file: &str) {
    let (plan, records) = plan(schema.clone(), input, file.as_bytes());
    for level in Level::all() {
        let mut checker = Checker::at_level(plan.clone(), level);
        let outcome = checker.check(records, 1, "job");
        for row in native::rows(&outcome.block()) {
            assert_eq!(row.values[0], row.values[1]);
        }
        let bad = |column: &str| -> Vec<_> {
            outcome.rejects().filter(|r| r.column == column).map(|r| (r.row, r.code)).collect()
        };
        assert_eq!(bad("a"), bad("b"));
    }
}

/// An array, or a text that is almost one.
fn list() -> impl Strategy<Value = String> {
    let element = prop_oneof![
        "'[a-z ü,\\]\"]{0,40}'",
        "\"[a-z ü,\\]']{0,40}\"",
        "-?[0-9]{1,5}(\\.[0-9]{1,2})?",
        "'-?[0-9]{1,5}'",
        prop::sample::select(vec![
            "null",
            "NULL",
            "",
            "true",
            "'it''s'",
            "'a\\'b'",
            "\"\\n\"",
            "'",
            "\"",
            "a",
            "'2026-01-01'",
            "2026-01-01",
            "2026-01-01 00:00:00",
            "'2026-01-01 00:00:00'",
            "12:00:00",
            "1)",
            "1:",
            "'a\"b'",
            "'a\"\"b'",
            "'x,y'",
            "::1",
            "00000000-0000-0000-0000-000000000000",
        ])
        .prop_map(str::to_owned),
    ];
    let comma = prop::sample::select(vec![",", ", ", ",", ",  ", " ,", ";"]);
    let ends = prop::sample::select(vec![
        ("[", "]"),
        ("[", "]"),
        ("[", "]"),
        ("[", "]"),
        ("[", ""),
        ("", "]"),
        ("[", "]]"),
        ("[", "] "),
        ("[ ", " ]"),
    ]);
    (prop::collection::vec(element, 0..6), comma, ends)
        .prop_map(|(elements, comma, (open, close))| format!("{open}{}{close}", elements.join(comma)))
}
