//! Tries a proposal on the sample with the engine, and widens the columns that reject a cell.

use std::collections::HashSet;
use std::sync::Arc;

use rows_check::{Checker, Columns, Plan};
use rows_split::Chunk;
use rows_types::{Code, Schema};

use super::Proposal;
use super::stats::Stats;

/// Widens columns until none rejects a cell that some type accepts. Each round widens at least one column, and a column
/// is widened at most twice.
pub(crate) fn refine_on_sample(
    proposal: &mut Proposal,
    stats: &mut Vec<Stats>,
    header: Option<&[String]>,
    sample: &[Chunk],
) {
    for _ in 0..=2 * proposal.columns.len() {
        let Some(rejects) = rejects(proposal, header, sample) else { return };
        if !widen(proposal, stats, &rejects) {
            return;
        }
    }
}

/// The columns that reject cells, and the codes. `None`: the columns are not a valid schema.
fn rejects(
    proposal: &mut Proposal,
    header: Option<&[String]>,
    sample: &[Chunk],
) -> Option<HashSet<(String, Code)>> {
    let columns = proposal.columns.iter().map(super::Proposed::column).collect::<Option<_>>()?;
    let columns = Columns::compile(Schema::new(columns, None).ok()?).ok()?;
    let plan = Plan::bind(columns, proposal.input.clone(), header).ok()?;
    let mut checker = Checker::new(Arc::new(plan));
    let mut rejects = HashSet::new();
    (proposal.rows, proposal.bad_rows) = (0, 0);
    for chunk in sample {
        let outcome = checker.check(&chunk.bytes, chunk.first_row, "");
        proposal.rows += u64::from(outcome.rows());
        proposal.bad_rows += u64::from(outcome.bad_rows());
        rejects.extend(outcome.summary().into_iter().map(|s| (s.column, s.error)));
    }
    Some(rejects)
}

/// Widens the columns that reject cells, or leaves them out. Returns whether it changed any.
fn widen(proposal: &mut Proposal, stats: &mut Vec<Stats>, rejects: &HashSet<(String, Code)>) -> bool {
    let mut widened = false;
    let mut at = 0;
    while let Some(column) = proposal.columns.get_mut(at) {
        let absent = |code: &Code| matches!(code, Code::MissingValue | Code::MissingColumn);
        // No type accepts bytes that are not UTF-8.
        let codes: Vec<Code> = rejects
            .iter()
            .filter(|(name, code)| *name == column.name && *code != Code::InvalidUtf8)
            .map(|(_, code)| *code)
            .collect();
        let nested = column.ty.starts_with("Array(") || column.ty == "JSON";
        let array = column.ty.starts_with("Array(");
        if codes.is_empty() {
        } else if codes.iter().all(absent) && !column.nullable && column.default.is_none() {
            column.nullable = !array;
            column.default = array.then(|| "[]".to_owned());
            widened = true;
        } else if nested {
            let name = proposal.columns.remove(at).name;
            stats.remove(at);
            proposal.leave_out(&name, "some of its values fit no type");
            widened = true;
            continue;
        } else if column.ty != "String" {
            column.notes = vec![format!("not every value is a {}", column.ty)];
            (column.ty, column.format) = ("String".to_owned(), None);
            widened = true;
        }
        at += 1;
    }
    widened
}
