//! Writes `docs/fidelity.md` from the fidelity table: `make generate`.
#![allow(clippy::print_stdout, reason = "what it is for")]

#[path = "../tests/fidelity/table.rs"]
mod table;

use table::{Cell, Outcome, Section};

const HEAD: &str = "# What is read as what

Made from `rows/infer/tests/fidelity.yaml` by `make generate`. Every line is tested twice: against the row engine, and against
ClickHouse's own readers (`CSV` and `JSONEachRow` of 26.9, default settings, `session_timezone` UTC). Where that
column is empty the two do the same; where not, there is a reason. `\\xff` stands for the byte; the cells of a section without a ClickHouse column are read by a
setting that ClickHouse has not.
";

fn main() {
    print!("{HEAD}");
    for section in table::load() {
        print_section(&section);
    }
}

fn print_section(section: &Section) {
    println!("\n## {}{}\n\n{}\n", section.ty, options(section), section.about);
    if section.alone {
        println!("| cell | becomes |\n|---|---|");
    } else {
        println!("| cell | becomes | in ClickHouse | because |\n|---|---|---|---|");
    }
    for cell in &section.cells {
        let ours = outcome(&cell.ours());
        if section.alone {
            println!("| {} | {ours} |", text(cell));
        } else {
            let theirs = cell.clickhouse.as_ref().map_or(String::new(), |_| outcome(&cell.theirs()));
            println!("| {} | {ours} | {theirs} | {} |", text(cell), cell.why);
        }
    }
}

fn options(section: &Section) -> String {
    let o = &section.column;
    let null_values = Some(section.null_values.join(", ")).filter(|v| !v.is_empty());
    let all = [
        ("default", &o.default),
        ("format", &o.format),
        ("onOverflow", &o.on_overflow),
        ("nonFinite", &o.non_finite),
        ("onPrecisionLoss", &o.on_precision_loss),
        ("integralFloats", &o.integral_floats),
        ("onInvalidUtf8", &o.on_invalid_utf8),
        ("nullValues", &null_values),
    ];
    all.iter().filter_map(|(name, value)| value.as_ref().map(|v| format!(", {name}: {v}"))).collect()
}

fn text(cell: &Cell) -> String {
    match (&cell.csv, cell.json.as_deref()) {
        (Some(csv), _) if csv.is_empty() => "(empty)".to_owned(),
        (Some(csv), _) => code(csv),
        (None, Some("-")) => "JSON: no key".to_owned(),
        (None, json) => format!("JSON {}", code(json.unwrap_or_default())),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused(code) if code.is_empty() => "refused".to_owned(),
        Outcome::Refused(code) => code.clone(),
        Outcome::Loaded(None) => "NULL".to_owned(),
        Outcome::Loaded(Some(value)) if value.is_empty() => "(empty)".to_owned(),
        Outcome::Loaded(Some(value)) => code(value),
    }
}

/// Formats a text as code for a cell of a Markdown table.
fn code(text: &str) -> String {
    let shown: String = text
        .chars()
        .flat_map(|c| match c {
            '|' => vec!['\\', '|'],
            c if c.is_control() => c.escape_default().collect(),
            c => vec![c],
        })
        .collect();
    let pad = if shown.starts_with(['`', ' ']) || shown.ends_with(['`', ' ']) { " " } else { "" };
    format!("`{pad}{shown}{pad}`")
}
