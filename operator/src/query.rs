//! Queries to ClickHouse: every query has a time limit, and there are two kinds of failure.

use std::time::Duration;

/// The longest time of a query, unless the query sets another limit.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The server cannot be reached, or does not answer in time.
    #[error("failed to reach ClickHouse: {0}; retrying")]
    Unavailable(String),
    /// The server refused the query.
    #[error("ClickHouse answered: {0}")]
    Refused(String),
}

impl QueryError {
    /// Returns whether the server answered that there is no such table.
    #[must_use]
    pub fn is_unknown_table(&self) -> bool {
        matches!(self, Self::Refused(text) if text.contains("UNKNOWN_TABLE") || text.contains("UNKNOWN_DATABASE"))
    }
}

impl From<clickhouse::error::Error> for QueryError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(text) => Self::Refused(text.trim().chars().take(1000).collect()),
            Error::Network(source) => Self::Unavailable(causes(source.as_ref())),
            Error::TimedOut => Self::Unavailable("no answer in time".into()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Returns the answer of a query, if it arrives within `limit`.
pub async fn within<T>(
    limit: Duration,
    query: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, QueryError> {
    Ok(connect::clickhouse::within(limit, query).await?)
}

/// Returns an error with its causes: the text of `hyper`'s own error does not say what went wrong.
#[must_use]
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    anyhow::Chain::new(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_table_is_recognized_by_the_name_of_the_error() {
        let refused = |text: &str| QueryError::Refused(text.to_owned());
        assert!(
            refused("Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE)").is_unknown_table()
        );
        assert!(
            !refused("Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)").is_unknown_table()
        );
        assert!(!QueryError::Unavailable("UNKNOWN_TABLE".into()).is_unknown_table());
    }
}
