//! Creates and alters the tables on a ClickHouse server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use crds::sql::TableName;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::changes::{Conflict, Existing, ExistingColumn, compare};
use super::shared::{self, ExistingShared, SharedTable, Ttls};
use super::table::DataTable;
use crate::query::{QueryError, TIME_LIMIT, within};

/// After this time the shared tables are checked again. If their TTLs change, they are checked at once.
const SHARED_RESYNC: Duration = Duration::from_secs(50);

/// Why a table is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// The server cannot be reached, or does not answer.
    #[error("failed to reach ClickHouse: {0}; retrying")]
    Unavailable(String),
    /// The server refused the statement.
    #[error("failed to make the table, ClickHouse answered: {0}")]
    Refused(String),
    /// The database that the spec names does not exist.
    #[error("database '{0}' does not exist in ClickHouse: create it, or name another in spec.table.database")]
    NoDatabase(String),
    /// The table belongs to another owner, or has another shape.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The setting `CLICKHOUSE_DATABASE` is not a valid name.
    #[error("CLICKHOUSE_DATABASE: {0}")]
    Name(#[from] crds::sql::BadIdent),
}

impl DdlError {
    /// The reason of the condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "ClickHouseUnavailable",
            Self::Refused(_) | Self::Name(_) => "ClickHouseRefused",
            Self::NoDatabase(_) => "DatabaseNotFound",
            Self::Conflict(_) => "TableConflict",
        }
    }
}

impl From<QueryError> for DdlError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Refused(text) => Self::Refused(text),
            QueryError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

/// The tables that all models share. They are made once for all models, and checked again after `SHARED_RESYNC`.
#[derive(Debug, Default)]
pub struct SharedTables(Mutex<Option<(Ttls, Instant)>>);

impl SharedTables {
    /// Creates the database and the shared tables if they are missing, and alters shared tables that differ.
    pub async fn ensure(&self, client: &Client, database: &str, ttls: Ttls) -> Result<(), DdlError> {
        let mut done = self.0.lock().await;
        if done.is_some_and(|(of, at)| of == ttls && at.elapsed() < SHARED_RESYNC) {
            return Ok(());
        }
        *done = None;
        ensure_database(client, database).await?;
        let tables = shared::tables(database, ttls)?;
        let existing = describe_shared(client, database, &tables).await?;
        for table in &tables {
            match existing.get(table.table().as_str()) {
                None => execute(client, &table.create()).await?,
                Some(existing) => {
                    for statement in table.changes(existing) {
                        tracing::info!(statement, "shared table altered");
                        execute(client, &statement).await?;
                    }
                }
            }
        }
        *done = Some((ttls, Instant::now()));
        Ok(())
    }
}

/// Creates or alters the table of the model. Returns the statements that changed an existing table.
///
/// A table of another shape is never touched: that is a [`DdlError::Conflict`].
pub async fn ensure(client: &Client, wanted: &DataTable) -> Result<Vec<String>, DdlError> {
    let database = wanted.name.database.as_str();
    if !has_database(client, database).await? {
        return Err(DdlError::NoDatabase(database.into()));
    }
    let Some(existing) = describe(client, &wanted.name).await? else {
        execute(client, &wanted.create()).await?;
        return Ok(vec![]);
    };
    let statements = compare(wanted, &existing)?;
    for statement in &statements {
        execute(client, statement).await?;
    }
    Ok(statements)
}

/// Returns the number of rows in a table, from the server's metadata (no scan). `None` if there is no table.
pub async fn count_rows(client: &Client, table: &TableName) -> Result<Option<i64>, DdlError> {
    let sql = "SELECT ifNull(total_rows, 0) FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let query = client
        .query_raw(sql)
        .param("database", table.database.as_str())
        .param("table", table.table.as_str())
        .fetch_optional::<u64>();
    Ok(in_time(query).await?.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)))
}

/// Drops the table of a model if its comment says that it belongs to the model. Returns whether it was dropped.
pub async fn drop_own(client: &Client, table: &DataTable) -> Result<bool, DdlError> {
    let sql =
        "SELECT comment FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let query = client
        .query_raw(sql)
        .param("database", table.name.database.as_str())
        .param("table", table.name.table.as_str())
        .fetch_optional::<String>();
    if in_time(query).await?.as_deref() != Some(table.comment.as_str()) {
        return Ok(false);
    }
    execute(client, &format!("DROP TABLE IF EXISTS {}{} SYNC", table.name, table.on_cluster())).await?;
    Ok(true)
}

