//! What a file's header makes of the columns.

use super::{check, columns, run};
use crate::{Input, Plan, Schema, UnknownColumns, parse_header};
use expect_test::expect;

fn bind(spec: &str, input: &Input, header: &str) -> Result<Plan, String> {
    let names = parse_header(input, header.as_bytes()).map_err(|e| format!("{}: {e}", e.reason()))?;
    let bound = Plan::bind(super::schema(spec), input.clone(), Some(&names));
    bound.map_err(|e| format!("{}: {e}", e.reason()))
}

#[test]
fn columns_are_matched_by_name_in_any_order() {
    check(
        "a UInt8, b String",
        &Input::default(),
        "\u{feff}b,\"a\"\r\nx,1\r\n",
        &expect![[r#"
        1: 1 | x
    "#]],
    );
}

#[test]
fn an_alias_names_its_column() {
    let mut columns = columns("a UInt8, b String");
    columns[0].aliases = vec!["Number".to_owned()];
    let schema = Schema::new(columns, Some("b")).unwrap();
    expect![[r#"
        1: 1 | x
        2 y a INVALID_TYPE "?" Not a number; UInt8 takes digits only, such as 42
    "#]]
    .assert_eq(&run(&schema, &Input::default(), b"Number,b\n1,x\n?,y\n"));
}

#[test]
fn a_required_column_that_the_file_lacks_rejects_every_row() {
    let file = "event_id,amount\n1001abcd,1.5\n1002,x\nragged\n";
    check(
        "event_id String, timestamp UInt32, amount Float64",
        &Input::default(),
        file,
        &expect![[r#"
        1 1001abcd timestamp MISSING_COLUMN "" The required column 'timestamp' is missing
        2 1002 timestamp MISSING_COLUMN "" The required column 'timestamp' is missing
        2 1002 amount INVALID_TYPE "x" Not a number; Float64 takes digits only, such as 42 or 4.2
        3 ragged  MALFORMED_ROW "ragged" The record has 1 fields where 2 are expected; quote cells that hold a delimiter
    "#]],
    );
}

#[test]
fn a_nullable_column_that_the_file_lacks_is_null() {
    check(
        "a UInt8, b Nullable(Date), c LowCardinality(Nullable(String))",
        &Input::default(),
        "a\n1\n2\n",
        &expect![[r#"
        1: 1 | NULL | NULL
        2: 2 | NULL | NULL
    "#]],
    );
}

#[test]
fn a_header_of_which_no_name_is_known_is_a_mismatch() {
    expect![[r#"HeaderMismatch: no column of the header is known: found 'x;y', expected 'a', 'b'; check the delimiter and the header line"#]]
        .assert_eq(&bind("a UInt8, b String", &Input::default(), "x;y").unwrap_err());
}

#[test]
fn unknown_columns_are_refused_or_ignored() {
    expect![[r#"HeaderMismatch: the header has unknown columns: 'z'; add them to the model, rename them, or set unknownColumns: Ignore"#]]
        .assert_eq(&bind("a UInt8", &Input::default(), "z,a").unwrap_err());
    let ignore = Input { unknown_columns: UnknownColumns::Ignore, ..Input::default() };
    check(
        "a UInt8",
        &ignore,
        "z,a\nq,1\n",
        &expect![[r#"
        1: 1
    "#]],
    );
}

#[test]
fn a_column_named_twice_and_a_broken_quote_are_mismatches() {
    expect!["HeaderMismatch: the header names column 'a' twice; remove one"]
        .assert_eq(&bind("a UInt8", &Input::default(), "a,a").unwrap_err());
    assert!(
        bind("a UInt8", &Input::default(), "\"a")
            .unwrap_err()
            .starts_with("HeaderMismatch: failed to read the header")
    );
}

#[test]
fn a_delimiter_must_be_one_ascii_character_and_no_quote() {
    for (delimiter, quote) in [('→', '"'), (',', '„'), (';', ';'), ('\n', '"')] {
        let input = Input { delimiter, quote, ..Input::default() };
        assert!(
            bind("a UInt8", &input, "a").unwrap_err().starts_with("InvalidInput"),
            "{delimiter:?} {quote:?}"
        );
    }
}

#[test]
fn without_a_header_columns_come_in_the_schemas_order() {
    let input = Input { header: false, ..Input::default() };
    check(
        "a UInt8, b String",
        &input,
        "1,x\n",
        &expect![[r#"
        1: 1 | x
    "#]],
    );
}
