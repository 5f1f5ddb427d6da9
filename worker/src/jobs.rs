//! The jobs whose chunks the worker has. Each job is read at its first chunk, and again at its first chunk after an
//! assignment of partitions: the ledger has what other workers did.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::model::ErrorPolicy;
use crds::state::JobState;
use crds::{ChunkHeader, IngestJob};
use parking_lot::{Mutex, MutexGuard};

use crate::cluster::Cluster;
use crate::done::DoneBatches;
use crate::error::Failure;
pub use crate::job::{InFlight, Job};
use crate::ledger::Ledger;
use crate::retry::Retry;
use crate::stop::Stopped;

/// The most jobs that are kept in memory.
const KEPT: usize = 512;
/// How long the error policy of the model is kept: many small jobs do not read it one by one.
const POLICY_KEPT: Duration = Duration::from_secs(5);

/// The known jobs.
pub struct Jobs {
    ledger: Ledger,
    cluster: Cluster,
    model: String,
    /// The error policy of the model, and when it was read.
    policy: Mutex<Option<(Instant, Option<ErrorPolicy>)>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    uses: u64,
    jobs: HashMap<String, Entry>,
}

struct Entry {
    used: u64,
    /// The number of assignments when the job was read.
    assignments: u64,
    job: Arc<Job>,
}

impl Jobs {
    /// Makes an empty value.
    #[must_use]
    pub fn new(ledger: Ledger, cluster: Cluster, model: &str) -> Self {
        Self { ledger, cluster, model: model.to_owned(), policy: Mutex::default(), known: Mutex::default() }
    }

    /// Returns the job of a chunk that was taken after `assignments` assignments. If the job is not known, waits while
    /// ledger or API server cannot be reached.
    pub async fn of(
        &self,
        header: &ChunkHeader,
        assignments: u64,
        retry: &Retry,
    ) -> Result<Arc<Job>, Stopped> {
        if let Some(job) = self.known().get(&header.job, assignments) {
            return Ok(job);
        }
        let (lines, object) = tokio::try_join!(
            retry.run("ledger", || self.ledger.batches(&header.job)),
            retry.run("job", || self.cluster.job(&header.name, &header.job)),
        )?;
        let policy = match object.as_ref().map(|job| job.spec.error_policy.clone()) {
            Some(None) => retry.run("model", || self.model_policy()).await?,
            of_job => of_job.flatten(),
        };
        let max = policy.unwrap_or_default().max_stored_errors;
        let max = u64::try_from(max).unwrap_or(0);
        let stored = lines.iter().map(|line| line.stored).sum();
        let job = self.known().put(&header.job, assignments, || {
            Arc::new(Job::new(&header.job, &header.name, DoneBatches::default(), false, 0, max))
        });
        for line in lines {
            job.set_done(line.first_chunk, line.into());
        }
        job.are_stored(stored);
        job.set_quota(max);
        note(&job, object.as_ref());
        Ok(job)
    }

    /// Reads again whether a job and its upload continue. Without an answer nothing changes.
    pub async fn refresh(&self, job: &Job) {
        match self.cluster.job(&job.name, &job.uid).await {
            Ok(object) => note(job, object.as_ref()),
            Err(failure) => {
                tracing::debug!(%failure, job = job.name, "failed to check whether a job continues");
            }
        }
    }