async fn ensure_database(client: &Client, database: &str) -> Result<(), DdlError> {
    // Check first: `IF NOT EXISTS` needs the right to create a database even if the database exists.
    if !has_database(client, database).await? {
        let ident: crds::Ident = database.parse()?;
        execute(client, &format!("CREATE DATABASE IF NOT EXISTS {ident}")).await?;
    }
    Ok(())
}

async fn has_database(client: &Client, database: &str) -> Result<bool, DdlError> {
    let query = client
        .query_raw("SELECT count() FROM system.databases WHERE name = {name:String}")
        .param("name", database)
        .fetch_one::<u64>();
    Ok(in_time(query).await? > 0)
}

#[derive(Row, Deserialize)]
struct SharedRow {
    name: String,
    engine_full: String,
    columns: Vec<String>,
}

async fn describe_shared(
    client: &Client,
    database: &str,
    tables: &[SharedTable],
) -> Result<HashMap<String, ExistingShared>, DdlError> {
    let sql = "SELECT t.name, t.engine_full, c.columns FROM system.tables AS t \
               INNER JOIN (SELECT table, groupArray(name) AS columns FROM system.columns \
               WHERE database = {database:String} AND table IN {tables:Array(String)} GROUP BY table) AS c ON c.table = t.name \
               WHERE t.database = {database:String} AND t.name IN {tables:Array(String)}";
    let names: Vec<&str> = tables.iter().map(|table| table.table().as_str()).collect();
    let query =
        client.query_raw(sql).param("database", database).param("tables", names).fetch_all::<SharedRow>();
    let found = in_time(query).await?;
    let shown = |row: SharedRow| {
        let SharedRow { name, engine_full, columns } = row;
        (name, ExistingShared { engine_full, columns })
    };
    Ok(found.into_iter().map(shown).collect())
}

#[derive(Row, Deserialize)]
struct TableRow {
    engine: String,
    engine_full: String,
    sorting_key: String,
    has_job_index: u8,
}

#[derive(Row, Deserialize)]
struct ColumnRow {
    name: String,
    ty: String,
    default_kind: String,
    comment: String,
    in_key: u8,
}

async fn describe(client: &Client, table: &TableName) -> Result<Option<Existing>, DdlError> {
    let tables = "SELECT engine, engine_full, sorting_key, \
                  toUInt8(position(create_table_query, ' INDEX _job_index ') > 0) FROM system.tables \
                  WHERE database = {database:String} AND name = {table:String}";
    let columns = "SELECT name, type, default_kind, comment, \
                   toUInt8(is_in_sorting_key OR is_in_primary_key OR is_in_partition_key) FROM system.columns \
                   WHERE database = {database:String} AND table = {table:String} ORDER BY position";
    let query = |sql: &str| {
        client.query_raw(sql).param("database", table.database.as_str()).param("table", table.table.as_str())
    };
    let Some(found) = in_time(query(tables).fetch_optional::<TableRow>()).await? else {
        return Ok(None);
    };
    let columns = in_time(query(columns).fetch_all::<ColumnRow>()).await?;
    let column = |c: ColumnRow| ExistingColumn {
        name: c.name,
        ty: c.ty,
        default_kind: c.default_kind,
        comment: c.comment,
        in_key: c.in_key != 0,
    };
    Ok(Some(Existing {
        engine: found.engine,
        engine_full: found.engine_full,
        sorting_key: found.sorting_key,
        columns: columns.into_iter().map(column).collect(),
        has_job_index: found.has_job_index != 0,
    }))
}

async fn execute(client: &Client, statement: &str) -> Result<(), DdlError> {
    in_time(client.query_raw(statement).execute()).await
}

/// Limits the time of a query. An `ALTER` that rewrites parts continues in the server after the limit.
async fn in_time<T>(query: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, DdlError> {
    Ok(within(TIME_LIMIT, query).await?)
}
