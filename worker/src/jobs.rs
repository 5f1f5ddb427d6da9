//! What the worker knows of each job whose chunks it has: what is done, whether it goes on, how many bad cells it may
//! still store. Read at the first chunk of a job, forgotten at every assignment of partitions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crds::model::ErrorPolicy;
use crds::state::JobState;
use crds::{ChunkHeader, IngestJob, IngestModel};

use crate::cluster::Cluster;
use crate::done::ChunkSet;
use crate::error::Failure;
use crate::ledger::Ledger;
use crate::retry::Retry;
use crate::stop::Stopped;

/// More jobs than this are not remembered at once.
const KEPT: usize = 512;

/// A job, as far as a worker needs to know it.
#[derive(Debug, Default)]
pub struct Job {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    done: Mutex<ChunkSet>,
    ended: AtomicBool,
    /// Bad cells in `rejected_rows`, as far as we know, with those about to go there.
    stored: AtomicU64,
    stored_max: u64,
    in_hand: AtomicUsize,
}

/// A chunk of a job that is being worked on.
#[derive(Debug)]
pub struct InHand(Arc<Job>);

impl Job {
    /// A job of which `done` is done, with room for `stored_max` bad cells of which `stored` are taken.
    #[must_use]
    pub fn new(uid: &str, name: &str, done: ChunkSet, ended: bool, stored: u64, stored_max: u64) -> Self {
        Self {
            uid: uid.to_owned(),
            name: name.to_owned(),
            done: Mutex::new(done),
            ended: AtomicBool::new(ended),
            stored: AtomicU64::new(stored),
            stored_max,
            in_hand: AtomicUsize::new(0),
        }
    }

    /// Whether the chunk is in the ledger.
    #[must_use]
    pub fn is_done(&self, chunk: u32) -> bool {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).contains(chunk)
    }

    /// The chunk is in the ledger.
    pub fn set_done(&self, chunk: u32) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(chunk);
    }

    /// Whether nothing more of it is loaded: it is gone, has ended, or is to be cancelled.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Nothing more of it is loaded.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// How many more bad cells may be stored.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.stored_max.saturating_sub(self.stored.load(Ordering::Relaxed))
    }

    /// So many bad cells are about to be stored.
    pub fn will_store(&self, cells: u64) {
        self.stored.fetch_add(cells, Ordering::Relaxed);
    }

    /// The ledger says how many are stored, by all workers.
    pub fn are_stored(&self, cells: u64) {
        self.stored.fetch_max(cells, Ordering::Relaxed);
    }

    /// A chunk of it is begun.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InHand {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        InHand(self.clone())
    }

    /// Whether no chunk of it is being worked on.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_hand.load(Ordering::Relaxed) == 0
    }
}

impl InHand {
    /// The job.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.0
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The jobs that are known.
pub struct Jobs {
    ledger: Ledger,
    cluster: Cluster,
    model: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The assignment at which they were read.
    assignments: u64,
    uses: u64,
    jobs: HashMap<String, (u64, Arc<Job>)>,
}

impl Jobs {
    /// No job is known.
    #[must_use]
    pub fn new(ledger: Ledger, cluster: Cluster, model: &str) -> Self {
        Self { ledger, cluster, model: model.to_owned(), known: Mutex::default() }
    }

