//! Reads the ledger: which batches are in it, and their sums.
//!
//! The newest line of a batch counts, however many lines it has, so the time of merges does not matter.

pub mod totals;

use std::collections::HashMap;
use std::time::Duration;

use clickhouse::{Client, Row};
use crds::job::{ErrorSummary, LineCounts};
use crds::sql::BadIdent;
use crds::{TableName, tables};
use serde::Deserialize;

use self::totals::{Line, Totals, totals};
use crate::done::BatchLine;
use crate::error::Failure;

/// The most kinds of errors in a status.
const SUMMARY_ROWS: u32 = 10;
/// The most time of a query; after it the query is sent again. A server that hangs does not answer at all.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The table `ingest_batches`, for queries.
#[derive(Clone)]
pub struct Ledger {
    client: Client,
    batches: String,
    lines: String,
    summary: String,
}

/// The newest line of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct BatchRow {
    /// The number of its first chunk.
    pub first_chunk: u32,
    /// How many of its bad cells are in `rejected_rows`.
    pub stored: u64,
    digests: Vec<u64>,
    outcome: String,
}

#[derive(Row, Deserialize)]
struct LineRow {
    job_uid: String,
    first_chunk: u32,
    newest: (u32, u32, u32, u32, u64, u64, i64, String),
    variants: u64,
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
    /// Makes a reader of the ledger in `database`.
    pub fn new(client: Client, database: &str) -> Result<Self, BadIdent> {
        let table = TableName::new(database, tables::INGEST_BATCHES)?;
        let (loaded, checksum) = (tables::outcomes::LOADED, tables::CHECKSUM_SQL);
        Ok(Self {
            client,
            batches: format!(
                "SELECT first_chunk, stored, digests, toString(outcome) FROM {table} WHERE job_uid = {{job:String}} \
                 ORDER BY first_chunk, done_at DESC LIMIT 1 BY first_chunk"
            ),
            lines: format!(
                "SELECT job_uid, first_chunk, \
                 argMax((chunks, rows, ok, errors, cells, stored, {checksum}, toString(outcome)), done_at), uniqExactIf(digests, notEmpty(digests)) \
                 FROM {table} WHERE job_uid IN {{jobs:Array(String)}} GROUP BY job_uid, first_chunk"
            ),
            summary: format!(
                "SELECT job_uid, s.column, s.error, sum(s.count), min(s.first_row), argMin(s.sample, s.first_row) \
                 FROM (SELECT job_uid, first_chunk, summary, outcome FROM {table} \
                 WHERE job_uid IN {{jobs:Array(String)}} \
                 ORDER BY job_uid, first_chunk, done_at DESC LIMIT 1 BY job_uid, first_chunk) \
                 ARRAY JOIN summary AS s WHERE outcome = '{loaded}' \
                 GROUP BY job_uid, s.column, s.error \
                 ORDER BY job_uid, sum(s.count) DESC, s.column, s.error LIMIT {SUMMARY_ROWS} BY job_uid"
            ),
        })
    }

    /// Checks whether ClickHouse answers and the ledger exists.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.batches("").await.map(|_| ())
    }

    /// Returns the batches of a job that are in the ledger.
    pub async fn batches(&self, job_uid: &str) -> Result<Vec<BatchRow>, Failure> {
        in_time(self.client.query(&self.batches).param("job", job_uid).fetch_all()).await
    }

    /// Returns the sums of these jobs, with one query for all. A job without a batch is not in the answer.
    pub async fn totals(&self, job_uids: &[&str]) -> Result<HashMap<String, Totals>, Failure> {
        let found: Vec<LineRow> =
            in_time(self.client.query(&self.lines).param("jobs", job_uids).fetch_all()).await?;
        let mut lines: HashMap<String, Vec<Line>> = HashMap::new();
        for row in found {
            let (job_uid, line) = row.into();
            lines.entry(job_uid).or_default().push(line);
        }
        Ok(lines.into_iter().map(|(job_uid, lines)| (job_uid, totals(lines))).collect())
    }

    /// Returns the most frequent errors of these jobs, beginning with the most frequent one.
    pub async fn summary(&self, job_uids: &[&str]) -> Result<Vec<(String, ErrorSummary)>, Failure> {
        let found: Vec<SummaryRow> =
            in_time(self.client.query(&self.summary).param("jobs", job_uids).fetch_all()).await?;
        Ok(found.into_iter().map(|row| (row.job_uid.clone(), row.into())).collect())
    }
}

impl From<BatchRow> for BatchLine {
    fn from(row: BatchRow) -> Self {
        Self { digests: row.digests, loaded: row.outcome == tables::outcomes::LOADED }
    }
}

impl From<LineRow> for (String, Line) {
    fn from(row: LineRow) -> Self {
        let (chunks, rows, ok, errors, cells, stored, checksum, outcome) = row.newest;
        let LineRow { first_chunk, variants, .. } = row;
        let counts = LineCounts { chunks, rows, ok, errors, cells, stored, checksum };
        let line = Line { first_chunk, counts, outcome, variants };
        (row.job_uid, line)
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

/// Waits for the answer of a query.
pub async fn in_time<T>(answer: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, Failure> {
    within(QUERY_TIMEOUT, answer).await
}

/// Waits for the answer of a query that may take `timeout`.
pub async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, Failure> {
    Ok(connect::clickhouse::within(timeout, answer).await?)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
