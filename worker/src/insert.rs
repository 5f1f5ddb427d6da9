//! The three inserts of a chunk, in this order: data, rejects, ledger. Each is one block under a token of its own, so
//! each is stored whole or not at all, and once however often it is sent.

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

/// A server that takes no byte for so long is taken to be gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// An insert that is not answered for so long is sent again, under the same token.
const END_TIMEOUT: Duration = Duration::from_mins(3);
/// The body goes out in pieces of this size: what is compressed at once, and what a stalled server is noticed by.
const PIECE: usize = 1 << 20;

/// Inserts into the tables of one installation.
#[derive(Clone)]
pub struct Inserter {
    client: Client,
    rejects: String,
    ledger: String,
    stored: String,
    model: String,
    worker: String,
}

impl Inserter {
    /// An inserter that names `model` and `worker` in what it writes.
    pub fn new(client: Client, database: &str, model: &str, worker: &str) -> Result<Self, BadIdent> {
        let rejects = TableName::new(database, tables::REJECTED_ROWS)?;
        let ledger = TableName::new(database, tables::INGEST_CHUNKS)?;
        Ok(Self {
            client,
            rejects: statement(&rejects, &rejects::COLUMNS)?,
            ledger: statement(&ledger, &ledger::COLUMNS)?,
            stored: format!(
                "SELECT count() FROM {rejects} WHERE job_uid = {{job:String}} \
                 AND row >= {{first:UInt64}} AND row < {{end:UInt64}} AND chunk = {{chunk:UInt32}}"
            ),
            model: model.to_owned(),
            worker: worker.to_owned(),
        })
    }

    /// Sends a body under a token.
    async fn send(&self, statement: &str, token: String, mut body: Bytes) -> Result<(), Failure> {
        let mut insert = self
            .client
            .insert_formatted_with(statement)
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", token)
            // else ClickHouse would make times of a JSON column's strings, and numbers of its booleans
            .with_setting("input_format_try_infer_dates", "0")
            .with_setting("input_format_try_infer_datetimes", "0")
            .with_setting("input_format_json_read_bools_as_numbers", "0")
            .with_timeouts(Some(SEND_TIMEOUT), Some(END_TIMEOUT));
        while !body.is_empty() {
            insert.send(body.split_to(PIECE.min(body.len()))).await?;
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
        assert_eq!(written(&tables::INGEST_CHUNKS_COLUMNS), ledger::COLUMNS);
    }
}