    /// The job of a chunk that was taken at assignment number `assignments`. Waits while ledger or API server are away
    /// and the job is not known.
    pub async fn of(
        &self,
        header: &ChunkHeader,
        assignments: u64,
        retry: &Retry,
    ) -> Result<Arc<Job>, Stopped> {
        if let Some(job) =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&header.job, assignments)
        {
            return Ok(job);
        }
        let (done, object) = tokio::try_join!(
            retry.run("ledger", || self.ledger.done(&header.job)),
            retry.run("job", || self.cluster.job(&header.name, &header.job)),
        )?;
        let policy = match &object {
            Some(job) if job.spec.error_policy.is_none() => Some(retry.run("model", || self.model()).await?),
            _ => None,
        };
        let max = policy_of(object.as_ref(), policy.as_ref()).max_stored_errors;
        let job = Arc::new(Job::new(
            &header.job,
            &header.name,
            done.iter().map(|d| d.chunk).collect(),
            object.as_ref().is_none_or(ended),
            done.iter().map(|d| d.stored).sum(),
            u64::try_from(max).unwrap_or(0),
        ));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).put(&job, assignments);
        Ok(job)
    }

    /// The model; gone is as good as one without an opinion: its jobs still are what they are.
    async fn model(&self) -> Result<Option<IngestModel>, Failure> {
        match self.cluster.model(&self.model).await {
            Ok(model) => Ok(Some(model)),
            Err(Failure::ModelMissing(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl Known {
    fn get(&mut self, uid: &str, assignments: u64) -> Option<Arc<Job>> {
        if self.assignments != assignments {
            self.jobs.clear();
            self.assignments = assignments;
        }
        self.uses += 1;
        let (used, job) = self.jobs.get_mut(uid)?;
        *used = self.uses;
        Some(job.clone())
    }

    fn put(&mut self, job: &Arc<Job>, assignments: u64) {
        if self.assignments != assignments {
            return;
        }
        if self.jobs.len() >= KEPT {
            let oldest = self.jobs.iter().min_by_key(|(_, (used, _))| *used).map(|(uid, _)| uid.clone());
            oldest.map(|uid| self.jobs.remove(&uid));
        }
        self.jobs.insert(job.uid.clone(), (self.uses, job.clone()));
    }
}

/// Whether nothing more of the job is to be loaded.
#[must_use]
pub fn ended(job: &IngestJob) -> bool {
    let state = job.status.as_ref().and_then(|status| status.state);
    job.spec.cancel || job.metadata.deletion_timestamp.is_some() || state.is_some_and(JobState::is_end)
}

/// What the job says, over what the model says, over the default.
fn policy_of(job: Option<&IngestJob>, model: Option<&Option<IngestModel>>) -> ErrorPolicy {
    let of_job = job.and_then(|job| job.spec.error_policy.clone());
    of_job.or_else(|| model?.as_ref()?.spec.error_policy.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(uid: &str) -> Arc<Job> {
        Arc::new(Job::new(uid, "j", ChunkSet::default(), false, 8, 10))
    }

    #[test]
    fn no_more_bad_cells_are_stored_than_there_is_room_for() {
        let job = job("u");
        assert_eq!(job.room(), 2);
        job.will_store(2);
        assert_eq!(job.room(), 0);
        job.are_stored(9);
        assert_eq!(job.room(), 0, "what the ledger does not know yet is not forgotten");
    }

    #[test]
    fn a_new_assignment_forgets_what_was_known() {
        let mut known = Known { assignments: 1, ..Known::default() };
        known.put(&job("u"), 1);
        assert!(known.get("u", 1).is_some());
        assert!(known.get("u", 2).is_none());
        known.put(&job("u"), 1);
        assert!(known.get("u", 2).is_none(), "read before the assignment");
    }

    #[test]
    fn the_job_that_was_used_longest_ago_is_forgotten_first() {
        let mut known = Known::default();
        for number in 0..KEPT {
            known.put(&job(&number.to_string()), 0);
            known.get(&number.to_string(), 0);
        }
        known.get("0", 0);
        known.put(&job("new"), 0);
        assert!(known.get("0", 0).is_some() && known.get("1", 0).is_none());
        assert_eq!(known.jobs.len(), KEPT);
    }

    #[test]
    fn a_job_that_is_cancelled_gone_or_ended_takes_nothing_more() {
        let job = |yaml: serde_json::Value| -> IngestJob { serde_json::from_value(yaml).unwrap() };
        let spec = |cancel: bool| serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}, "cancel": cancel});
        let object = |cancel, state| {
            job(
                serde_json::json!({"metadata": {"name": "j"}, "spec": spec(cancel), "status": {"state": state}}),
            )
        };
        assert!(!ended(&object(false, "PROCESSING")));
        assert!(ended(&object(true, "PROCESSING")));
        assert!(ended(&object(false, "FAILED")));
    }

    #[test]
    fn a_chunk_is_in_hand_until_it_is_let_go() {
        let job = job("u");
        let chunk = job.begin();
        assert!(!job.is_idle());
        drop(chunk);
        assert!(job.is_idle());
    }
}
