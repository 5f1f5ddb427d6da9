//! RFC 4180, and files that deviate from it.

use expect_test::expect;

use super::{check, json_lines, plan, run, schema, show};
use crate::Checker;
use rows_types::{Format, Input};

const SEED: &str = "event_id String, timestamp UInt32, amount Float64";

#[test]
fn the_seeds_file_is_loaded() {
    check(
        SEED,
        &Input::default(),
        "event_id,timestamp,amount\n1,1716045542,12.5\n2,1716045543,8.0\n",
        &expect![[r#"
        1: 1 | 1716045542 | 12.5
        2: 2 | 1716045543 | 8.0
    "#]],
    );
}

#[test]
fn every_bad_cell_of_a_row_is_reported_and_the_row_is_not_loaded() {
    let file = "event_id,timestamp,amount\na,x,1.5\nb,-1,abc\nc,5,1\nd,,inf\n";
    check(
        SEED,
        &Input::default(),
        file,
        &expect![[r#"
            3: c | 5 | 1.0
            1 a timestamp INVALID_TYPE "x" Not a number; UInt32 takes digits only, such as 42
            2 b timestamp OUT_OF_RANGE "-1" UInt32 holds no negative numbers; use a signed type or correct the value
            2 b amount INVALID_TYPE "abc" Not a number; Float64 takes digits only, such as 42 or 4.2
            4 d timestamp MISSING_VALUE "" The value is missing; give one, or make the column Nullable or give it a default
            4 d amount INVALID_TYPE "inf" NaN and infinity are not loaded; leave the value out and make the column Nullable, or set nonFinite: accept
        "#]],
    );
}

#[test]
fn quoted_cells_hold_delimiters_quotes_and_line_ends() {
    let file = "a,b\r\n\"x,\"\"y\"\"\r\nz\",1\r\n\"\",\"2\"\r\n";
    check(
        "a String, b UInt8",
        &Input::default(),
        file,
        &expect![[r#"
        1: x,\"y\"\r\nz | 1
        2:  | 2
    "#]],
    );
}

#[test]
fn line_ends_may_be_mixed_and_the_last_may_be_missing() {
    check(
        "a UInt8, b String",
        &Input::default(),
        "a,b\n1,x\r\n2,y\n3,z",
        &expect![[r#"
        1: 1 | x
        2: 2 | y
        3: 3 | z
    "#]],
    );
    check(
        "a UInt8, b String",
        &Input::default(),
        "a,b\n3,z\r",
        &expect![[r#"
        1: 3 | z
    "#]],
    );
}

#[test]
fn a_lone_carriage_return_belongs_to_the_cell() {
    check(
        "a String, b String",
        &Input::default(),
        "a,b\nx\ry,z\n",
        &expect![[r#"
        1: x\ry | z
    "#]],
    );
}

#[test]
fn blank_lines_are_no_records() {
    check(
        "a UInt8, b String",
        &Input::default(),
        "a,b\n\n1,x\n\r\n2,y\n\n\r",
        &expect![[r#"
        1: 1 | x
        2: 2 | y
    "#]],
    );
    check(
        "a String",
        &Input::default(),
        "a\nx\n\n\"\"\ny\n\n",
        &expect![[r#"
        1: x
        2: 
        3: y
    "#]],
    );
}

#[test]
fn a_record_with_more_or_fewer_fields_is_malformed() {
    check(
        "a UInt8, b String",
        &Input::default(),
        "a,b\n1,x\n2\n3,x,y\n4,z\n",
        &expect![[r#"
        1: 1 | x
        4: 4 | z
        2 2  MALFORMED_ROW "2" The record has 1 fields where 2 are expected; quote cells that hold a delimiter
        3 3  MALFORMED_ROW "3,x,y" The record has 3 fields where 2 are expected; quote cells that hold a delimiter
    "#]],
    );
}

#[test]
fn text_after_a_closing_quote_is_malformed() {
    check(
        "a String, b UInt8",
        &Input::default(),
        "a,b\n\"x\"y,1\nz,2\n\"q\"\r,3\n",
        &expect![[r#"
        2: z | 2
        1 x  MALFORMED_ROW "\"x\"y,1" There is text after a closing quote; double the quotes inside a quoted cell
        3 q  MALFORMED_ROW "\"q\"\r,3" There is text after a closing quote; double the quotes inside a quoted cell
    "#]],
    );
}

#[test]
fn a_quote_inside_an_unquoted_cell_is_a_byte_like_any_other() {
    check(
        "a String, b UInt8",
        &Input::default(),
        "a,b\n5\" wide,1\nx\"\"y,2\n",
        &expect![[r#"
        1: 5\" wide | 1
        2: x\"\"y | 2
    "#]],
    );
}

#[test]
fn a_quote_that_is_never_closed_makes_the_rest_one_malformed_record() {
    check(
        "a String, b UInt8",
        &Input::default(),
        "a,b\nx,1\n\"y,2\nz,3\n",
        &expect![[r#"
        1: x | 1
        2 y,2
        z,3  MALFORMED_ROW "\"y,2\nz,3" A quoted cell is never closed; close it, or double the quotes inside it
    "#]],
    );
}

#[test]
fn other_delimiters_and_quotes_and_tabs() {
    let input = Input { delimiter: ';', quote: '\'', ..Input::default() };
    check(
        "a String, b UInt8",
        &input,
        "a;b\n'x;''y';1\n\"z\";2\n",
        &expect![[r#"
        1: x;\'y | 1
        2: \"z\" | 2
    "#]],
    );
    let tsv = Input { format: Format::Tsv, ..Input::default() };
    check(
        "a String, b UInt8",
        &tsv,
        "a\tb\nx,y\t1\n",
        &expect![[r#"
        1: x,y | 1
    "#]],
    );
}

#[test]
fn bytes_that_are_not_utf8_are_rejected_where_they_are() {
    let file = b"a,b\nx\xff,1\ny,2\nz,\xfe\n";
    expect![[r#"
        2: y | 2
        1 x� a INVALID_UTF8 "x�" The bytes are not UTF-8; save the file as UTF-8, or set the column's onInvalidUtf8: replace
        3 z b INVALID_UTF8 "�" The bytes are not UTF-8; save the file as UTF-8
    "#]]
    .assert_eq(&run(&schema("a String, b UInt8"), &Input::default(), file));
}

#[test]
fn what_is_shown_of_a_reject_is_cut_on_a_character_edge() {
    let file = format!("b,a\n{},{}\n", "é".repeat(200), "x".repeat(2000));
    let (plan, records) = plan(schema("b UInt8, a String"), &Input::default(), file.as_bytes());
    let mut checker = Checker::new(plan);
    let outcome = checker.check(records, 1, "job");
    let reject = outcome.rejects().next().unwrap();
    assert_eq!(reject.observed, "é".repeat(128));
    assert_eq!(reject.record.len(), 1024);
    assert_eq!(outcome.summary()[0].sample.chars().count(), 32);
}

#[test]
fn rows_are_numbered_from_the_chunks_first() {
    let input = Input { header: false, ..Input::default() };
    let (plan, records) = plan(schema("a UInt8"), &input, b"1\n2\nx\n3\n");
    let mut checker = Checker::new(plan);
    let shown = show(&checker.check(records, 1000, "some job"));
    expect![[r#"
        1000: 1
        1001: 2
        1003: 3
        1002 x a INVALID_TYPE "x" Not a number; UInt8 takes digits only, such as 42
    "#]]
    .assert_eq(&shown);
    let outcome = checker.check(records, 1, "some job");
    assert!(super::native::rows(&outcome.block()).iter().all(|row| row.job == "some job"));
}

#[test]
fn a_chunk_of_many_tiles_is_read_like_one() {
    use std::fmt::Write as _;
    let mut file = String::from("a,b,c\n");
    for i in 0..100_000 {
        let text = if i % 7 == 0 { "\"q,\"\"\n\"" } else { "plain" };
        let number = if i % 1000 == 0 { "bad".to_owned() } else { i.to_string() };
        writeln!(file, "{i},{text},{number}").unwrap();
    }
    let (plan, records) = plan(schema("a UInt64, b String, c UInt32"), &Input::default(), file.as_bytes());
    for level in rows_bytes::simd::Level::all() {
        let mut checker = Checker::at_level(plan.clone(), level);
        let outcome = checker.check(records, 1, "job");
        super::reconcile(&outcome);
        assert_eq!((outcome.rows(), outcome.bad_cells()), (100_000, 100));
        for row in super::native::rows(&outcome.block()) {
            assert_eq!(row.values[0], (row.number - 1).to_string());
            assert_eq!(row.values[2], row.values[0]);
        }
    }
}

#[test]
fn a_record_longer_than_a_tile_is_read() {
    let long = "x".repeat(700_000);
    let file = format!("a,b\n1,\"{long}\"\n2,y\n");
    let shown = run(&schema("a UInt8, b String"), &Input::default(), file.as_bytes());
    assert_eq!(shown, format!("1: 1 | {long}\n2: 2 | y\n"));
}

#[test]
fn a_checker_can_be_used_again() {
    let (plan, records) = plan(
        schema("a UInt8, b LowCardinality(Nullable(String))"),
        &Input::default(),
        b"a,b\n1,x\nz,y\n2,\n3,x\n",
    );
    let mut checker = Checker::new(plan);
    let first = show(&checker.check(records, 1, "job"));
    assert_eq!(first, show(&checker.check(records, 1, "job")));
    expect![[r#"
        1: 1 | x
        3: 2 | NULL
        4: 3 | x
        2 z a INVALID_TYPE "z" Not a number; UInt8 takes digits only, such as 42
    "#]]
    .assert_eq(&first);
    assert_eq!(show(&checker.check(b"", 1, "job")), "");
}

#[test]
fn json_and_csv_of_the_same_rows_give_the_same_block() {
    let spec = "a UInt64, b String, c Nullable(Float64)";
    let csv = run(&schema(spec), &Input::default(), b"a,b,c\n1,x,1.5\n2,\"y,\"\"z\",\n");
    let json =
        run(&schema(spec), &json_lines(), b"{\"a\":1,\"b\":\"x\",\"c\":1.5}\n{\"a\":2,\"b\":\"y,\\\"z\"}\n");
    assert_eq!(csv, json);
}

#[test]
fn a_block_says_nothing_of_the_chunk_before_it() {
    let types = ["Nullable(UInt32)", "Nullable(UUID)", "LowCardinality(Nullable(String))", "FixedString(4)"];
    let columns = types.iter().enumerate();
    let columns =
        columns.map(|(i, ty)| rows_types::Column::new(format!("c{i}"), rows_types::Type::parse(ty).unwrap()));
    let schema = rows_types::Schema::new(columns.collect(), None).unwrap();
    let input = rows_types::Input { header: false, ..rows_types::Input::default() };
    let plan = std::sync::Arc::new(super::bind(schema, input, None).unwrap());
    let full = "4294967295,ffffffff-ffff-ffff-ffff-ffffffffffff,some text,abcd\n".repeat(3);
    let (nothing, uuid) = (",,,a\n", "1,\"\",b,\"\"\n");
    let mut used = crate::Checker::new(plan.clone());
    for next in [nothing.repeat(2), uuid.repeat(2)] {
        let mut fresh = crate::Checker::new(plan.clone());
        assert_eq!(used.check(full.as_bytes(), 1, "job").ok(), 3);
        let (used, fresh) = (used.check(next.as_bytes(), 1, "job"), fresh.check(next.as_bytes(), 1, "job"));
        assert_eq!(fresh.ok(), 2);
        assert_eq!(used.block(), fresh.block());
    }
}

#[test]
fn a_text_is_read_as_what_it_stands_for_not_as_it_is_written() {
    // an enum whose names contain quotes, in cells with and without quotes; the first cell is once without and once
    // with them
    let spec = r#"k String, e Enum8('a' = 1, '"a"' = 2, 'b"c' = 3, 'b""c' = 4)"#;
    let input = Input { header: false, ..Input::default() };
    for first in ["a", "\"a\""] {
        let file = format!("x,{first}\nx,\"a\"\nx,a\nx,\"\"\"a\"\"\"\nx,\"b\"\"c\"\nx,\"b\"\"\"\"c\"\n");
        let expected = expect![[r#"
            1: x | a
            2: x | a
            3: x | a
            4: x | "a"
            5: x | b"c
            6: x | b""c
        "#]];
        check(spec, &input, &file, &expected);
    }
    // the quote character is a digit
    let input = Input { quote: '1', ..input };
    let expected = expect![[r#"
        1: x | 22
        2: x | 22
        3: x | 212
    "#]];
    check("k String, n UInt32", &input, "x,22\nx,1221\nx,121121\n", &expected);
}
