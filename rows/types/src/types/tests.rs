//! Type names: which are read, how they are shown, and which are refused.

use super::{Base, SCALARS, Scalar, Type};
use proptest::prelude::*;

#[test]
fn a_type_is_shown_in_its_canonical_spelling() {
    for (name, shown) in [
        ("String", "String"),
        (" Nullable( UInt64 ) ", "Nullable(UInt64)"),
        ("LowCardinality(Nullable(String))", "LowCardinality(Nullable(String))"),
        ("Decimal32(4)", "Decimal(9, 4)"),
        ("Decimal(20)", "Decimal(20, 0)"),
        ("Decimal(76,76)", "Decimal(76, 76)"),
        ("DateTime('Europe/Berlin')", "DateTime('Europe/Berlin')"),
        ("DateTime64(3,'UTC')", "DateTime64(3, 'UTC')"),
        ("Enum8('a','b'=5,'it''s \\\\ \\'x\\'')", "Enum8('a' = 1, 'b' = 5, 'it\\'s \\\\ \\'x\\'' = 6)"),
        ("Enum('b' = 1000, 'a' = -1)", "Enum16('a' = -1, 'b' = 1000)"),
        ("FixedString(16)", "FixedString(16)"),
        ("Int256", "Int256"),
        ("Array( LowCardinality(String) )", "Array(LowCardinality(String))"),
        ("Tuple(Int8,Array(Tuple(x Int8)))", "Tuple(Int8, Array(Tuple(x Int8)))"),
        ("Tuple(`a b` JSON, \"c`d\" Time64(3))", "Tuple(`a b` JSON, `c\\`d` Time64(3))"),
        ("Nullable(Tuple(a Nullable(JSON)))", "Nullable(Tuple(a Nullable(JSON)))"),
        (
            "Map(LowCardinality(String),Map(UInt8,BFloat16))",
            "Map(LowCardinality(String), Map(UInt8, BFloat16))",
        ),
        ("Tuple(Time Time)", "Tuple(Time Time)"),
    ] {
        assert_eq!(Type::parse(name).map(|t| t.to_string()).as_deref(), Ok(shown), "{name}");
    }
}

#[test]
fn a_type_that_files_cannot_fill_is_refused_with_those_that_can() {
    for name in [
        "int8",
        "Varchar",
        "Int24",
        "Variant(Int8)",
        "Nested(a Int8)",
        "Array(Point)",
        "AggregateFunction(sum, Int8)",
    ] {
        let error = Type::parse(name).unwrap_err();
        assert_eq!(error.reason(), "UnsupportedType", "{name}");
        assert!(error.to_string().contains("allowed are String, FixedString(N)"), "{error}");
    }
}

#[test]
fn the_types_that_are_allowed_are_those_of_the_table() {
    assert_eq!(
        Type::parse("Point").unwrap_err().to_string(),
        "type 'Point' is not supported; allowed are String, FixedString(N), Bool, Int8 to Int256, UInt8 to UInt256, \
         Float32, Float64, BFloat16, Decimal(P, S), Date, Date32, DateTime, DateTime64(P), Time, Time64(P), UUID, IPv4, \
         IPv6, Enum8(…), Enum16(…), JSON, Nullable(T) and LowCardinality(T) of these, and Array(T), Tuple(…), Map(K, V)"
    );
}

#[test]
fn the_guide_has_every_scalar_type_in_its_table() {
    let guide = include_str!("../../../../docs/guide.md");
    let (_, table) = guide.split_once("| type | a cell |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for (first, last) in super::scalar::spellings() {
        let row = last.map_or(format!("`{first}`"), |last| format!("`{first}` to `{last}`"));
        assert!(table.contains(&row), "docs/guide.md#columns has no row for {row}");
    }
}

#[test]
fn a_scalar_type_is_shown_with_its_arguments_as_it_is_written() {
    let examples = SCALARS.iter().map(|info| (info.name, info.example()));
    for (name, example) in examples.chain([("DateTime", "DateTime('UTC')".to_owned())]) {
        let ty = Type::parse(&example).unwrap();
        let scalar = ty.scalar().unwrap();
        assert_eq!((scalar.info().name, scalar.to_string()), (name, example.clone()));
        let (written, names) = (example.contains("'UTC'"), example.contains("'a'"));
        assert_eq!((scalar.zone().is_some(), !scalar.names().is_empty()), (written, names), "{example}");
    }
}

