//! Escapes, comments and line ends beyond RFC 4180.

use expect_test::expect;
use proptest::prelude::*;

use super::{check, run, schema};
use rows_types::{Format, Input, LineEnd};

/// `ClickHouse`'s `TabSeparated`.
fn tab_separated() -> Input {
    Input { format: Format::Tsv, quote: '\0', escape: Some('\\'), header: false, ..Input::default() }
}

fn csv(escape: char) -> Input {
    Input { escape: Some(escape), header: false, ..Input::default() }
}

#[test]
fn what_clickhouse_and_postgresql_write_as_tsv_is_read_as_it_was() {
    check(
        "s String, n Nullable(Int32), t Nullable(String)",
        &tab_separated(),
        concat!(
            "a\\tb\\nc\\\\d\\'e\t1\t\\N\n",
            "\\b\\f\\r\\0\\v\t\\N\t\n",
            "\"\"\t-2\tline\\\nend\n",
            "\\\\N\t\t\\NA\r\n",
        ),
        &expect![[r#"
            1: a\tb\nc\\d\'e | 1 | NULL
            2: \u{8}\u{c}\r\0\u{b} | NULL | 
            3: \"\" | -2 | line\nend
            4: \\N | NULL | NA
        "#]],
    );
}

/// The first record is written as `ClickHouse` does, the second is JSON as `PostgreSQL` escapes it.
#[test]
fn escapes_in_an_array_of_a_tsv_file_are_read_once_in_single_quotes_and_twice_in_json() {
    check(
        "a Array(String), m Map(String, Array(String)), t Tuple(Int8, String), j JSON",
        &tab_separated(),
        concat!(
            r#"['it\'s','a\\nb','t\tb','q"x']"#,
            "\t",
            r#"{'k\'y':['v']}"#,
            "\t",
            r#"(1,'x\ty')"#,
            "\t",
            r#"{"s":"a\\\\nb"}"#,
            "\n",
            r#"["it's","a\\\\nb","t\\tb"]"#,
            "\t",
            r#"{"k\\"y":["v"]}"#,
            "\t",
            r#"[1,"x\\ty"]"#,
            "\t",
            r#"{}"#,
            "\n",
            r#"['\q']"#,
            "\t{}\t(1,'\\q')\t{}\n",
        ),
        &expect![[r#"
            1: [it\'s, a\\nb, t\tb, q\"x] | {k\'y: [v]} | (1, x\ty) | {\"s\":\"a\\\\nb\"}
            2: [it\'s, a\\nb, t\tb] | {k\"y: [v]} | (1, x\ty) | {}
            3 ['\q'] a INVALID_TYPE "['\\q']" A backslash escape is not known; write \\ for a backslash (in element 1)
            3 ['\q'] t INVALID_TYPE "(1,'\\q')" A backslash escape is not known; write \\ for a backslash (in element 2)
        "#]],
    );
}

proptest! {
    #[test]
    fn a_text_in_an_array_survives_the_tsv_of_clickhouse(text in "\\PC{0,40}|['\"\t\r\n\\\\nx\0]{0,12}") {
        let escapes = [('\\', "\\\\"), ('\'', "\\'"), ('\t', "\\t"), ('\n', "\\n"), ('\r', "\\r"), ('\0', "\\0")];
        let written = escapes.iter().fold(text.clone(), |text, (c, escape)| text.replace(*c, escape));
        let shown = run(&schema("a Array(String)"), &tab_separated(), format!("['{written}']\n").as_bytes());
        prop_assert_eq!(shown, format!("1: [{}]\n", text.escape_debug()));
    }
}

#[test]
fn an_escaped_null_is_missing_where_null_cannot_be() {
    check(
        "n Int32, s String",
        &tab_separated(),
        "\\N\t\\N\n1\t\n\tx\n",
        &expect![[r#"
        2: 1 | 
        1  n MISSING_VALUE "\\N" The value is missing; give one, or make the column Nullable or give it a default
        1  s MISSING_VALUE "\\N" The value is missing; give one, or make the column Nullable or give it a default
        3  n MISSING_VALUE "" The value is missing; give one, or make the column Nullable or give it a default
    "#]],
    );
}

#[test]
fn an_escape_makes_delimiters_quotes_and_line_ends_data_with_quotes_and_without() {
    check(
        "a String, b String",
        &csv('\\'),
        "x\\,y,\"q\\\"\\n\"\"r\"\n\\\"z,a\"\"b\\\\\nl\\\n,\\N\r\n\"\\N\",\"\\\\\"\n",
        &expect![[r#"
            1: x,y | q\"\n\"r
            2: \"z | a\"\"b\\
            4: N | \\
            3 l
             b MISSING_VALUE "\\N" The value is missing; give one, or make the column Nullable or give it a default
        "#]],
    );
}

#[test]
fn other_escape_characters_know_no_letters() {
    check(
        "a String, b Nullable(String)",
        &csv('^'),
        "^n^^,^N\n\\n,\\N\n",
        &expect![[r#"
        1: n^ | N
        2: \\n | \\N
    "#]],
    );
}

#[test]
fn an_escaped_carriage_return_before_the_line_feed_is_data() {
    check(
        "a String, b String",
        &csv('\\'),
        "1,x\\\r\n2,y\r\n3,z\\\r",
        &expect![[r#"
        1: 1 | x\r
        2: 2 | y
        3: 3 | z\r
    "#]],
    );
}

#[test]
fn an_escaped_cell_is_no_null_text_and_is_read_as_its_type() {
    let input = Input { null_values: vec!["NA".to_owned()], ..csv('\\') };
    check(
        "n Nullable(Int32), s Nullable(String)",
        &input,
        "NA,NA\n\\1\\2,\\NA\nx\\,y,z\n",
        &expect![[r#"
            1: NULL | NULL
            2: 12 | NA
            3 x,y n INVALID_TYPE "x,y" Not a number; Nullable(Int32) takes digits only, such as 42
        "#]],
    );
}

#[test]
fn records_that_an_escape_breaks_are_malformed() {
    check(
        "a String, b String",
        &csv('\\'),
        "\"a\"\\,b\n\"a\"x,b\na\\,b\nc,d\\",
        &expect![[r#"
        1 a  MALFORMED_ROW "\"a\"\\,b" There is text after a closing quote; double the quotes inside a quoted cell
        2 a  MALFORMED_ROW "\"a\"x,b" There is text after a closing quote; double the quotes inside a quoted cell
        3 a,b  MALFORMED_ROW "a\\,b" The record has 1 fields where 2 are expected; quote cells that hold a delimiter
        4 c  MALFORMED_ROW "c,d\\" Nothing follows the last escape character; double it
    "#]],
    );
    check(
        "a String, b String",
        &csv('\\'),
        "a,\"b\\\"\n",
        &expect![[r#"
        1 a  MALFORMED_ROW "a,\"b\\\"" A quoted cell is never closed; close it, or double the quotes inside it
    "#]],
    );
}

#[test]
fn comments_are_no_records_and_have_no_number() {
    let input = Input { comment: Some('#'), ..Input::default() };
    check(
        "a String, b UInt8",
        &input,
        "a,b\n# \"open\nx#,1\n#\n\"#y\n#z\",2\n #,x\n#end",
        &expect![[r#"
        1: x# | 1
        2: #y\n#z | 2
        3  # b INVALID_TYPE "x" Not a number; UInt8 takes digits only, such as 42
    "#]],
    );
}

#[test]
fn any_line_end_ends_a_record_outside_quotes() {
    let input = Input { line_end: LineEnd::Any, header: false, ..Input::default() };
    check(
        "a String, b UInt8",
        &input,
        "x,1\ry,2\r\nz,3\n\r\r\n\"q\r\",4\r5\r",
        &expect![[r#"
        1: x | 1
        2: y | 2
        3: z | 3
        4: q\r | 4
        5 5  MALFORMED_ROW "5" The record has 1 fields where 2 are expected; quote cells that hold a delimiter
    "#]],
    );
}

#[test]
fn a_file_of_any_dialect_takes_many_tiles() {
    let input = Input { comment: Some('#'), line_end: LineEnd::Any, ..tab_separated() };
    let file = "#\r1\ta\\\tb\r\\N\t\n".repeat(60_000);
    let shown = run(&schema("n Nullable(UInt8), s Nullable(String)"), &input, file.as_bytes());
    let mut lines = shown.lines();
    for row in (1..=120_000).step_by(2) {
        assert_eq!(lines.next(), Some(format!("{row}: 1 | a\\tb").as_str()));
        assert_eq!(lines.next(), Some(format!("{}: NULL | ", row + 1).as_str()));
    }
    assert_eq!(lines.next(), None);
}
