//! The three inserts of a batch, in this order: data, rejects, ledger. Each is one block with a token of its own, so
//! each is stored completely or not at all, and only once, however often it is sent. This module also counts and
//! deletes the rows of a batch in the table.

pub mod data;
pub mod ledger;
pub mod rejects;
mod row_binary;

use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use crds::sql::BadIdent;
use crds::{Ident, TableName, tables};

use crate::error::Failure;

/// A server that accepts no byte for this time counts as failed.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// An insert that is not answered within this time is sent again, with the same token.
const END_TIMEOUT: Duration = Duration::from_mins(3);
/// The body is sent in pieces of at most this size. Each piece is compressed by itself, and has the time limit to
/// detect a stalled server.
const PIECE: usize = 1 << 20;

/// The settings of every INSERT. A body consists of many `Native` blocks. ClickHouse must join them to one block: only
/// then is the insert stored completely or not at all, and as one part. It joins blocks until it has
/// `min_insert_block_size_rows` rows, which is more than any batch has, or `min_insert_block_size_bytes` bytes, which 0
/// disables.
const SETTINGS: [(&str, &str); 10] = [
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    ("min_insert_block_size_rows", "4000000"),
    ("min_insert_block_size_bytes", "0"),
    ("max_insert_threads", "1"),
    ("input_format_parallel_parsing", "0"),
    // For a file with more days than the default of 100.
    ("max_partitions_per_insert_block", "5000"),
    // without these ClickHouse would make times of a JSON column's strings, and numbers of its booleans
    ("input_format_try_infer_dates", "0"),
    ("input_format_try_infer_datetimes", "0"),
    ("input_format_json_read_bools_as_numbers", "0"),
];

/// Inserts into the tables of one installation and one model.
#[derive(Clone)]
pub struct Inserter {
    client: Client,
    rejects: String,
    ledger: String,
    stored_rejects: String,
    count: String,
    last_row: String,
    delete: String,
    model: String,
    namespace: String,
    worker: String,
}

/// The names that are the same for all chunks of a worker.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The model.
    pub model: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
}

/// A range of rows of a job, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// The job's uid.
    pub job: String,
    /// The number of the first row.
    pub first: u64,
    /// The number after that of the last row.
    pub end: u64,
}

impl Inserter {
    /// Makes an inserter for the model's `table`. It writes the model, the namespace and `worker` into its rows.
    pub fn new(
        client: Client,
        database: &str,
        table: &TableName,
        names: Names<'_>,
        worker: &str,
    ) -> Result<Self, BadIdent> {
        let rejects = TableName::new(database, tables::REJECTED_ROWS)?;
        let ledger = TableName::new(database, tables::INGEST_BATCHES)?;
        let rows = "WHERE _job = {job:String} AND _row >= {first:UInt64} AND _row < {end:UInt64}";
        Ok(Self {
            client,
            rejects: statement(&rejects, &rejects::COLUMNS)?,
            ledger: statement(&ledger, &ledger::COLUMNS)?,
            stored_rejects: format!(
                "SELECT count() FROM {rejects} WHERE job_uid = {{job:String}} \
                 AND row >= {{first:UInt64}} AND row < {{end:UInt64}}"
            ),
            count: format!("SELECT count() FROM {table} {rows}"),
            last_row: format!("SELECT max(_row) FROM {table} WHERE _job = {{job:String}}"),
            delete: format!("DELETE FROM {table} {rows}"),
            model: names.model.to_owned(),
            namespace: names.namespace.to_owned(),
            worker: worker.to_owned(),
        })
    }

    /// Returns the model and its namespace, as they are in each row.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names { model: &self.model, namespace: &self.namespace }
    }

    /// Sends a body of consecutive parts, with a token.
    async fn send(&self, statement: &str, token: String, body: &[Bytes]) -> Result<(), Failure> {
        let insert = self.client.insert_formatted_with(statement);
        let insert = SETTINGS.iter().fold(insert, |insert, (name, value)| insert.with_setting(*name, *value));
        let mut insert = insert
            .with_setting("insert_deduplication_token", token)
            .with_timeouts(Some(SEND_TIMEOUT), Some(END_TIMEOUT));
        for part in body {
            let mut part = part.clone();
            while !part.is_empty() {
                insert.send(part.split_to(PIECE.min(part.len()))).await?;
            }
        }
        insert.end().await?;
        Ok(())
    }
}

fn statement(table: &TableName, columns: &[&str]) -> Result<String, BadIdent> {
    let columns: Vec<String> =
        columns.iter().map(|c| c.parse::<Ident>().map(|c| c.to_string())).collect::<Result<_, _>>()?;
    Ok(format!("INSERT INTO {table} ({}) FORMAT RowBinary", columns.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_without_a_default_of_the_server_is_written() {
        let written = |table: &[tables::ColumnDef]| -> Vec<&'static str> {
            table.iter().filter(|(_, ty)| !ty.contains("DEFAULT")).map(|(name, _)| *name).collect()
        };
        assert_eq!(written(&tables::REJECTED_ROWS_COLUMNS), rejects::COLUMNS);
        assert_eq!(written(&tables::INGEST_BATCHES_COLUMNS), ledger::COLUMNS);
    }

    #[test]
    fn the_largest_batch_is_one_block() {
        let rows = SETTINGS.iter().find(|(name, _)| *name == "min_insert_block_size_rows").unwrap().1;
        assert!(u64::from(rows_types::MAX_BATCH_ROWS) < rows.parse().unwrap());
    }

    #[test]
    fn job_and_row_numbers_are_parameters_of_the_statement() {
        let table = TableName::new("shop", "data_1").unwrap();
        let names = Names { model: "m", namespace: "n" };
        let inserter = Inserter::new(Client::default(), "default", &table, names, "w").unwrap();
        assert_eq!(
            inserter.delete,
            "DELETE FROM `shop`.`data_1` WHERE _job = {job:String} AND _row >= {first:UInt64} AND _row < {end:UInt64}"
        );
        assert!(inserter.count.starts_with("SELECT count() FROM `shop`.`data_1` WHERE _job = {job:String}"));
    }
}
