//! NULL, empty and missing cells, and defaults.

use expect_test::expect;

use super::{check, columns, compiles, json_lines, run};
use rows_types::{Column, Input, Schema, Type};

#[test]
fn an_empty_cell_is_null_where_null_can_be_and_missing_where_not() {
    let file = "k,n,s,i\n1,,,5\n2,\"\",\"\",5\n3,7,x,\n4,8,y,\"\"\n";
    check(
        "k UInt8, n Nullable(Int64), s Nullable(String), i Int32",
        &Input::default(),
        file,
        &expect![[r#"
        1: 1 | NULL | NULL | 5
        2: 2 | NULL |  | 5
        3 3 i MISSING_VALUE "" The value is missing; give one, or make the column Nullable or give it a default
        4 4 i MISSING_VALUE "" The value is missing; give one, or make the column Nullable or give it a default
    "#]],
    );
}

#[test]
fn a_string_column_keeps_an_empty_text() {
    check(
        "k UInt8, s String, f FixedString(2)",
        &Input::default(),
        "k,s,f\n1,,\n2,\"\",\"\"\n",
        &expect![[r#"
        1: 1 |  | \0\0
        2: 2 |  | \0\0
    "#]],
    );
}

#[test]
fn null_values_mean_null_only_without_quotes() {
    let input = Input { null_values: vec!["NULL".to_owned(), "-1".to_owned()], ..Input::default() };
    let file = "n,s,t\nNULL,NULL,a\n-1,-1,b\n2,\"NULL\",c\n3,x,NULL\n";
    check(
        "n Nullable(Int8), s Nullable(String), t String",
        &input,
        file,
        &expect![[r#"
        1: NULL | NULL | a
        2: NULL | NULL | b
        3: 2 | NULL | c
        4 3 t MISSING_VALUE "NULL" The value is missing; give one, or make the column Nullable or give it a default
    "#]],
    );
}

fn with_defaults() -> Schema {
    let mut columns = columns("k UInt8, n Int64, s String, d Nullable(Date), l LowCardinality(String)");
    for (column, default) in columns[1..].iter_mut().zip(["42", "none", "2026-01-01", "eu"]) {
        column.default = Some(default.to_owned());
    }
    Schema::new(columns, None).unwrap()
}

#[test]
fn a_default_stands_in_for_an_empty_cell_and_a_missing_column() {
    let shown = run(&with_defaults(), &Input::default(), b"k,n,s\n1,,\n2,7,x\n");
    expect![[r#"
        1: 1 | 42 | none | 2026-01-01 | eu
        2: 2 | 7 | x | 2026-01-01 | eu
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_default_stands_in_for_a_missing_key_and_for_null_where_null_cannot_be() {
    let shown = run(
        &with_defaults(),
        &json_lines(),
        br#"{"k":1}
{"k":2,"n":null,"s":null,"d":null,"l":null}
"#,
    );
    expect![[r#"
        1: 1 | 42 | none | 2026-01-01 | eu
        2: 2 | 42 | none | NULL | eu
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_default_that_is_no_value_of_its_type_is_refused() {
    let column = Column { default: Some("x".to_owned()), ..Column::new("n", Type::parse("Int8").unwrap()) };
    let error = compiles(vec![column]).unwrap_err();
    assert_eq!(error.reason(), "BadDefault");
    assert_eq!(
        error.to_string(),
        "the default of column 'n' is not a Int8: Not a number; Int8 takes digits only, such as 42"
    );
}
