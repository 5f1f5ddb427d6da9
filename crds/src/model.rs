//! `IngestModel`: how the rows of a file must look, and the table for them.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod columns;
mod input;
mod policies;
mod table;
mod workers;

pub use columns::{ColumnSpec, ConstraintsSpec, Pii};
pub use input::{ColumnsBy, ErrorPolicy, Format, HeaderCase, InputSpec, LineEnd, OnExceeded, UnknownColumns};
pub use policies::{IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss};
pub use table::{Engine, TableSpec};
pub use workers::{Quantities, Resources, TopicSpec, WorkersSpec};

use crate::status::Condition;

/// A schema, its ClickHouse table, its Kafka topic and its workers.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ingest.batch-on-kafka.io",
    version = "v1alpha1",
    kind = "IngestModel",
    plural = "ingestmodels",
    shortname = "im",
    category = "ingest",
    namespaced,
    status = "IngestModelStatus",
    derive = "PartialEq",
    doc = "A schema, its ClickHouse table, its Kafka topic and its workers. Files are loaded into it by IngestJobs.",
    validation = Rule::new("size(self.metadata.name) <= 52")
        .message("the name of an IngestModel has at most 52 characters: names of other objects are made from it"),
    printcolumn(name = "Table", type_ = "string", json_path = ".status.table"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Workers", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Lag", type_ = "integer", json_path = ".status.lag"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows"),
    printcolumn(name = "Id", type_ = "string", json_path = ".status.id", priority = "1"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".status.topic", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "oldSelf.columns.all(i, c, i < size(self.columns) && self.columns[i].name == c.name)")
    .message("columns cannot be removed, renamed or re-ordered, only added at the end: the table holds data; make a new model for another shape"))]
#[x_kube(validation = Rule::new("!has(self.rowKey) || self.columns.exists(c, c.name == self.rowKey)")
    .message("rowKey must be the name of a column"))]
#[x_kube(validation = Rule::new("has(self.table) == has(oldSelf.table)")
    .message("table cannot be added or removed once the model exists: make a new model for another table"))]
pub struct IngestModelSpec {
    /// The columns, in the table's order.
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub columns: Vec<ColumnSpec>,

    /// The column that identifies a rejected row for people. Default: the first column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub row_key: Option<String>,

    /// The table. Default: `data_<id>`, `MergeTree`, ordered by `rowKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableSpec>,

    /// How files are read. A job can override it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSpec>,

    /// When bad rows end a job. A job can override it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_policy: Option<ErrorPolicy>,

    /// The most bytes of a chunk, unless one record is longer. One chunk is one Kafka record.
    #[serde(default = "default_chunk_bytes")]
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub chunk_bytes: u32,

    /// The Kafka topic.
    #[serde(default)]
    pub topic: TopicSpec,

    /// The workers.
    #[serde(default)]
    pub workers: WorkersSpec,

    /// What happens to the table and the topic when the model is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Start no job and run no worker. Uploads wait.
    #[serde(default)]
    pub paused: bool,
}

fn default_chunk_bytes() -> u32 {
    960 * 1024
}

/// What happens to the table and the topic when a model is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Retain,
    /// They are dropped.
    Delete,
}

/// What the operator found and made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestModelStatus {
    /// The model's id. The names of table and topic contain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub id: Option<String>,
    /// The table, with its database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 260))]
    pub table: Option<String>,
    /// The Kafka topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 249))]
    pub topic: Option<String>,
    /// The ControllerRevision that a job uses if it starts now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub revision: Option<String>,
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Workers that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Chunks that wait in Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// Rows in the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// `TableReady`, `TopicReady`, `WorkersReady` and, over all, `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
