//! Batches that `ClickHouse` refuses: their chunks are in the dead-letter topic, and their ledger line has the outcome
//! `parked`.

pub mod requeue;
pub mod topic;

use clickhouse::Row;
use crds::TableName;
use crds::tables::outcomes;
use serde::{Deserialize, Serialize};

use crate::clickhouse::{Tables, is_unknown_table, unavailable};
use crate::error::ApiError;

/// The most batches that one request lists, requeues or drops.
const MOST: u32 = 1000;

/// A parked batch, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParkedBatch {
    /// The job's name.
    pub job: String,
    /// The job's uid.
    pub uid: String,
    /// The number of the batch, from 0.
    pub batch: u32,
    /// Its first chunk.
    pub first_chunk: u32,
    /// The number of its chunks.
    pub chunks: u32,
    /// Its first row in the file, from 1.
    pub first_row: u64,
    /// The number of its rows, as far as they were counted. None of them is in the table.
    pub rows: u32,
    /// Why it is parked, for programs.
    pub reason: String,
    /// Why it is parked, for people.
    pub message: String,
    /// The partition of the topic that its chunks belong to.
    pub partition: u32,
    /// When it was parked, in UTC.
    pub time: String,
}

/// A selection of the parked batches of a model. A field that is absent selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// A job: its name or its uid.
    pub job: Option<String>,
    /// The first chunk of the batch.
    pub first_chunk: Option<u32>,
}

/// Returns the parked batches of a model, oldest first.
pub async fn parked(
    tables: &Tables,
    namespace: &str,
    model: &str,
    which: &Which,
) -> Result<Vec<ParkedBatch>, ApiError> {
    let query = tables
        .client
        .query(&parked_statement(&tables.batches))
        .param("namespace", namespace)
        .param("model", model)
        .param("job", which.job.as_deref().unwrap_or_default())
        .param("first_chunk", which.first_chunk.map_or(-1, i64::from))
        .param("parked", outcomes::PARKED)
        .param("most", MOST);
    match query.fetch_all::<ParkedBatch>().await {
        Err(error) if is_unknown_table(&error) => Ok(Vec::new()),
        other => other.map_err(unavailable),
    }
}

/// Drops a parked batch: writes a ledger line with the outcome `dropped`, unless the batch is no longer parked.
pub async fn drop_batch(tables: &Tables, batch: &ParkedBatch) -> Result<(), ApiError> {
    let query = tables
        .client
        .query(&drop_statement(&tables.batches))
        .param("uid", &batch.uid)
        .param("first_chunk", batch.first_chunk)
        .param("parked", outcomes::PARKED)
        .param("dropped", outcomes::DROPPED);
    query.execute().await.map_err(unavailable)
}

/// The newest line of a batch determines whether it is parked.
fn parked_statement(batches: &TableName) -> String {
    format!(
        "SELECT b.job_id AS job, b.job_uid AS uid, b.batch AS batch, b.first_chunk AS first_chunk, b.chunks AS chunks, \
         b.first_row AS first_row, b.rows AS rows, toString(b.reason) AS reason, b.message AS message, \
         b.partition AS partition, formatDateTime(b.done_at, '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS time \
         FROM (SELECT * FROM {batches} WHERE namespace = {{namespace:String}} AND model = {{model:String}} \
         AND ({{job:String}} = '' OR job_id = {{job:String}} OR job_uid = {{job:String}}) \
         AND ({{first_chunk:Int64}} < 0 OR first_chunk = {{first_chunk:Int64}}) \
         ORDER BY job_uid, first_chunk, done_at DESC LIMIT 1 BY job_uid, first_chunk) AS b \
         WHERE b.outcome = {{parked:String}} ORDER BY b.done_at, b.job_uid, b.first_chunk LIMIT {{most:UInt32}}"
    )
}

/// All columns but the outcome and the time have the values of the parked line.
fn drop_statement(batches: &TableName) -> String {
    let names: Vec<_> = crds::tables::INGEST_BATCHES_COLUMNS.iter().map(|(name, _)| *name).collect();
    let values = names.iter().map(|name| match *name {
        "outcome" => "{dropped:String}".to_owned(),
        "done_at" => "now64(6)".to_owned(),
        name => format!("b.`{name}`"),
    });
    let (columns, values) = (names.join("`, `"), values.collect::<Vec<_>>().join(", "));
    format!(
        "INSERT INTO {batches} (`{columns}`) SELECT {values} FROM (SELECT * FROM {batches} \
         WHERE job_uid = {{uid:String}} AND first_chunk = {{first_chunk:UInt32}} ORDER BY done_at DESC LIMIT 1) AS b \
         WHERE b.outcome = {{parked:String}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches() -> TableName {
        TableName::new("d", "ingest_batches").unwrap()
    }

    #[test]
    fn a_dropped_line_differs_from_the_parked_one_only_in_outcome_and_time() {
        let statement = drop_statement(&batches());
        assert!(
            statement.starts_with("INSERT INTO `d`.`ingest_batches` (`job_uid`, `job_id`, "),
            "{statement}"
        );
        assert!(statement.contains("SELECT b.`job_uid`, b.`job_id`, "), "{statement}");
        assert!(statement.contains("b.`digests`, {dropped:String}, b.`reason`"), "{statement}");
        assert!(statement.contains("b.`worker`, now64(6) FROM"), "{statement}");
        assert!(statement.ends_with("WHERE b.outcome = {parked:String}"), "{statement}");
    }

    #[test]
    fn a_batch_that_was_loaded_after_it_was_parked_is_not_listed() {
        let statement = parked_statement(&batches());
        let newest = statement.find("done_at DESC LIMIT 1 BY job_uid, first_chunk)").unwrap();
        let is_parked = statement.find("WHERE b.outcome = {parked:String}").unwrap();
        assert!(newest < is_parked, "{statement}");
    }
}
