//! Of several jobs of a model with one label, one is the first: the others are refused, naming it. Jobs that are deleted
//! are remembered by the history, if they loaded rows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crds::IngestJob;
use crds::state::JobState;
use kube::ResourceExt;

/// The reason of a job that repeats another's label.
pub const DUPLICATE_LABEL: &str = "DuplicateLabel";
/// The reason of a job that waits until the history can be read.
pub const HISTORY_UNAVAILABLE: &str = "HistoryUnavailable";

/// What is known of a waiting job's label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LabelState {
    /// It has none, or nobody had it before.
    #[default]
    Free,
    /// The history was asked and has not answered yet.
    Asked,
    /// The history cannot be read now.
    Unavailable(String),
    /// Another job has it; the text says which.
    Taken(String),
}

/// Namespace, model, label.
type Key = (Option<String>, String, String);

/// Which job holds which label. What is remembered here bridges the moment between the start of a job and its being seen
/// in the store; all else is read from the jobs themselves, so nothing is lost with a restart.
#[derive(Debug, Default)]
pub struct Labels(Mutex<HashMap<Key, String>>);

impl Labels {
    /// The job among `jobs` that holds the label of `job` before it; `None` if that is `job` itself, or it has no label.
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
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = held.get(&key) {
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
            held.insert(key, uid);
        }
        first.map(ResourceExt::name_any)
    }

    /// A job is gone.
    pub fn release(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, holder| holder != uid);
    }
}

fn key(job: &IngestJob) -> Option<Key> {
    Some((job.namespace(), job.spec.model_ref.name.clone(), job.spec.label.clone()?))
}

/// Those that have started, then those that were made first; Kubernetes tells that to the second only.
fn order(job: &IngestJob) -> impl Ord + use<> {
    let status = job.status.as_ref();
    let started = status.is_some_and(|s| s.model_revision.is_some() || s.state.is_some_and(JobState::is_end));
    (!started, job.metadata.creation_timestamp.as_ref().map(|t| t.0), job.metadata.uid.clone())
}

/// A job that was itself refused for its label holds it no longer.
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
    fn a_job_that_was_refused_for_its_label_holds_it_no_longer() {
        let mut jobs = [job("a", 1, "l", "m"), job("b", 2, "l", "m")];
        jobs[0].status = serde_yaml::from_str("{state: FAILED, reason: DuplicateLabel}").unwrap();
        assert_eq!(first(&jobs[1], jobs.iter()), None);
    }

    #[test]
    fn a_job_that_has_started_holds_its_label_against_one_that_sorts_before_it() {
        let mut jobs = [job("a", 1, "l", "m"), job("b", 1, "l", "m")];
        jobs[1].status = serde_yaml::from_str("{state: UPLOADING, modelRevision: m-1}").unwrap();
        assert_eq!(first(&jobs[0], jobs.iter()).as_deref(), Some("b"));
    }

    #[test]
    fn a_label_once_given_is_not_given_again_before_the_first_job_is_seen_to_have_started() {
        let jobs = [job("a", 1, "l", "m"), job("b", 1, "l", "m")];
        let labels = Labels::default();
        assert_eq!(labels.first(&jobs[1], jobs[1..].iter()), None, "a is not there yet");
        assert_eq!(labels.first(&jobs[0], jobs.iter()).as_deref(), Some("b"));
        assert_eq!(labels.first(&jobs[1], jobs.iter()), None);
        labels.release("uid-b");
        assert_eq!(labels.first(&jobs[0], jobs[..1].iter()), None, "b is gone");
    }
}
