//! What the worker knows about one job: its ledger lines, whether it continues, how many more bad cells it may store,
//! and why its batches cannot be loaded.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crds::ChunkHeader;
use crds::job::{LoadProblem, UploadStatus};
use crds::state::reasons;
use parking_lot::{Mutex, MutexGuard};

use crate::done::{BatchLine, DoneBatches, InLedger};

/// The reason for a batch of which the table permanently has another number of rows.
pub const TABLE_MISMATCH: &str = "TableMismatch";

/// The number of a job's last row in the table at some time; 0 without a row.
#[derive(Clone, Copy, Debug)]
pub struct LastRow {
    /// When the number was read.
    pub read_at: Instant,
    /// The number.
    pub row: u64,
}

/// The data of a job that a worker needs.
#[derive(Debug, Default)]
pub struct Job {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// The number of its last row in the table, if that was read.
    pub last_row: tokio::sync::Mutex<Option<LastRow>>,
    done: Mutex<DoneBatches>,
    ended: AtomicBool,
    /// Bad cells in `rejected_rows`, as far as this worker knows, and those that it is about to store.
    stored: AtomicU64,
    stored_max: AtomicU64,
    in_flight: AtomicUsize,
    problem: Mutex<ProblemNote>,
    /// Set when the upload is complete.
    last_offsets: OnceLock<Vec<i64>>,
}

/// The change of `status.loadProblem` that this worker wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum ProblemNote {
    /// No change: what another worker wrote remains.
    #[default]
    None,
    /// There is a problem.
    Set(LoadProblem),
    /// There is no problem any more.
    Clear,
}

/// A chunk or a batch of a job that is being processed.
#[derive(Debug)]
pub struct InFlight(Arc<Job>);

impl Job {
    /// Makes a job that has `done` in the ledger, has stored `stored` bad cells, and may store `stored_max`.
    #[must_use]
    pub fn new(uid: &str, name: &str, done: DoneBatches, ended: bool, stored: u64, stored_max: u64) -> Self {
        Self {
            uid: uid.to_owned(),
            name: name.to_owned(),
            done: Mutex::new(done),
            ended: AtomicBool::new(ended),
            stored: AtomicU64::new(stored),
            stored_max: AtomicU64::new(stored_max),
            ..Self::default()
        }
    }

    /// Returns what the ledger has about a chunk.
    #[must_use]
    pub fn find(&self, header: &ChunkHeader) -> InLedger {
        self.done().find(header)
    }

    /// Notes that a batch is in the ledger.
    pub fn set_done(&self, first_chunk: u32, line: BatchLine) {
        self.done().insert(first_chunk, line);
    }

    /// Returns whether nothing more of the job is loaded: it was deleted, has ended, is to be cancelled, or has a fatal
    /// problem.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Notes that nothing more of the job is loaded.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Notes the last offsets of the upload, if it is complete. They do not change after that.
    pub fn note_upload(&self, upload: &UploadStatus) {
        if upload.complete && !upload.last_offsets.is_empty() {
            self.last_offsets.get_or_init(|| upload.last_offsets.clone());
        }
    }

    /// Returns the last offset of the job in each partition; `None` while its upload is not complete, or if they are
    /// not known.
    #[must_use]
    pub fn last_offsets(&self) -> Option<&[i64]> {
        self.last_offsets.get().map(Vec::as_slice)
    }

    /// Returns how many more bad cells may be stored.
    #[must_use]
    pub fn remaining_quota(&self) -> u64 {
        self.stored_max.load(Ordering::Relaxed).saturating_sub(self.stored.load(Ordering::Relaxed))
    }

    /// Notes that `cells` bad cells are about to be stored.
    pub fn will_store(&self, cells: u64) {
        self.stored.fetch_add(cells, Ordering::Relaxed);
    }

