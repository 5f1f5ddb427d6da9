//! The row engine beside ClickHouse's own readers: they read the same values, but for the differences that the fidelity
//! table (`rows/tests/fidelity.yaml`) names with a reason.
#![allow(missing_docs, reason = "a test")]

#[path = "../../rows/tests/fidelity/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Result, bail, ensure};
use e2e::{Cells, Target};
use rows::Checker;
use table::{Fate, Section};

/// What both are read by; a plain `DateTime` is UTC for the row engine, whatever the server's zone is.
const SETTINGS: &str = "session_timezone='UTC',async_insert=0,input_format_parallel_parsing=0";
/// A file's bad records are passed over.
const SKIP_BAD: &str = "input_format_allow_errors_num=1000000000";
/// Generated cells of a type.
const CELLS: usize = 4000;

/// A database of this test, gone at its end unless it failed.
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

    /// Empty tables `ours` and `theirs` with a column `v` as the section declares it.
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

    /// Loads bytes by ClickHouse's reader of the format.
    fn load(&self, table: &str, format: &str, settings: &str, bytes: &[u8]) -> Result<()> {
        let file = self.dir.join("body");
        fs::write(&file, bytes)?;
        self.target.sql_load(
            &format!("INSERT INTO {}.{table} SETTINGS {settings} FORMAT {format}", self.name),
            &file,
        )
    }

    /// The values of a table by number, as `JSONEachRow` has them, without quotes; bytes that are not UTF-8 as `\xff`.
    fn values(&self, table: &str, section: &Section) -> Result<BTreeMap<usize, Option<String>>> {
        let from = format!("FROM {}.{table}", self.name);
        // a number that is no value of an enum cannot be printed
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

    /// For each number what became of it where the two tables differ: whether it is in `ours`, and in `theirs`.
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

/// The numbers in an enum's type.
fn enum_numbers(ty: &str) -> Option<String> {
    let numbers = ty.strip_prefix("Enum")?.split(" = ").skip(1);
    let numbers: Vec<&str> = numbers.map(|n| n.split([',', ')']).next().unwrap_or_default()).collect();
    Some(numbers.join(","))
}

/// What the hexadecimal digits of a JSON value say, without quotes.
fn printed(hex: &str) -> Result<String> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16);
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect::<Result<_, _>>()?;
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // a backslash of JSON's own
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
fn clickhouse_does_with_every_cell_of_the_table_what_the_table_says() -> Result<()> {
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
            blocks.extend_from_slice(checker.check(&record, 1, "job").block());
            if !section.alone {
                // a refusal shows by the row that is not there
                let format = if json { "JSONEachRow" } else { "CSV" };
                let _ = tables.load("theirs", format, SETTINGS, &record);
            }
        }
        if !blocks.is_empty() {
            tables.load("ours", "Native", SETTINGS, &blocks)?;
        }
        let (ours, theirs) = (tables.values("ours", &section)?, tables.values("theirs", &section)?);
        let fate = |values: &BTreeMap<usize, Option<String>>, n: usize, code: &str| match values.get(&n) {
            Some(value) => Fate::Loaded(value.clone()),
            None => Fate::Refused(code.to_owned()),
        };
        for (n, cell) in section.cells.iter().enumerate() {
            let ours = fate(&ours, n, cell.code.as_deref().unwrap_or_default());
            let theirs = fate(&theirs, n, "");
            if ours != cell.ours() || (theirs != cell.theirs() && !section.alone) {
                wrong.push(format!("{}: {cell:?}: here {ours:?}, ClickHouse {theirs:?}", section.ty));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// A kind of difference: who loads the cell, and for whom it is which kind of text.
type Kind = (bool, bool, String);

/// The kind of difference that a cell shows: of one that we refuse our message, of others the shape of the text.
fn kind(ours: bool, theirs: bool, message: Option<&String>, text: &str) -> Kind {
    (ours, theirs, message.cloned().unwrap_or_else(|| shape(text)))
}

/// Letters as `a`, digits as `9`, and each run of them once.
fn shape(text: &str) -> String {
    let mut shape: Vec<char> = rows::mask(text).chars().collect();
    shape.dedup_by(|a, b| a == b && matches!(a, 'a' | '9'));
    shape.into_iter().collect()
}

/// Loads a file of these cells by both; gives the kind of each difference with an example.
fn compare(
    tables: &Tables<'_>,
    section: &Section,
    json: bool,
    cells: &[Vec<u8>],
) -> Result<BTreeMap<Kind, String>> {
    tables.make(section)?;
    let mut file = Vec::new();
    for (n, cell) in cells.iter().enumerate() {
        let (open, close): (String, &[u8]) =
            if json { (format!("{{\"n\":{n},\"v\":"), b"}\n") } else { (format!("{n},"), b"\n") };
        file.extend([open.as_bytes(), cell, close].concat());
    }
    let mut checker = Checker::new(section.plan(json));
    let outcome = checker.check(&file, 0, "job");
    ensure!(outcome.rows() as usize == cells.len(), "{}: {} records", section.ty, outcome.rows());
    let messages: BTreeMap<usize, String> =
        outcome.rejects().map(|r| (r.row as usize, format!("{} {}", r.code, r.message))).collect();
    tables.load("ours", "Native", SETTINGS, outcome.block())?;
    let settings = format!("{SETTINGS},{SKIP_BAD}");
    tables.load("theirs", if json { "JSONEachRow" } else { "CSV" }, &settings, &file)?;
    let mut kinds = BTreeMap::new();
    for (n, ours, theirs) in tables.differences()? {
        let text = String::from_utf8_lossy(&cells[n]).into_owned();
        kinds.entry(kind(ours, theirs, messages.get(&n), &text)).or_insert(text);
    }
    Ok(kinds)
}

#[test]
fn both_read_the_same_values_but_for_the_differences_that_the_table_names() -> Result<()> {
    let target = Target::load()?;
    let tables = Tables::new(&target, "cells")?;
    let mut wrong = Vec::new();
    let plain = |s: &Section| {
        !s.alone
            && s.column == table::Options::default()
            && !["Tuple", "Map", "JSON"].iter().any(|t| s.ty.starts_with(t))
    };
    for section in table::load().iter().filter(|s| plain(s)) {
        for json in [false, true] {
            let listed: Vec<Vec<u8>> = section.cells.iter().filter_map(|c| c.text(json)).collect();
            if listed.is_empty() {
                continue;
            }
            let allowed = compare(&tables, section, json, &listed)?;
            let mut cells = Cells::new(section.ty.len() as u64);
            let generated: Vec<Vec<u8>> =
                (0..CELLS).map(|_| written(&cells.cell(&section.ty), json)).collect();
            for (kind, example) in compare(&tables, section, json, &generated)? {
                if !allowed.contains_key(&kind) {
                    wrong.push(format!("{}: `{example}`: {kind:?}", section.ty));
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

/// A text as a cell of CSV, or as a JSON value: a number as such, all else as a string.
fn written(text: &str, json: bool) -> Vec<u8> {
    let value = serde_json::from_str::<serde_json::Value>(text);
    let text = match (json, value) {
        (true, Ok(value)) if value.is_number() || value.is_array() => text.to_owned(),
        (true, _) => serde_json::Value::from(text).to_string(),
        (false, _) if text.contains([',', '"']) => format!("\"{}\"", text.replace('"', "\"\"")),
        (false, _) => text.to_owned(),
    };
    text.into_bytes()
}
