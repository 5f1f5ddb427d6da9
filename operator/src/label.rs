//! If several jobs of a model have the same label, one of them is the first. The others are refused, and the message
//! names the first one. The history remembers deleted jobs that loaded rows.

use std::collections::HashMap;

use crds::IngestJob;
use crds::state::JobState;
use kube::ResourceExt;
use parking_lot::Mutex;

/// The reason of a job that has the label of another job.
pub const DUPLICATE_LABEL: &str = "DuplicateLabel";
/// The reason of a job that waits until the history can be read.
pub const HISTORY_UNAVAILABLE: &str = "HistoryUnavailable";

/// What is known about the label of a waiting job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LabelState {
    /// The job has no label, or no other job had it before.
    #[default]
    Free,
    /// The history was asked but has not answered yet.
    Asked,
    /// The history cannot be read now.
    Unavailable(String),
    /// Another job has the label; the text names it.
    Taken(String),
}

/// Namespace, model, label.
type Key = (Option<String>, String, String);

/// Which job holds which label. This map only covers the time between the start of a job and the moment when the store
/// shows the start. All else is read from the jobs themselves, so a restart loses nothing.
#[derive(Debug, Default)]
pub struct Labels(Mutex<HashMap<Key, String>>);

impl Labels {
    /// Returns the job among `jobs` that holds the label of `job` before it. `None` if that is `job` itself, or if it
    /// has no label.
    pub fn first<'a>(&self, job: &IngestJob, jobs: impl Iterator<Item = &'a IngestJob>) -> Option<String> {
        let key = key(job)?;
        let uid = job.metadata.uid.clone()?;
        let rivals: Vec<&IngestJob> = jobs
            .filter(|other| {
                other.metadata.uid != job.metadata.uid
                    && !is_refused(other)
                    && self::key(other).as_ref() == Some(&key)
            })
            .collect();
        let mut holders = self.0.lock();
        if let Some(holder) = holders.get(&key) {
            if *holder == uid {
                return None;
            }
            if let Some(rival) = rivals.iter().find(|rival| rival.metadata.uid.as_ref() == Some(holder)) {
                return Some(rival.name_any());
            }
        }
        let first =
            rivals.into_iter().filter(|rival| order(rival) < order(job)).min_by_key(|rival| order(rival));
        if first.is_none() {
            holders.insert(key, uid);
        }
        first.map(ResourceExt::name_any)
    }

    /// Releases the label of a deleted job.
    pub fn release(&self, uid: &str) {
        self.0.lock().retain(|_, holder| holder != uid);
    }
}

fn key(job: &IngestJob) -> Option<Key> {
    Some((job.namespace(), job.spec.model_ref.name.clone(), job.spec.label.clone()?))
}

/// Jobs that have started come first, then those that were created first. Kubernetes stores the creation time only in
/// whole seconds.
fn order(job: &IngestJob) -> impl Ord + use<> {
    let status = job.status.as_ref();
    let started = status.is_some_and(|s| s.model_revision.is_some() || s.state.is_some_and(JobState::is_end));
    (!started, job.metadata.creation_timestamp.as_ref().map(|t| t.0), job.metadata.uid.clone())
}

/// A job that was refused because of its label no longer holds the label.
fn is_refused(job: &IngestJob) -> bool {
    let status = job.status.as_ref();
    status.is_some_and(|s| s.state == Some(JobState::Failed) && s.reason.as_deref() == Some(DUPLICATE_LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first<'a>(job: &IngestJob, jobs: impl Iterator<Item = &'a IngestJob>) -> Option<String> {
        Labels::default().first(job, jobs)
    }

    fn job(name: &str, second: u32, label: &str, model: &str) -> IngestJob {
        serde_yaml::from_str(&format!(
            "{{apiVersion: ingest.batch-on-kafka.io/v1alpha1, kind: IngestJob,
              metadata: {{name: {name}, namespace: shop, uid: uid-{name}, creationTimestamp: '2024-05-18T10:00:{second:02}Z'}},
              spec: {{modelRef: {{name: {model}}}, source: {{upload: {{}}}}, label: {label}}}}}"
        ))
        .unwrap()
    }

    #[test]
    fn the_first_job_of_a_label_is_named_and_other_models_do_not_count() {
        let jobs = [
            job("c", 3, "day-1", "purchases"),
            job("a", 1, "day-1", "purchases"),
            job("b", 2, "day-1", "purchases"),
            job("x", 0, "day-1", "returns"),
            job("y", 0, "day-2", "purchases"),
        ];
        assert_eq!(first(&jobs[0], jobs.iter()).as_deref(), Some("a"));
        assert_eq!(first(&jobs[2], jobs.iter()).as_deref(), Some("a"));
        assert_eq!(first(&jobs[1], jobs.iter()), None);
        assert_eq!(first(&jobs[3], jobs.iter()), None);
    }

    #[test]
    fn of_two_jobs_made_in_the_same_second_exactly_one_is_first() {
        let jobs = [job("a", 1, "l", "m"), job("b", 1, "l", "m")];
        assert_eq!(first(&jobs[0], jobs.iter()), None);
        assert_eq!(first(&jobs[1], jobs.iter()).as_deref(), Some("a"));
    }

    #[test]
    fn a_job_that_was_refused_for_its_label_does_not_keep_the_label() {
        let mut jobs = [job("a", 1, "l", "m"), job("b", 2, "l", "m")];
        jobs[0].status = serde_yaml::from_str("{state: FAILED, reason: DuplicateLabel}").unwrap();
        assert_eq!(first(&jobs[1], jobs.iter()), None);
    }

    #[test]
    fn a_job_that_has_started_keeps_its_label_although_another_job_sorts_before_it() {
        let mut jobs = [job("a", 1, "l", "m"), job("b", 1, "l", "m")];
        jobs[1].status = serde_yaml::from_str("{state: UPLOADING, modelRevision: m-1}").unwrap();
        assert_eq!(first(&jobs[0], jobs.iter()).as_deref(), Some("b"));
    }

    #[test]
    fn a_label_is_given_to_one_job_only_also_before_the_watch_reports_its_start() {
        let jobs = [job("a", 1, "l", "m"), job("b", 1, "l", "m")];
        let labels = Labels::default();
        assert_eq!(labels.first(&jobs[1], jobs[1..].iter()), None, "a is not there yet");
        assert_eq!(labels.first(&jobs[0], jobs.iter()).as_deref(), Some("b"));
        assert_eq!(labels.first(&jobs[1], jobs.iter()), None);
        labels.release("uid-b");
        assert_eq!(labels.first(&jobs[0], jobs[..1].iter()), None, "b is deleted");
    }
}
