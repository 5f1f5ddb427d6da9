//! The columns of the tables that this project owns, for those who make them (operator) and those who fill or read
//! them (worker, API).

/// A column of a table of ours: name and ClickHouse type, with whatever follows it in DDL.
pub type ColumnDef = (&'static str, &'static str);

/// Where every bad cell of every job goes.
pub const REJECTED_ROWS: &str = "rejected_rows";

/// What happened to each chunk: the truth about progress.
pub const INGEST_CHUNKS: &str = "ingest_chunks";

/// Lineage on every data table, hidden from `SELECT *`: which job (uid) and which record of its file a row came from.
///
/// The first two are stored; the last two exist only in an INSERT and feed them.
pub const LINEAGE: [ColumnDef; 4] = [
    ("_job", "LowCardinality(String) MATERIALIZED job_in"),
    ("_row", "UInt64 MATERIALIZED row_in CODEC(Delta, LZ4)"),
    ("job_in", "LowCardinality(String) EPHEMERAL"),
    ("row_in", "UInt64 EPHEMERAL"),
];

/// The names a model's column may not have, because [`LINEAGE`] has them.
pub const RESERVED_COLUMNS: [&str; 4] = ["_job", "_row", "job_in", "row_in"];

/// Columns of [`REJECTED_ROWS`]. `job_id` is the job's name, what people type; `job_uid` tells two jobs of one name apart.
/// `row` counts the data records of the file from 1; `record` is the raw record, cut.
pub const REJECTED_ROWS_COLUMNS: [ColumnDef; 13] = [
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
    ("rejected_at", "DateTime64(3) DEFAULT now64(3)"),
];

/// Columns of [`INGEST_CHUNKS`]. One row a chunk, by (`job_uid`, `chunk`); `errors` counts rows, `cells` bad cells,
/// `stored` those of them that went to [`REJECTED_ROWS`]; `summary` says why, with masked samples only.
pub const INGEST_CHUNKS_COLUMNS: [ColumnDef; 14] = [
    ("job_uid", "String"),
    ("job_id", "String"),
    ("model", "LowCardinality(String)"),
    ("chunk", "UInt32"),
    ("first_row", "UInt64"),
    ("rows", "UInt32"),
    ("ok", "UInt32"),
    ("errors", "UInt32"),
    ("cells", "UInt64"),
    ("stored", "UInt64"),
    ("summary", "Array(Tuple(column String, error String, count UInt64, first_row UInt64, sample String))"),
    ("revision", "LowCardinality(String)"),
    ("worker", "LowCardinality(String)"),
    ("done_at", "DateTime64(3) DEFAULT now64(3)"),
];

/// How many recent insert tokens a table remembers. A replay later than that is caught by the ledger.
pub const DEDUPLICATION_WINDOW: u32 = 10_000;
