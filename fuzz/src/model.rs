//! Makes a model and the dialect of a file from bytes, so that the fuzzer finds them like everything else.
//!
//! The first line has two bytes for each column: its type and its rule. The second line has one byte for each setting
//! of the input. The rest is the file. `A` is the first entry of a list, `B` the second. Add new entries at the end of
//! a list, so that the corpus keeps its meaning.

use std::sync::{Arc, LazyLock};

use rows_check::{Columns, Plan};
use rows_split::parse_header;
use rows_types::{
    Column, ColumnsBy, Constraints, FORMATS, HeaderCase, Input, IntegralFloats, LineEnd, NonFinite,
    OnInvalidUtf8, OnOverflow, OnPrecisionLoss, SCALARS, ScalarInfo, Schema, Type, UnknownColumns,
};

/// The types whose places the corpus knows. A scalar type that is not here has a place after them.
const TYPES: &[&str] = &[
    "String",                                    // A
    "FixedString(3)",                            // B
    "Bool",                                      // C
    "Int8",                                      // D
    "Int16",                                     // E
    "Int32",                                     // F
    "Int64",                                     // G
    "Int128",                                    // H
    "Int256",                                    // I
    "UInt8",                                     // J
    "UInt16",                                    // K
    "UInt32",                                    // L
    "UInt64",                                    // M
    "UInt128",                                   // N
    "UInt256",                                   // O
    "Float32",                                   // P
    "Float64",                                   // Q
    "Decimal(9, 2)",                             // R
    "Decimal(18, 4)",                            // S
    "Decimal(38, 10)",                           // T
    "Decimal(76, 0)",                            // U
    "Date",                                      // V
    "Date32",                                    // W
    "DateTime",                                  // X
    "DateTime('America/New_York')",              // Y
    "DateTime64(3, 'UTC')",                      // Z
    "DateTime64(9, 'Europe/Berlin')",            // [
    "UUID",                                      // \
    "IPv4",                                      // ]
    "IPv6",                                      // ^
    "Enum8('a' = 1, '' = 2, 'red' = -128)",      // _
    "Enum16('a' = 1, 'b' = 1000)",               // `
    "Nullable(Int32)",                           // a
    "Nullable(Float64)",                         // b
    "Nullable(String)",                          // c
    "Nullable(FixedString(2))",                  // d
    "Nullable(UUID)",                            // e
    "Nullable(DateTime)",                        // f
    "LowCardinality(String)",                    // g
    "LowCardinality(Nullable(String))",          // h
    "LowCardinality(FixedString(2))",            // i
    "LowCardinality(Nullable(Int16))",           // j
    "Nullable(Decimal(18, 0))",                  // k
    "BFloat16",                                  // l
    "Time",                                      // m
    "Time64(3)",                                 // n
    "JSON",                                      // o
    "Nullable(JSON)",                            // p
    "Array(String)",                             // q
    "Array(LowCardinality(Nullable(String)))",   // r
    "Array(Array(Nullable(Int32)))",             // s
    "Tuple(Int8, String)",                       // t
    "Nullable(Tuple(a Float64, b Array(Date)))", // u
    "Map(String, Array(UInt8))",                 // v
    "Map(Int16, Tuple(a JSON, b Bool))",         // w
];

/// All types of columns: no scalar type is missing.
static ALL_TYPES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let is_listed = |info: &&ScalarInfo| TYPES.iter().any(|ty| ty.split('(').next() == Some(info.name));
    let others = SCALARS.iter().filter(|info| !is_listed(info)).map(ScalarInfo::example);
    TYPES.iter().map(|ty| (*ty).to_owned()).chain(others).collect()
});

const NULLS: &[&[&str]] = &[&[""], &["\\N"], &["", "NULL", "n/a"], &["0", "true", "1.5"]];

/// The columns and the input settings of a file.
pub struct Model {
    columns: Columns,
    /// How the file is written.
    pub input: Input,
}

