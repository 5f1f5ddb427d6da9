//! The route that compares a job's receipt with ledger and table again.

use axum::Json;
use axum::extract::State;
use clickhouse::Row;
use crds::TableName;
use crds::job::{IngestJob, Receipt};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::clickhouse::{Tables, is_unknown_table, unavailable};
use crate::error::{ApiError, ErrorBody};
use crate::names::Name;
use crate::routes::{InNamespace, names};
use crate::state::Shared;

/// A receipt, and the counts of now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Verified {
    /// The job's name.
    pub job: String,
    /// The job's uid.
    pub uid: String,
    /// The result of the job at its end, as in `status.receipt`.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<Receipt>,
    /// The counts in ledger and table now.
    pub now: Now,
    /// What differs, for people; empty if nothing differs.
    pub differences: Vec<String>,
}

/// The counts of a job in ledger and table now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Now {
    /// Rows read, according to the ledger.
    pub rows: i64,
    /// Rows loaded, according to the ledger.
    pub ok: i64,
    /// Rows rejected, according to the ledger.
    pub rejected: i64,
    /// Rows of the job in the table.
    pub table_rows: i64,
    /// Chunks loaded, according to the ledger.
    pub chunks: i64,
    /// Chunks that are parked.
    pub parked_chunks: i64,
    /// Chunks whose dead letters were dropped.
    pub dropped_chunks: i64,
}

/// Verify a job: compare the counts in ledger and table now with those of its receipt
#[utoipa::path(post, path = "/v1/namespaces/{ns}/jobs/{job}/verify", tag = "jobs",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "Its name")),
    responses((status = 200, body = Verified, description = "`differences` is empty where all is as it was"),
        (status = 404, body = ErrorBody, description = "JobNotFound, ModelNotFound"),
        (status = 503, body = ErrorBody, description = "ClickHouseUnavailable")))]
pub async fn verify(State(app): State<Shared>, path: InNamespace) -> Result<Json<Verified>, ApiError> {
    let (namespace, name) = names(path)?;
    let job = app.job(&namespace, &name).await?;
    let model = app.model(&namespace, &Name::parse(&job.spec.model_ref.name)?).await?;
    let table = app.tables.of_model(&namespace, &model)?;
    let uid = job.uid().unwrap_or_default();
    let now = now(&app.tables, &table, &uid).await?;
    let differences = differences(&job, &now, &table);
    let receipt = job.status.and_then(|status| status.receipt);
    Ok(Json(Verified { job: name.to_string(), uid, receipt, now, differences }))
}

#[derive(Default, Row, Deserialize)]
struct InLedger {
    rows: i64,
    ok: i64,
    rejected: i64,
    chunks: i64,
    parked_chunks: i64,
    dropped_chunks: i64,
}

async fn now(tables: &Tables, table: &TableName, uid: &str) -> Result<Now, ApiError> {
    let ledger = tables.client.query(&ledger_statement(&tables.batches)).param("uid", uid);
    let rows = tables.client.query(&rows_statement(table)).param("uid", uid);
    let (ledger, rows) = tokio::join!(ledger.fetch_one::<InLedger>(), rows.fetch_one::<u64>());
    let ledger = or_nothing(ledger)?;
    Ok(Now {
        rows: ledger.rows,
        ok: ledger.ok,
        rejected: ledger.rejected,
        table_rows: i64::try_from(or_nothing(rows)?).unwrap_or(i64::MAX),
        chunks: ledger.chunks,
        parked_chunks: ledger.parked_chunks,
        dropped_chunks: ledger.dropped_chunks,
    })
}

/// Returns the default if the table does not exist: nothing is in it.
fn or_nothing<T: Default>(answer: clickhouse::error::Result<T>) -> Result<T, ApiError> {
    match answer {
        Err(error) if is_unknown_table(&error) => Ok(T::default()),
        other => other.map_err(unavailable),
    }
}

/// The newest line of each batch counts.
fn ledger_statement(batches: &TableName) -> String {
    format!(
        "SELECT toInt64(sumIf(b.rows, b.outcome = 'loaded')) AS rows, toInt64(sumIf(b.ok, b.outcome = 'loaded')) AS ok, \
         toInt64(sumIf(b.errors, b.outcome = 'loaded')) AS rejected, \
         toInt64(sumIf(b.chunks, b.outcome = 'loaded')) AS chunks, \
         toInt64(sumIf(b.chunks, b.outcome = 'parked')) AS parked_chunks, \
         toInt64(sumIf(b.chunks, b.outcome = 'dropped')) AS dropped_chunks \
         FROM (SELECT first_chunk, chunks, rows, ok, errors, outcome FROM {batches} \
         WHERE job_uid = {{uid:String}} ORDER BY first_chunk, done_at DESC LIMIT 1 BY first_chunk) AS b"
    )
}

fn rows_statement(table: &TableName) -> String {
    format!("SELECT count() FROM {table} WHERE _job = {{uid:String}}")
}

