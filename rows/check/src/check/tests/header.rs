//! How a file's header is matched with the columns.

use expect_test::expect;

use super::{check, columns, run};
use crate::Plan;
use rows_split::parse_header;
use rows_types::{ColumnsBy, Format, HeaderCase, Input, LineEnd, Schema, UnknownColumns};

fn bind(spec: &str, input: &Input, header: &str) -> Result<Plan, String> {
    let names = parse_header(input, header.as_bytes()).map_err(|e| format!("{}: {e}", e.reason()))?;
    let bound = super::bind(super::schema(spec), input.clone(), Some(&names));
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
    expect![[r#"HeaderMismatch: the header has unknown columns: 'z'; add them to the model, rename them, or set unknownColumns: ignore"#]]
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
fn settings_that_cannot_be_told_apart_are_refused_by_name() {
    let csv = Input::default;
    let problems = [
        Input { delimiter: '→', ..csv() },
        Input { delimiter: '\n', ..csv() },
        Input { delimiter: '\0', ..csv() },
        Input { quote: '„', ..csv() },
        Input { escape: Some('é'), ..csv() },
        Input { comment: Some('\r'), ..csv() },
        Input { delimiter: ';', quote: ';', ..csv() },
        Input { format: Format::Tsv, quote: '\t', ..csv() },
        Input { escape: Some(','), ..csv() },
        Input { escape: Some('"'), ..csv() },
        Input { comment: Some(','), ..csv() },
        Input { comment: Some('"'), ..csv() },
        Input { escape: Some('#'), comment: Some('#'), ..csv() },
    ];
    let said = problems.map(|input| bind("a UInt8", &input, "a").unwrap_err() + "\n").concat();
    expect![[r#"
        InvalidInput: the input settings cannot be used: delimiter must be one ASCII character, and no line end
        InvalidInput: the input settings cannot be used: delimiter must be one ASCII character, and no line end
        InvalidInput: the input settings cannot be used: delimiter must be one ASCII character, and no line end
        InvalidInput: the input settings cannot be used: quote must be one ASCII character, and no line end
        InvalidInput: the input settings cannot be used: escape must be one ASCII character, and no line end
        InvalidInput: the input settings cannot be used: comment must be one ASCII character, and no line end
        InvalidInput: the input settings cannot be used: delimiter must not be the quote character
        InvalidInput: the input settings cannot be used: delimiter must not be the quote character
        InvalidInput: the input settings cannot be used: escape must not be the delimiter
        InvalidInput: the input settings cannot be used: escape must not be the quote character; a doubled quote is one without any escape
        InvalidInput: the input settings cannot be used: comment must not be the delimiter, quote or escape character: records begin with those
        InvalidInput: the input settings cannot be used: comment must not be the delimiter, quote or escape character: records begin with those
        InvalidInput: the input settings cannot be used: comment must not be the delimiter, quote or escape character: records begin with those
    "#]].assert_eq(&said);
    let text = Input { quote: '\0', escape: Some('\\'), comment: Some('"'), format: Format::Tsv, ..csv() };
    assert_eq!(text.problem(), None);
    let unused = Input { format: Format::Json, escape: Some('"'), ..csv() };
    assert_eq!(unused.problem(), None);
}

#[test]
fn names_may_have_blanks_around_them_and_escapes_in_them() {
    let names = |input: &Input, header: &str| parse_header(input, header.as_bytes()).unwrap();
    assert_eq!(names(&Input::default(), " a ,\" b\"\"\",c\t"), ["a", "b\"", "c"]);
    let escape = Input { escape: Some('\\'), ..Input::default() };
    assert_eq!(names(&escape, "a\\,b,\"\\\"c\""), ["a,b", "\"c"]);
}

#[test]
fn bytes_that_are_no_text_are_no_header() {
    let error = parse_header(&Input::default(), b"a,\xff").unwrap_err();
    expect!["failed to read the header: it is not UTF-8; save the file as UTF-8"]
        .assert_eq(&error.to_string());
}

#[test]
fn a_carriage_return_in_the_header_is_told_to_be_a_setting() {
    let said = bind("a UInt8", &Input::default(), "a,b\r1,2\r").unwrap_err();
    expect!["HeaderMismatch: failed to read the header: it contains a carriage return; if carriage returns end lines, set input.lineEnd: any"].assert_eq(&said);
    assert_eq!(bind("a UInt8", &Input::default(), "\"a\"\r1").unwrap_err(), said);
    let quoted = parse_header(&Input::default(), b"\"a\rb\"").unwrap();
    assert_eq!(quoted, ["a\rb"]);
    let escape = Input { escape: Some('\\'), ..Input::default() };
    assert_eq!(parse_header(&escape, b"x\\\ry").unwrap(), ["x\ry"]);
    let any = Input { line_end: LineEnd::Any, ..Input::default() };
    assert_eq!(parse_header(&any, b"a,b").unwrap(), ["a", "b"]);
}

#[test]
fn letter_case_matters_only_where_it_is_to() {
    expect!["HeaderMismatch: no column of the header is known: found 'ID', 'ÉTÉ', expected 'id', 'b'; check the delimiter and the header line"]
        .assert_eq(&bind("id UInt8, b String", &Input::default(), "ID,ÉTÉ").unwrap_err());
    let ignore = Input { header_case: HeaderCase::Ignore, ..Input::default() };
    let mut columns = columns("id UInt8, b String");
    columns[1].aliases = vec!["été".to_owned(), "B".to_owned()];
    let schema = Schema::new(columns, None).unwrap();
    expect![[r#"
        1: 1 | x
    "#]]
    .assert_eq(&run(&schema, &ignore, "ÉTÉ,ID\nx,1\n".as_bytes()));
    expect!["HeaderMismatch: the header names column 'id' twice; remove one"]
        .assert_eq(&bind("id UInt8", &ignore, "id,Id").unwrap_err());
}

#[test]
fn columns_that_differ_by_letter_case_alone_cannot_ignore_it() {
    let ignore = Input { header_case: HeaderCase::Ignore, ..Input::default() };
    expect!["InvalidInput: the input settings cannot be used: headerCase: ignore makes 'ID' of column 'ID' and a name of column 'id' the same; rename one, or set headerCase: exact"]
        .assert_eq(&bind("id UInt8, ID String", &ignore, "id").unwrap_err());
    assert!(bind("id UInt8, ID String", &Input::default(), "id,ID").is_ok());
}

#[test]
fn columns_by_position_take_no_notice_of_the_headers_names() {
    let position = Input { columns_by: ColumnsBy::Position, ..Input::default() };
    check(
        "a UInt8, b String",
        &position,
        "b,what\n1,x\n",
        &expect![[r#"
        1: 1 | x
    "#]],
    );
    expect!["HeaderMismatch: the header has 3 columns where the model has 2; columnsBy: position needs one for each"]
        .assert_eq(&bind("a UInt8, b String", &position, "a,b,c").unwrap_err());
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
