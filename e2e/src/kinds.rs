//! A table with a column of every kind, and its rows as each format writes them.

use serde::de::IgnoredAny;

/// The number of rows of the table.
pub const ROWS: usize = 3;

/// Column, type, and for each row the cell as CSV has it, without quotes around it. `None` is NULL. The `JSON` columns
/// are the last ones: only their text may differ from what `ClickHouse` prints.
pub const COLUMNS: &[(&str, &str, [Option<&str>; ROWS])] = &[
    ("id", "UInt32", [Some("1"), Some("2"), Some("4294967295")]),
    ("text", "String", [Some("#1, \"two\"\tthree\\n\r\nfour 'five' 🦀"), Some(""), Some("007")]),
    ("fixed", "FixedString(4)", [Some("abcd"), Some("ab"), Some("é")]),
    ("truth", "Bool", [Some("true"), Some("0"), Some("false")]),
    ("i8", "Int8", [Some("-128"), Some("0"), Some("127")]),
    ("u16", "UInt16", [Some("65535"), Some("0"), Some("256")]),
    ("u64", "UInt64", [Some("18446744073709551615"), Some("0"), Some("9007199254740993")]),
    ("i64", "Int64", [Some("-9223372036854775808"), Some("0"), Some("9223372036854775807")]),
    ("i128", "Int128", [Some("-170141183460469231731687303715884105728"), Some("0"), Some("1")]),
    (
        "i256",
        "Int256",
        [
            Some("-57896044618658097711785492504343953926634992332820282019728792003956564819968"),
            Some("0"),
            Some("57896044618658097711785492504343953926634992332820282019728792003956564819967"),
        ],
    ),
    ("u128", "UInt128", [Some("340282366920938463463374607431768211455"), Some("0"), Some("1")]),
    (
        "u256",
        "UInt256",
        [
            Some("115792089237316195423570985008687907853269984665640564039457584007913129639935"),
            Some("0"),
            Some("1"),
        ],
    ),
    ("f32", "Float32", [Some("0.1"), Some("-3.4028235e38"), Some("1e-45")]),
    ("f64", "Float64", [Some("0.1"), Some("-1.7976931348623157e308"), Some("5e-324")]),
    ("bf16", "BFloat16", [Some("1.5"), Some("-2"), Some("0.1")]),
    (
        "price",
        "Decimal(76, 10)",
        [
            Some("999999999999999999999999999999999999999999999999999999999999999999.9999999999"),
            Some("-0.0000000001"),
            Some("12.50"),
        ],
    ),
    ("day", "Date", [Some("1970-01-01"), Some("2024-02-29"), Some("2149-06-06")]),
    ("day32", "Date32", [Some("1900-01-01"), Some("2024-02-29"), Some("2299-12-31")]),
    (
        "moment",
        "DateTime('UTC')",
        [Some("1970-01-01 00:00:00"), Some("2024-02-29T12:00:00+01:00"), Some("4294967295")],
    ),
    (
        "berlin",
        "DateTime64(3, 'Europe/Berlin')",
        [Some("2024-03-31 03:00:00.001"), Some("2024-07-01T12:00:00.5Z"), Some("1950-06-15 08:00:00")],
    ),
    ("time", "Time", [Some("-999:59:59"), Some("12:34:56"), Some("00:00:00")]),
    ("time64", "Time64(6)", [Some("23:59:59.999999"), Some("12:34:56"), Some("-00:00:00.000001")]),
    (
        "uuid",
        "UUID",
        [
            Some("61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
            Some("00000000-0000-0000-0000-000000000000"),
            Some("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
        ],
    ),
    ("ip4", "IPv4", [Some("192.0.2.1"), Some("0.0.0.0"), Some("255.255.255.255")]),
    ("ip6", "IPv6", [Some("2001:db8::1"), Some("::"), Some("::ffff:192.0.2.1")]),
    ("colour", "Enum8('red' = 1, 'deep blue' = 2)", [Some("red"), Some("deep blue"), Some("red")]),
    ("shade", "Enum16('dark' = -1000, 'light' = 1000)", [Some("dark"), Some("light"), Some("dark")]),
    ("maybe", "Nullable(Int16)", [None, Some("-32768"), None]),
    ("word", "LowCardinality(Nullable(String))", [Some("often"), None, Some("often")]),
    (
        "words",
        "Array(LowCardinality(String))",
        [Some(r#"["it's", "a\\nb", "x\ty"]"#), Some("[]"), Some(r#"["a", "a"]"#)],
    ),
    (
        "matrix",
        "Array(Array(Nullable(Int32)))",
        [Some("[[1, null], [], [-2147483648]]"), Some("[]"), Some("[[null]]")],
    ),
    (
        "pair",
        "Tuple(a Int8, b String)",
        [Some(r#"[-1, "x'y\\z"]"#), Some(r#"{"b": "", "a": 0}"#), Some("(127, 'ü')")],
    ),
    (
        "lists",
        "Map(String, Array(UInt8))",
        [Some(r#"{"k": [1, 255], "it's": []}"#), Some("{}"), Some("{'k': [0]}")],
    ),
    (
        "document",
        "JSON",
        [
            Some(
                r#"{"t": "2020-01-01T00:00:00Z", "n": 12, "gone": null, "b": {"z": [1, 2], "a": "say \"x\\y\"\n"}}"#,
            ),
            Some("{}"),
            Some(r#"{"t": "1999-12-31", "f": 0.25, "ok": true}"#),
        ],
    ),
    ("extra", "Nullable(JSON)", [None, Some(r#"{"d": "2024-01-01 00:00:00"}"#), None]),
];

/// The first column whose type is `JSON`.
pub const FIRST_JSON: &str = "document";

/// Returns the model in the form that `batch model create` reads.
#[must_use]
pub fn model() -> String {
    let columns = COLUMNS.iter().map(|(name, ty, _)| format!("{name:?}: {ty:?}"));
    format!("{{{}}}", columns.collect::<Vec<_>>().join(",\n"))
}

/// Returns the records of a CSV file without line ends. The header is the first one.
#[must_use]
pub fn csv_records() -> Vec<String> {
    let header = csv_record(COLUMNS.iter().map(|(name, ..)| Some(*name)));
    std::iter::once(header).chain((0..ROWS).map(|row| csv_record(cells(row)))).collect()
}

/// Returns the first row as a CSV record, with `cell` in one column.
#[must_use]
pub fn csv_record_with(column: &str, cell: &str) -> String {
    let names = COLUMNS.iter().map(|(name, ..)| *name);
    csv_record(names.zip(cells(0)).map(|(name, old)| if name == column { Some(cell) } else { old }))
}

/// Returns the rows as JSON objects, with `line` before each key and before the end.
#[must_use]
pub fn objects(line: &str) -> Vec<String> {
    let object = |row| {
        let members = COLUMNS.iter().zip(cells(row));
        let members = members.map(|((name, ..), cell)| {
            format!("{line}{name:?}: {}", cell.map_or("null".to_owned(), json_value))
        });
        format!("{{{}{line}}}", members.collect::<Vec<_>>().join(","))
    };
    (0..ROWS).map(object).collect()
}

fn cells(row: usize) -> impl Iterator<Item = Option<&'static str>> {
    COLUMNS.iter().map(move |(_, _, cells)| cells[row])
}

/// Quotes cells if necessary. An empty cell without quotes is NULL.
fn csv_record<'a>(cells: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let cells = cells.into_iter().map(|cell| match cell {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\r', '\n']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_owned(),
    });
    cells.collect::<Vec<_>>().join(",")
}

/// Returns the cell itself if it is a JSON value, otherwise a string with its text.
fn json_value(cell: &str) -> String {
    match serde_json::from_str::<IgnoredAny>(cell) {
        Ok(_) => cell.to_owned(),
        Err(_) => serde_json::Value::from(cell).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rows_types::{SCALARS, Type};

    #[test]
    fn every_scalar_type_has_a_column() {
        let types: Vec<Type> = COLUMNS.iter().map(|(_, ty, _)| Type::parse(ty).unwrap()).collect();
        for info in SCALARS {
            let is_it = |ty: &Type| ty.scalar().is_some_and(|scalar| scalar.info().name == info.name);
            assert!(types.iter().any(|ty| ty.any(&is_it)), "{} has no column", info.name);
        }
    }
}
