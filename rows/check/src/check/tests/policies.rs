//! What a column's policies accept.

use expect_test::{Expect, expect};

use super::{columns, compiles, json_lines, run};
use rows_types::{
    Column, Constraints, Input, IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss,
    Schema, SchemaError, Type,
};

fn schema(spec: &str, edit: impl FnMut(&mut Column)) -> Result<Schema, SchemaError> {
    let mut columns = columns(spec);
    columns.iter_mut().for_each(edit);
    compiles(columns)
}

#[track_caller]
fn check(spec: &str, edit: impl FnMut(&mut Column), input: &Input, file: &[u8], expected: &Expect) {
    expected.assert_eq(&run(&schema(spec, edit).unwrap(), input, file));
}

#[test]
fn nan_and_infinity_are_read_where_the_column_accepts_them() {
    let accept = |c: &mut Column| c.policies.non_finite = NonFinite::Accept;
    let file = b"a,b\nnan,INF\n-NaN,-Infinity\n+inf,infinit\n1e999,nanx\n,1\n\"inf\",\"-inf\"\n";
    check(
        "a Float64, b Nullable(Float32)",
        accept,
        &Input::default(),
        file,
        &expect![[r#"
        1: NaN | inf
        2: NaN | -inf
        6: inf | -inf
        3 +inf a INVALID_TYPE "+inf" Not a number; Float64 takes digits only, such as 42 or 4.2
        3 +inf b INVALID_TYPE "infinit" Not a number; Nullable(Float32) takes digits only, such as 42 or 4.2
        4 1e999 a OUT_OF_RANGE "1e999" Too large for Float64
        4 1e999 b INVALID_TYPE "nanx" Not a number; Nullable(Float32) takes digits only, such as 42 or 4.2
        5  a MISSING_VALUE "" The value is missing; give one, or make the column Nullable or give it a default
    "#]],
    );
    let file = b"{\"a\":\"NaN\",\"b\":\"-inf\"}\n{\"a\":NaN,\"b\":1}\n";
    check(
        "a Float64, b Nullable(Float32)",
        accept,
        &json_lines(),
        file,
        &expect![[r#"
        1: NaN | -inf
        2   MALFORMED_ROW "{\"a\":NaN,\"b\":1}" The line is not one JSON object
    "#]],
    );
}

#[test]
fn nan_is_within_no_bounds_and_infinity_is_beyond_the_largest() {
    for (min, max) in [(Some(0.0), None), (None, Some(1.0))] {
        let edit = |c: &mut Column| {
            c.policies.non_finite = NonFinite::Accept;
            c.constraints = Constraints { min, max, ..Constraints::default() };
        };
        let shown = run(&schema("a Float32", edit).unwrap(), &Input::default(), b"a\nnan\n");
        assert_eq!(
            shown,
            "1 nan a CONSTRAINT \"nan\" NaN is within no bounds, and the column has a minimum or maximum\n"
        );
    }
    let edit = |c: &mut Column| {
        c.policies.non_finite = NonFinite::Accept;
        c.constraints = Constraints { min: Some(0.0), max: Some(1.0), ..Constraints::default() };
    };
    check(
        "a Float64",
        edit,
        &Input::default(),
        b"a\ninf\n-inf\n1\n",
        &expect![[r#"
        3: 1.0
        1 inf a CONSTRAINT "inf" More than the column's maximum 1
        2 -inf a CONSTRAINT "-inf" Less than the column's minimum 0
    "#]],
    );
}

#[test]
fn a_text_that_means_null_is_null_though_it_could_be_read_as_a_number() {
    let input = Input { null_values: vec!["nan".to_owned()], ..Input::default() };
    let accept = |c: &mut Column| c.policies.non_finite = NonFinite::Accept;
    check(
        "a Nullable(Float64)",
        accept,
        &input,
        b"a\nnan\nNaN\n",
        &expect![[r#"
        1: NULL
        2: NaN
    "#]],
    );
}

#[test]
fn decimals_are_rounded_half_away_from_zero_where_the_column_says_so() {
    let round = |c: &mut Column| c.policies.on_precision_loss = OnPrecisionLoss::Round;
    let file = b"a,b\n1.005,1.4999999999999999999999\n-1.005,-2.5\n0.004,0.49\n-0.004,0.5\n9.994,9.49\n9.995,9.5\n\
        -9.995,-99\n1e-9,1.x\n1.00499,0.50000000000000000000000000000000000000000000000000000000000000000000000000001\n";
    check(
        "a Decimal(3, 2), b Decimal(1, 0)",
        round,
        &Input::default(),
        file,
        &expect![[r#"
        1: 101 | 1
        2: -101 | -3
        3: 0 | 0
        4: 0 | 1
        5: 999 | 9
        9: 100 | 1
        6 9.995 a OUT_OF_RANGE "9.995" Out of the range of Decimal(3, 2); widen the column's type or correct the value
        6 9.995 b OUT_OF_RANGE "9.5" Out of the range of Decimal(1, 0); widen the column's type or correct the value
        7 -9.995 a OUT_OF_RANGE "-9.995" Out of the range of Decimal(3, 2); widen the column's type or correct the value
        7 -9.995 b OUT_OF_RANGE "-99" Out of the range of Decimal(1, 0); widen the column's type or correct the value
        8 1e-9 a INVALID_TYPE "1e-9" Decimal(3, 2) takes no exponent; write the number out
        8 1e-9 b INVALID_TYPE "1.x" Not a number; Decimal(1, 0) takes digits only, such as 42 or 4.2
    "#]],
    );
    let nines = "9".repeat(76);
    let file = format!("a,b\n{nines}.4,0.{nines}4\n{nines}.5,0.{nines}5\n");
    check(
        "a Decimal(76, 0), b Decimal(76, 76)",
        round,
        &Input::default(),
        file.as_bytes(),
        &expect![[r#"
            1: 161bcca7119915b50764b4abe86529797775a5f171950fffffffffffffffffff | 161bcca7119915b50764b4abe86529797775a5f171950fffffffffffffffffff
            2 9999999999999999999999999999999999999999999999999999999999999999999999999999.5 a OUT_OF_RANGE "9999999999999999999999999999999999999999999999999999999999999999999999999999.5" Out of the range of Decimal(76, 0); widen the column's type or correct the value
            2 9999999999999999999999999999999999999999999999999999999999999999999999999999.5 b OUT_OF_RANGE "0.99999999999999999999999999999999999999999999999999999999999999999999999999995" Out of the range of Decimal(76, 76); widen the column's type or correct the value
        "#]],
    );
}

#[test]
fn a_decimal_is_rounded_first_and_then_clamped() {
    let both = |c: &mut Column| {
        c.policies.on_precision_loss = OnPrecisionLoss::Round;
        c.policies.on_overflow = OnOverflow::Clamp;
    };
    check(
        "a Decimal(3, 2)",
        both,
        &Input::default(),
        b"a\n9.995\n-10.001\n9.994\n",
        &expect![[r#"
        1: 999
        2: -999
        3: 999
    "#]],
    );
}

#[test]
fn whole_numbers_are_read_in_any_spelling_where_the_column_accepts_it() {
    let accept = |c: &mut Column| c.policies.integral_floats = IntegralFloats::Accept;
    let file =
        b"a,b,c\n1.0,-2.50e1,1e3\n255e0,1e18,18446744073709551615.0\n2.56e2,9.3e18,1e20\n1.5,1e-1,-1.0\n\
        1.,01.0,+1.0\n0e999999999999999999999,-0.0,1e999999999999999999999\n7,8,9\n";
    check(
        "a UInt8, b Int64, c UInt64",
        accept,
        &Input::default(),
        file,
        &expect![[r#"
        1: 1 | -25 | 1000
        2: 255 | 1000000000000000000 | 18446744073709551615
        7: 7 | 8 | 9
        3 2.56e2 a OUT_OF_RANGE "2.56e2" Out of the range of UInt8; widen the column's type or correct the value
        3 2.56e2 b OUT_OF_RANGE "9.3e18" Out of the range of Int64; widen the column's type or correct the value
        3 2.56e2 c OUT_OF_RANGE "1e20" Out of the range of UInt64; widen the column's type or correct the value
        4 1.5 a INVALID_TYPE "1.5" Not a whole number, which UInt8 asks for; correct the value or change the column's type
        4 1.5 b INVALID_TYPE "1e-1" Not a whole number, which Int64 asks for; correct the value or change the column's type
        4 1.5 c OUT_OF_RANGE "-1.0" UInt64 holds no negative numbers; use a signed type or correct the value
        5 1. a INVALID_TYPE "1." A decimal point needs digits on both sides, such as 0.5
        5 1. b INVALID_TYPE "01.0" A number has no leading zeros; remove them, or make the column a String if they matter
        5 1. c INVALID_TYPE "+1.0" A number has no '+' before it; remove it
        6 0e999999999999999999999 c OUT_OF_RANGE "1e999999999999999999999" Out of the range of UInt64; widen the column's type or correct the value
    "#]],
    );
    let file = b"{\"a\":1.0,\"b\":\"1E2\"}\n{\"a\":1.7e38,\"b\":-5.7e76}\n{\"a\":1.8e38,\"b\":5.8e76}\n";
    check(
        "a Int128, b Int256",
        accept,
        &json_lines(),
        file,
        &expect![[r#"
        1: 1 | 0000000000000000000000000000000000000000000000000000000000000064
        2: 170000000000000000000000000000000000000 | 81fb24ae1bb10444ef752d5f5358f9fed7149aec922e58000000000000000000
        3 1.8e38 a OUT_OF_RANGE "1.8e38" Out of the range of Int128; widen the column's type or correct the value
        3 1.8e38 b OUT_OF_RANGE "5.8e76" Out of the range of Int256; widen the column's type or correct the value
    "#]],
    );
}

#[test]
fn a_whole_number_that_overflows_is_clamped_in_any_spelling() {
    let both = |c: &mut Column| {
        c.policies.integral_floats = IntegralFloats::Accept;
        c.policies.on_overflow = OnOverflow::Clamp;
    };
    check(
        "a UInt8, b Int8",
        both,
        &Input::default(),
        b"a,b\n1e9,-1e9\n-1.0,1.28e2\n1.5,1\n",
        &expect![[r#"
            1: 255 | -128
            2: 0 | 127
            3 1.5 a INVALID_TYPE "1.5" Not a whole number, which UInt8 asks for; correct the value or change the column's type
        "#]],
    );
}

#[test]
fn each_invalid_sequence_becomes_one_replacement_character_where_the_column_says_so() {
    let replace = |c: &mut Column| {
        c.policies.on_invalid_utf8 = OnInvalidUtf8::Replace;
        c.constraints.max_length = Some(4);
    };
    let spec = "a String, b LowCardinality(String)";
    let file = b"a,b\n\xffx,\"\xe2\x82\"\nab\xc3\xa9\xff,\xed\xa0\x80\xff\n\xff\xff\xff\xff\xff,ok\n,\"a\"\"\xff\"\n";
    check(
        spec,
        replace,
        &Input::default(),
        file,
        &expect![[r#"
        1: �x | �
        2: abé� | ����
        4:  | a\"�
        3 ����� a CONSTRAINT "�����" Longer than the column's maximum of 4 characters
    "#]],
    );
    let file = b"{\"a\":\"\\n\xff\",\"b\":\"\xc3\"}\n{\"a\":\"\\ud800\",\"b\":\"x\"}\n";
    check(
        spec,
        replace,
        &json_lines(),
        file,
        &expect![[r#"
            1: \n� | �
            2 \ud800 a INVALID_UTF8 "\\ud800" A \u escape is half of a surrogate pair; write both halves, or the character itself
        "#]],
    );
}

#[test]
fn the_elements_of_arrays_tuples_and_maps_have_the_policies_of_their_column() {
    let all = |c: &mut Column| {
        c.policies.non_finite = NonFinite::Accept;
        c.policies.integral_floats = IntegralFloats::Accept;
        c.policies.on_overflow = OnOverflow::Clamp;
        c.policies.on_precision_loss = OnPrecisionLoss::Round;
        c.policies.on_invalid_utf8 = OnInvalidUtf8::Replace;
    };
    let spec = "a Tuple(f Float64, i Array(UInt8), d Decimal(3, 2), s Map(String, Int8))";
    let file = b"{\"a\":[\"nan\",[1.0,1e3],9.995,{\"\xff\":1}]}\n{\"a\":[1,[1.5],1,{}]}\n";
    check(
        spec,
        all,
        &json_lines(),
        file,
        &expect![[r#"
        1: (NaN, [1, 255], 999, {�: 1})
        2 [1,[1.5],1,{}] a INVALID_TYPE "[1,[1.5],1,{}]" Not a whole number, which UInt8 asks for; correct the value or change the column's type (in element 1 of element 'i')
    "#]],
    );
}

#[test]
fn a_policy_is_refused_on_a_type_that_it_does_not_fit() {
    let clamp: fn(&mut Column) = |c| c.policies.on_overflow = OnOverflow::Clamp;
    let finite: fn(&mut Column) = |c| c.policies.non_finite = NonFinite::Accept;
    let round: fn(&mut Column) = |c| c.policies.on_precision_loss = OnPrecisionLoss::Round;
    let whole: fn(&mut Column) = |c| c.policies.integral_floats = IntegralFloats::Accept;
    let replace: fn(&mut Column) = |c| c.policies.on_invalid_utf8 = OnInvalidUtf8::Replace;
    for (policy, fits, others) in [
        (clamp, &["UInt8", "Int256", "Map(String, Decimal(9, 2))"][..], &["Float64", "String", "Date"][..]),
        (finite, &["Float32", "Nullable(Float64)", "BFloat16"], &["UInt8", "Array(String)", "JSON"]),
        (round, &["Decimal(9, 2)", "Decimal(76, 76)"], &["Float64", "Int8", "DateTime64(3)"]),
        (whole, &["Int8", "UInt256", "LowCardinality(UInt8)"], &["Decimal(9, 0)", "Enum8('a')", "Bool"]),
        (replace, &["String", "LowCardinality(Nullable(String))"], &["FixedString(4)", "Enum8('a')", "UUID"]),
    ] {
        for ty in fits {
            assert_eq!(schema(&format!("a {ty}"), policy).err(), None);
        }
        for ty in others {
            let error = schema(&format!("a {ty}"), policy).unwrap_err();
            assert_eq!(error.reason(), "BadConstraint");
            let ty = Type::parse(ty).unwrap().to_string();
            let text = error.to_string();
            assert!(text.contains(" for ") && text.contains(&format!("not for {ty}")), "{text}");
        }
    }
}

#[test]
fn a_default_is_read_by_the_policies_that_change_no_value() {
    let default = |ty: &str, text: &str| {
        schema(&format!("a {ty}"), |c| {
            c.default = Some(text.to_owned());
            let policies = &mut c.policies;
            match ty {
                "Float64" => policies.non_finite = NonFinite::Accept,
                "UInt8" => {
                    policies.integral_floats = IntegralFloats::Accept;
                    policies.on_overflow = OnOverflow::Clamp;
                }
                _ => {
                    policies.on_precision_loss = OnPrecisionLoss::Round;
                    policies.on_overflow = OnOverflow::Clamp;
                }
            }
        })
    };
    for (ty, text) in [("Float64", "nan"), ("UInt8", "1e2"), ("Decimal(3, 2)", "1.5")] {
        assert_eq!(default(ty, text).err(), None);
    }
    for (ty, text) in [
        ("Array(Decimal(3, 2))", "[1.555]"),
        ("UInt8", "256"),
        ("UInt8", "2.56e2"),
        ("Decimal(3, 2)", "1.555"),
        ("Decimal(3, 2)", "10"),
    ] {
        assert_eq!(default(ty, text).unwrap_err().reason(), "BadDefault", "{ty} {text}");
    }
}
