//! Compares the result of a job with its file. Pure: the inputs are facts, the results are differences.

use super::digest::sip_hash64;
use super::expected::{Expected, Record, reject_hash};
use super::history::Status;
use super::outcomes::End;

/// What is stored for one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The number of rows in the table.
    pub rows: u64,
    /// The number of different `_row` among them.
    pub distinct_rows: u64,
    /// The sum of `sipHash64` of the row texts, in 64 bits.
    pub row_sum: u64,
    /// The number of rows in `rejected_rows`.
    pub rejects: u64,
    /// The number of different (row, column) among them.
    pub distinct_rejects: u64,
    /// The sum of `sipHash64` of `row SEPARATOR column`.
    pub reject_sum: u64,
    /// The ledger: the newest line of each batch.
    pub ledger: Vec<LedgerLine>,
    /// State, ok and errors of the row in the history table, if there is one.
    pub history: Option<(String, u64, u64)>,
}

/// The ledger line of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the table")]
pub struct LedgerLine {
    pub first_chunk: u64,
    pub chunks: u64,
    pub rows: u64,
    pub ok: u64,
    pub errors: u64,
    pub cells: u64,
    pub outcome: String,
}

/// Returns the differences between the end of a job and its file. [`Comparison`] checks each row if the sums differ or
/// the job was ended early.
#[must_use]
pub fn differences(expected: &Expected, allowed: &[End], status: &Status, stored: &Stored) -> Vec<String> {
    let mut found = vec![];
    let end = (status.state.as_str(), status.reason.as_str());
    if !allowed.contains(&end) {
        found.push(format!("ended {} {}, allowed: {allowed:?}: {}", end.0, end.1, status.message));
    }
    let mut same = |what: &str, expected: u64, got: u64| {
        if expected != got {
            found.push(format!("{what}: expected {expected}, got {got}"));
        }
    };
    let counts = &status.counts;
    // Kafka may have deleted a chunk between the insert of its rows and their line in the ledger.
    let lost = status.reason == "ChunksLost";
    let at_least = |counted: u64, stored: u64| if lost { counted.max(stored) } else { counted };
    same("rows of the table, beside counts.ok", at_least(counts.ok, stored.rows), stored.rows);
    same("different _row in the table", stored.rows, stored.distinct_rows);
    same("different (row, column) in rejected_rows", stored.rejects, stored.distinct_rejects);
    let rejects = at_least(counts.stored_errors, stored.rejects);
    same("rejected_rows, beside counts.storedErrors", rejects, stored.rejects);
    let sum = |field: fn(&LedgerLine) -> u64| {
        stored.ledger.iter().filter(|line| line.outcome == "loaded").map(field).sum::<u64>()
    };
    same("rows of the ledger, beside counts.total", counts.total, sum(|line| line.rows));
    same("ok of the ledger, beside counts.ok", counts.ok, sum(|line| line.ok));
    same("errors of the ledger, beside counts.errors", counts.errors, sum(|line| line.errors));
    same("cells of the ledger, beside counts.badCells", counts.bad_cells, sum(|line| line.cells));
    same("chunks of the ledger, beside counts.chunksDone", counts.chunks_done, sum(|line| line.chunks));
    if status.finished() {
        same("rows", expected.rows, counts.total);
        same("good rows", expected.good, counts.ok);
        same("bad rows", expected.bad(), counts.errors);
        same("bad cells", expected.bad_cells, counts.bad_cells);
        same("the sum over the rows of the table", expected.row_sum, stored.row_sum);
        if counts.stored_errors == counts.bad_cells {
            same("the sum over rejected_rows", expected.reject_sum, stored.reject_sum);
        }
        same("rows of the upload", expected.rows, status.upload.rows);
        same("chunks of the ledger, beside upload.chunks", status.upload.chunks, sum(|line| line.chunks));
    }
    found.extend(gaps(&stored.ledger, status.finished()));
    found.extend(receipt(expected, status, stored.rows));
    if let Some((state, ok, errors)) = &stored.history {
        if (state.as_str(), *ok, *errors) != (end.0, counts.ok, counts.errors) {
            found.push(format!("ingest_jobs says {state}, ok {ok}, errors {errors}, beside {counts:?}"));
        }
    } else {
        found.push("ingest_jobs has no row of the job".into());
    }
    found
}

