//! Checks a chunk, and shows its rows and rejects as one text.

mod absent;
mod alone;
mod array;
mod csv;
mod dialects;
mod header;
mod json;
mod lines;
mod native;
mod nested;
mod policies;
mod properties;
mod rejects;
mod rules;
mod transcoded;
mod types;
mod weights;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::{Checker, Columns, Outcome, Plan};
use rows_split::{HeaderError, parse_header};
use rows_types::{Column, Input, Schema, SchemaError, Type};

/// Columns from a text such as `name Type, name Type`.
fn columns(spec: &str) -> Vec<Column> {
    let mut depth = 0;
    let parts = spec.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    let column = |part: &str| {
        let (name, ty) = part.trim().split_once(' ').unwrap();
        Column::new(name, Type::parse(ty).unwrap())
    };
    parts.map(column).collect()
}

fn schema(spec: &str) -> Schema {
    Schema::new(columns(spec), None).unwrap()
}

/// A schema of columns that can be compiled.
fn compiles(columns: Vec<Column>) -> Result<Schema, SchemaError> {
    let schema = Schema::new(columns, None)?;
    Columns::compile(schema.clone()).map(|_| schema)
}

fn bind(schema: Schema, input: Input, header: Option<&[String]>) -> Result<Plan, HeaderError> {
    Plan::bind(Columns::compile(schema).unwrap(), input, header)
}

/// A plan for the file, and the bytes of its records. A header is read first, if the file has one.
fn plan<'a>(schema: Schema, input: &Input, file: &'a [u8]) -> (Arc<Plan>, &'a [u8]) {
    if !input.has_header() {
        return (Arc::new(bind(schema, input.clone(), None).unwrap()), file);
    }
    let end = file.iter().position(|b| *b == b'\n').map_or(file.len(), |n| n + 1);
    let header = parse_header(input, file[..end].trim_ascii_end()).unwrap();
    (Arc::new(bind(schema, input.clone(), Some(&header)).unwrap()), &file[end..])
}

/// Good rows as `row: values`, then rejects as `row key column CODE "observed" message`, in order.
fn show(outcome: &Outcome<'_>) -> String {
    let mut text = String::new();
    for row in native::rows(&outcome.block()) {
        writeln!(text, "{}: {}", row.number, row.values.join(" | ")).unwrap();
    }
    for r in outcome.rejects() {
        writeln!(text, "{} {} {} {} {:?} {}", r.row, r.event_id, r.column, r.code, r.observed, r.message)
            .unwrap();
    }
    reconcile(outcome);
    text
}

/// Checks what is true for every chunk, whatever its bytes are.
fn reconcile(outcome: &Outcome<'_>) {
    let rows = native::rows(&outcome.block());
    assert_eq!(rows.len() as u32, outcome.ok());
    assert_eq!(outcome.rows(), outcome.ok() + outcome.bad_rows());
    assert_eq!(outcome.rejects().count() as u64, outcome.bad_cells());
    let mut bad: Vec<u64> = outcome.rejects().map(|r| r.row).collect();
    assert!(bad.is_sorted());
    bad.dedup();
    assert_eq!(bad.len() as u32, outcome.bad_rows());
    assert!(rows.iter().all(|row| bad.binary_search(&row.number).is_err()));
    assert_eq!(outcome.summary().iter().map(|s| s.count).sum::<u64>(), outcome.bad_cells());
    for r in outcome.rejects() {
        assert!(r.observed.len() <= 256 && r.record.len() <= 1024);
    }
}

/// Checks the complete file as one chunk, on every level of the CPU. All must give the same result.
fn run(schema: &Schema, input: &Input, file: &[u8]) -> String {
    let (plan, records) = plan(schema.clone(), input, file);
    let mut shown = rows_bytes::simd::Level::all().into_iter().map(|level| {
        let mut checker = Checker::at_level(plan.clone(), level);
        show(&checker.check(records, 1, "job"))
    });
    let first = shown.next().unwrap();
    assert!(shown.all(|other| other == first));
    first
}

#[track_caller]
fn check(spec: &str, input: &Input, file: &str, expected: &expect_test::Expect) {
    expected.assert_eq(&run(&schema(spec), input, file.as_bytes()));
}

fn json_lines() -> Input {
    Input { format: rows_types::Format::JsonLines, ..Input::default() }
}
