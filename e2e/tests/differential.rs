//! Compares the row engine with ClickHouse's own readers: they read the same values, except for the differences in the
//! fidelity table (`rows/infer/tests/fidelity.yaml`), which has a reason for each.
#![allow(missing_docs, reason = "a test")]

#[path = "../../rows/infer/tests/fidelity/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Result, bail, ensure};
use e2e::{Cells, Target};
use rows_check::Checker;
use rows_types::Type;
use table::{Outcome, Section};

/// The settings for both. A plain `DateTime` is UTC in the row engine, whatever the time zone of the server is.
const SETTINGS: &str = "session_timezone='UTC',async_insert=0,input_format_parallel_parsing=0";
/// Skips the bad records of a file.
const SKIP_BAD: &str = "input_format_allow_errors_num=1000000000";
/// The number of generated cells for each type.
const CELLS: usize = 4000;

/// A database of this test. It is dropped at the end, unless the test failed.
struct Tables<'a> {
    target: &'a Target,
    name: String,
    dir: PathBuf,
}

impl<'a> Tables<'a> {
    fn new(target: &'a Target, what: &str) -> Result<Self> {
        let name = format!("differential_{what}_{}", std::process::id());
        let dir = env::temp_dir().join(&name);
        fs::create_dir_all(&dir)?;
        target.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(Self { target, name, dir })
    }

    /// Makes the empty tables `ours` and `theirs` with a column `v`, as the section declares it.
    fn make(&self, section: &Section) -> Result<()> {
        let default = section.column.default.as_ref().map_or(String::new(), |d| format!(" DEFAULT '{d}'"));
        for (table, more) in [("ours", ", job_in LowCardinality(String), row_in UInt64"), ("theirs", "")] {
            self.target.sql(&format!("DROP TABLE IF EXISTS {}.{table}", self.name))?;
            self.target.sql(&format!(
                "CREATE TABLE {}.{table} (n UInt64, v {}{default}{more}) ENGINE = Memory \
                 SETTINGS allow_suspicious_low_cardinality_types=1, enable_time_time64_type=1",
                self.name, section.ty
            ))?;
        }
        Ok(())
    }

    /// Loads bytes with ClickHouse's reader of the format.
    fn load(&self, table: &str, format: &str, settings: &str, bytes: &[u8]) -> Result<()> {
        let file = self.dir.join("body");
        fs::write(&file, bytes)?;
        self.target.sql_load(
            &format!("INSERT INTO {}.{table} SETTINGS {settings} FORMAT {format}", self.name),
            &file,
        )
    }

    /// Loads records into `theirs`. Errors that no setting skips, such as an overflow, are found by halving.
    fn load_theirs(&self, format: &str, records: &[Vec<u8>]) -> Result<()> {
        let loaded = self.load("theirs", format, &format!("{SETTINGS},{SKIP_BAD}"), &records.concat());
        match (loaded, records.len()) {
            (Ok(()), _) | (Err(_), 1) => Ok(()),
            (Err(_), n) => {
                let (front, back) = records.split_at(n / 2);
                self.load_theirs(format, front)?;
                self.load_theirs(format, back)
            }
        }
    }

    /// Returns the values of a table by number, as in `JSONEachRow` but without quotes. Bytes that are not UTF-8 are
    /// written as `\xff`.
    fn values(&self, table: &str, section: &Section) -> Result<BTreeMap<usize, Option<String>>> {
        let from = format!("FROM {}.{table}", self.name);
        // a number that is not a value of the enum cannot be printed
        let numbers = enum_numbers(&section.ty);
        let (known, mut values) = match &numbers {
            None => (String::new(), BTreeMap::new()),
            Some(numbers) => {
                let n =
                    self.target.sql(&format!("SELECT n {from} WHERE CAST(v AS Int16) NOT IN ({numbers})"))?;
                let unknown = Some("a number that is no value of the enum".to_owned());
                let rows = n.lines().map(|n| Ok((n.parse()?, unknown.clone()))).collect::<Result<_>>()?;
                (format!("WHERE CAST(v AS Int16) IN ({numbers})"), rows)
            }
        };
        let lines = self.target.sql(&format!(
            "SELECT n, isNull(v), hex(toJSONString(v)) {from} {known} \
             SETTINGS output_format_json_quote_denormals=1, output_format_json_escape_forward_slashes=0"
        ))?;
        for line in lines.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [n, null, hex] = fields[..] else { bail!("{line}") };
            values.insert(n.parse()?, if null == "1" { None } else { Some(printed(hex)?) });
        }
        Ok(values)
    }

    /// Returns the numbers for which the two tables differ, and for each whether it is in `ours` and in `theirs`.
    fn differences(&self) -> Result<Vec<(usize, bool, bool)>> {
        let lines = self.target.sql(&format!(
            "SELECT n, sum(o), sum(t) FROM (SELECT n, 1 AS o, 0 AS t, ifNull(cityHash64(v), 0) AS h FROM {0}.ours \
             UNION ALL SELECT n, 0, 1, ifNull(cityHash64(v), 0) FROM {0}.theirs) \
             GROUP BY n HAVING sum(o) + sum(t) = 1 OR min(h) != max(h) ORDER BY n",
            self.name
        ))?;
        let row = |line: &str| {
            let fields: Vec<usize> = line.split('\t').map(str::parse).collect::<Result<_, _>>()?;
            let [n, ours, theirs] = fields[..] else { bail!("{line}") };
            Ok((n, ours == 1, theirs == 1))
        };
        lines.lines().map(row).collect()
    }
}

