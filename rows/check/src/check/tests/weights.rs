//! No block of a chunk is longer than the weight of the chunk.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::expect;
use proptest::prelude::*;

use super::{bind, columns, compiles};
use crate::Checker;
use rows_split::{Cutter, Limits};
use rows_types::{
    CHUNK_WEIGHT, Column, Format, Input, MAX_CHUNK_ROWS, OnInvalidUtf8, SCALARS, ScalarInfo, Schema,
};

fn schema(columns: Vec<Column>) -> Schema {
    Schema::new(columns, None).unwrap()
}

/// A column with this default.
fn or(spec: &str, default: &str) -> Vec<Column> {
    let mut columns = columns(spec);
    columns[0].default = Some(default.to_owned());
    columns
}

fn input(format: Format) -> Input {
    Input { format, header: false, ..Input::default() }
}

/// What a weight does not include: names, types, headers of dictionaries, a default of each `LowCardinality` column,
/// and the third byte of a long text's length.
fn frame(columns: &[Column], bytes: u64) -> u64 {
    let of = |c: &Column| c.name.len() + c.ty.to_string().len() + c.default.as_ref().map_or(0, String::len);
    200 + bytes / 16_384 + columns.iter().map(|c| 100 + of(c) as u64).sum::<u64>()
}

/// Cuts the file and checks its chunks; returns the length of the longest block and the number of good records.
#[track_caller]
fn hold(schema: &Schema, input: &Input, file: &[u8], chunk_bytes: usize) -> (u64, u64) {
    let limits = Limits::of(schema, chunk_bytes);
    let mut cutter = Cutter::new(input, limits);
    cutter.push(file).unwrap();
    cutter.finish().unwrap();
    let plan = bind(schema.clone(), input.clone(), None).unwrap();
    let mut checker = Checker::new(Arc::new(plan));
    let (mut longest, mut ok) = (0, 0);
    while let Some(chunk) = cutter.next_chunk() {
        let outcome = checker.check(&chunk.bytes, chunk.first_row, "a job");
        let block: usize = outcome.block_parts().map(<[u8]>::len).sum();
        let (block, len) = (block as u64, chunk.bytes.len() as u64);
        let frame = frame(schema.columns(), len);
        let weight = limits.weight(len, chunk.rows) + frame;
        assert!(block <= weight, "{block} > {weight} of {len} bytes, {} rows, {limits:?}", chunk.rows);
        if chunk.rows > 1 {
            assert!(block <= 2 * CHUNK_WEIGHT + frame, "{block} of {limits:?}");
        }
        longest = longest.max(block);
        ok += u64::from(outcome.ok());
    }
    (longest, ok)
}

