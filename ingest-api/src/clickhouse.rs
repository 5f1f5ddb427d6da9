//! What the API reads in `ClickHouse`, and the one kind of ledger line that it writes there.
//!
//! Values are query parameters; tables are [`TableName`]s, which quote themselves.

use std::time::Duration;

use clickhouse::error::Error;
use clickhouse::{Client, Row};
use connect::ClickHouseArgs;
use connect::clickhouse::within;
use crds::sql::BadIdent;
use crds::tables::{INGEST_BATCHES, INGEST_JOBS, REJECTED_ROWS};
use crds::{IngestModel, ModelId, TableName};
use kube::ResourceExt;
use serde::Deserialize;

use crate::error::ApiError;
use crate::names::Namespace;

/// How long an upload waits for the history of jobs.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(2);
/// The codes of `ClickHouse` for a table or a database that does not exist.
const UNKNOWN: [&str; 2] = ["Code: 60.", "Code: 81."];

/// The tables that the API reads.
#[derive(Clone)]
pub struct Tables {
    /// The client.
    pub client: Client,
    /// The table of rejected rows.
    pub rejected_rows: TableName,
    /// The ledger.
    pub batches: TableName,
    /// The history of jobs.
    pub jobs: TableName,
    /// The database of models that specify no database.
    database: String,
}

/// A job in the history.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct LoadedJob {
    /// Its name.
    pub name: String,
    /// The state in which it ended.
    pub state: String,
}

impl Tables {
    /// Returns the tables of an installation. It does not connect yet.
    pub fn new(settings: &ClickHouseArgs) -> Result<Self, BadIdent> {
        let database = settings.clickhouse_database.clone();
        let table = |name| TableName::new(&database, name);
        Ok(Self {
            client: settings.client(),
            rejected_rows: table(REJECTED_ROWS)?,
            batches: table(INGEST_BATCHES)?,
            jobs: table(INGEST_JOBS)?,
            database,
        })
    }

    /// Returns the table of a model.
    pub fn of_model(&self, namespace: &Namespace, model: &IngestModel) -> Result<TableName, ApiError> {
        let spec = model.spec.table.as_ref();
        let database = spec.and_then(|table| table.database.as_deref()).unwrap_or(&self.database);
        let default = ModelId::of(namespace.as_str(), &model.name_any()).default_table();
        let name = spec.and_then(|table| table.name.as_deref()).unwrap_or(&default);
        TableName::new(database, name).map_err(|e| ApiError::ModelInvalid(e.to_string()))
    }

    /// Returns the job that loaded rows with this label of the model, if the history has one. Fails if `ClickHouse`
    /// cannot be reached: then it is not known, and nothing may be loaded a second time.
    pub async fn loaded(
        &self,
        namespace: &str,
        model: &str,
        label: &str,
    ) -> Result<Option<LoadedJob>, ApiError> {
        let query = self
            .client
            .query(&loaded_statement(&self.jobs))
            .param("namespace", namespace)
            .param("model", model)
            .param("label", label);
        match within(HISTORY_TIMEOUT, query.fetch_optional::<LoadedJob>()).await {
            Err(error) if is_unknown_table(&error) => Ok(None),
            found => found.map_err(unavailable),
        }
    }
}

fn loaded_statement(jobs: &TableName) -> String {
    format!(
        "SELECT name, toString(state) AS state FROM {jobs} \
         WHERE namespace = {{namespace:String}} AND model = {{model:String}} AND label = {{label:String}} \
         AND state IN ('SUCCESS', 'PARTIAL_SUCCESS') ORDER BY ended_at DESC LIMIT 1"
    )
}

/// Returns whether the error means that the table does not exist: then nothing was written to it yet.
#[must_use]
pub fn is_unknown_table(error: &Error) -> bool {
    matches!(error, Error::BadResponse(text) if UNKNOWN.iter().any(|code| text.contains(code)))
}

/// Makes the API error for a failed call to `ClickHouse`.
#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
#[must_use]
pub fn unavailable(error: Error) -> ApiError {
    ApiError::ClickHouseUnavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::settings::Cli;

    fn tables() -> Tables {
        let settings = Cli::parse_from(["ingest-api", "--clickhouse-database=batch"]).settings;
        Tables::new(&settings.clickhouse).unwrap()
    }

    fn model(table: &serde_json::Value) -> IngestModel {
        let mut spec = serde_json::json!({"columns": [{"name": "a", "type": "String"}]});
        if !table.is_null() {
            spec["table"] = table.clone();
        }
        IngestModel::new("purchases", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn the_table_of_a_model_is_the_one_it_names_or_that_of_its_id() {
        let shop = Namespace::parse("shop").unwrap();
        let of = |table| tables().of_model(&shop, &model(&table)).unwrap().plain();
        assert_eq!(of(serde_json::Value::Null), "batch.data_5231e672");
        assert_eq!(of(serde_json::json!({"name": "p"})), "batch.p");
        assert_eq!(of(serde_json::json!({"name": "p", "database": "d"})), "d.p");
    }

    #[test]
    fn labels_are_parameters_and_never_part_of_the_text() {
        let statement = loaded_statement(&tables().jobs);
        assert!(statement.contains("FROM `batch`.`ingest_jobs` WHERE"), "{statement}");
        assert!(statement.contains("label = {label:String}"), "{statement}");
    }

    #[test]
    fn a_missing_history_table_has_no_job() {
        let unknown = "Code: 60. DB::Exception: Unknown table expression identifier 'batch.ingest_jobs'";
        assert!(is_unknown_table(&Error::BadResponse(unknown.into())));
        assert!(!is_unknown_table(&Error::BadResponse("Code: 516. DB::Exception: …".into())));
        assert!(!is_unknown_table(&Error::TimedOut));
    }
}
