//! The history `ingest_jobs`: one row for each job that ended, and whether a label was loaded before.

use std::collections::{HashMap, HashSet};

use clickhouse::{Client, Row};
use crds::sql::{BadIdent, TableName};
use crds::state::JobState;
use crds::tables::INGEST_JOBS;
use crds::{IngestJob, ModelId};
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::lookup::Request;
use crate::query::{QueryError, TIME_LIMIT, within};

/// A label of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelKey {
    /// The namespace of the model and its jobs.
    pub namespace: String,
    /// The model.
    pub model: String,
    /// The label.
    pub label: String,
}

/// The job that loaded a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedJob {
    /// Its name.
    pub name: String,
    /// When it ended, RFC 3339.
    pub ended: String,
}

/// A row of the history. The fields have the names of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize)]
pub struct HistoryRow {
    uid: String,
    name: String,
    namespace: String,
    model: String,
    model_id: String,
    label: String,
    source: &'static str,
    state: &'static str,
    reason: String,
    message: String,
    total: u64,
    ok: u64,
    errors: u64,
    table_rows: u64,
    bytes: u64,
    digest: String,
    revision: String,
    /// Milliseconds since 1970, like the two below.
    created_at: i64,
    started_at: i64,
    ended_at: i64,
}

impl HistoryRow {
    /// Makes the row of a job that has ended. `receipt` has its counts.
    #[must_use]
    pub fn of(job: &IngestJob, receipt: &crds::job::Receipt) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let namespace = job.namespace().unwrap_or_default();
        let model = job.spec.model_ref.name.clone();
        let time = |text: &Option<String>| text.as_deref().and_then(clock::parse);
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let millis = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millisecond);
        Self {
            uid: job.uid().unwrap_or_default(),
            name: job.name_any(),
            model_id: ModelId::of(&namespace, &model).to_string(),
            namespace,
            model,
            label: job.spec.label.clone().unwrap_or_default(),
            source: if job.spec.source.inline.is_some() { "inline" } else { "upload" },
            state: status.state.map_or("", JobState::as_str),
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
            total: unsigned(receipt.rows),
            ok: unsigned(receipt.ok),
            errors: unsigned(receipt.rejected),
            table_rows: unsigned(receipt.table_rows),
            bytes: unsigned(status.upload.map_or(0, |upload| upload.bytes)),
            digest: receipt.digest.clone(),
            revision: status.model_revision.unwrap_or_default(),
            created_at: millis(job.metadata.creation_timestamp.as_ref().map(|time| time.0)),
            started_at: millis(time(&status.start_time)),
            ended_at: millis(time(&status.completion_time)),
        }
    }
}

#[derive(Row, Deserialize)]
struct LoadedRow {
    namespace: String,
    model: String,
    label: String,
    uid: String,
    name: String,
    ended: String,
}

/// The history in one database.
#[derive(Clone, Debug)]
pub struct History {
    table: String,
    loaded: String,
}

impl History {
    /// The history in `database`.
    pub fn new(database: &str) -> Result<Self, BadIdent> {
        let table = TableName::new(database, INGEST_JOBS)?.to_string();
        let loaded = format!(
            "SELECT namespace, model, label, uid, name, formatDateTime(ended_at, '%Y-%m-%dT%H:%i:%SZ', 'UTC') FROM {table} FINAL \
             WHERE namespace IN {{namespaces:Array(String)}} AND model IN {{models:Array(String)}} \
             AND label IN {{labels:Array(String)}} AND state IN ('SUCCESS', 'PARTIAL_SUCCESS') ORDER BY ended_at"
        );
        Ok(Self { table, loaded })
    }

