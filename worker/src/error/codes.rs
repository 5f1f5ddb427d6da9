//! Classifies the answers of ClickHouse by their code and text.

use super::Class;

/// The reason of an answer that is not listed. Its text may contain a cell.
pub const REFUSED: &str = "ClickHouseRefused";

/// A replicated table lost the connection to its Keeper during an INSERT.
pub const UNKNOWN_STATUS_OF_INSERT: u32 = 319;

/// Returns the number in `Code: 60. DB::Exception: …`.
pub fn code_of(text: &str) -> Option<u32> {
    let digits = text.split_once("Code: ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// Returns what may be shown of an answer. An answer that is not listed may contain a cell, so only its number and name
/// are shown.
pub fn text_without_cells(code: u32, text: &str) -> String {
    if classify(code, text).0 != REFUSED {
        return text.chars().take(500).collect();
    }
    let name = text.rsplit('(').find_map(|part| {
        let name = part.split(')').next()?;
        let plain = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit());
        plain.then_some(name)
    });
    format!("code {code} ({}); see the server's log", name.unwrap_or("no name"))
}

/// The codes are from <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
///
/// If the worker may not log in, may not write, or finds no table, it waits: this concerns all jobs, and a person must
/// change it. If the error is about this table or these rows, it is a refusal: it concerns the batch of one job.
pub fn classify(code: u32, text: &str) -> (&'static str, Class) {
    use Class::{Configuration, Limit, Outage, Refusal};
    match code {
        60 | 218 => ("UnknownTable", Configuration),
        81 => ("UnknownDatabase", Configuration),
        192..=195 | 516 => ("AuthenticationFailed", Configuration),
        291 | 497 => ("AccessDenied", Configuration),
        164 => ("ReadOnlyUser", Configuration),
        // NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER
        10 | 16 | 47 => ("UnknownColumn", Refusal),
        252 if text.contains("Too many partitions") => ("TooManyPartitions", Refusal),
        252 => ("TooManyParts", Limit),
        // BAD_TTL_EXPRESSION
        450 => ("BadTtl", Refusal),
        // UNKNOWN_SETTING
        115 => ("UnknownSetting", Refusal),
        // The memory limit of one query does not change; that of the server does.
        241 if text.contains("(for query)") || text.contains("Query memory limit") => ("MemoryLimit", Limit),
        241 => ("MemoryLimit", Outage),
        202 | 745 => ("ClickHouseBusy", Outage),
        201 => ("QuotaExceeded", Outage),
        159 | 160 | 209 => ("ClickHouseTimeout", Outage),
        // A replicated table without its Keeper reports the same code as a table that is set to read-only.
        242 if !is_replica(text) => ("TableReadOnly", Refusal),
        // TABLE_IS_PERMANENTLY_READ_ONLY: the setting `table_readonly`.
        774 => ("TableReadOnly", Refusal),
        242 | 319 | 285 | 286 | 999 => ("ReplicaUnavailable", Outage),
        243 => ("DiskFull", Outage),
        // UNEXPECTED_END_OF_FILE, SOCKET_TIMEOUT's kin, ABORTED, QUERY_WAS_CANCELLED, SYSTEM_ERROR, DEADLOCK_AVOIDED,
        // S3_ERROR, FAULT_INJECTED, POCO_EXCEPTION, STD_EXCEPTION, UNKNOWN_EXCEPTION
        3 | 33 | 210 | 236 | 279 | 394 | 425 | 473 | 499 | 710 | 1000..=1002 => ("ClickHouseFailed", Outage),
        _ => (REFUSED, Refusal),
    }
}

fn is_replica(text: &str) -> bool {
    ["replica", "Replica", "ZooKeeper", "zookeeper", "Keeper"].iter().any(|word| text.contains(word))
}