#[test]
fn a_type_with_wrong_arguments_is_refused() {
    for name in [
        "",
        "(",
        "Nullable",
        "Nullable()",
        "Nullable(Int8, Int8)",
        "Nullable(Nullable(Int8))",
        "Nullable(LowCardinality(String))",
        "LowCardinality(Decimal(9, 2))",
        "String(5)",
        "FixedString",
        "FixedString(0)",
        "FixedString(x)",
        "Decimal",
        "Decimal(0, 0)",
        "Decimal(77, 0)",
        "Decimal(5, 6)",
        "Decimal32(10)",
        "DateTime(5)",
        "DateTime('Mars/Phobos')",
        "DateTime64",
        "DateTime64(10)",
        "Enum8()",
        "Enum8('a' = 128)",
        "Enum8('a' = 1, 'a' = 2)",
        "Enum8('a' = 1, 'b' = 1)",
        "Enum8(a = 1)",
        "Enum8('a",
        "Int8)",
        "Int8 x",
        "Enum8('\\q' = 1)",
        "Bool()",
        "UUID('x')",
        "Array",
        "Array(String, String)",
        "Array(a String)",
        "Nullable(Array(Int8))",
        "Nullable(Map(String, Int8))",
        "LowCardinality(Array(String))",
        "LowCardinality(Time)",
        "Tuple()",
        "Tuple(a Int8, String)",
        "Tuple(a Int8, a Int8)",
        "Tuple(5)",
        "Map(String)",
        "Map(Nullable(String), Int8)",
        "Map(Array(Int8), Int8)",
        "JSON(max_dynamic_paths = 5)",
        "Time64",
        "Time64(10)",
        "Time(3)",
    ] {
        assert_eq!(Type::parse(name).map_err(|e| e.reason()), Err("MalformedType"), "{name}");
    }
}

#[test]
fn a_type_becomes_nullable_inside_low_cardinality() {
    assert_eq!(
        Type::parse("LowCardinality(String)").unwrap().nullable().unwrap().to_string(),
        "LowCardinality(Nullable(String))"
    );
    assert_eq!(Type::parse("Int8").unwrap().nullable().unwrap().to_string(), "Nullable(Int8)");
    assert!(Type::parse("Nullable(Int8)").unwrap().is_nullable());
    let error = Type::parse("Array(Int8)").unwrap().nullable().unwrap_err();
    assert!(error.to_string().contains("Nullable(Array(Int8))"), "{error}");
}

#[test]
fn types_nest_as_deep_as_anybody_writes_them_and_no_deeper() {
    let nested = |depth: usize| format!("{}Int8{}", "Array(".repeat(depth), ")".repeat(depth));
    assert_eq!(Type::parse(&nested(100)).unwrap().to_string(), nested(100));
    assert_eq!(Type::parse(&nested(101)).unwrap_err().reason(), "MalformedType");
    assert_eq!(Type::parse(&nested(5000)).unwrap_err().reason(), "MalformedType");
}

proptest! {
    #[test]
    fn any_name_is_parsed_or_refused_and_what_is_shown_parses_to_the_same(name in "\\PC{0,30}|[A-Za-z0-9(),'= ]{0,40}") {
        if let Ok(ty) = Type::parse(&name) {
            prop_assert_eq!(Type::parse(&ty.to_string()), Ok(ty));
        }
    }

    #[test]
    fn an_enum_of_any_names_parses_to_itself(names in prop::collection::hash_set("\\PC{0,8}|['\\\\\n\t]{1,3}", 1..8)) {
        let list: Vec<(String, i16)> = names.into_iter().zip(1..).collect();
        let ty = Type { base: Base::Scalar(Scalar::Enum8(list)), nullable: true, low_cardinality: false };
        prop_assert_eq!(Type::parse(&ty.to_string()), Ok(ty));
    }
}
