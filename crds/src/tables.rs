//! The columns of the tables that this project owns, for the program that makes them (operator) and those that fill or
//! read them (worker, API).

/// A column of such a table: name and ClickHouse type, with the rest of its DDL.
pub type ColumnDef = (&'static str, &'static str);

/// The table of the bad cells of all jobs.
pub const REJECTED_ROWS: &str = "rejected_rows";

/// The ledger: the outcome of each batch of chunks. Counts and progress come from it alone.
pub const INGEST_BATCHES: &str = "ingest_batches";

/// The history: one row for each job that ended. It outlives the `IngestJob`.
pub const INGEST_JOBS: &str = "ingest_jobs";

/// The lineage columns of every data table, hidden from `SELECT *`: the job (uid) and the record of its file that a row
/// came from.
///
/// The first two are stored. The last two exist only in an INSERT, and the first two take their values.
pub const LINEAGE: [ColumnDef; 4] = [
    ("_job", "LowCardinality(String) MATERIALIZED job_in"),
    ("_row", "UInt64 MATERIALIZED row_in CODEC(Delta, LZ4)"),
    ("job_in", "LowCardinality(String) EPHEMERAL"),
    ("row_in", "UInt64 EPHEMERAL"),
];

/// The names that a column of a model must not have, because [`LINEAGE`] has them.
pub const RESERVED_COLUMNS: [&str; 4] = ["_job", "_row", "job_in", "row_in"];

/// A skip index on `_job`, so that a search for the rows of one job does not read the complete table.
pub const LINEAGE_INDEX: &str = "INDEX _job_index _job TYPE bloom_filter(0.01) GRANULARITY 8";

/// Columns of [`REJECTED_ROWS`]. `job_id` is the job's name, as people type it. `job_uid` distinguishes two jobs with
/// the same name. `row` is the number of the record in the file, from 1. `record` is the raw record, cut to a limit.
pub const REJECTED_ROWS_COLUMNS: [ColumnDef; 14] = [
    ("job_id", "String"),
    ("event_id", "String"),
    ("column", "LowCardinality(String)"),
    ("error", "LowCardinality(String)"),
    ("type", "LowCardinality(String)"),
    ("observed", "String"),
    ("message", "String"),
    ("row", "UInt64"),
    ("model", "LowCardinality(String)"),
    ("chunk", "UInt32"),
    ("record", "String"),
    ("job_uid", "String"),
    ("namespace", "LowCardinality(String)"),
    ("rejected_at", "DateTime64(3) DEFAULT now64(3)"),
];

/// Columns of [`INGEST_BATCHES`]. The newest row of a (`job_uid`, `first_chunk`) counts. `errors` counts rows, `cells`
/// bad cells, and `stored` those bad cells that are in [`REJECTED_ROWS`]. `summary` has the kinds of errors, with
/// masked samples only. `digests` has the digest of each chunk in order. `outcome` is one of [`outcomes`].
pub const INGEST_BATCHES_COLUMNS: [ColumnDef; 22] = [
    ("job_uid", "String"),
    ("job_id", "String"),
    ("namespace", "LowCardinality(String)"),
    ("model", "LowCardinality(String)"),
    ("batch", "UInt32"),
    ("first_chunk", "UInt32"),
    ("chunks", "UInt32"),
    ("first_row", "UInt64"),
    ("rows", "UInt32"),
    ("ok", "UInt32"),
    ("errors", "UInt32"),
    ("cells", "UInt64"),
    ("stored", "UInt64"),
    ("summary", "Array(Tuple(column String, error String, count UInt64, first_row UInt64, sample String))"),
    ("digests", "Array(UInt64)"),
    ("outcome", "LowCardinality(String)"),
    ("reason", "LowCardinality(String)"),
    ("message", "String"),
    ("partition", "UInt32"),
    ("revision", "LowCardinality(String)"),
    ("worker", "LowCardinality(String)"),
    ("done_at", "DateTime64(6) DEFAULT now64(6)"),
];

/// SQL over the columns of [`INGEST_BATCHES`]: what the chunks of a line add to the checksum of their job, an `Int64`
/// modulo 2^64. It computes the same as `chunk::checksum_part`.
pub const CHECKSUM_SQL: &str = "arraySum(arrayMap((d, n) -> d * (2 * (toUInt64(first_chunk) + n) - 1), digests, arrayEnumerate(digests)))";

/// The values of `outcome` in [`INGEST_BATCHES`].
pub mod outcomes {
    /// The good rows of the batch are in the table.
    pub const LOADED: &str = "loaded";
    /// ClickHouse refuses the batch; its chunks are in the dead-letter topic.
    pub const PARKED: &str = "parked";
    /// The batch was parked, and a person dropped it.
    pub const DROPPED: &str = "dropped";
}

/// Columns of [`INGEST_JOBS`]. `digest` is that of the complete file. `table_rows` is the number of rows of the job in
/// the table when the job ended.
pub const INGEST_JOBS_COLUMNS: [ColumnDef; 20] = [
    ("uid", "String"),
    ("name", "String"),
    ("namespace", "LowCardinality(String)"),
    ("model", "LowCardinality(String)"),
    ("model_id", "LowCardinality(String)"),
    ("label", "String"),
    ("source", "LowCardinality(String)"),
    ("state", "LowCardinality(String)"),
    ("reason", "LowCardinality(String)"),
    ("message", "String"),
    ("total", "UInt64"),
    ("ok", "UInt64"),
    ("errors", "UInt64"),
    ("table_rows", "UInt64"),
    ("bytes", "UInt64"),
    ("digest", "String"),
    ("revision", "LowCardinality(String)"),
    ("created_at", "DateTime64(3)"),
    ("started_at", "DateTime64(3)"),
    ("ended_at", "DateTime64(3)"),
];

/// How many recent insert tokens a table remembers. For a batch that comes again later, the worker looks in the ledger
/// and in the table itself.
pub const DEDUPLICATION_WINDOW: u32 = 10_000;
