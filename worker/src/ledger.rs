//! Reading the ledger: what is done, and what it adds up to.
//!
//! A chunk counts once however often it stands there, so it does not matter when the table merges.

use std::time::Duration;

use clickhouse::{Client, Row};
use crds::job::{Counts, ErrorSummary};
use crds::sql::BadIdent;
use crds::{TableName, tables};
use serde::Deserialize;

use crate::error::Failure;

/// How many kinds of errors a status shows.
const SUMMARY_ROWS: u32 = 10;

/// The table `ingest_chunks`, for reading.
#[derive(Clone)]
pub struct Ledger {
    client: Client,
    done: String,
    counts: String,
    summary: String,
}

/// A chunk that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct Done {
    /// Its number.
    pub chunk: u32,
    /// How many of its bad cells are in `rejected_rows`.
    pub stored: u64,
}

#[derive(Row, Deserialize)]
struct CountsRow {
    job_uid: String,
    total: u64,
    ok: u64,
    errors: u64,
    cells: u64,
    stored: u64,
    chunks: u64,
}

#[derive(Row, Deserialize)]
struct SummaryRow {
    job_uid: String,
    column: String,
    error: String,
    count: u64,
    first_row: u64,
    sample: String,
}

impl Ledger {
    /// The ledger in `database`.
    pub fn new(client: Client, database: &str) -> Result<Self, BadIdent> {
        let table = TableName::new(database, tables::INGEST_CHUNKS)?;
        let once = "WHERE job_uid IN {jobs:Array(String)} LIMIT 1 BY job_uid, chunk";
        Ok(Self {
            client,
            done: format!(
                "SELECT chunk, stored FROM {table} WHERE job_uid = {{job:String}} LIMIT 1 BY chunk"
            ),
            counts: format!(
                "SELECT job_uid, toUInt64(sum(rows)), toUInt64(sum(ok)), toUInt64(sum(errors)), sum(cells), \
                 sum(stored), count() FROM (SELECT job_uid, chunk, rows, ok, errors, cells, stored FROM {table} {once}) \
                 GROUP BY job_uid"
            ),
            summary: format!(
                "SELECT job_uid, s.column, s.error, sum(s.count), min(s.first_row), argMin(s.sample, s.first_row) \
                 FROM (SELECT job_uid, chunk, summary FROM {table} {once}) ARRAY JOIN summary AS s \
                 GROUP BY job_uid, s.column, s.error \
                 ORDER BY job_uid, sum(s.count) DESC, s.column, s.error LIMIT {SUMMARY_ROWS} BY job_uid"
            ),
        })
    }

    /// Whether ClickHouse answers and the ledger is there.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.done("").await.map(|_| ())
    }

    /// The chunks of a job that are done.
    pub async fn done(&self, job_uid: &str) -> Result<Vec<Done>, Failure> {
        in_time(self.client.query(&self.done).param("job", job_uid).fetch_all()).await
    }

    /// What these jobs add up to: one query for all. A job without a chunk is not in the answer.
    pub async fn counts(&self, job_uids: &[&str]) -> Result<Vec<(String, Counts)>, Failure> {
        let found: Vec<CountsRow> =
            in_time(self.client.query(&self.counts).param("jobs", job_uids).fetch_all()).await?;
        Ok(found.into_iter().map(|row| (row.job_uid.clone(), row.into())).collect())
    }

    /// What is wrong most often with these jobs, most frequent first.
    pub async fn summary(&self, job_uids: &[&str]) -> Result<Vec<(String, ErrorSummary)>, Failure> {
        let found: Vec<SummaryRow> =
            in_time(self.client.query(&self.summary).param("jobs", job_uids).fetch_all()).await?;
        Ok(found.into_iter().map(|row| (row.job_uid.clone(), row.into())).collect())
    }
}

impl From<CountsRow> for Counts {
    fn from(row: CountsRow) -> Self {
        Self {
            total: signed(row.total),
            ok: signed(row.ok),
            errors: signed(row.errors),
            chunks_done: signed(row.chunks),
            bad_cells: signed(row.cells),
            stored_errors: signed(row.stored),
        }
    }
}

impl From<SummaryRow> for ErrorSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            column: row.column.chars().take(128).collect(),
            error: row.error,
            count: signed(row.count),
            first_row: signed(row.first_row),
            sample: row.sample.chars().take(128).collect(),
        }
    }
}

/// The answer of a query, which has to come in half a minute: a server that hangs says nothing at all.
pub async fn in_time<T>(answer: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(Duration::from_secs(30), answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(clickhouse::error::Error::TimedOut.into()),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
