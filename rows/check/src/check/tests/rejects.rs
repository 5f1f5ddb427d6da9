//! The cell of a reject is the cell that another split of the record finds.

use std::sync::Arc;

use proptest::prelude::*;
use rows_bytes::simd::Level;
use rows_split::cells::{Cell, Kind};
use rows_split::decode::{decode, decode_nested};
use rows_split::resplit::Resplit;

use super::{json_lines, plan, schema};
use crate::faults::RECORD_FAULT;
use crate::{Checker, Plan};
use rows_types::{Code, Column, Constraints, Format, Input, LineEnd, Schema, Type, UnknownColumns};

/// The row key is not the first column, one column has a rule, and only one column may be absent.
fn columns() -> Vec<Column> {
    let column = |name: &str, ty: &str| Column::new(name, Type::parse(ty).unwrap());
    let short = Constraints { max_length: Some(2), ..Constraints::default() };
    vec![
        column("i", "Int32"),
        column("k", "String"),
        column("f", "Nullable(Float64)"),
        Column { constraints: short, ..column("s", "String") },
        column("a", "Array(UInt8)"),
    ]
}

/// The record's cells by column, split as the definition says, without a fast path.
fn split(plan: &Plan, bytes: &[u8], start: usize, end: usize) -> Vec<Cell> {
    // the end of a delimited record is found again too
    let end = if plan.binding.is_json() { end } else { bytes.len() };
    let mut split = Resplit::new(&plan.binding);
    split.split(&plan.binding, bytes, start, end);
    split.cells
}

/// The observed value of a short cell.
fn shown(plan: &Plan, bytes: &[u8], cell: Cell, nested: bool) -> String {
    let decode = if nested { decode_nested } else { decode };
    let mut scratch = Vec::new();
    let text = match cell.kind {
        Kind::Null if plan.binding.is_json() => b"null",
        Kind::Null => &b"\\N"[..],
        _ => {
            let text = decode(bytes, cell, plan.binding.is_json(), plan.binding.dialect, &mut scratch);
            text.unwrap_or(cell.text(bytes))
        }
    };
    String::from_utf8_lossy(text).into_owned()
}

/// Every recorded fault gives one reject, with its cell. All other rejects report a missing column.
fn check(plan: &Arc<Plan>, bytes: &[u8]) {
    let columns = plan.schema().columns();
    for level in Level::all() {
        let mut checker = Checker::at_level(plan.clone(), level);
        let rejects: Vec<_> = {
            let outcome = checker.check(bytes, 1, "");
            let owned = |r: crate::Reject<'_>| {
                (
                    r.row,
                    r.column.to_owned(),
                    r.code,
                    r.event_id.into_owned(),
                    r.observed.into_owned(),
                    r.record.into_owned(),
                )
            };
            outcome.rejects().map(owned).collect()
        };
        let mut rejects = rejects.into_iter().filter(|r| r.2 != Code::MissingColumn);
        let (log, mut at) = (&checker.log, 0);
        for row in &log.bad_rows {
            let (start, end) = (row.start as usize, row.end as usize);
            let faults = &log.faults()[at..row.faults as usize];
            at = row.faults as usize;
            if faults.first().is_some_and(|fault| fault.column == RECORD_FAULT) {
                assert_eq!(faults.len(), 1);
                rejects.next().unwrap();
                continue;
            }
            let cells = split(plan, bytes, start, end);
            let key = cells[plan.schema().row_key()];
            assert_eq!(row.key, key);
            let event_id =
                if key.kind == Kind::Null { String::new() } else { shown(plan, bytes, key, false) };
            assert!(faults.windows(2).all(|w| w[0].column < w[1].column));
            for fault in faults {
                let column = usize::from(fault.column);
                assert_eq!(fault.cell(), cells[column]);
                let observed = shown(plan, bytes, cells[column], columns[column].name == "a");
                let record = String::from_utf8_lossy(&bytes[start..end]).into_owned();
                let name = columns[column].name.clone();
                let row = u64::from(row.record) + 1;
                let expected = (row, name, fault.error.code(), event_id.clone(), observed, record);
                assert_eq!(rejects.next().unwrap(), expected);
            }
        }
        assert_eq!((at, rejects.next()), (log.faults().len(), None));
    }
}

