//! Constraints and overflow.

use expect_test::expect;

use super::{columns, compiles, run};
use rows_types::{Column, Constraints, Input, OnOverflow, Schema, SchemaError};

fn schema(spec: &str, edit: impl FnOnce(&mut [Column])) -> Result<Schema, SchemaError> {
    let mut columns = columns(spec);
    edit(&mut columns);
    compiles(columns)
}

#[test]
fn numbers_are_held_to_min_and_max() {
    let schema = schema("a Int32, b Nullable(Decimal(9, 2))", |c| {
        for column in c {
            column.constraints = Constraints { min: Some(0.5), max: Some(10.0), ..Constraints::default() };
        }
    });
    expect![[r#"
        1: 1 | 1000
        3: 10 | NULL
        2 0 a CONSTRAINT "0" Less than the column's minimum 0.5
        2 0 b CONSTRAINT "10.01" More than the column's maximum 10
        4 x a INVALID_TYPE "x" Not a number; Int32 takes digits only, such as 42
        4 x b CONSTRAINT "0" Less than the column's minimum 0.5
    "#]]
    .assert_eq(&run(&schema.unwrap(), &Input::default(), b"a,b\n1,10\n0,10.01\n10,\nx,0\n"));
}

#[test]
fn texts_are_held_to_length_pattern_and_list() {
    let schema = schema("a String, b LowCardinality(String), c UInt8", |c| {
        c[0].constraints = Constraints {
            min_length: Some(2),
            max_length: Some(3),
            pattern: Some("^é?[a-z]+$".to_owned()),
            ..Constraints::default()
        };
        c[1].constraints.one_of = vec!["eu".to_owned(), "us".to_owned()];
        c[2].constraints.one_of = vec!["1".to_owned()];
    });
    expect![[r#"
        1: éab | eu | 1
        2 a a CONSTRAINT "a" Shorter than the column's minimum of 2 characters
        2 a b CONSTRAINT "EU" Not one of the column's values: 'eu', 'us'
        2 a c CONSTRAINT "2" Not one of the column's values: '1'
        3 abcd a CONSTRAINT "abcd" Longer than the column's maximum of 3 characters
        4 AB a CONSTRAINT "AB" Does not match the column's pattern ^é?[a-z]+$
    "#]]
    .assert_eq(&run(
        &schema.unwrap(),
        &Input::default(),
        "a,b,c\néab,eu,1\na,EU,2\nabcd,us,1\nAB,eu,1\n".as_bytes(),
    ));
}

#[test]
fn numbers_out_of_range_are_clamped_where_the_column_says_so() {
    let schema = schema("a UInt8, b Int16, c Decimal(3, 1)", |c| {
        for column in c {
            column.policies.on_overflow = OnOverflow::Clamp;
        }
    });
    expect![[r#"
        1: 255 | -32768 | 999
        2: 0 | 32767 | -999
        3 x a INVALID_TYPE "x" Not a number; UInt8 takes digits only, such as 42
        3 x c PRECISION_LOSS "1.25" More digits after the point than Decimal(3, 1) keeps; round the value, raise the scale or set onPrecisionLoss: round
    "#]].assert_eq(&run(&schema.unwrap(), &Input::default(), b"a,b,c\n256,-40000,100\n-1,40000,-1000\nx,1,1.25\n"));
}

#[test]
fn a_rule_that_cannot_be_applied_is_refused_with_the_column() {
    let refused = |spec: &str, edit: fn(&mut Column)| schema(spec, |c| edit(&mut c[0])).unwrap_err();
    let text = |c: &mut Column| c.constraints.max_length = Some(1);
    assert_eq!(refused("a UInt8", text).reason(), "BadConstraint");
    assert_eq!(refused("a String", |c| c.constraints.min = Some(1.0)).reason(), "BadConstraint");
    assert_eq!(
        refused("a String", |c| c.constraints.pattern = Some("(".to_owned())).reason(),
        "BadConstraint"
    );
    assert_eq!(refused("a String", |c| c.policies.on_overflow = OnOverflow::Clamp).reason(), "BadConstraint");
    assert_eq!(refused("a String", |c| c.format = Some("%Y".to_owned())).reason(), "BadFormat");
    assert_eq!(refused("a Date", |c| c.format = Some("%Y-%m".to_owned())).reason(), "BadFormat");
    assert_eq!(refused("a Date", |c| c.format = Some("epoch_millis".to_owned())).reason(), "BadFormat");
}

#[test]
fn a_schema_needs_columns_with_names_of_their_own_and_a_known_key() {
    assert_eq!(Schema::new(vec![], None).unwrap_err().reason(), "NoColumns");
    assert_eq!(schema("a UInt8, a Int8", |_| {}).unwrap_err().reason(), "DuplicateName");
    let alias = |c: &mut [Column]| c[0].aliases = vec!["b".to_owned()];
    assert_eq!(schema("a UInt8, b Int8", alias).unwrap_err().reason(), "DuplicateName");
    assert_eq!(Schema::new(columns("a UInt8"), Some("z")).unwrap_err().reason(), "UnknownRowKey");
}
