//! `batch job verify`: compares the receipt of a job with what ClickHouse has of it now.

use std::io::Write;

use anyhow::{Context, Result};
use crds::job::Receipt;
use serde::Deserialize;
use serde_json::Value;

use super::Outcome;
use crate::args::Output;
use crate::client::Client;
use crate::output::print_value;
use crate::output::table::Table;

/// The answer of the API.
#[derive(Debug, Deserialize)]
struct Verification {
    /// Absent if the operator could not count the rows of the table yet.
    receipt: Option<Receipt>,
    now: Now,
    /// For people. It is empty if both are equal.
    differences: Vec<String>,
}

/// The current counts of ledger and table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    rows: i64,
    ok: i64,
    rejected: i64,
    table_rows: i64,
    chunks: i64,
}

pub async fn verify(
    client: &Client,
    job: &str,
    output: Option<Output>,
    out: &mut impl Write,
) -> Result<Outcome> {
    let value: Value = client.post(&["jobs", job, "verify"]).await?;
    let found = Verification::deserialize(&value)
        .context("failed to read the API's answer; are API and CLI of one version?")?;
    match output.unwrap_or(Output::Table) {
        output @ (Output::Json | Output::Yaml) => print_value(&value, output, out)?,
        Output::Table => print(&found, out)?,
        Output::Csv => {
            table(&found).print(Output::Csv, out)?;
            found.differences.iter().for_each(|difference| eprintln!("{difference}"));
        }
    }
    Ok(if found.differences.is_empty() { Outcome::Done } else { Outcome::NotClean })
}

fn table(found: &Verification) -> Table<3> {
    let mut table = Table::new(["", "RECEIPT", "NOW"]);
    let Verification { receipt, now, .. } = found;
    let mut row = |name: &str, of: fn(&Receipt) -> i64, now: i64| {
        let receipt = receipt.as_ref().map(|receipt| of(receipt).to_string());
        table.row([name.to_owned(), receipt.unwrap_or_default(), now.to_string()]);
    };
    row("ROWS", |receipt| receipt.rows, now.rows);
    row("OK", |receipt| receipt.ok, now.ok);
    row("REJECTED", |receipt| receipt.rejected, now.rejected);
    row("IN TABLE", |receipt| receipt.table_rows, now.table_rows);
    row("CHUNKS", |receipt| receipt.chunks, now.chunks);
    table
}

fn print(found: &Verification, out: &mut impl Write) -> Result<()> {
    table(found).print(Output::Table, out)?;
    writeln!(out)?;
    if let Some(Receipt { digest, checked_time, version, .. }) = &found.receipt {
        if !digest.is_empty() {
            writeln!(out, "digest of the file: {digest}")?;
        }
        let by = if version.is_empty() { String::new() } else { format!(" by version {version}") };
        writeln!(out, "receipt of {checked_time}{by}")?;
    }
    if found.differences.is_empty() {
        writeln!(out, "equal")?;
    }
    for difference in &found.differences {
        writeln!(out, "differs: {difference}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn text(answer: &Value) -> String {
        let mut out = Vec::new();
        print(&Verification::deserialize(answer).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_receipt_is_shown_next_to_the_current_counts() {
        let answer = json!({
            "job": "j", "uid": "u",
            "receipt": {"rows": 1000, "ok": 999, "rejected": 1, "tableRows": 999, "chunks": 2,
                "digest": "crc64nvme:ae8b14860a799888", "checkedTime": "2026-01-01T00:00:00Z", "version": "0.2.0"},
            "now": {"rows": 1000, "ok": 999, "rejected": 1, "tableRows": 998, "chunks": 2},
            "differences": ["the table holds 998 rows of the job, the receipt says 999"],
        });
        expect![[r"
                      RECEIPT  NOW
            ROWS      1000     1000
            OK        999      999
            REJECTED  1        1
            IN TABLE  999      998
            CHUNKS    2        2

            digest of the file: crc64nvme:ae8b14860a799888
            receipt of 2026-01-01T00:00:00Z by version 0.2.0
            differs: the table holds 998 rows of the job, the receipt says 999
        "]]
        .assert_eq(&text(&answer));
    }

    #[test]
    fn a_job_without_a_receipt_shows_the_current_counts() {
        let now = json!({"rows": 2, "ok": 2, "rejected": 0, "tableRows": 2, "chunks": 1});
        expect![[r"
                      RECEIPT  NOW
            ROWS               2
            OK                 2
            REJECTED           0
            IN TABLE           2
            CHUNKS             1

            equal
        "]]
        .assert_eq(&text(&json!({"job": "j", "uid": "u", "receipt": null, "now": now, "differences": []})));
    }
}
