//! What the fuzz targets share: a plan of many types, and what holds for every chunk.

use std::sync::Arc;

use rows::{Checker, Column, Input, Plan, Schema, Type};

const COLUMNS: &[(&str, &str)] = &[
    ("k", "String"),
    ("i", "Int32"),
    ("w", "UInt256"),
    ("f", "Nullable(Float64)"),
    ("d", "Decimal(38, 4)"),
    ("t", "DateTime64(3, 'Europe/Berlin')"),
    ("u", "Nullable(UUID)"),
    ("e", "Enum8('a' = 1, '' = 2)"),
    ("l", "LowCardinality(Nullable(String))"),
    ("x", "FixedString(3)"),
    ("p", "IPv6"),
];

/// A plan for files without a header.
#[must_use]
pub fn plan(input: &Input) -> Arc<Plan> {
    let columns = COLUMNS.iter().map(|(name, ty)| Column::new(*name, Type::parse(ty).expect("a type")));
    let schema = Schema::new(columns.collect(), None).expect("a schema");
    Arc::new(Plan::bind(schema, Input { header: false, ..input.clone() }, None).expect("a plan"))
}

/// Checks the bytes and that every record is accounted for.
pub fn check(plan: &Arc<Plan>, bytes: &[u8]) {
    let mut checker = Checker::new(plan.clone());
    let outcome = checker.check(bytes, 1, "job");
    assert_eq!(outcome.rows(), outcome.ok() + outcome.bad_rows());
    assert_eq!(outcome.block().is_empty(), outcome.ok() == 0);
    let mut bad = 0;
    let mut last = 0;
    let mut cells = 0;
    for reject in outcome.rejects() {
        assert!(reject.row >= last && reject.row <= u64::from(outcome.rows()));
        bad += u32::from(reject.row != last);
        last = reject.row;
        cells += 1;
        assert!(reject.observed.len() <= 256 && reject.record.len() <= 1024);
    }
    assert_eq!((bad, cells), (outcome.bad_rows(), outcome.bad_cells()));
    assert_eq!(outcome.summary().iter().map(|s| s.count).sum::<u64>(), cells);
}