/// Returns the numbers in the type of an enum.
fn enum_numbers(ty: &str) -> Option<String> {
    let numbers = ty.strip_prefix("Enum")?.split(" = ").skip(1);
    let numbers: Vec<&str> = numbers.map(|n| n.split([',', ')']).next().unwrap_or_default()).collect();
    Some(numbers.join(","))
}

/// Decodes the hexadecimal digits of a JSON value, and removes the quotes.
fn printed(hex: &str) -> Result<String> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16);
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect::<Result<_, _>>()?;
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // a backslash of the JSON text itself
            let _ = write!(text, "{}x{byte:02x}", if bytes.starts_with(b"\"") { "\\\\" } else { "\\" });
        }
    }
    Ok(if text.starts_with('"') { serde_json::from_str(&text)? } else { text })
}

impl Drop for Tables<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.target.sql(&format!("DROP DATABASE {}", self.name));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn clickhouse_reads_every_cell_of_the_table_as_the_table_specifies() -> Result<()> {
    let target = Target::load()?;
    let tables = Tables::new(&target, "table")?;
    let mut wrong = Vec::new();
    for section in table::load() {
        tables.make(&section)?;
        let plans = [section.plan(false), section.plan(true)];
        let mut blocks = Vec::new();
        for (n, cell) in section.cells.iter().enumerate() {
            let (record, json) = cell.record(n);
            let mut checker = Checker::new(plans[usize::from(json)].clone());
            blocks.extend_from_slice(&checker.check(&record, 1, "job").block());
            if !section.alone {
                // a refused record is visible because its row is missing
                let format = if json { "JSONEachRow" } else { "CSV" };
                let _ = tables.load("theirs", format, SETTINGS, &record);
            }
        }
        if !blocks.is_empty() {
            tables.load("ours", "Native", SETTINGS, &blocks)?;
        }
        let (ours, theirs) = (tables.values("ours", &section)?, tables.values("theirs", &section)?);
        let outcome = |values: &BTreeMap<usize, Option<String>>, n: usize, code: &str| match values.get(&n) {
            Some(value) => Outcome::Loaded(value.clone()),
            None => Outcome::Refused(code.to_owned()),
        };
        for (n, cell) in section.cells.iter().enumerate() {
            let ours = outcome(&ours, n, cell.code.as_deref().unwrap_or_default());
            let theirs = outcome(&theirs, n, "");
            if ours != cell.ours() || (theirs != cell.theirs() && !section.alone) {
                wrong.push(format!("{}: {cell:?}: here {ours:?}, ClickHouse {theirs:?}", section.ty));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// A kind of difference: the family of types, whether each side loads the cell, and the kind of text.
type Kind = (String, bool, bool, String);

/// Returns the kind of difference that a cell shows. For a cell that the row engine refuses it is the message, for
/// others the shape of the text.
fn kind(ty: &str, ours: bool, theirs: bool, message: Option<&String>, text: &str) -> Kind {
    let inner = ty.replace("Nullable(", "").replace("LowCardinality(", "");
    let inner = if inner.len() < ty.len() { inner.trim_end_matches(')') } else { ty };
    let family = inner.split(|c: char| c == '(' || c.is_ascii_digit()).next().unwrap_or_default();
    let family = family.trim_start_matches("UI").trim_start_matches('I').replace("BFloat", "Float");
    let family = family.replace("FixedString", "String");
    let what = match message {
        // the type and the place in an array are not part of the kind
        Some(message) => {
            message.split(" (in ").next().unwrap_or_default().replace(ty, "T").replace(inner, "T")
        }
        None if family == "String" => ends(text).replace(['[', ']'], "a"),
        None if family == "Array" => ends(text),
        None => shape(text),
    };
    (family, ours, theirs, what)
}

/// Returns the text with letters as `a` and digits as `9`, and each run of them only once.
fn shape(text: &str) -> String {
    let mut shape: Vec<char> = rows_types::mask(&text.to_lowercase()).chars().collect();
    shape.dedup_by(|a, b| a == b && matches!(a, 'a' | '9'));
    shape.into_iter().collect()
}

/// Returns the first and the last character of a text as a class: a space, a quote, a bracket, or something else.
fn ends(text: &str) -> String {
    let class = |c: Option<char>| match c {
        Some(c) if c.is_whitespace() => ' ',
        Some(c @ ('"' | '[' | ']')) => c,
        _ => 'a',
    };
    [class(text.chars().next()), class(text.chars().last())].iter().collect()
}

/// Loads a file of these cells on both sides. Returns the kind of each difference with an example.
fn compare(
    tables: &Tables<'_>,
    section: &Section,
    json: bool,
    cells: &[Vec<u8>],
) -> Result<BTreeMap<Kind, String>> {
    tables.make(section)?;
    let record = |(n, cell): (usize, &Vec<u8>)| {
        let (open, close): (String, &[u8]) =
            if json { (format!("{{\"n\":{n},\"v\":"), b"}\n") } else { (format!("{n},"), b"\n") };
        [open.as_bytes(), cell, close].concat()
    };
    let records: Vec<Vec<u8>> = cells.iter().enumerate().map(record).collect();
    let file = records.concat();
    let mut checker = Checker::new(section.plan(json));
    let outcome = checker.check(&file, 0, "job");
    ensure!(outcome.rows() as usize == cells.len(), "{}: {} records", section.ty, outcome.rows());
    let messages: BTreeMap<u64, String> =
        outcome.rejects().map(|r| (r.row, format!("{} {}", r.code, r.message))).collect();
    tables.load("ours", "Native", SETTINGS, &outcome.block())?;
    let format = if json { "JSONEachRow" } else { "CSV" };
    tables.load_theirs(format, &records)?;
    // after a bad record ClickHouse may also skip good ones, so these are loaded again
    let mut missing = usize::MAX;
    loop {
        let lost: Vec<Vec<u8>> =
            tables.differences()?.iter().filter(|d| !d.2).map(|d| records[d.0].clone()).collect();
        if lost.is_empty() || lost.len() >= missing {
            break;
        }
        missing = lost.len();
        tables.load_theirs(format, &lost)?;
    }
    let mut kinds = BTreeMap::new();
    for (n, ours, theirs) in tables.differences()? {
        let text = String::from_utf8_lossy(&cells[n]).into_owned();
        kinds.entry(kind(&section.ty, ours, theirs, messages.get(&(n as u64)), &text)).or_insert(text);
    }
    Ok(kinds)
}

#[test]
fn both_read_the_same_values_except_for_the_differences_in_the_table() -> Result<()> {
    let target = Target::load()?;
    let tables = Tables::new(&target, "cells")?;
    let mut wrong = Vec::new();
    // for tuples, maps and JSON objects only the cells of the fidelity table are compared
    let plain = |s: &Section| {
        !s.alone
            && s.column == table::Options::default()
            && !["Tuple", "Map", "JSON"].iter().any(|t| s.ty.starts_with(t))
    };
    let sections: Vec<Section> = table::load().into_iter().filter(plain).collect();
    let mut allowed = BTreeMap::new();
    for section in &sections {
        for json in [false, true] {
            let cells: Vec<Vec<u8>> = section.cells.iter().filter_map(|c| c.text(json)).collect();
            allowed.extend(compare(&tables, section, json, &cells)?);
        }
    }
    for (seed, section) in (0..).zip(&sections) {
        for json in [false, true] {
            let (mut cells, ty) = (Cells::new(seed), Type::parse(&section.ty)?);
            let cells: Vec<Vec<u8>> = (0..CELLS).map(|_| written(&cells.cell(&ty), json)).collect();
            for (kind, example) in compare(&tables, section, json, &cells)? {
                if !allowed.contains_key(&kind) {
                    wrong.push(format!(
                        "{} {}: `{example}`: {kind:?}",
                        section.ty,
                        if json { "JSON" } else { "CSV" }
                    ));
                }
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} kinds of differences that are not in the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Writes a text as a CSV cell or a JSON value. In JSON, numbers and arrays are unchanged, and all else is a string.
fn written(text: &str, json: bool) -> Vec<u8> {
    let value = serde_json::from_str::<serde_json::Value>(text);
    let text = match (json, value) {
        (true, Ok(value)) if text == text.trim() && (value.is_number() || value.is_array()) => {
            text.to_owned()
        }
        (true, _) => serde_json::Value::from(text).to_string(),
        (false, _) if text.contains([',', '"']) => format!("\"{}\"", text.replace('"', "\"\"")),
        (false, _) => text.to_owned(),
    };
    text.into_bytes()
}
