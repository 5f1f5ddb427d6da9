//! Reads the ledger: one query for many jobs.

use std::collections::HashMap;

use clickhouse::{Client, Row};
use crds::job::LineCounts;
use crds::sql::{BadIdent, TableName};
use crds::tables::{CHECKSUM_SQL, INGEST_BATCHES};
use serde::Deserialize;

use super::Line;
use crate::query::{QueryError, TIME_LIMIT, within};

#[derive(Row, Deserialize)]
struct LineRow {
    job_uid: String,
    first_chunk: u32,
    chunks: u32,
    rows: u32,
    ok: u32,
    errors: u32,
    cells: u64,
    stored: u64,
    checksum: i64,
    outcome: String,
    reason: String,
    message: String,
}

/// The ledger in one database.
#[derive(Clone, Debug)]
pub struct Ledger {
    sql: String,
}

impl Ledger {
    /// The ledger in `database`.
    pub fn new(database: &str) -> Result<Self, BadIdent> {
        let table = TableName::new(database, INGEST_BATCHES)?;
        // The newest line of each batch is used, whether or not ClickHouse has merged the lines.
        let sql = format!(
            "SELECT job_uid, first_chunk, chunks, rows, ok, errors, cells, stored, {CHECKSUM_SQL}, outcome, reason, message FROM {table} \
             WHERE job_uid IN {{jobs:Array(String)}} ORDER BY job_uid, first_chunk, done_at DESC LIMIT 1 BY job_uid, first_chunk"
        );
        Ok(Self { sql })
    }

    /// Returns the lines of these jobs, by uid, in the order of their chunks. A job without a line is not in the
    /// result.
    pub async fn lines(
        &self,
        client: &Client,
        uids: &[&str],
    ) -> Result<HashMap<String, Vec<Line>>, QueryError> {
        let query = client.query_raw(&self.sql).param("jobs", uids).fetch_all::<LineRow>();
        let found = match within(TIME_LIMIT, query).await {
            // The table does not exist: no model was ever served, so nothing was loaded.
            Err(error) if error.is_unknown_table() => vec![],
            other => other?,
        };
        let mut out: HashMap<String, Vec<Line>> = HashMap::new();
        for row in found {
            let LineRow {
                job_uid,
                first_chunk,
                chunks,
                rows,
                ok,
                errors,
                cells,
                stored,
                checksum,
                outcome,
                reason,
                message,
            } = row;
            let counts = LineCounts { chunks, rows, ok, errors, cells, stored, checksum };
            out.entry(job_uid).or_default().push(Line { first_chunk, counts, outcome, reason, message });
        }
        Ok(out)
    }
}
