//! Reads what is stored for a job from ClickHouse, in plain SQL.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::checker::{Comparison, LedgerLine, Stored};
use super::expected;
use super::inputs::Format;
use super::shape::Shape;
use super::system::System;

/// Returns the counts and sums of a job, by its uid.
pub fn stored(system: &System, table: &str, shape: Shape, uid: &str) -> Result<Stored> {
    let numbers = |statement: String| -> Result<Vec<u64>> {
        let answer = system.sql(&statement)?;
        answer
            .split('\t')
            .map(|n| n.parse::<u64>().with_context(|| format!("{statement}: {answer}")))
            .collect()
    };
    let rows = numbers(format!(
        "SELECT count(), uniqExact(_row), sum(sipHash64({})) FROM {table} WHERE _job = '{uid}'",
        shape.row_sql()
    ))?;
    let rejects = numbers(format!(
        "SELECT count(), uniqExact(row, column), sum(sipHash64(concatWithSeparator('\\x1f', toString(row), toString(column)))) \
         FROM rejected_rows WHERE job_uid = '{uid}'"
    ))?;
    let [rows, distinct_rows, row_sum] = rows[..] else { bail!("{} numbers of the table", rows.len()) };
    let [rejects, distinct_rejects, reject_sum] = rejects[..] else { bail!("{} numbers", rejects.len()) };
    Ok(Stored {
        rows,
        distinct_rows,
        row_sum,
        rejects,
        distinct_rejects,
        reject_sum,
        ledger: ledger(system, uid)?,
        history: history(system, uid)?,
    })
}

fn ledger(system: &System, uid: &str) -> Result<Vec<LedgerLine>> {
    let answer = system.sql(&format!(
        "SELECT first_chunk, chunks, rows, ok, errors, cells, outcome FROM ingest_batches WHERE job_uid = '{uid}' \
         ORDER BY first_chunk, done_at DESC LIMIT 1 BY first_chunk"
    ))?;
    answer
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let number = |index: usize| -> Result<u64> {
                cells
                    .get(index)
                    .and_then(|c| c.parse().ok())
                    .with_context(|| format!("the ledger says {line}"))
            };
            Ok(LedgerLine {
                first_chunk: number(0)?,
                chunks: number(1)?,
                rows: number(2)?,
                ok: number(3)?,
                errors: number(4)?,
                cells: number(5)?,
                outcome: cells.get(6).copied().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

fn history(system: &System, uid: &str) -> Result<Option<(String, u64, u64)>> {
    let answer = system.sql(&format!(
        "SELECT state, ok, errors FROM ingest_jobs WHERE uid = '{uid}' ORDER BY ended_at DESC LIMIT 1"
    ))?;
    let cells: Vec<&str> = answer.split('\t').collect();
    let [state, ok, errors] = cells[..] else { return Ok(None) };
    Ok(Some((state.to_owned(), ok.parse()?, errors.parse()?)))
}

/// A file, and the job that is compared with it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "names say it")]
pub struct Subject<'a> {
    pub table: &'a str,
    pub shape: Shape,
    pub format: Format,
    pub uid: &'a str,
    pub file: &'a Path,
    /// Whether every good row of the file must be in the table.
    pub complete: bool,
}

/// Returns the first row of the table that differs from the file.
pub fn first_row_difference(system: &System, of: Subject) -> Result<Option<String>> {
    let Subject { table, shape, uid, .. } = of;
    let statement = format!(
        "SELECT _row, sipHash64({}) FROM {table} WHERE _job = '{uid}' ORDER BY _row FORMAT TSV",
        shape.row_sql()
    );
    let mut comparison = Comparison::new("row", pairs(system, &statement)?, of.complete);
    expected::read(of.file, shape, of.format, |record| {
        comparison.row(record);
        Ok(())
    })?;
    Ok(comparison.finish())
}

/// Returns the first row of `rejected_rows` that differs from the file. If the job stored the most that it may, some
/// are missing.
pub fn first_reject_difference(system: &System, of: Subject) -> Result<Option<String>> {
    let statement = format!(
        "SELECT row, sipHash64(concatWithSeparator('\\x1f', toString(row), toString(column))) FROM rejected_rows \
         WHERE job_uid = '{}' ORDER BY row, toString(column) FORMAT TSV",
        of.uid
    );
    let mut comparison = Comparison::new("reject", pairs(system, &statement)?, of.complete);
    expected::read(of.file, of.shape, of.format, |record| {
        comparison.rejects(record);
        Ok(())
    })?;
    Ok(comparison.finish())
}

/// Returns the answer to a statement, two numbers per line. It is streamed, because it may have millions of lines.
fn pairs(system: &System, statement: &str) -> Result<impl Iterator<Item = (u64, u64)> + use<>> {
    let parts = &system.target.parts;
    let url = format!("http://{}:{}/", parts.clickhouse_host, parts.clickhouse_http_port);
    let file =
        system.folder.join(format!("{}-{:?}.tsv", parts.clickhouse_http_port, std::thread::current().id()));
    let user = format!("{}:{}", parts.clickhouse_user, parts.clickhouse_password);
    let done = Command::new("curl")
        .args([
            "-sS",
            "--fail-with-body",
            "--max-time",
            "600",
            "--user",
            &user,
            "--data-binary",
            statement,
            "-o",
        ])
        .arg(&file)
        .arg(&url)
        .stdin(Stdio::null())
        .output()?;
    if !done.status.success() {
        let answer = std::fs::read_to_string(&file).unwrap_or_default();
        bail!("{statement}: {answer}");
    }
    let lines = BufReader::new(File::open(&file)?).lines();
    std::fs::remove_file(&file)?;
    Ok(lines.map_while(Result::ok).filter_map(|line| {
        let (number, hash) = line.split_once('\t')?;
        Some((number.parse().ok()?, hash.parse().ok()?))
    }))
}
