//! The receipt of a job that has ended: what the ledger counts as read, loaded and rejected, and how many rows the
//! table has.
//!
//! Receipts are made for many jobs at a time: one query to the ledger, one to each data table, one INSERT into the
//! history, then the statuses. The history is written before the status, so a job with a receipt also has its row in
//! the history.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::{Client, Row};
use crds::IngestJob;
use crds::job::{Counts, Receipt};
use crds::sql::{BadIdent, TableName};
use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Deserialize;

use crate::clock;
use crate::context::Context;
use crate::history::{History, HistoryRow};
use crate::job::apply;
use crate::ledger::read::Ledger;
use crate::ledger::{self, Line};
use crate::lookup::Request;
use crate::objects::{Guarded, is_conflict, is_not_found};
use crate::query::{QueryError, within};

/// The longest time for counting the rows of jobs in one table. A table of an earlier version has no index.
const COUNT_LIMIT: Duration = Duration::from_mins(1);
/// How many statuses are written at once.
const WRITES_AT_ONCE: usize = 8;

/// Makes receipts.
#[derive(Clone, Debug)]
pub struct Receipts {
    ledger: Ledger,
    history: History,
}

#[derive(Row, Deserialize)]
struct CountRow {
    job: String,
    rows: u64,
}

/// A job and what its receipt is made from.
struct Ended {
    job: Arc<Guarded<IngestJob>>,
    uid: String,
    receipt: Receipt,
    totals: Counts,
}

impl Receipts {
    /// `database` has the ledger and the history.
    pub fn new(database: &str) -> Result<Self, BadIdent> {
        Ok(Self { ledger: Ledger::new(database)?, history: History::new(database)? })
    }

    /// Makes the receipts of jobs that have ended and writes them. Returns, by uid, the counts with which each receipt
    /// was made. A job that is not in the result must be asked for again.
    pub async fn make(
        &self,
        ctx: &Context,
        requests: &[Request<()>],
    ) -> Result<HashMap<String, Counts>, QueryError> {
        let jobs = ended_jobs(ctx, requests);
        let uids: Vec<&str> = jobs.iter().map(|(uid, _)| uid.as_str()).collect();
        // The ledger is read first: the data is written before the ledger, so the table is never behind what was read
        // from the ledger.
        let lines = self.ledger.lines(&ctx.clickhouse, &uids).await?;
        let in_tables = rows_in_tables(ctx, &jobs).await;
        let now = ctx.now();
        let ended: Vec<Ended> = jobs
            .into_iter()
            .filter_map(|(uid, job)| {
                let table_rows = *in_tables.get(&uid)?;
                let lines = lines.get(&uid).map(Vec::as_slice).unwrap_or_default();
                let receipt = receipt(job.0.as_ref().ok()?, lines, table_rows, now);
                Some(Ended { receipt, totals: ledger::totals(lines), uid, job })
            })
            .collect();
        let rows: Vec<HistoryRow> = ended
            .iter()
            .filter_map(|ended| Some(HistoryRow::of(ended.job.0.as_ref().ok()?, &ended.receipt)))
            .collect();
        if !rows.is_empty() {
            self.history.add(&ctx.clickhouse, &rows).await?;
        }
        let written =
            futures::stream::iter(ended).map(|ended| write(ctx, ended)).buffer_unordered(WRITES_AT_ONCE);
        Ok(written.filter_map(std::future::ready).collect().await)
    }
}

/// Returns the jobs of the requests that still exist and have ended.
fn ended_jobs(ctx: &Context, requests: &[Request<()>]) -> Vec<(String, Arc<Guarded<IngestJob>>)> {
    let find = |request: &Request<()>| {
        let job = ctx.jobs.get(&request.job).filter(|job| job.uid().as_ref() == Some(&request.uid))?;
        let has_ended = job.0.as_ref().ok()?.status.as_ref()?.state?.is_end();
        has_ended.then_some((request.uid.clone(), job))
    };
    requests.iter().filter_map(find).collect()
}

/// Returns the number of rows that each job has in its table, by uid. If a table cannot be queried now, its jobs are
/// left out.
async fn rows_in_tables(ctx: &Context, jobs: &[(String, Arc<Guarded<IngestJob>>)]) -> HashMap<String, i64> {
    let mut out = HashMap::new();
    let mut tables: HashMap<TableName, Vec<&str>> = HashMap::new();
    for (uid, job) in jobs {
        let Ok(job) = &job.0 else { continue };
        let has_started = job.status.as_ref().is_some_and(|status| status.model_revision.is_some());
        match ctx.table_of(job).filter(|_| has_started) {
            Some(table) => tables.entry(table).or_default().push(uid),
            None => drop(out.insert(uid.clone(), 0)),
        }
    }
    for (table, uids) in tables {
        match count(&ctx.clickhouse, &table, &uids).await {
            Ok(found) => {
                out.extend(uids.iter().map(|uid| ((*uid).to_owned(), found.get(*uid).copied().unwrap_or(0))));
            }
            Err(error) => {
                tracing::warn!(table = table.plain(), jobs = uids.len(), %error, "failed to count the rows of jobs");
            }
        }
    }
    out
}

