//! Checks the row engine against the fidelity table.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod table;

use rows_check::Checker;
use rows_infer::Rendered;
use rows_types::{SCALARS, Schema, Type};
use table::Outcome;

#[test]
fn every_cell_of_the_table_becomes_what_the_table_says() {
    let mut wrong = Vec::new();
    for section in table::load() {
        let plans = [section.plan(false), section.plan(true)];
        for (n, cell) in section.cells.iter().enumerate() {
            let (record, json) = cell.record(n);
            let mut checker = Checker::new(plans[usize::from(json)].clone());
            let outcome = checker.check(&record, 1, "job");
            let rejects: Vec<_> = outcome.rejects().map(|r| r.code.to_string()).collect();
            let outcome = match rejects.first() {
                Some(codes) if rejects.len() == 1 => Outcome::Refused(codes.clone()),
                Some(_) => Outcome::Refused(rejects.join(", ")),
                None => Outcome::Loaded(value(&section.schema(), &outcome.block())),
            };
            if outcome != as_json(cell.ours(), &section.ty) {
                wrong.push(format!("{}: {cell:?}: {outcome:?}", section.ty));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The value of the column `v` in a block of one row, without quotes; `None` for NULL.
fn value(schema: &Schema, block: &[u8]) -> Option<String> {
    let mut line = Vec::new();
    assert!(Rendered::new(schema, block).unwrap().append(&mut line).unwrap());
    let line = String::from_utf8(line).unwrap();
    let (_, value) = line.trim_end().strip_suffix('}').unwrap().split_once(",\"v\":").unwrap();
    match value {
        "null" => None,
        text if text.starts_with('"') => Some(serde_json::from_str(text).unwrap()),
        text => Some(text.replace("\\/", "/")),
    }
}

/// JSON has no NaN and no infinity: they are shown as null. The differential test distinguishes them.
fn as_json(outcome: Outcome, ty: &str) -> Outcome {
    match outcome {
        Outcome::Loaded(Some(text)) if ty.contains("Float") && text.ends_with(['n', 'f']) => {
            Outcome::Loaded(None)
        }
        outcome => outcome,
    }
}

#[test]
fn every_difference_from_clickhouse_has_a_reason_and_nothing_else_claims_one() {
    for section in table::load() {
        for cell in &section.cells {
            assert!(
                cell.csv.is_some() != cell.json.is_some(),
                "{}: {cell:?}: one of csv and json",
                section.ty
            );
            assert!(cell.code.is_none() || cell.value.is_none(), "{}: {cell:?}: value or code", section.ty);
            let differs = match (cell.ours(), cell.theirs()) {
                (Outcome::Refused(_), Outcome::Refused(_)) => false,
                (ours, theirs) => ours != theirs,
            };
            assert_eq!(differs, cell.clickhouse.is_some(), "{}: {cell:?}", section.ty);
            assert_eq!(differs, !cell.why.is_empty(), "{}: {cell:?}", section.ty);
            assert!(!(differs && section.alone), "{}: {cell:?}: there is nothing to differ from", section.ty);
        }
    }
}

#[test]
fn every_type_and_every_code_of_a_cell_is_in_the_table() {
    let sections = table::load();
    let scalars = SCALARS.iter().map(|info| info.name);
    for ty in scalars.chain(["Nullable", "LowCardinality", "Array", "Tuple", "Map"]) {
        let found = sections.iter().any(|s| s.ty.split('(').next() == Some(ty));
        assert!(found, "{ty} is not in the table");
    }
    let codes = [
        "MISSING_COLUMN",
        "MISSING_VALUE",
        "INVALID_TYPE",
        "OUT_OF_RANGE",
        "PRECISION_LOSS",
        "INVALID_ENUM",
        "TOO_LONG",
        "MALFORMED_ROW",
        "INVALID_UTF8",
    ];
    for code in codes {
        let found = sections.iter().flat_map(|s| &s.cells).any(|c| c.code.as_deref() == Some(code));
        assert!(found, "{code} is not in the table");
    }
}

#[test]
fn a_text_that_is_loaded_has_only_bytes_that_the_table_of_types_allows() {
    for section in table::load().iter().filter(|s| s.column == table::Options::default()) {
        let ty = Type::parse(&section.ty).unwrap();
        let Some(scalar) = ty.scalar() else { continue };
        for cell in section.cells.iter().filter(|cell| cell.value.is_some()) {
            let Some(text) = cell.text(false) else { continue };
            let text = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(&text);
            assert!(text.iter().all(|byte| scalar.may_hold(*byte)), "{}: {cell:?}", section.ty);
        }
    }
}
