//! What the fuzz targets share: plans, and the checks that hold for every chunk, whatever its bytes are.

mod model;

use std::sync::Arc;

use rows_check::{Checker, Columns, Outcome, Plan};
use rows_split::{CutError, Cutter, Limits};
use rows_types::{Code, Column, Input, Schema, Type};

pub use model::Model;

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
    ("a", "Array(Nullable(String))"),
    ("j", "JSON"),
];

/// A plan for files without a header.
#[must_use]
pub fn plan(input: &Input) -> Arc<Plan> {
    let columns = COLUMNS.iter().map(|(name, ty)| Column::new(*name, Type::parse(ty).expect("a type")));
    let schema = Schema::new(columns.collect(), None).expect("a schema");
    let columns = Columns::compile(schema).expect("columns");
    Arc::new(Plan::bind(columns, Input { header: false, ..input.clone() }, None).expect("a plan"))
}

/// The results for one or more chunks.
#[derive(Debug, Default, PartialEq)]
pub struct Results {
    /// The blocks, one for each chunk.
    pub blocks: Vec<Vec<u8>>,
    /// Numbers of the good records.
    pub good: Vec<u64>,
    /// Row, column, code, observed text, message, record of each reject.
    pub rejects: Vec<(u64, String, Code, String, String, String)>,
}

impl Results {
    fn add(&mut self, outcome: &Outcome<'_>) {
        let block = outcome.block();
        // `row_in` is the last column
        let numbers = &block[block.len() - 8 * outcome.ok() as usize..];
        self.good.extend(numbers.as_chunks::<8>().0.iter().map(|n| u64::from_le_bytes(*n)));
        self.blocks.push(block);
        self.rejects.extend(outcome.rejects().map(|r| {
            (
                r.row,
                r.column.to_owned(),
                r.code,
                r.observed.into_owned(),
                r.message.into_owned(),
                r.record.into_owned(),
            )
        }));
    }
}

/// Checks the bytes on every level of the CPU. Asserts that each accounts for every record, and that all results are
/// the same.
pub fn check(plan: &Arc<Plan>, bytes: &[u8], first_row: u64) -> Results {
    let mut results = Checker::on_every_level(plan).into_iter().map(|mut checker| {
        let outcome = checker.check(bytes, first_row, "job");
        let results = checked_results(&outcome, first_row);
        (results, outcome.summary())
    });
    let portable = results.next().expect("the portable level");
    results.for_each(|other| assert_eq!(portable, other, "two levels of the CPU disagree"));
    portable.0
}

/// Asserts that each record either is in the block or has a reject, and never both.
fn checked_results(outcome: &Outcome<'_>, first_row: u64) -> Results {
    let mut results = Results::default();
    results.add(outcome);
    let mut bad: Vec<u64> = results.rejects.iter().map(|r| r.0).collect();
    assert!(bad.is_sorted());
    assert_eq!(bad.len() as u64, outcome.bad_cells());
    assert_eq!(outcome.summary().iter().map(|s| s.count).sum::<u64>(), outcome.bad_cells());
    bad.dedup();
    assert_eq!(bad.len(), outcome.bad_rows() as usize);
    let mut all = [results.good.as_slice(), &bad].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(first_row..first_row + u64::from(outcome.rows())));
    assert_eq!(outcome.block().is_empty(), outcome.ok() == 0);
    for (_, _, _, observed, message, record) in &results.rejects {
        assert!(observed.len() <= 256 && record.len() <= 1024 && !message.is_empty());
    }
    results
}

/// Cuts the file into chunks of about this size, and checks them. Returns the plan, the bytes of the records, and the
/// results. `None`: the model cannot read the file.
pub fn cut_and_check(
    model: &Model,
    chunk_bytes: usize,
    bytes: &[u8],
) -> Result<Option<(Arc<Plan>, Vec<u8>, Results)>, CutError> {
    let mut cutter = Cutter::new(&model.input, Limits::plain(chunk_bytes));
    cutter.push(bytes)?;
    cutter.finish()?;
    let chunks: Vec<_> = std::iter::from_fn(|| cutter.next_chunk()).collect();
    let Some(plan) = model.plan(cutter.header()) else { return Ok(None) };
    let mut results = Results::default();
    let mut records = Vec::new();
    let mut checker = Checker::new(plan.clone());
    for chunk in &chunks {
        let outcome = checker.check(&chunk.bytes, chunk.first_row, "job");
        assert_eq!(outcome.rows(), chunk.rows, "the cutter and the checker count differently");
        results.add(&outcome);
        records.extend_from_slice(&chunk.bytes);
    }
    Ok(Some((plan, records, results)))
}