    /// Returns the error policy of the model, as it was read in the last seconds; `None` if it has none, or was deleted: its
    /// jobs are loaded to their end even then.
    async fn model_policy(&self) -> Result<Option<ErrorPolicy>, Failure> {
        let kept = self.policy.lock().clone();
        if let Some((read, policy)) = kept
            && read.elapsed() < POLICY_KEPT
        {
            return Ok(policy);
        }
        let policy = match self.cluster.model(&self.model).await {
            Ok(model) => model.spec.error_policy,
            Err(Failure::ModelMissing(_)) => None,
            Err(failure) => return Err(failure),
        };
        let read = (Instant::now(), policy.clone());
        *self.policy.lock() = Some(read);
        Ok(policy)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

impl Known {
    /// Returns a job, if it was read since the last assignment.
    fn get(&mut self, uid: &str, assignments: u64) -> Option<Arc<Job>> {
        self.uses += 1;
        let entry = self.jobs.get_mut(uid).filter(|entry| entry.assignments >= assignments)?;
        entry.used = self.uses;
        Some(entry.job.clone())
    }

    /// Adds a job that was read after `assignments` assignments. If it is known, its object stays the same.
    fn put(&mut self, uid: &str, assignments: u64, new: impl FnOnce() -> Arc<Job>) -> Arc<Job> {
        self.uses += 1;
        if self.jobs.len() >= KEPT && !self.jobs.contains_key(uid) {
            let oldest = self.jobs.iter().min_by_key(|(_, entry)| entry.used).map(|(uid, _)| uid.clone());
            oldest.map(|uid| self.jobs.remove(&uid));
        }
        let used = self.uses;
        let entry =
            self.jobs.entry(uid.to_owned()).or_insert_with(|| Entry { used, assignments, job: new() });
        entry.used = used;
        entry.assignments = entry.assignments.max(assignments);
        entry.job.clone()
    }
}

/// Notes whether a job and its upload continue.
fn note(job: &Job, object: Option<&IngestJob>) {
    if object.is_none_or(ended) {
        job.end();
    }
    let upload = object.and_then(|object| object.status.as_ref()?.upload.as_ref());
    if let Some(upload) = upload {
        job.note_upload(upload);
    }
}

/// Returns whether nothing more of the job is loaded.
#[must_use]
pub fn ended(job: &IngestJob) -> bool {
    let status = job.status.as_ref();
    let state = status.and_then(|status| status.state);
    let fatal = status.and_then(|status| status.load_problem.as_ref()).is_some_and(|problem| problem.fatal);
    job.spec.cancel
        || job.metadata.deletion_timestamp.is_some()
        || state.is_some_and(JobState::is_end)
        || fatal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job;

    #[test]
    fn a_job_is_refreshed_after_an_assignment_and_remains_the_same_object() {
        let mut known = Known::default();
        let first = known.put("u", 1, || job("u", 0));
        assert!(known.get("u", 1).is_some());
        assert!(known.get("u", 2).is_none());
        let second = known.put("u", 2, || job("u", 0));
        assert!(Arc::ptr_eq(&first, &second) && known.get("u", 2).is_some());
        known.put("u", 1, || job("u", 0));
        assert!(known.get("u", 2).is_some(), "a slow reader does not make it older");
    }

    #[test]
    fn the_least_recently_used_job_is_removed_first() {
        let mut known = Known::default();
        for number in 0..KEPT {
            known.put(&number.to_string(), 0, || job("u", 0));
        }
        known.get("0", 0);
        known.put("new", 0, || job("new", 0));
        assert!(known.get("0", 0).is_some() && known.get("1", 0).is_none());
        assert_eq!(known.jobs.len(), KEPT);
    }

    #[test]
    fn the_last_offsets_of_a_job_are_known_once_its_upload_is_complete() {
        let object = |complete: bool, offsets: &[i64]| -> IngestJob {
            let spec = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}});
            let upload = serde_json::json!({"complete": complete, "lastOffsets": offsets});
            let status = serde_json::json!({"state": "PROCESSING", "upload": upload});
            let job = serde_json::json!({"metadata": {"name": "j"}, "spec": spec, "status": status});
            serde_json::from_value(job).unwrap()
        };
        let job = job("u", 0);
        note(&job, Some(&object(false, &[7])));
        note(&job, Some(&object(true, &[])));
        assert_eq!(job.last_offsets(), None);
        note(&job, Some(&object(true, &[9, -1])));
        assert_eq!(job.last_offsets(), Some([9, -1].as_slice()));
        assert!(!job.has_ended());
    }

    #[test]
    fn a_job_that_is_cancelled_deleted_or_ended_accepts_nothing_more() {
        let object = |cancel: bool, status: serde_json::Value| -> IngestJob {
            let spec =
                serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}, "cancel": cancel});
            let job = serde_json::json!({"metadata": {"name": "j"}, "spec": spec, "status": status});
            serde_json::from_value(job).unwrap()
        };
        let state = |state: &str| serde_json::json!({"state": state});
        assert!(!ended(&object(false, state("PROCESSING"))));
        assert!(!ended(&object(false, state("BLOCKED"))));
        assert!(ended(&object(true, state("PROCESSING"))));
        assert!(ended(&object(false, state("FAILED"))));
        let problem =
            |fatal: bool| serde_json::json!({"loadProblem": {"reason": "R", "message": "", "fatal": fatal}});
        assert!(ended(&object(false, problem(true))) && !ended(&object(false, problem(false))));
    }
}
