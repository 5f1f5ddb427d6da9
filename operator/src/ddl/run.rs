//! Making the tables so, on a real ClickHouse.

use std::time::Duration;

use clickhouse::{Client, Row};
use crds::sql::TableName;
use serde::Deserialize;

use super::changes::{Conflict, Existing, ExistingColumn, compare};
use super::shared;
use super::table::DataTable;

/// The longest that one statement may take. An `ALTER` that rewrites parts goes on in the server when it is over.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a table is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// The server cannot be reached, or does not answer.
    #[error("failed to reach ClickHouse: {0}; retrying")]
    Unavailable(String),
    /// The server said no.
    #[error("failed to make the table, ClickHouse answered: {0}")]
    Refused(String),
    /// The database that the spec names is not there.
    #[error("database '{0}' does not exist in ClickHouse: create it, or name another in spec.table.database")]
    NoDatabase(String),
    /// The table is another's, or has another shape.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The setting `CLICKHOUSE_DATABASE` is no name.
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

impl From<clickhouse::error::Error> for DdlError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(text) => Self::Refused(text.trim().chars().take(1000).collect()),
            Error::Network(source) => Self::Unavailable(chain(source.as_ref())),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// An error with its causes: `hyper`'s own text does not say what went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Makes the shared tables and the model's table, or alters it; returns the statements that changed an existing table.
///
/// Never touches a table of another shape: that is a [`DdlError::Conflict`].
pub async fn ensure(
    client: &Client,
    installation: &str,
    wanted: &DataTable,
) -> Result<Vec<String>, DdlError> {
    ensure_database(client, installation, wanted.name.database.as_str()).await?;
    for statement in shared::create(installation)? {
        execute(client, &statement).await?;
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

/// Rows in a table, from the server's own bookkeeping (no scan). `None` where there is no table.
pub async fn count_rows(client: &Client, table: &TableName) -> Result<Option<i64>, DdlError> {
    let sql = "SELECT ifNull(total_rows, 0) FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let query = client
        .query_raw(sql)
        .param("database", table.database.as_str())
        .param("table", table.table.as_str())
        .fetch_optional::<u64>();
    Ok(patiently(query).await?.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)))
}

/// Drops a model's table if its comment says that it is the model's; whether it did.
pub async fn drop_own(client: &Client, table: &DataTable) -> Result<bool, DdlError> {
    let sql =
        "SELECT comment FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let query = client
        .query_raw(sql)
        .param("database", table.name.database.as_str())
        .param("table", table.name.table.as_str())
        .fetch_optional::<String>();
    if patiently(query).await?.as_deref() != Some(table.comment.as_str()) {
        return Ok(false);
    }
    execute(client, &format!("DROP TABLE IF EXISTS {}{} SYNC", table.name, table.on_cluster())).await?;
    Ok(true)
}

async fn ensure_database(client: &Client, installation: &str, database: &str) -> Result<(), DdlError> {
    for name in [installation, database] {
        let query = client
            .query_raw("SELECT count() FROM system.databases WHERE name = {name:String}")
            .param("name", name)
            .fetch_one::<u64>();
        if patiently(query).await? > 0 {
            continue;
        }
        // Asked first: `IF NOT EXISTS` needs the right to create a database even where there is nothing to create.
        if name != installation {
            return Err(DdlError::NoDatabase(name.into()));
        }
        let ident: crds::Ident = name.parse()?;
        execute(client, &format!("CREATE DATABASE IF NOT EXISTS {ident}")).await?;
    }
    Ok(())
}

#[derive(Row, Deserialize)]
struct TableRow {
    engine: String,
    engine_full: String,
    sorting_key: String,
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
    let tables = "SELECT engine, engine_full, sorting_key FROM system.tables \
                  WHERE database = {database:String} AND name = {table:String}";
    let columns = "SELECT name, type, default_kind, comment, \
                   toUInt8(is_in_sorting_key OR is_in_primary_key OR is_in_partition_key) FROM system.columns \
                   WHERE database = {database:String} AND table = {table:String} ORDER BY position";
    let query = |sql: &str| {
        client.query_raw(sql).param("database", table.database.as_str()).param("table", table.table.as_str())
    };
    let Some(found) = patiently(query(tables).fetch_optional::<TableRow>()).await? else {
        return Ok(None);
    };
    let columns = patiently(query(columns).fetch_all::<ColumnRow>()).await?;
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
    }))
}

async fn execute(client: &Client, statement: &str) -> Result<(), DdlError> {
    patiently(client.query_raw(statement).execute()).await
}

async fn patiently<T>(query: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, DdlError> {
    match tokio::time::timeout(PATIENCE, query).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(DdlError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}
