//! Makes typed, complete values from an `IngestJob` and what it refers to. Pure.

use std::sync::Arc;

use crds::job::{Counts, LoadProblem, UploadStatus};
use crds::model::ErrorPolicy;
use crds::state::reasons;
use crds::status::{conditions, is_true};
use crds::{IngestJob, IngestJobStatus, IngestModel};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::apply::own_part;
use super::dereference::{Dereferenced, is_invalid};
use crate::clock;
use crate::label::LabelState;
use crate::ledger::Reading;
use crate::lost::Suspicion;
use crate::scale::lag::Positions;

/// A job and everything that a decision about it needs.
#[derive(Clone, Debug)]
pub struct ValidJob {
    /// The job's name.
    pub name: String,
    /// The job's model.
    pub model_name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its phase.
    pub phase: Phase,
    /// What its model allows.
    pub model: ModelState,
    /// Whether it may have its label.
    pub label: LabelState,
    /// Its own error policy, or that of the model.
    pub policy: ErrorPolicy,
    /// From its start until its upload must be complete.
    pub upload_deadline: SignedDuration,
    /// From its end until it is deleted.
    pub ttl: SignedDuration,
    /// Whether its owner wants it stopped.
    pub cancel: bool,
    /// Whether it has an inline file.
    pub inline: bool,
    /// Why the inline file has not reached the upload API.
    pub inline_problem: Option<String>,
    /// What the upload API reported.
    pub upload: UploadStatus,
    /// What the workers reported.
    pub counts: Counts,
    /// Why the workers cannot load some of its chunks.
    pub problem: Option<LoadProblem>,
    /// How far the model's topic is consumed.
    pub positions: Option<Arc<Positions>>,
    /// When the operator first saw that its upload is complete, while its state is still UPLOADING.
    pub complete_since: Option<Timestamp>,
    /// Since when no more of its missing chunks can arrive.
    pub suspicion: Option<Suspicion>,
    /// The last answer of the ledger, if it was asked.
    pub ledger: Option<Reading>,
    /// Whether it has ended and its receipt must be made.
    pub is_receipt_due: bool,
    /// The operator's part of its current status.
    pub status: IngestJobStatus,
}

/// The phase of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not pinned to a revision yet.
    Waiting,
    /// Pinned since this time.
    Running(Timestamp),
    /// Ended at this time.
    Ended(Timestamp),
}

/// What a job's model allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// There is no model.
    Absent,
    /// The model exists but cannot take a job now.
    NotNow {
        /// The job's reason.
        reason: &'static str,
        /// The job's message.
        message: String,
    },
    /// Jobs that start now use this revision.
    Ready {
        /// The `ControllerRevision`.
        revision: String,
        /// What is wrong although jobs can start: workers that do not start, an outage.
        problem: Option<String>,
    },
}

/// Validates a job. `now` is used for times that the object does not have.
#[must_use]
pub fn validate(job: &IngestJob, facts: &Dereferenced, now: Timestamp) -> ValidJob {
    let status = job.status.clone().unwrap_or_default();
    let model = facts.model.as_deref().map(|guarded| guarded.0.as_ref());
    let policy = job.spec.error_policy.clone();
    let policy = policy.or_else(|| model.and_then(Result::ok).and_then(|m| m.spec.error_policy.clone()));
    let phase = match (&status.state, &status.model_revision) {
        (Some(state), _) if state.is_end() => Phase::Ended(time(status.completion_time.as_ref(), now)),
        (_, Some(_)) => Phase::Running(time(status.start_time.as_ref(), now)),
        _ => Phase::Waiting,
    };
    ValidJob {
        name: job.name_any(),
        model_name: job.spec.model_ref.name.clone(),
        created: job.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0),
        phase,
        model: match model {
            None => ModelState::Absent,
            Some(Ok(model)) => model_state(model),
            Some(Err(invalid)) => ModelState::NotNow {
                reason: reasons::MODEL_INVALID,
                message: format!("model '{}' cannot be read: {}", job.spec.model_ref.name, invalid.error),
            },
        },
        label: facts.label.clone(),
        policy: policy.unwrap_or_default(),
        upload_deadline: SignedDuration::from_secs(job.spec.upload_deadline_seconds.into()),
        ttl: SignedDuration::from_secs(job.spec.ttl_seconds_after_finished.into()),
        cancel: job.spec.cancel,
        inline: job.spec.source.inline.is_some(),
        inline_problem: facts.inline_problem.clone(),
        upload: status.upload.clone().unwrap_or_default(),
        counts: status.counts.unwrap_or_default(),
        problem: status.load_problem.clone(),
        positions: facts.positions.clone(),
        complete_since: facts.complete_since,
        suspicion: facts.suspicion,
        ledger: facts.ledger.clone(),
        is_receipt_due: is_receipt_due(&status, facts.receipt_made_at.as_ref()),
        status: own_part(status),
    }
}