fn entry<T>(list: &[T], byte: u8) -> &T {
    &list[usize::from(byte.wrapping_sub(b'A')) % list.len()]
}

/// A column named `a`, `b`, …, with a type and a rule. The rule may not fit the type.
fn column(at: usize, ty: u8, rule: u8) -> Option<Column> {
    let name = char::from(b'a' + u8::try_from(at).ok()?);
    let mut column = Column::new(name, Type::parse(entry::<String>(&ALL_TYPES, ty)).ok()?);
    let is = &mut column.constraints;
    match rule.wrapping_sub(b'A') {
        1 => column.default = Some("1".to_owned()),
        2 => column.policies.on_overflow = OnOverflow::Clamp,
        3 => (is.min, is.max) = (Some(-1.5), Some(100.0)),
        4 => (is.min_length, is.max_length) = (Some(1), Some(3)),
        5 => is.pattern = Some("^[a-f]+$".to_owned()),
        6 => is.one_of = ["a", "1", "1.5", ""].map(str::to_owned).to_vec(),
        7 => column.format = Some("epoch_millis".to_owned()),
        8 => column.format = Some("%d.%m.%Y %H:%M".to_owned()),
        9 => column.format = Some("%d.%m.%Y".to_owned()),
        10 => column.aliases = vec!["other".to_owned()],
        11 => (column.default, column.policies.on_overflow) = (Some("0".to_owned()), OnOverflow::Clamp),
        12 => column.policies.non_finite = NonFinite::Accept,
        13 => column.policies.on_precision_loss = OnPrecisionLoss::Round,
        14 => column.policies.integral_floats = IntegralFloats::Accept,
        15 => column.policies.on_invalid_utf8 = OnInvalidUtf8::Replace,
        16 => column.default = Some("[]".to_owned()),
        _ => *is = Constraints::default(),
    }
    Some(column)
}

fn input(line: &[u8]) -> Input {
    let at = |n: usize| line.get(n).copied();
    let flag = |n: usize| at(n).is_some_and(|b| b & 1 == 0); // B: yes, A or nothing: no
    Input {
        delimiter: at(0).map_or(',', |b| char::from(b & 0x7f)),
        quote: at(1).map_or('"', |b| char::from(b & 0x7f)),
        format: entry(FORMATS, at(2).unwrap_or(b'A')).format,
        header: flag(3),
        null_values: entry(NULLS, at(4).unwrap_or(b'A')).iter().map(|t| (*t).to_owned()).collect(),
        unknown_columns: if flag(5) { UnknownColumns::Ignore } else { UnknownColumns::Reject },
        line_end: if flag(6) { LineEnd::Any } else { LineEnd::Lf },
        escape: at(7).filter(|b| *b != b'A').map(|b| char::from(b & 0x7f)),
        comment: at(8).filter(|b| *b != b'A').map(|b| char::from(b & 0x7f)),
        header_case: if flag(9) { HeaderCase::Ignore } else { HeaderCase::Exact },
        columns_by: if flag(10) { ColumnsBy::Position } else { ColumnsBy::Name },
    }
}

impl Model {
    /// The model that the first two lines describe, and the file after them. `None`: there is no such model.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut parts = bytes.splitn(3, |b| *b == b'\n');
        let (columns, settings, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (pairs, _) = columns.as_chunks::<2>();
        let columns = pairs.iter().take(12).enumerate().map(|(at, [ty, rule])| column(at, *ty, *rule));
        let schema = Schema::new(columns.collect::<Option<_>>()?, None).ok()?;
        let columns = Columns::compile(schema).ok()?;
        Some((Self { columns, input: input(settings) }, file))
    }

    /// The plan for a file with this header, if it can be read.
    #[must_use]
    pub fn plan(&self, header: Option<&[u8]>) -> Option<Arc<Plan>> {
        let names = header.map(|record| parse_header(&self.input, record)).transpose().ok()?;
        Plan::bind(self.columns.clone(), self.input.clone(), names.as_deref()).ok().map(Arc::new)
    }
}