/// Reports batches that overlap and, if every chunk must have a line, missing chunks.
fn gaps(ledger: &[LedgerLine], complete: bool) -> Vec<String> {
    let mut lines: Vec<_> = ledger.iter().map(|line| (line.first_chunk, line.chunks)).collect();
    lines.sort_unstable();
    let mut found = vec![];
    let mut next = 0;
    for (first, chunks) in lines {
        if first < next {
            found.push(format!("the ledger has chunk {first} in two batches"));
        } else if complete && first > next {
            found.push(format!("the ledger lacks the chunks {next}..{first}"));
        }
        next = first + chunks;
    }
    found
}

fn receipt(expected: &Expected, status: &Status, table_rows: u64) -> Vec<String> {
    let Some(receipt) = &status.receipt else { return vec!["there is no status.receipt".into()] };
    let counts = &status.counts;
    let mut found = vec![];
    let seen = (receipt.rows, receipt.ok, receipt.rejected, receipt.table_rows, receipt.chunks);
    if seen != (counts.total, counts.ok, counts.errors, table_rows, counts.chunks_done) {
        found.push(format!(
            "the receipt {receipt:?} differs from {counts:?} and {table_rows} rows in the table"
        ));
    }
    if status.upload.complete && receipt.digest != expected.digest {
        found
            .push(format!("the receipt has the digest {:?}, the file {:?}", receipt.digest, expected.digest));
    }
    found
}

/// Compares the records of a file with what is stored of them, both in the order of their numbers, and keeps the first
/// difference.
pub struct Comparison<I: Iterator> {
    stored: std::iter::Peekable<I>,
    what: &'static str,
    complete: bool,
    first: Option<String>,
}

impl<I: Iterator<Item = (u64, u64)>> Comparison<I> {
    /// `stored` has pairs of a record's number and a hash. If `complete` is false, some may be missing.
    pub fn new(what: &'static str, stored: I, complete: bool) -> Self {
        Self { stored: stored.peekable(), what, complete, first: None }
    }

    /// Compares the next record as a row of the table.
    pub fn row(&mut self, record: &Record) {
        let hash = record.bad.is_empty().then(|| sip_hash64(record.text.as_bytes()));
        self.next(record.row, hash, &record.text);
    }

    /// Compares the next record as rows of `rejected_rows`. The stored hashes are those of [`reject_hash`], in the
    /// order of (row, column).
    pub fn rejects(&mut self, record: &Record) {
        for column in &record.bad {
            self.next(record.row, Some(reject_hash(record.row, column)), column);
        }
    }

    fn next(&mut self, row: u64, hash: Option<u64>, text: &str) {
        let what = self.what;
        while self.first.is_none() && self.stored.peek().is_some_and(|(number, _)| *number < row) {
            let (number, _) = self.stored.next().unwrap_or_default();
            self.first = Some(format!("{what} {number} is stored twice, or is bad, or is not in the file"));
        }
        let Some(hash) = hash else { return };
        match self.stored.peek().copied() {
            _ if self.first.is_some() => {}
            Some((number, stored)) if number == row => {
                if stored == hash {
                    self.stored.next();
                } else if self.complete || self.what == "row" {
                    self.first =
                        Some(format!("{what} {row} is stored with other values; the file says {text:?}"));
                }
            }
            _ if self.complete => {
                self.first = Some(format!("{what} {row} is not stored; the file says {text:?}"));
            }
            _ => {}
        }
    }

    /// Returns the first difference. Call it after the last record.
    pub fn finish(mut self) -> Option<String> {
        let what = self.what;
        let more =
            self.stored.next().map(|(n, _)| format!("{what} {n} is stored twice, or is not in the file"));
        self.first.or(more)
    }
}

#[cfg(test)]
mod tests;
