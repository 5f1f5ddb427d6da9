//! `IngestJob`: one load of one source into one model.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ErrorPolicy, Format, InputSpec};
use crate::state::JobState;
use crate::status::Condition;
use crate::tables::outcomes;

/// The most characters of `spec.source.inline`: what the CRD counts.
pub const MAX_INLINE_CHARACTERS: usize = 256 * 1024;
/// The most bytes that so many characters are in UTF-8.
pub const MAX_INLINE_BYTES: usize = 4 * MAX_INLINE_CHARACTERS;

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
    /// The file itself, at most 262,144 characters.
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
    /// By the operator, once the job has started: from creation to start, `MM:SS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub waiting: Option<String>,
    /// By the operator, once the job has ended: from start to end, `MM:SS`.
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
    /// By the operator: `Complete` and `Failed` at the end, `Stalled` while chunks cannot be loaded.
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
    /// By the workers: why chunks of the job cannot be loaded now, or at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_problem: Option<LoadProblem>,

    /// By the operator, once the job has ended: what was read, loaded and rejected, and what the table holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// Why chunks of a job cannot be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadProblem {
    /// CamelCase, for machines.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people, and what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// Whether it ends the job: no chunk of it will be loaded any more.
    #[serde(default)]
    pub fatal: bool,
}

/// What a job came to, checked against the table at its end. `rows = ok + rejected`, and `ok = tableRows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Rows read.
    pub rows: i64,
    /// Rows loaded, by the ledger.
    pub ok: i64,
    /// Rows rejected, by the ledger.
    pub rejected: i64,
    /// What `count()` says of the job's rows in the table. It falls behind `ok` later where a TTL or a replacing engine takes
    /// rows away.
    pub table_rows: i64,
    /// Chunks that the ledger has.
    pub chunks: i64,
    /// The digest of the whole file, as it was after decompression; empty where the upload was not complete.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub digest: String,
    /// When it was checked, RFC 3339.
    #[schemars(length(max = 64))]
    pub checked_time: String,
    /// The version of the operator that checked it.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub version: String,
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
    /// Grows by one with each request that takes the upload up; a request with an older one can write nothing any more.
    #[serde(default)]
    pub epoch: i64,
    /// The digest of the first `offset` bytes (after decompression): whoever goes on has to have the same. At the end that
    /// of the whole file: `crc64nvme:` and 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// The digest of the first chunk and whether it is the only one, fixed before it is sent: another file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub first_chunk: Option<String>,
    /// The digests of the chunks acknowledged, added up; `counts.checksum` must come to the same.
    #[serde(default)]
    pub checksum: i64,
    /// Over how many partitions the chunks are spread, fixed likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// The batch of the next chunk, while the upload is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchStatus>,
    /// At the end: the last offset of the job in each partition, -1 where it has none there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub last_offsets: Vec<i64>,
    /// The file's header while the upload is not complete, so that it can go on; at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub header: Option<String>,
    /// What is wrong with the file, if it cannot be loaded at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<UploadError>,
}

/// Where the batch of the next chunk began, so that an upload that goes on makes the same batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchStatus {
    /// Its number, from 0.
    pub number: i64,
    /// The number of its first chunk.
    pub first_chunk: i64,
    /// The number of its first record, from 1.
    pub first_row: i64,
    /// The weight of its chunks so far, in bytes of ClickHouse block.
    pub weight: i64,
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
    /// The digests of the chunks done, added up as `upload.checksum`.
    #[serde(default)]
    pub checksum: i64,
    /// Chunks that ClickHouse refuses, in the dead-letter topic.
    #[serde(default)]
    pub chunks_parked: i64,
    /// Chunks of which a person gave up the dead letters.
    #[serde(default)]
    pub chunks_dropped: i64,
    /// Bad cells: at least one a rejected row.
    #[serde(default)]
    pub bad_cells: i64,
    /// Bad cells that `rejected_rows` holds; fewer than `badCells` where `maxStoredErrors` was reached.
    #[serde(default)]
    pub stored_errors: i64,
}

/// What one ledger line counts, to be added to a job's [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Chunks of the batch.
    pub chunks: u32,
    /// Rows checked.
    pub rows: u32,
    /// Rows loaded.
    pub ok: u32,
    /// Rows rejected.
    pub errors: u32,
    /// Bad cells.
    pub cells: u64,
    /// Bad cells that `rejected_rows` holds.
    pub stored: u64,
    /// The digests of its chunks, added up.
    pub checksum: i64,
}

impl Counts {
    /// Adds the newest ledger line of a batch: its rows count only if it was loaded.
    pub fn add(&mut self, outcome: &str, line: LineCounts) {
        let chunks = i64::from(line.chunks);
        match outcome {
            outcomes::LOADED => {
                self.chunks_done += chunks;
                self.checksum = self.checksum.wrapping_add(line.checksum);
                self.total += i64::from(line.rows);
                self.ok += i64::from(line.ok);
                self.errors += i64::from(line.errors);
                self.bad_cells = self.bad_cells.saturating_add_unsigned(line.cells);
                self.stored_errors = self.stored_errors.saturating_add_unsigned(line.stored);
            }
            outcomes::PARKED => self.chunks_parked += chunks,
            outcomes::DROPPED => self.chunks_dropped += chunks,
            _ => {}
        }
    }
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
