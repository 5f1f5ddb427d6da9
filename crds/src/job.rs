//! `IngestJob`: one load of one source into one model.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ErrorPolicy, Format, InputSpec};
use crate::state::JobState;
use crate::status::Condition;

/// The most bytes of `spec.source.inline`.
pub const MAX_INLINE_BYTES: usize = 256 * 1024;

/// One load of one source into one model.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ingest.batch-on-kafka.io",
    version = "v1alpha1",
    kind = "IngestJob",
    plural = "ingestjobs",
    shortname = "ij",
    category = "ingest",
    namespaced,
    status = "IngestJobStatus",
    derive = "PartialEq",
    doc = "One load of one file into the table of an IngestModel.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("the name of an IngestJob has at most 63 characters"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Total", type_ = "integer", json_path = ".status.counts.total"),
    printcolumn(name = "OK", type_ = "integer", json_path = ".status.counts.ok"),
    printcolumn(name = "Errors", type_ = "integer", json_path = ".status.counts.errors"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Waiting", type_ = "string", json_path = ".status.waiting"),
    printcolumn(name = "Processing", type_ = "string", json_path = ".status.processing"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = "1"),
    printcolumn(name = "Label", type_ = "string", json_path = ".spec.label", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.modelRef == oldSelf.modelRef").message("modelRef cannot be changed: make a new job"))]
#[x_kube(validation = Rule::new("self.source == oldSelf.source").message("source cannot be changed: make a new job"))]
#[x_kube(validation = Rule::new("(has(self.label) ? self.label : '') == (has(oldSelf.label) ? oldSelf.label : '')")
    .message("label cannot be changed: make a new job"))]
#[x_kube(validation = Rule::new("has(self.input) == has(oldSelf.input) && (!has(self.input) || self.input == oldSelf.input)")
    .message("input cannot be changed: make a new job"))]
#[x_kube(validation = Rule::new("!oldSelf.cancel || self.cancel").message("a cancelled job stays cancelled: make a new job"))]
pub struct IngestJobSpec {
    /// The model, in the job's namespace. It may come later than the job.
    pub model_ref: ModelRef,

    /// Where the bytes come from.
    pub source: JobSource,

    /// Overrides the model's `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSpec>,

    /// Overrides the model's `errorPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_policy: Option<ErrorPolicy>,

    /// An idempotency key: a second job with the same label and model is refused by the API, naming the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub label: Option<String>,

    /// Stop the job. Rows loaded so far stay.
    #[serde(default)]
    pub cancel: bool,

    /// Seconds from the start of the job until its upload must be complete.
    #[serde(default = "default_upload_deadline_seconds")]
    #[schemars(range(min = 1, max = 604_800))]
    pub upload_deadline_seconds: i32,

    /// Seconds after its end until the job is deleted. The rows stay.
    #[serde(default = "default_ttl_seconds")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: i32,
}

fn default_upload_deadline_seconds() -> i32 {
    3600
}

fn default_ttl_seconds() -> i32 {
    604_800
}

/// A model by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelRef {
    /// The model's name.
    #[schemars(length(min = 1, max = 52))]
    pub name: String,
}

/// Where the bytes come from: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(has(self.upload) ? 1 : 0) + (has(self.inline) ? 1 : 0) == 1")
    .message("source needs exactly one of upload and inline"))]
pub struct JobSource {
    /// Through the upload API: `PUT /v1/namespaces/NAMESPACE/jobs/JOB/data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadSource>,
    /// The file itself, at most 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 262_144))]
    pub inline: Option<String>,
}

/// Nothing to say about an upload yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadSource {}

/// What became of the job. Three writers, each of its own fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestJobStatus {
    /// By the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// By the operator: why the state is what it is, for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// By the operator: the same for people, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// By the operator: the ControllerRevision by which the job is judged, to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub model_revision: Option<String>,
    /// By the operator: how much is done, `42%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub progress: Option<String>,
    /// By the operator: from creation to start, `MM:SS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub waiting: Option<String>,
    /// By the operator: from start to end or now, `MM:SS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub processing: Option<String>,
    /// By the operator: when the job was pinned to a revision, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub start_time: Option<String>,
    /// By the operator: when the job ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub completion_time: Option<String>,
    /// By the operator: `Complete` and `Failed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// By the upload API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadStatus>,

    /// By the workers, from the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// By the workers: what is wrong most often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub error_summary: Vec<ErrorSummary>,
}

/// How far the upload is, and where a broken one goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadStatus {
    /// Every byte was read and every chunk acknowledged by Kafka.
    #[serde(default)]
    pub complete: bool,
    /// Bytes read, after decompression.
    #[serde(default)]
    pub bytes: i64,
    /// Records in the chunks that were acknowledged; the header is none.
    #[serde(default)]
    pub rows: i64,
    /// Chunks acknowledged.
    #[serde(default)]
    pub chunks: i64,
    /// The byte (after decompression) from which a broken upload is to be sent again.
    #[serde(default)]
    pub offset: i64,
    /// The number of the record at `offset`, from 1.
    #[serde(default)]
    pub next_row: i64,
    /// The size at which the file is cut, fixed when its first chunk is sent: the same bytes must be cut the same way
    /// when they are sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_bytes: Option<i64>,
    /// The format that the upload's Content-Type told, fixed likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The file's header while the upload is not complete, so that it can go on; at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub header: Option<String>,
    /// What is wrong with the file, if it cannot be loaded at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<UploadError>,
}

/// Why a file cannot be loaded at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadError {
    /// CamelCase, for machines.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people, and what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
}

/// How many rows were judged. `total = ok + errors`, always; `ok` is what the table holds of this job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Rows judged.
    pub total: i64,
    /// Rows loaded.
    pub ok: i64,
    /// Rows rejected.
    pub errors: i64,
    /// Chunks done.
    pub chunks_done: i64,
    /// Bad cells: at least one a rejected row.
    #[serde(default)]
    pub bad_cells: i64,
    /// Bad cells that `rejected_rows` holds; fewer than `badCells` where `maxStoredErrors` was reached.
    #[serde(default)]
    pub stored_errors: i64,
}

/// One kind of error of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorSummary {
    /// The column; empty where the record could not be split.
    #[schemars(length(max = 128))]
    pub column: String,
    /// The code, as in `rejected_rows`.
    #[schemars(length(max = 32))]
    pub error: String,
    /// Bad cells of this kind.
    pub count: i64,
    /// The first row that has it, from 1.
    pub first_row: i64,
    /// A value seen, masked: letters are `a`, digits `9`.
    #[schemars(length(max = 128))]
    pub sample: String,
}