    /// Adds rows, in one INSERT. A row replaces an earlier row of the same job.
    pub async fn add(&self, client: &Client, rows: &[HistoryRow]) -> Result<(), QueryError> {
        let write = async {
            let mut insert = client.insert_unescaped::<HistoryRow>(&self.table).await?;
            insert = insert.with_setting("async_insert", "0");
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        within(TIME_LIMIT, write).await
    }

    /// Returns, for each request by uid, the job with another uid that loaded the label first, if there is one.
    pub async fn loaded(
        &self,
        client: &Client,
        requests: &[Request<LabelKey>],
    ) -> Result<HashMap<String, Option<LoadedJob>>, QueryError> {
        let each = |part: fn(&LabelKey) -> &str| -> Vec<&str> {
            requests
                .iter()
                .map(|request| part(&request.question))
                .collect::<HashSet<_>>()
                .into_iter()
                .collect()
        };
        let query = client
            .query_raw(&self.loaded)
            .param("namespaces", each(|key| &key.namespace))
            .param("models", each(|key| &key.model))
            .param("labels", each(|key| &key.label))
            .fetch_all::<LoadedRow>();
        let found = match within(TIME_LIMIT, query).await {
            // The table does not exist: no job has ended yet.
            Err(error) if error.is_unknown_table() => vec![],
            other => other?,
        };
        Ok(first_of_each(requests, &found))
    }
}

/// Returns, for each request, the first row in the order of `found` that has its key and the uid of another job.
fn first_of_each(requests: &[Request<LabelKey>], found: &[LoadedRow]) -> HashMap<String, Option<LoadedJob>> {
    let first = |request: &Request<LabelKey>| {
        let key = &request.question;
        let row = found.iter().find(|row| {
            row.uid != request.uid
                && row.label == key.label
                && row.model == key.model
                && row.namespace == key.namespace
        });
        row.map(|row| LoadedJob { name: row.name.clone(), ended: row.ended.clone() })
    };
    requests.iter().map(|request| (request.uid.clone(), first(request))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::JobKey;
    use crds::job::Receipt;

    #[test]
    fn a_label_belongs_to_a_namespace_and_model_and_a_job_does_not_conflict_with_itself() {
        let row = |namespace: &str, model: &str, label: &str, uid: &str| LoadedRow {
            namespace: namespace.into(),
            model: model.into(),
            label: label.into(),
            uid: uid.into(),
            name: format!("job-{uid}"),
            ended: "2024-05-18T10:00:00Z".into(),
        };
        let found = [
            row("shop", "returns", "day-1", "1"),
            row("shop", "purchases", "day-2", "2"),
            row("office", "purchases", "day-1", "3"),
            row("shop", "purchases", "day-1", "me"),
            row("shop", "purchases", "day-1", "4"),
            row("shop", "purchases", "day-1", "5"),
        ];
        let request = |uid: &str, label: &str| Request {
            uid: uid.into(),
            job: JobKey::new(uid),
            question: LabelKey { namespace: "shop".into(), model: "purchases".into(), label: label.into() },
        };
        let answers = first_of_each(&[request("me", "day-1"), request("you", "day-3")], &found);
        assert_eq!(answers["me"].as_ref().unwrap().name, "job-4");
        assert_eq!(answers["you"], None);
    }

    #[test]
    fn a_row_of_the_history_has_the_columns_of_the_table_in_any_order() {
        let columns: HashSet<&str> =
            crds::tables::INGEST_JOBS_COLUMNS.iter().map(|(name, _)| *name).collect();
        let fields: HashSet<&str> = <HistoryRow as Row>::COLUMN_NAMES.iter().copied().collect();
        assert_eq!(columns, fields);
    }

    #[test]
    fn a_job_becomes_a_row() {
        let job: IngestJob = serde_yaml::from_str(
            "{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob,
              metadata: {name: j1, namespace: shop, uid: u1, creationTimestamp: '2024-05-18T10:00:00Z'},
              spec: {modelRef: {name: purchases}, source: {upload: {}}, label: day-1},
              status: {state: PARTIAL_SUCCESS, reason: SomeRowsRejected, modelRevision: purchases-1,
                startTime: '2024-05-18T10:00:01.000Z', completionTime: '2024-05-18T10:00:02.500Z', upload: {bytes: 30}}}",
        )
        .unwrap();
        let receipt = Receipt { rows: 3, ok: 2, rejected: 1, table_rows: 2, ..Receipt::default() };
        let row = HistoryRow::of(&job, &receipt);
        assert_eq!((row.uid.as_str(), row.label.as_str(), row.source), ("u1", "day-1", "upload"));
        assert_eq!((row.total, row.ok, row.errors, row.table_rows, row.bytes), (3, 2, 1, 2, 30));
        assert_eq!((row.model_id.as_str(), row.state), ("5231e672", "PARTIAL_SUCCESS"));
        assert_eq!(row.ended_at - row.started_at, 1500);
        assert_eq!(row.started_at - row.created_at, 1000);
    }
}
