//! The connection to ClickHouse.

use std::time::Duration;

use clap::Args;
use clickhouse::error::{Error, Result};
use clickhouse::{Client, Compression};

use crate::secret::Secret;

/// The address of ClickHouse and the user that connects.
#[derive(Args, Clone, Debug)]
pub struct ClickHouseArgs {
    /// The server's name or address
    #[arg(long, env = "CLICKHOUSE_HOST", default_value = "localhost")]
    pub clickhouse_host: String,
    /// The server's HTTP port
    #[arg(long, env = "CLICKHOUSE_PORT", default_value_t = 8123)]
    pub clickhouse_port: u16,
    /// The installation's database: it holds `rejected_rows`, `ingest_batches`, and the data tables of models that name
    /// no database
    #[arg(long, env = "CLICKHOUSE_DATABASE", default_value = "default")]
    pub clickhouse_database: String,
    /// The user
    #[arg(long, env = "CLICKHOUSE_USER", default_value = "default")]
    pub clickhouse_user: String,
    /// The user's password
    #[arg(long, env = "CLICKHOUSE_PASSWORD", hide_env_values = true, default_value = "")]
    pub clickhouse_password: Secret,
    /// Whether to use TLS
    #[arg(long, env = "CLICKHOUSE_SECURE", default_value_t = false, action = clap::ArgAction::Set)]
    pub clickhouse_secure: bool,
}

impl ClickHouseArgs {
    /// `http(s)://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.clickhouse_secure { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.clickhouse_host, self.clickhouse_port)
    }

    /// Returns a client that names no database (statements qualify their tables), does not compress (inside a cluster
    /// CPU costs more than network traffic), and does not ask for schemas (this project makes the tables).
    #[must_use]
    pub fn client(&self) -> Client {
        Client::default()
            .with_url(self.url())
            .with_user(&self.clickhouse_user)
            .with_password(self.clickhouse_password.expose())
            .with_compression(Compression::None)
            .with_validation(false)
    }
}

/// Returns the answer of a query, or [`Error::TimedOut`] if it does not arrive within `limit`.
pub async fn within<T>(limit: Duration, query: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, query).await.unwrap_or(Err(Error::TimedOut))
}
