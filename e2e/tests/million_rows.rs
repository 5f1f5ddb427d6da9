//! Compares the result of a large file with an independent reading of it.
#![allow(missing_docs, reason = "a test")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Namespace, Target, data};

const ROWS: u64 = 1_000_000;

#[test]
fn a_million_rows_equal_those_that_clickhouse_reads_from_the_same_file() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "million")?;
    ns.apply(&format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: big}}\n\
         spec:\n  errorPolicy: {{maxStoredErrors: 100000}}\n  columns:{}\n",
        data::NARROW_COLUMNS
    ))?;
    let path = ns.file("big.csv", "")?;
    let mut file = BufWriter::new(File::create(&path)?);
    let bad_rows = data::narrow_csv(&mut file, ROWS, 100)?;
    file.flush()?;
    let status = target.model_ready(&ns.name, "big")?;
    let table = status["table"].as_str().context("a table")?;

    let created = target.batch(&ns.name, &["job", "create", "big", &path])?.ok()?;
    let job = created.split_whitespace().nth(1).context("job … created.")?;
    let status = target.job_end(&ns.name, job, Duration::from_secs(180))?;
    let counts = &status["counts"];
    assert_eq!(
        (&status["state"], &counts["total"], &counts["ok"], &counts["errors"]),
        (&"PARTIAL_SUCCESS".into(), &ROWS.into(), &(ROWS - bad_rows).into(), &bad_rows.into())
    );

    // ClickHouse's own reader reads every cell as text. Its functions then decide which rows are good, with a round
    // trip where they accept more than the row engine.
    let raw = format!("e2e_raw_{}", status["modelRevision"].as_str().unwrap_or_default().replace('-', "_"));
    target.sql(&format!("DROP TABLE IF EXISTS {raw}"))?;
    target.sql(&format!(
        "CREATE TABLE {raw} (event_id String, t String, a String) ENGINE = MergeTree ORDER BY event_id"
    ))?;
    target.sql_load(
        &format!("INSERT INTO {raw} SETTINGS input_format_with_names_use_header=0 FORMAT CSVWithNames"),
        Path::new(&path),
    )?;
    let good = format!(
        "SELECT event_id, toUInt32(t) AS timestamp, toFloat64(a) AS amount FROM {raw} \
         WHERE toString(toUInt32OrZero(t)) = t AND match(a, '^[0-9]+[.][0-9]+$')"
    );
    let sums = |from: &str| {
        target.sql(&format!("SELECT count(), sum(cityHash64(event_id, timestamp, amount)) FROM ({from})"))
    };
    let ours = sums(&format!("SELECT event_id, timestamp, amount FROM {table}"))?;
    assert_eq!(ours, sums(&good)?);
    let columns = "event_id, timestamp, amount";
    let differ = format!("SELECT count() FROM (SELECT {columns} FROM {table} EXCEPT {good})");
    assert_eq!(target.sql(&differ)?, "0", "rows in the table that ClickHouse does not read so");
    let rejected = target.sql(&format!("SELECT uniqExact(row) FROM rejected_rows WHERE job_id = '{job}'"))?;
    assert_eq!(rejected, bad_rows.to_string(), "every rejected row says why");
    target.sql(&format!("DROP TABLE {raw}"))?;
    Ok(())
}