/// Returns what is contradictory, or differs from the receipt.
fn differences(job: &IngestJob, now: &Now, table: &TableName) -> Vec<String> {
    let mut found = Vec::new();
    let status = job.status.clone().unwrap_or_default();
    let table = table.plain();
    if now.rows != now.ok + now.rejected {
        found.push(format!(
            "the ledger has {} rows, but {} loaded and {} rejected",
            now.rows, now.ok, now.rejected
        ));
    }
    if now.table_rows != now.ok {
        found.push(format!(
            "table {table} holds {} rows of the job, and the ledger says that {} were loaded; a TTL, a replacing engine or a DELETE takes rows away",
            now.table_rows, now.ok
        ));
    }
    for (chunks, what) in [(now.parked_chunks, "are parked"), (now.dropped_chunks, "were dropped")] {
        if chunks > 0 {
            found.push(format!("{chunks} chunks {what}: their rows are not in the table"));
        }
    }
    let Some(receipt) = status.receipt else {
        let state = status.state.map_or("PENDING", |state| state.as_str());
        found.push(format!("the job has no receipt ({state}); it gets one when it ends"));
        return found;
    };
    let fields = [
        ("rows", receipt.rows, now.rows),
        ("loaded rows", receipt.ok, now.ok),
        ("rejected rows", receipt.rejected, now.rejected),
        ("rows in the table", receipt.table_rows, now.table_rows),
        ("chunks", receipt.chunks, now.chunks),
    ];
    for (what, then, now) in fields {
        if then != now {
            found.push(format!("{what}: {then} in the receipt, {now} now"));
        }
    }
    let digest = status.upload.and_then(|upload| upload.digest.filter(|_| upload.complete));
    if let Some(digest) = digest.filter(|digest| !receipt.digest.is_empty() && *digest != receipt.digest) {
        found.push(format!("digest of the file: {} in the receipt, {digest} in the upload", receipt.digest));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::job::{IngestJobStatus, UploadStatus};

    fn receipt() -> Receipt {
        Receipt {
            rows: 10,
            ok: 8,
            rejected: 2,
            table_rows: 8,
            chunks: 3,
            digest: "crc64nvme:0000000000000001".into(),
            ..Receipt::default()
        }
    }

    const NOW: Now =
        Now { rows: 10, ok: 8, rejected: 2, table_rows: 8, chunks: 3, parked_chunks: 0, dropped_chunks: 0 };

    fn found(receipt: Option<Receipt>, now: &Now) -> Vec<String> {
        let spec = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}});
        let mut job = IngestJob::new("j", serde_json::from_value(spec).unwrap());
        let digest = Some("crc64nvme:0000000000000001".into());
        let upload = Some(UploadStatus { complete: true, digest, ..UploadStatus::default() });
        job.status = Some(IngestJobStatus { receipt, upload, ..IngestJobStatus::default() });
        differences(&job, now, &TableName::new("d", "t").unwrap())
    }

    #[test]
    fn a_job_that_matches_its_receipt_has_no_differences() {
        assert_eq!(found(Some(receipt()), &NOW), Vec::<String>::new());
    }

    #[test]
    fn each_number_that_differs_is_named_with_both_values() {
        let lost = Now { table_rows: 7, ..NOW };
        let differences = found(Some(receipt()), &lost);
        assert!(differences[0].starts_with("table d.t holds 7 rows of the job"), "{differences:?}");
        assert_eq!(differences[1], "rows in the table: 8 in the receipt, 7 now");
        let cases = [
            (Now { rows: 11, rejected: 3, ..NOW }, "rows: 10 in the receipt, 11 now"),
            (Now { rows: 11, rejected: 3, ..NOW }, "rejected rows: 2 in the receipt, 3 now"),
            (Now { chunks: 4, ..NOW }, "chunks: 3 in the receipt, 4 now"),
            (Now { rows: 9, ..NOW }, "the ledger has 9 rows, but 8 loaded and 2 rejected"),
            (Now { parked_chunks: 1, ..NOW }, "1 chunks are parked: their rows are not in the table"),
        ];
        for (now, expected) in cases {
            let differences = found(Some(receipt()), &now);
            assert!(differences.iter().any(|d| d == expected), "{expected}: {differences:?}");
        }
        let other = Receipt { digest: "crc64nvme:0000000000000002".into(), ..receipt() };
        assert!(found(Some(other), &NOW)[0].starts_with("digest of the file"));
    }

    #[test]
    fn a_job_without_a_receipt_has_one_difference() {
        assert_eq!(found(None, &NOW), ["the job has no receipt (PENDING); it gets one when it ends"]);
    }

    #[test]
    fn the_uid_is_a_parameter_and_only_the_newest_line_of_a_batch_counts() {
        let statement = ledger_statement(&TableName::new("d", "b").unwrap());
        assert!(
            statement
                .contains("job_uid = {uid:String} ORDER BY first_chunk, done_at DESC LIMIT 1 BY first_chunk")
        );
        assert!(rows_statement(&TableName::new("d", "t").unwrap()).ends_with("_job = {uid:String}"));
    }
}