    /// Notes that `cells` bad cells that were about to be stored are not stored.
    pub fn will_not_store(&self, cells: u64) {
        let less = |stored: u64| Some(stored.saturating_sub(cells));
        // Never fails: `less` always returns a value.
        let _ = self.stored.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Notes the number of stored bad cells in the ledger, which is that of all workers.
    pub fn are_stored(&self, cells: u64) {
        self.stored.fetch_max(cells, Ordering::Relaxed);
    }

    /// Sets how many bad cells may be stored in all.
    pub fn set_quota(&self, cells: u64) {
        self.stored_max.store(cells, Ordering::Relaxed);
    }

    /// Notes that a chunk or a batch of the job begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// Returns whether nothing of the job is being processed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    /// Notes a problem. A fatal problem ends the job and remains.
    pub fn set_problem(&self, problem: LoadProblem) {
        if problem.fatal {
            self.end();
        }
        let mut note = self.problem();
        if !matches!(&*note, ProblemNote::Set(old) if old.fatal) {
            *note = ProblemNote::Set(problem);
        }
    }

    /// Notes that two chunks have the same number. It ends the job.
    pub fn set_conflict(&self, message: String) {
        let reason = reasons::CHUNK_CONFLICT.to_owned();
        self.set_problem(LoadProblem { reason, message, fatal: true });
    }

    /// Call this when a batch was loaded: a problem that was noted here has ended. `inherited`: the batch was parked
    /// before, or another worker may have taken it before, so that worker may have written the problem. Returns whether
    /// the problem has ended. It has not if it is permanent, or while batches of the job are parked for it.
    pub fn clear_problem(&self, inherited: bool) -> bool {
        let parked = self.done().has_parked();
        let mut note = self.problem();
        let clear = match &*note {
            _ if parked => false,
            ProblemNote::Set(problem) => !is_permanent(problem),
            ProblemNote::None => inherited,
            ProblemNote::Clear => false,
        };
        if clear {
            *note = ProblemNote::Clear;
        }
        clear
    }

    /// Returns the new `status.loadProblem`, if the current one is `old`.
    #[must_use]
    pub fn problem_over(&self, old: Option<&LoadProblem>) -> Option<LoadProblem> {
        if let Some(old) = old.filter(|old| old.fatal) {
            return Some(old.clone());
        }
        match &*self.problem() {
            ProblemNote::None => old.cloned(),
            ProblemNote::Set(problem) => Some(problem.clone()),
            ProblemNote::Clear => old.filter(|old| is_permanent(old)).cloned(),
        }
    }

    fn done(&self) -> MutexGuard<'_, DoneBatches> {
        self.done.lock()
    }

    fn problem(&self) -> MutexGuard<'_, ProblemNote> {
        self.problem.lock()
    }
}

/// Returns whether a problem is permanent: it remains after a success.
fn is_permanent(problem: &LoadProblem) -> bool {
    problem.fatal || problem.reason == TABLE_MISMATCH
}

impl InFlight {
    /// Returns the job.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job;

    fn problem(reason: &str, fatal: bool) -> LoadProblem {
        LoadProblem { reason: reason.into(), message: String::new(), fatal }
    }

    #[test]
    fn no_more_bad_cells_are_stored_than_the_quota_allows() {
        let job = job("u", 10);
        job.will_store(8);
        assert_eq!(job.remaining_quota(), 2);
        job.will_store(2);
        job.are_stored(9);
        assert_eq!(job.remaining_quota(), 0, "what the ledger does not know yet is not forgotten");
        job.will_not_store(4);
        assert_eq!(job.remaining_quota(), 4);
    }

    #[test]
    fn a_job_is_idle_once_nothing_of_it_is_in_flight() {
        let job = job("u", 0);
        let chunk = job.begin();
        assert!(!job.is_idle());
        drop(chunk);
        assert!(job.is_idle());
    }

    #[test]
    fn a_problem_is_cleared_by_a_success_unless_it_is_fatal() {
        let job = job("u", 0);
        assert!(!job.clear_problem(false), "another worker's problem is not cleared");
        assert_eq!(job.problem_over(Some(&problem("A", false))), Some(problem("A", false)));
        job.set_problem(problem("B", false));
        assert_eq!(job.problem_over(Some(&problem("A", false))), Some(problem("B", false)));
        assert!(job.clear_problem(false));
        assert_eq!(job.problem_over(Some(&problem("B", false))), None);
        assert!(!job.has_ended());
        job.set_conflict("…".into());
        job.set_problem(problem("B", false));
        assert!(!job.clear_problem(true) && job.has_ended());
        assert_eq!(job.problem_over(None).unwrap().reason, "ChunkConflict");
    }

    #[test]
    fn a_problem_stays_while_a_batch_is_parked_for_it() {
        let job = job("u", 0);
        job.set_problem(problem("A", false));
        job.set_done(0, BatchLine { digests: vec![1], loaded: false });
        assert!(!job.clear_problem(true));
        job.set_done(0, BatchLine { digests: vec![1], loaded: true });
        assert!(job.clear_problem(true));
    }

    #[test]
    fn a_difference_to_the_table_is_reported_until_the_end() {
        let job = job("u", 0);
        job.set_problem(problem(TABLE_MISMATCH, false));
        assert!(!job.clear_problem(true) && !job.has_ended());
    }

    #[test]
    fn a_batch_that_was_taken_over_clears_the_problem_of_the_previous_worker() {
        let job = job("u", 0);
        assert!(job.clear_problem(true));
        assert_eq!(job.problem_over(Some(&problem("A", false))), None);
        assert_eq!(job.problem_over(Some(&problem("C", true))), Some(problem("C", true)));
    }
}