async fn count(
    client: &Client,
    table: &TableName,
    uids: &[&str],
) -> Result<HashMap<String, i64>, QueryError> {
    let sql = format!("SELECT _job, count() FROM {table} WHERE _job IN {{jobs:Array(String)}} GROUP BY _job");
    let query = client.query_raw(&sql).param("jobs", uids).fetch_all::<CountRow>();
    match within(COUNT_LIMIT, query).await {
        Ok(rows) => {
            Ok(rows.into_iter().map(|row| (row.job, i64::try_from(row.rows).unwrap_or(i64::MAX))).collect())
        }
        // The table was dropped with its model: it has no rows.
        Err(error) if error.is_unknown_table() => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

/// Makes the receipt of a job from the counts of the ledger and the number of rows in its table.
fn receipt(job: &IngestJob, lines: &[Line], table_rows: i64, now: Timestamp) -> Receipt {
    let totals = ledger::totals(lines);
    let upload = job.status.as_ref().and_then(|status| status.upload.as_ref());
    Receipt {
        rows: totals.total,
        ok: totals.ok,
        rejected: totals.errors,
        table_rows,
        chunks: totals.chunks_done,
        digest: upload
            .filter(|upload| upload.complete)
            .and_then(|upload| upload.digest.clone())
            .unwrap_or_default(),
        checked_time: clock::text(now),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Writes a receipt, and the counts of the job if the ledger is further.
async fn write(ctx: &Context, ended: Ended) -> Option<(String, Counts)> {
    let Ended { job, uid, receipt, totals } = ended;
    let job = job.0.as_ref().ok()?;
    let status = job.status.clone().unwrap_or_default();
    let counts = status.counts.unwrap_or_default();
    if receipt.table_rows < receipt.ok {
        // This is correct if a TTL or a replacing engine removed rows.
        tracing::warn!(
            job = job.name_any(),
            namespace = job.namespace(),
            ok = receipt.ok,
            table_rows = receipt.table_rows,
            "the table holds fewer rows of the job than the ledger says were loaded"
        );
    }
    let mut own = apply::own_part(status);
    own.receipt = Some(receipt);
    // The counts are written with the version that was read, so that a worker that reports meanwhile is not
    // overwritten. They are written before the receipt, because the write of the receipt changes the version.
    let (mut made_at, mut done) = (counts, Ok(()));
    if ledger::is_further(&totals, &counts) {
        (made_at, done) = (totals, apply::counts(ctx, job, &totals).await);
    }
    if done.is_ok() {
        done = apply::status(ctx, job, &own, false).await;
    }
    match done {
        Ok(()) => Some((uid, made_at)),
        // The job was deleted meanwhile.
        Err(error) if is_not_found(&error) || is_conflict(&error) => None,
        Err(error) => {
            tracing::warn!(job = job.name_any(), namespace = job.namespace(), %error, "failed to write a receipt");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::line;

    #[test]
    fn a_receipt_has_the_sums_of_the_ledger_and_the_digest_of_a_complete_file() {
        let job = |complete: bool| -> IngestJob {
            serde_yaml::from_str(&format!(
                "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob, metadata: {{name: j}},
                  spec: {{modelRef: {{name: m}}, source: {{upload: {{}}}}}},
                  status: {{upload: {{complete: {complete}, digest: 'crc64nvme:0123456789abcdef'}}}}}}"
            ))
            .unwrap()
        };
        let lines = [line(0, 3, "loaded"), line(3, 1, "parked")];
        let made = receipt(&job(true), &lines, 27, Timestamp::UNIX_EPOCH);
        assert_eq!((made.rows, made.ok, made.rejected, made.table_rows, made.chunks), (30, 27, 3, 27, 3));
        assert_eq!(made.digest, "crc64nvme:0123456789abcdef");
        assert_eq!(made.checked_time, "1970-01-01T00:00:00.000Z");
        assert_eq!(receipt(&job(false), &lines, 27, Timestamp::UNIX_EPOCH).digest, "");
    }
}
