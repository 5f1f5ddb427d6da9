//! `IngestJob`: one load of one source into one model.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ErrorPolicy, Format, InputSpec};
use crate::status::Condition;
use crate::tables::outcomes;

/// The most characters of `spec.source.inline`. The CRD limits characters, not bytes.
pub const MAX_INLINE_CHARACTERS: usize = 256 * 1024;
/// The most bytes that these characters take in UTF-8.
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
    /// The model, in the job's namespace. It may be made after the job.
    pub model_ref: ModelRef,

    /// Where the bytes come from.
    pub source: JobSource,

    /// Overrides the model's `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSpec>,

    /// Overrides the model's `errorPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_policy: Option<ErrorPolicy>,

    /// An idempotency key: the API refuses a second job with the same label and model, and names the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub label: Option<String>,

    /// Stop the job. Rows that are already loaded stay.
    #[serde(default)]
    pub cancel: bool,

    /// Seconds from the start of the job within which its upload must be complete.
    #[serde(default = "default_upload_deadline_seconds")]
    #[schemars(range(min = 1, max = 604_800))]
    pub upload_deadline_seconds: i32,

    /// Seconds from the end of the job until it is deleted. Its rows stay.
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

/// A reference to a model by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelRef {
    /// The model's name.
    #[schemars(length(min = 1, max = 52))]
    pub name: String,
}

/// Where the bytes come from: exactly one of these fields is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(has(self.upload) ? 1 : 0) + (has(self.inline) ? 1 : 0) == 1")
    .message("source needs exactly one of upload and inline"))]
pub struct JobSource {
    /// The upload API receives the file: `PUT /v1/namespaces/NAMESPACE/jobs/JOB/data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadSource>,
    /// The file itself, at most 262,144 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 262_144))]
    pub inline: Option<String>,
}

/// The settings of an upload. There are none yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadSource {}

/// The state and the results of the job. Operator, upload API and workers each write their own fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestJobStatus {
    /// The state. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// The reason for the state, for programs. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The reason for the state, for people, and what to do. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// The ControllerRevision that the job uses to its end. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub model_revision: Option<String>,
    /// How much is done, such as `42%`. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub progress: Option<String>,
    /// The time from the creation to the start of the job, `MM:SS`. Written by the operator when the job has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub waiting: Option<String>,
    /// The time from the start to the end of the job, `MM:SS`. Written by the operator when the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub processing: Option<String>,
    /// When the job was pinned to a revision, RFC 3339. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub start_time: Option<String>,
    /// When the job ended, RFC 3339. Written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub completion_time: Option<String>,
    /// `Complete` and `Failed` at the end, `Stalled` while chunks cannot be loaded. Written by the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The progress of the upload. Written by the upload API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadStatus>,

    /// The counts of rows and chunks, from the ledger. Written by the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The most frequent errors. Written by the workers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub error_summary: Vec<ErrorSummary>,
    /// Why chunks of the job cannot be loaded now, or at all. Written by the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_problem: Option<LoadProblem>,

    /// What was read, loaded and rejected, and how many rows the table has. Written by the operator when the job has
    /// ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// The states of a job. The last four are final.
///
/// A job leaves `Blocked` when a person requeues or drops the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// The job waits for its model.
    Pending,
    /// The job is pinned to a revision; the upload is awaited or in progress.
    Uploading,
    /// All bytes are in Kafka.
    Processing,
    /// All chunks are loaded except those that ClickHouse refuses. They wait in the dead-letter topic.
    Blocked,
    /// Every row was loaded.
    Success,
    /// Some rows were loaded, others were rejected.
    PartialSuccess,
    /// No row was loaded, or the job ended early.
    Failed,
    /// The owner stopped the job.
    Cancelled,
}

impl JobState {
    /// Returns the state as it is written in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Uploading => "UPLOADING",
            Self::Processing => "PROCESSING",
            Self::Blocked => "BLOCKED",
            Self::Success => "SUCCESS",
            Self::PartialSuccess => "PARTIAL_SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Success | Self::PartialSuccess | Self::Failed | Self::Cancelled)
    }

    /// Whether nothing happens any more unless a person acts: the job has ended or is BLOCKED.
    #[must_use]
    pub fn stops(self) -> bool {
        self.is_end() || self == Self::Blocked
    }
}

/// Why chunks of a job cannot be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadProblem {
    /// CamelCase, for programs.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people: what is wrong, and what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// Whether the problem ends the job: no more chunks of it are loaded.
    #[serde(default)]
    pub fatal: bool,
}

/// The result of a job, compared with the table when the job ended. `rows = ok + rejected`, and `ok = tableRows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Rows read.
    pub rows: i64,
    /// Rows loaded, according to the ledger.
    pub ok: i64,
    /// Rows rejected, according to the ledger.
    pub rejected: i64,
    /// The `count()` of the job's rows in the table. It can become less than `ok` later, if a TTL or a replacing engine
    /// removes rows.
    pub table_rows: i64,
    /// Chunks in the ledger.
    pub chunks: i64,
    /// The digest of the complete file after decompression; empty if the upload was not complete.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub digest: String,
    /// When the table was compared, RFC 3339.
    #[schemars(length(max = 64))]
    pub checked_time: String,
    /// The version of the operator that compared it.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub version: String,
}