/// Returns whether the receipt of a job that has ended must be made: it has none, or its counts changed after it was
/// made.
///
/// `made_at` are the counts with which this process made the receipt last. A job of an earlier version, whose upload
/// has no epoch, has no ledger from which a receipt could be made.
fn is_receipt_due(status: &IngestJobStatus, made_at: Option<&Counts>) -> bool {
    let is_older = status.upload.as_ref().is_some_and(|upload| upload.chunks > 0 && upload.epoch == 0);
    let counts = status.counts.unwrap_or_default();
    match (&status.receipt, made_at) {
        _ if is_older => false,
        (_, Some(made_at)) => *made_at != counts,
        (None, None) => true,
        (Some(receipt), None) => {
            (receipt.ok, receipt.rejected, receipt.chunks) != (counts.ok, counts.errors, counts.chunks_done)
        }
    }
}

fn time(text: Option<&String>, now: Timestamp) -> Timestamp {
    text.and_then(|text| clock::parse(text)).unwrap_or(now)
}

fn model_state(model: &IngestModel) -> ModelState {
    let name = model.name_any();
    let not_now = |reason, message| ModelState::NotNow { reason, message };
    let status = model.status.clone().unwrap_or_default();
    let is_current = status.observed_generation == model.metadata.generation;
    let ready = status.conditions.iter().find(|c| c.type_ == conditions::READY);
    let why = ready.filter(|c| c.status != "True").map(|c| c.message.clone());
    if is_invalid(model) && is_current {
        return not_now(
            reasons::MODEL_INVALID,
            format!("model '{name}' cannot be served: {}", why.unwrap_or_default()),
        );
    }
    if model.metadata.deletion_timestamp.is_some() {
        return not_now(reasons::MODEL_NOT_READY, format!("model '{name}' is being deleted"));
    }
    if model.spec.paused {
        return not_now(
            reasons::MODEL_PAUSED,
            format!("model '{name}' is paused; the job starts when spec.paused is false"),
        );
    }
    let made = |type_| is_true(&status.conditions, type_);
    match status.revision {
        Some(revision) if is_current && made(conditions::TABLE_READY) && made(conditions::TOPIC_READY) => {
            ModelState::Ready { revision, problem: why }
        }
        _ => {
            let why = why.unwrap_or_else(|| "its table and topic are being made".into());
            not_now(reasons::MODEL_NOT_READY, format!("model '{name}' is not ready: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> IngestJobStatus {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn a_receipt_is_made_once_and_repeated_when_the_counts_change() {
        let counts = "counts: {total: 3, ok: 2, errors: 1, chunksDone: 1}";
        let receipt = "receipt: {rows: 3, ok: 2, rejected: 1, tableRows: 2, chunks: 1, checkedTime: x}";
        assert!(is_receipt_due(&status(&format!("{{{counts}}}")), None));
        assert!(!is_receipt_due(&status(&format!("{{{counts}, {receipt}}}")), None));
        let later = status(&format!("{{counts: {{total: 6, ok: 5, errors: 1, chunksDone: 2}}, {receipt}}}"));
        assert!(is_receipt_due(&later, None));
        assert!(is_receipt_due(&later, status(&format!("{{{counts}}}")).counts.as_ref()));
        assert!(
            !is_receipt_due(&later, later.counts.as_ref()),
            "the ledger has other counts: it is not queried without limit"
        );
    }

    #[test]
    fn a_job_of_an_earlier_version_gets_no_receipt_and_one_without_an_upload_does() {
        assert!(!is_receipt_due(&status("{upload: {complete: true, chunks: 2}}"), None));
        assert!(is_receipt_due(&status("{upload: {complete: true, chunks: 2, epoch: 1}}"), None));
        assert!(is_receipt_due(&status("{}"), None));
    }
}