pub(super) fn dialect() -> impl Strategy<Value = Input> {
    let csv = Input { unknown_columns: UnknownColumns::Ignore, ..Input::default() };
    prop::sample::select(vec![
        csv.clone(),
        csv.clone(),
        Input { quote: '\'', delimiter: ';', ..csv.clone() },
        Input { escape: Some('\\'), ..csv.clone() },
        Input { escape: Some('\\'), quote: '\0', delimiter: '\t', ..csv.clone() },
        Input { line_end: LineEnd::Any, comment: Some('#'), ..csv.clone() },
        Input { format: Format::Tsv, null_values: vec!["n/a".to_owned()], ..csv },
    ])
}

/// A header: the columns in another order, some of them missing, and one that is not in the model.
fn header() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec!["i", "k", "f", "s", "a", "other"];
    prop::sample::subsequence(all, 3..=6)
        .prop_shuffle()
        .prop_filter("none of the model's", |names| *names != ["other"])
}

/// Cells; most are no value of their column.
fn cell() -> impl Strategy<Value = String> {
    let quoted = "Q([a-z]|D|\n|\r|€|QQ|\\\\.){0,4}Q";
    prop_oneof!["n/a|x|abc|1|-2.5|\\[1\\]||\\\\N|é€|a\\\\n|\\[1,2|#|\u{b}|1 |nan", quoted]
}

fn file() -> impl Strategy<Value = (Input, Vec<&'static str>, Vec<u8>)> {
    let end = prop::sample::select(vec!["\n", "\n", "\r\n"]);
    let record = (prop::collection::vec(cell(), 6), end, 0u8..20);
    (dialect(), header(), prop::collection::vec(record, 1..30), any::<bool>()).prop_map(
        |(input, header, records, broken)| {
            let delimiter = input.dialect().delimiter as char;
            let quote = if input.quote == '\0' { String::new() } else { input.quote.to_string() };
            let mut bytes = Vec::new();
            for (cells, end, odd) in records {
                // a few records have another number of cells, or are not UTF-8
                let cells = &cells[..if broken && odd == 0 { 1 } else { header.len() }];
                let line = cells.join(&delimiter.to_string()) + end;
                let line = line.replace('Q', &quote).replace('D', &delimiter.to_string());
                bytes.extend_from_slice(line.as_bytes());
                if odd == 1 {
                    bytes.splice(bytes.len() - end.len()..bytes.len() - end.len(), [0xff]);
                }
            }
            (input, header, bytes)
        },
    )
}

fn json() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "\"x\"",
        "1",
        "null",
        "{}",
        "[1]",
        "[\"a\"]",
        "\"\\u00e9\\n\"",
        "\"\\ud800\"",
        "\"long\"",
        "1e400",
        "true",
    ]);
    let member = (prop::sample::select(vec!["i", "k", "f", "s", "a"]), value);
    // in most records each key occurs at most once
    let record = prop::collection::hash_map(member.clone().prop_map(|m| m.0), member.prop_map(|m| m.1), 0..6);
    let line = record.prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}\n", members.join(", "))
    });
    prop::collection::vec(prop_oneof![9 => line, 1 => Just("{\"k\":\n".to_owned())], 1..30)
        .prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn rejects_of_a_delimited_file_are_told_as_splitting_again_tells_them((input, header, bytes) in file()) {
        let schema = Schema::new(columns(), Some("k")).unwrap();
        let names: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        check(&Arc::new(super::bind(schema, input, Some(&names)).unwrap()), &bytes);
    }

    #[test]
    fn rejects_of_json_lines_are_told_as_splitting_again_tells_them(lines in json()) {
        let schema = Schema::new(columns(), Some("k")).unwrap();
        check(&Arc::new(super::bind(schema, json_lines(), None).unwrap()), lines.as_bytes());
    }
}

#[test]
fn the_cell_that_was_judged_is_told_whatever_stands_before_the_line_end() {
    // one of the two carriage returns belongs to the line end
    let input = Input { header: false, ..Input::default() };
    let (plan, bytes) = plan(schema("a String, i Int32"), &input, b"a,1\r\r\n");
    check(&plan, bytes);
    let mut checker = Checker::new(plan);
    assert_eq!(checker.check(bytes, 1, "").rejects().next().unwrap().observed, "1\r");
}