/// The progress of the upload, and where an interrupted upload continues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadStatus {
    /// Whether every byte was read and Kafka acknowledged every chunk.
    #[serde(default)]
    pub complete: bool,
    /// Bytes read, after decompression.
    #[serde(default)]
    pub bytes: i64,
    /// Records in the chunks that Kafka acknowledged, without the header.
    #[serde(default)]
    pub rows: i64,
    /// Chunks that Kafka acknowledged.
    #[serde(default)]
    pub chunks: i64,
    /// The byte (after decompression) from which an interrupted upload must be sent again.
    #[serde(default)]
    pub offset: i64,
    /// The number of the record at `offset`, from 1.
    #[serde(default)]
    pub next_row: i64,
    /// The chunk size of this upload. It is fixed when the first chunk is sent: if the same bytes are sent again, they
    /// must be cut in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_bytes: Option<i64>,
    /// The format that the job or the upload's Content-Type specifies, fixed when the first chunk is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Grows by one with each request that takes up the upload. A request with an older epoch can no longer write.
    #[serde(default)]
    pub epoch: i64,
    /// The digest of the first `offset` bytes (after decompression), `crc64nvme:` and 16 hexadecimal digits. A request
    /// that continues the upload must have the same bytes. At the end it is the digest of the complete file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// The digest of the first chunk, and whether it is the only one. It is fixed before the chunk is sent: another
    /// file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub first_chunk: Option<String>,
    /// The weighted sum of the digests of the acknowledged chunks. It must be equal to `counts.checksum` at the end.
    #[serde(default)]
    pub checksum: i64,
    /// The number of partitions that the chunks are spread over, fixed when the first chunk is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// The batch of the next chunk, while the upload is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchStatus>,
    /// At the end: the last offset of the job in each partition, -1 if it has no chunk there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub last_offsets: Vec<i64>,
    /// The file's header while the upload is not complete, so that the upload can continue; at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub header: Option<String>,
    /// Why the file cannot be loaded at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<UploadError>,
}

/// Where the batch of the next chunk began, so that a continued upload makes the same batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchStatus {
    /// Its number, from 0.
    pub number: i64,
    /// The number of its first chunk.
    pub first_chunk: i64,
    /// The number of its first record, from 1.
    pub first_row: i64,
    /// The weight of its chunks so far, in bytes of a ClickHouse block.
    pub weight: i64,
}

/// Why a file cannot be loaded at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadError {
    /// CamelCase, for programs.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people: what is wrong, and what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
}

/// How many rows were checked. Always `total = ok + errors`. The table has `ok` rows of this job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Rows checked.
    pub total: i64,
    /// Rows loaded.
    pub ok: i64,
    /// Rows rejected.
    pub errors: i64,
    /// Chunks loaded.
    pub chunks_done: i64,
    /// The weighted sum of the digests of the loaded chunks, computed as `upload.checksum`.
    #[serde(default)]
    pub checksum: i64,
    /// Chunks that ClickHouse refuses; they are in the dead-letter topic.
    #[serde(default)]
    pub chunks_parked: i64,
    /// Chunks whose dead letters a person dropped.
    #[serde(default)]
    pub chunks_dropped: i64,
    /// Bad cells: at least one in each rejected row.
    #[serde(default)]
    pub bad_cells: i64,
    /// Bad cells in `rejected_rows`; fewer than `badCells` if `maxStoredErrors` was reached.
    #[serde(default)]
    pub stored_errors: i64,
}

/// The counts of one ledger line, to be added to a job's [`Counts`].
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
    /// Bad cells in `rejected_rows`.
    pub stored: u64,
    /// The weighted sum of the digests of its chunks.
    pub checksum: i64,
}

impl LineCounts {
    /// Example counts for the tests of both readers of the ledger: ten rows a chunk, one of them bad.
    #[doc(hidden)]
    #[must_use]
    pub fn example(chunks: u32, checksum: i64) -> Self {
        let (rows, ok, errors) = (10 * chunks, 9 * chunks, chunks);
        Self { chunks, rows, ok, errors, cells: 2, stored: 1, checksum }
    }
}

impl Counts {
    /// Adds the newest ledger line of a batch. Its rows count only if it was loaded.
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
    /// The column; empty if the record could not be split.
    #[schemars(length(max = 128))]
    pub column: String,
    /// The code, as in `rejected_rows`.
    #[schemars(length(max = 32))]
    pub error: String,
    /// Bad cells of this kind.
    pub count: i64,
    /// The first row with this error, from 1.
    pub first_row: i64,
    /// A value that has this error, masked: letters are `a`, digits `9`.
    #[schemars(length(max = 128))]
    pub sample: String,
}
