//! Compares what a job came to with what its file says. Pure: facts in, differences out.

use super::digest::sip_hash64;
use super::expected::{Expected, Record, reject_hash};
use super::history::Status;
use super::outcomes::End;

/// What is stored of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Rows of the table.
    pub rows: u64,
    /// Different `_row` among them.
    pub distinct_rows: u64,
    /// The sum of `sipHash64` of their texts, in 64 bits.
    pub row_sum: u64,
    /// Lines of `rejected_rows`.
    pub rejects: u64,
    /// Different (row, column) among them.
    pub distinct_rejects: u64,
    /// The sum of `sipHash64` of `row SEPARATOR column`.
    pub reject_sum: u64,
    /// The ledger, a line a batch: the newest of each.
    pub ledger: Vec<LedgerLine>,
    /// The history table, if it has a row: state, ok, errors.
    pub history: Option<(String, u64, u64)>,
}

/// What the ledger says of one batch.
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

/// The differences between a job's end and its file. Whether each row is the right one is for [`Comparison`] to say where
/// the sums differ or the job was ended early.
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
    same("rows of the table, beside counts.ok", counts.ok, stored.rows);
    same("different _row in the table", stored.rows, stored.distinct_rows);
    same("different (row, column) in rejected_rows", stored.rejects, stored.distinct_rejects);
    same("rejected_rows, beside counts.storedErrors", counts.stored_errors, stored.rejects);
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
    found.extend(receipt(expected, status));
    if let Some((state, ok, errors)) = &stored.history {
        if (state.as_str(), *ok, *errors) != (end.0, counts.ok, counts.errors) {
            found.push(format!("ingest_jobs says {state}, ok {ok}, errors {errors}, beside {counts:?}"));
        }
    } else {
        found.push("ingest_jobs has no row of the job".into());
    }
    found
}

/// Batches that overlap or, where every chunk must have its line, leave some out.
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

fn receipt(expected: &Expected, status: &Status) -> Vec<String> {
    let Some(receipt) = &status.receipt else { return vec!["there is no status.receipt".into()] };
    let counts = &status.counts;
    let mut found = vec![];
    let seen = (receipt.rows, receipt.ok, receipt.rejected, receipt.table_rows, receipt.chunks);
    if seen != (counts.total, counts.ok, counts.errors, counts.ok, counts.chunks_done) {
        found.push(format!("the receipt {receipt:?} differs from {counts:?}"));
    }
    if status.upload.complete && receipt.digest != expected.digest {
        found
            .push(format!("the receipt has the digest {:?}, the file {:?}", receipt.digest, expected.digest));
    }
    found
}

/// Goes through the records of a file and what is stored of them, both in the order of their numbers, and keeps the first
/// difference.
pub struct Comparison<I: Iterator> {
    stored: std::iter::Peekable<I>,
    what: &'static str,
    complete: bool,
    first: Option<String>,
}

impl<I: Iterator<Item = (u64, u64)>> Comparison<I> {
    /// `stored` gives pairs of a record's number and a hash. Where `complete` is not set, some may be absent.
    pub fn new(what: &'static str, stored: I, complete: bool) -> Self {
        Self { stored: stored.peekable(), what, complete, first: None }
    }

    /// The next record, as a row of the table.
    pub fn row(&mut self, record: &Record) {
        let hash = record.bad.is_empty().then(|| sip_hash64(record.text.as_bytes()));
        self.next(record.row, hash, &record.text);
    }

    /// The next record, as lines of `rejected_rows`; stored hashes are those of [`reject_hash`], in the order of
    /// (row, column).
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

    /// The first difference, after the last record.
    pub fn finish(mut self) -> Option<String> {
        let what = self.what;
        let more =
            self.stored.next().map(|(n, _)| format!("{what} {n} is stored twice, or is not in the file"));
        self.first.or(more)
    }
}

#[cfg(test)]
mod tests;
