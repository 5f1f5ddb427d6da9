//! The good rows: insert, count and delete.

use std::time::Duration;

use bytes::Bytes;

use super::{Inserter, RowRange};
use crate::error::Failure;
use crate::ledger::within;
use crate::plan::Target;

/// The most time of a count; after it the count is tried again.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);
/// The most time of a deletion. It writes a mask for each part that it changes.
const DELETE_TIMEOUT: Duration = Duration::from_mins(3);

impl Inserter {
    /// Inserts the blocks of a batch with a token.
    pub async fn data(&self, target: &Target, token: String, blocks: &[Bytes]) -> Result<(), Failure> {
        self.send(&target.insert, token, blocks).await
    }

    /// Returns how many of these rows the table has.
    pub async fn rows_in_table(&self, rows: &RowRange) -> Result<u64, Failure> {
        within(COUNT_TIMEOUT, self.ranged(&self.count, rows).fetch_one()).await
    }

    /// Returns the number of the last row of a job in the table; 0 if the table has no row of it.
    pub async fn last_row(&self, job_uid: &str) -> Result<u64, Failure> {
        within(COUNT_TIMEOUT, self.client.query(&self.last_row).param("job", job_uid).fetch_one()).await
    }

    /// Deletes these rows from the table. Returns when no query can read them any more.
    pub async fn delete_rows(&self, rows: &RowRange) -> Result<(), Failure> {
        let delete = self
            .ranged(&self.delete, rows)
            .with_setting("lightweight_deletes_sync", "2")
            .with_setting("mutations_sync", "2");
        within(DELETE_TIMEOUT, delete.execute()).await
    }

    pub(super) fn ranged(&self, query: &str, rows: &RowRange) -> clickhouse::query::Query {
        self.client.query(query).param("job", &rows.job).param("first", rows.first).param("end", rows.end)
    }
}