#[test]
fn what_a_row_and_a_byte_weigh_follows_from_the_columns() {
    let of = |spec: &str| {
        let Limits { chunk_bytes, chunk_rows, row_weight, byte_weight } =
            Limits::of(&schema(columns(spec)), 8 << 20);
        // without the cost of lineage
        format!("{spec}: {} a row, {byte_weight} a byte: {chunk_rows} of {chunk_bytes}\n", row_weight - 9)
    };
    let specs = [
        "a UInt8",
        "a Int256, b Date, c Bool",
        "a String",
        "a Nullable(String)",
        "a FixedString(100)",
        "a Enum8('x' = 1), b Enum16('x' = 1)",
        "a Decimal(9, 2), b Decimal(18, 2), c Decimal(38, 2), d Decimal(76, 2)",
        "a LowCardinality(String)",
        "a LowCardinality(Nullable(String))",
        "a LowCardinality(FixedString(5))",
        "a JSON",
        "a Nullable(JSON)",
        "a Tuple(UInt8, Nullable(String))",
        "a Nullable(Tuple(a UInt8, b String))",
        "a Array(UInt8)",
        "a Array(String)",
        "a Array(Nullable(String))",
        "a Array(Float64)",
        "a Array(UInt256), b String",
        "a Array(FixedString(100))",
        "a Array(FixedString(65536))",
        "a Array(UUID), b Array(IPv4), c Array(DateTime64(3)), d Array(Time64(3))",
        "a Array(Nullable(UUID))",
        "a Array(Array(UInt8))",
        "a Array(Tuple(UInt8, UInt8))",
        "a Array(Tuple(a Nullable(Float64), b Nullable(Float64)))",
        "a Map(String, String)",
        "a Map(String, UInt256)",
        "a Map(LowCardinality(String), Array(UInt8))",
    ];
    expect![[r#"
        a UInt8: 1 a row, 1 a byte: 200000 of 8388608
        a Int256, b Date, c Bool: 35 a row, 1 a byte: 190650 of 8388608
        a String: 1 a row, 1 a byte: 200000 of 8388608
        a Nullable(String): 2 a row, 1 a byte: 200000 of 8388608
        a FixedString(100): 100 a row, 1 a byte: 76959 of 8388608
        a Enum8('x' = 1), b Enum16('x' = 1): 3 a row, 1 a byte: 200000 of 8388608
        a Decimal(9, 2), b Decimal(18, 2), c Decimal(38, 2), d Decimal(76, 2): 60 a row, 1 a byte: 121574 of 8388608
        a LowCardinality(String): 5 a row, 1 a byte: 200000 of 8388608
        a LowCardinality(Nullable(String)): 5 a row, 1 a byte: 200000 of 8388608
        a LowCardinality(FixedString(5)): 9 a row, 1 a byte: 200000 of 8388608
        a JSON: 3 a row, 1 a byte: 200000 of 8388608
        a Nullable(JSON): 4 a row, 1 a byte: 200000 of 8388608
        a Tuple(UInt8, Nullable(String)): 3 a row, 1 a byte: 200000 of 8388608
        a Nullable(Tuple(a UInt8, b String)): 3 a row, 1 a byte: 200000 of 8388608
        a Array(UInt8): 8 a row, 1 a byte: 200000 of 8388608
        a Array(String): 8 a row, 1 a byte: 200000 of 8388608
        a Array(Nullable(String)): 8 a row, 2 a byte: 200000 of 4194304
        a Array(Float64): 8 a row, 4 a byte: 200000 of 2097152
        a Array(UInt256), b String: 9 a row, 16 a byte: 200000 of 524288
        a Array(FixedString(100)): 8 a row, 50 a byte: 200000 of 167772
        a Array(FixedString(65536)): 8 a row, 32768 a byte: 200000 of 1024
        a Array(UUID), b Array(IPv4), c Array(DateTime64(3)), d Array(Time64(3)): 32 a row, 1 a byte: 200000 of 8388608
        a Array(Nullable(UUID)): 8 a row, 6 a byte: 200000 of 1398101
        a Array(Array(UInt8)): 8 a row, 4 a byte: 200000 of 2097152
        a Array(Tuple(UInt8, UInt8)): 8 a row, 1 a byte: 200000 of 8388608
        a Array(Tuple(a Nullable(Float64), b Nullable(Float64))): 8 a row, 6 a byte: 200000 of 1398101
        a Map(String, String): 8 a row, 1 a byte: 200000 of 8388608
        a Map(String, UInt256): 8 a row, 9 a byte: 200000 of 932067
        a Map(LowCardinality(String), Array(UInt8)): 8 a row, 4 a byte: 200000 of 2097152
    "#]].assert_eq(&specs.map(of).concat());
}

#[test]
fn defaults_weigh_what_they_are_written_as() {
    let of = |columns: Vec<Column>| {
        let limits = Limits::of(&schema(columns), 8 << 20);
        (limits.row_weight - 9, limits.byte_weight)
    };
    assert_eq!(of(or("a String", "abc")), (4, 1));
    assert_eq!(of(or("a String", &"x".repeat(200))), (202, 1));
    assert_eq!(of(or("a FixedString(10)", "abc")), (10, 1));
    assert_eq!(of(or("a UInt32", "4000000000")), (4, 1));
    assert_eq!(of(or("a Array(UInt256)", "[1,2]")), (8 + 5 * 16, 16));
    // an index into the dictionary
    assert_eq!(of(or("a LowCardinality(String)", &"x".repeat(200))), (5, 1));
}

#[test]
fn text_that_is_repaired_weighs_three_times_as_much() {
    for spec in ["a String", "a Array(String)", "a LowCardinality(String)"] {
        let mut columns = columns(spec);
        columns[0].policies.on_invalid_utf8 = OnInvalidUtf8::Replace;
        assert_eq!(Limits::of(&schema(columns), 8 << 20).byte_weight, 3, "{spec}");
    }
    let mut columns = columns("a String");
    columns[0].policies.on_invalid_utf8 = OnInvalidUtf8::Replace;
    let file = [&[0xff; 50][..], b"\n"].concat().repeat(100);
    let (longest, ok) = hold(&schema(columns), &input(Format::Csv), &file, 1 << 20);
    assert_eq!(ok, 100);
    assert!(longest > 15_000);
}

#[test]
fn a_schema_makes_chunks_smaller_but_never_larger_and_never_tiny() {
    let narrow = schema(columns("a UInt8"));
    assert_eq!(Limits::of(&narrow, 3000).chunk_bytes, 3000);
    assert_eq!(Limits::of(&narrow, usize::MAX).chunk_bytes, 8 << 20);
    assert_eq!(Limits::of(&narrow, 1).chunk_bytes, 1024);
    assert_eq!(Limits::of(&narrow, 1).chunk_rows, MAX_CHUNK_ROWS);
    let wide = schema(many(200, "FixedString(65536)"));
    assert_eq!(Limits::of(&wide, 1 << 20).chunk_rows, 1);
    let elements = schema(columns("a Array(FixedString(65536))"));
    assert_eq!(Limits::of(&elements, 1 << 20).chunk_bytes, 1024);
}

/// `n` columns of this type.
fn many(n: usize, ty: &str) -> Vec<Column> {
    (0..n).flat_map(|at| columns(&format!("c{at} {ty}"))).collect()
}

#[test]
fn a_block_is_no_longer_than_its_chunk_weighs() {
    let lines = |line: &str, n: usize| format!("{line}\n").repeat(n).into_bytes();
    let sparse = |columns: Vec<Column>| [super::columns("id UInt8"), columns].concat();
    let numbered = |n: u32| (0..n).flat_map(|i| format!("{i}\n").into_bytes()).collect::<Vec<u8>>();
    let long = "x".repeat(2000);
    let cases: Vec<(Vec<Column>, Format, Vec<u8>)> = vec![
        (sparse(many(100, "Nullable(Float64)")), Format::JsonLines, lines("{\"id\":1}", 50_000)),
        (sparse(many(40, "Nullable(JSON)")), Format::JsonLines, lines("{\"id\":1}", 50_000)),
        (sparse(many(10, "Nullable(FixedString(500))")), Format::JsonLines, lines("{\"id\":1}", 5_000)),
        (sparse(or("a String", &long)), Format::JsonLines, lines("{\"id\":1}", 20_000)),
        (sparse(or("a LowCardinality(String)", &long)), Format::JsonLines, lines("{\"id\":1}", 20_000)),
        (sparse(or("a Array(UInt256)", "[1,2,3,4,5,6,7,8]")), Format::JsonLines, lines("{\"id\":1}", 50_000)),
        (columns("a Array(UInt256)"), Format::Csv, lines(&format!("\"[{}1]\"", "1,".repeat(999)), 1_000)),
        (
            columns("a Array(FixedString(50))"),
            Format::Csv,
            lines(&format!("\"[{}1]\"", "1,".repeat(999)), 500),
        ),
        (
            columns("a Array(Array(UInt8))"),
            Format::Csv,
            lines(&format!("\"[{}[]]\"", "[],".repeat(999)), 1_000),
        ),
        (
            columns("a Array(Nullable(UUID))"),
            Format::JsonLines,
            lines(&format!("{{\"a\":[{}null]}}", "null,".repeat(99)), 9_000),
        ),
        (columns("a Array(String)"), Format::Csv, lines(&format!("\"[{}'']\"", "'',".repeat(99)), 9_000)),
        (
            columns("a Map(UInt16, UInt256)"),
            Format::Csv,
            lines("\"{1:1,2:2,3:3,4:4,5:5,6:6,7:7,8:8}\"", 50_000),
        ),
        (columns("a LowCardinality(String)"), Format::Csv, numbered(200_000)),
        (columns("a LowCardinality(FixedString(50))"), Format::Csv, numbered(200_000)),
        (columns("a UInt256"), Format::Csv, lines("1", 300_000)),
        (columns("a UInt8"), Format::Csv, lines("1", 300_000)),
        (columns("a String"), Format::Csv, lines("x", 300_000)),
        (columns("a String"), Format::Csv, lines(&"x".repeat(130), 60_000)),
        (columns("a String"), Format::Csv, lines(&"x".repeat(16_384), 500)),
    ];
    let mut longest_of_each = String::new();
    for (columns, format, file) in cases {
        let schema = schema(columns);
        let rows = memchr::memchr_iter(b'\n', &file).count() as u64;
        let (longest, ok) = hold(&schema, &input(format), &file, 8 << 20);
        assert_eq!(ok, rows, "{:?}", schema.columns()[0]);
        let column = schema.columns().last().unwrap();
        writeln!(longest_of_each, "{}: {} KiB", column.ty, longest >> 10).unwrap();
    }
    expect![[r#"
        Nullable(Float64): 8194 KiB
        Nullable(JSON): 8193 KiB
        Nullable(FixedString(500)): 8192 KiB
        String: 8191 KiB
        LowCardinality(String): 216 KiB
        Array(UInt256): 7740 KiB
        Array(UInt256): 8160 KiB
        Array(FixedString(50)): 8157 KiB
        Array(Array(UInt8)): 5464 KiB
        Array(Nullable(UUID)): 4614 KiB
        Array(String): 1028 KiB
        Map(UInt16, UInt256): 7306 KiB
        LowCardinality(String): 3797 KiB
        LowCardinality(FixedString(50)): 8192 KiB
        UInt256: 8007 KiB
        UInt8: 1953 KiB
        String: 2148 KiB
        String: 8261 KiB
        String: 8005 KiB
    "#]]
    .assert_eq(&longest_of_each);
}

/// All scalar types, and types that together have all other parts of a cost.
fn any_type() -> impl Strategy<Value = String> {
    let scalars = SCALARS.iter().map(ScalarInfo::example);
    prop::sample::select(scalars.chain(TYPES.iter().map(|ty| (*ty).to_owned())).collect::<Vec<_>>())
}

const TYPES: &[&str] = &[
    "Nullable(String)",
    "FixedString(9)",
    "Nullable(FixedString(9))",
    "Nullable(Float64)",
    "Decimal(38, 2)",
    "Nullable(UUID)",
    "Nullable(DateTime64(3))",
    "Enum16('' = 1, '1' = 1000)",
    "Nullable(JSON)",
    "LowCardinality(String)",
    "LowCardinality(Nullable(FixedString(9)))",
    "Array(String)",
    "Array(Nullable(FixedString(9)))",
    "Array(IPv6)",
    "Array(JSON)",
    "Array(LowCardinality(Nullable(String)))",
    "Array(Array(Nullable(Int32)))",
    "Array(Map(String, Array(UInt8)))",
    "Tuple(Int8, String)",
    "Nullable(Tuple(a Float64, b Array(UInt8)))",
    "Array(Tuple(a Nullable(UInt256), b Nullable(String)))",
    "Map(String, Array(UInt8))",
    "Map(Int16, Tuple(a JSON, b Nullable(Bool)))",
];

/// Cells of these types, as JSON. The empty text makes an empty CSV cell, and a JSON line without the key.
const CELLS: &[&str] = &[
    "",
    "1",
    "true",
    "null",
    "\"\"",
    "\"x\"",
    "\"\\u00e9\"",
    "\"::\"",
    "0.25",
    "\"01:02:03\"",
    "1700000000",
    "\"00000000-0000-0000-0000-000000000001\"",
    "{}",
    "{\"a\":1}",
    "{\"a\":null,\"b\":null}",
    "{\"1\":[1,2],\"2\":[]}",
    "{\"1\":{\"a\":{}}}",
    "[]",
    "[1,1,1,1]",
    "[\"\",\"\",\"\"]",
    "[\"::\",\"::\"]",
    "[null,null]",
    "[{},{},{}]",
    "[[],[],[]]",
    "[[1,null],[]]",
    "[1,\"a\"]",
    "[1,[1,2,3]]",
    "[{\"a\":[1]},{\"b\":[]}]",
];

/// A record with the cells at these indexes of `CELLS`.
fn record(cells: &[usize], format: Format) -> String {
    let cells = cells.iter().map(|at| CELLS[*at]);
    if format == Format::Csv {
        let cell = |cell: &str| match cell {
            "" => String::new(),
            cell => format!("\"{}\"", cell.trim_matches('"').replace('"', "\"\"")),
        };
        return cells.map(cell).collect::<Vec<_>>().join(",");
    }
    let pairs = cells.enumerate().filter(|(_, cell)| !cell.is_empty());
    let pairs: Vec<String> = pairs.map(|(at, cell)| format!("\"c{at}\":{cell}")).collect();
    format!("{{{}}}", pairs.join(","))
}

proptest! {
    #[test]
    fn a_block_of_any_columns_is_no_longer_than_its_chunk_weighs(
        types in prop::collection::vec((any_type(), any::<bool>()), 1..4),
        records in prop::collection::vec(prop::collection::vec(0..CELLS.len(), 3), 1..6),
        times in 1usize..200,
        json: bool,
    ) {
        let column = |(at, (ty, with_default)): (usize, &(String, bool))| {
            let mut column = columns(&format!("c{at} {ty}")).remove(0);
            // the first text that is a valid default of the column
            let defaults = ["x", "1", "{}", "[]", "[1,1,1]", "(1,'a')", "::", "01:02:03"].into_iter();
            let mut defaults = defaults.map(|text| Column { default: Some(text.to_owned()), ..column.clone() });
            let default = defaults.find(|column| compiles(vec![column.clone()]).is_ok());
            if *with_default { column = default.unwrap_or(column); }
            column
        };
        let schema = schema(types.iter().enumerate().map(column).collect());
        let format = if json { Format::JsonLines } else { Format::Csv };
        let records = records.iter().map(|cells| record(&cells[..types.len()], format) + "\n");
        let file = records.collect::<String>().repeat(times);
        // an empty line is no record
        if !file.trim().is_empty() {
            hold(&schema, &input(format), file.as_bytes(), 1 << 20);
        }
    }

    #[test]
    fn a_block_of_one_value_over_and_over_is_no_longer_than_its_chunk_weighs(
        ty in any_type(), cell in 0..CELLS.len(), json: bool,
    ) {
        let format = if json { Format::JsonLines } else { Format::Csv };
        let file = format!("{}\n", record(&[cell], format)).repeat(3000);
        if !file.trim().is_empty() {
            hold(&schema(columns(&format!("c0 {ty}"))), &input(format), file.as_bytes(), 1 << 20);
        }
    }
}
