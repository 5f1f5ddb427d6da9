//! Decides the next step of a job: its status, an Event, and when to reconcile it again. Pure; the clock is an
//! argument.
//!
//! Time alone changes nothing in a status: a status is written when something happened. Three cases need another
//! reconcile without a change of an object: a deadline, an inline file that was not sent yet, and chunks that may be
//! lost.

use std::time::Duration;

use crds::IngestJobStatus;
use crds::job::Counts;
use crds::state::{JobState, is_done, of_progress, percent, reasons};
use crds::status::{Condition, conditions, set_condition};
use jiff::{SignedDuration, Timestamp};

use super::text;
use super::validate::{ModelState, Phase, ValidJob};
use crate::clock;
use crate::events::EventNote;
use crate::label::{DUPLICATE_LABEL, HISTORY_UNAVAILABLE, LabelState};
use crate::ledger;
use crate::lost::{self, Suspicion};

/// A small job is loaded moments after its upload. Within this time it goes from UPLOADING to its end, and the state
/// between is not written.
const SMALL_JOB_TIME: SignedDuration = SignedDuration::from_millis(300);
/// The same for a job of one chunk, of which many can run at once: then each of them takes longer.
const ONE_CHUNK_TIME: SignedDuration = SignedDuration::from_secs(1);
/// The interval between checks whether an inline file was sent.
const INLINE_CHECK: SignedDuration = SignedDuration::from_secs(1);
/// The interval between checks whether missing chunks can still arrive.
const LOST_CHECK: SignedDuration = SignedDuration::from_secs(5);
/// The interval between queries to the ledger about parked chunks.
const RECOUNT: SignedDuration = SignedDuration::from_secs(5);
/// The interval between tries to make a receipt.
const RECEIPT_RETRY: SignedDuration = SignedDuration::from_secs(15);
/// If the history row of a job cannot be written, the job is kept for this long after its time to be deleted.
const HISTORY_LIMIT: SignedDuration = SignedDuration::from_hours(24);

/// What to do with a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Delete it: its time is over.
    Delete,
    /// Write this, unless it is already written.
    Write(Box<Write>),
}

/// A status, and what to do besides writing it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Write {
    /// The operator's part of the status, complete: server-side apply removes fields that are left out.
    pub status: IngestJobStatus,
    /// The job starts or ends: write only if the object has not changed since the decision.
    pub exclusive: bool,
    /// The Event to publish once the status is written.
    pub event: Option<EventNote>,
    /// When to reconcile again without a change of an object.
    pub requeue_after: Option<Duration>,
    /// Whether to send the inline file.
    pub send_inline: bool,
    /// Counts from the ledger, if the counts of the workers are behind. They are written before everything else here.
    pub counts: Option<Counts>,
    /// What to ask in the background.
    pub ask: Option<Ask>,
    /// What to remember about missing chunks of the job.
    pub suspicion: Option<Suspicion>,
}

/// A question that is asked in the background. The job is reconciled again when the answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The job's lines of the ledger.
    Ledger,
    /// The job's receipt.
    Receipt,
}

impl From<Write> for Next {
    fn from(write: Write) -> Self {
        Self::Write(Box::new(write))
    }
}

/// Decides the next step of a job.
#[must_use]
pub fn next(job: &ValidJob, now: Timestamp) -> Next {
    match job.phase {
        Phase::Ended(at) => ended(job, at, now),
        Phase::Running(start) => running(job, start, now),
        Phase::Waiting => waiting(job, now),
    }
}

fn ended(job: &ValidJob, at: Timestamp, now: Timestamp) -> Next {
    let left = job.ttl.saturating_sub(now.duration_since(at));
    // The history row of the job is written together with the receipt.
    if left <= SignedDuration::ZERO
        && (!job.is_receipt_due || left.saturating_add(HISTORY_LIMIT).is_negative())
    {
        return Next::Delete;
    }
    let requeue_after =
        if job.is_receipt_due { RECEIPT_RETRY.min(left.max(SignedDuration::from_secs(1))) } else { left };
    let status = job.status.clone();
    let ask = job.is_receipt_due.then_some(Ask::Receipt);
    Write { status, requeue_after: Some(requeue_after.unsigned_abs()), ask, ..Write::default() }.into()
}

fn waiting(job: &ValidJob, now: Timestamp) -> Next {
    if job.cancel {
        return end(
            job,
            None,
            JobState::Cancelled,
            reasons::CANCELLED,
            "cancelled before it started".into(),
            now,
        );
    }
    if let LabelState::Taken(by) = &job.label {
        let message = format!("{by}: nothing was loaded; give this load another label if it is another one");
        return end(job, None, JobState::Failed, DUPLICATE_LABEL, message, now);
    }
    let (reason, message) = match (&job.model, &job.label) {
        (ModelState::Ready { .. }, LabelState::Asked) => {
            // The answer takes milliseconds and triggers a reconcile: until then no write is needed.
            return Write { status: job.status.clone(), ..Write::default() }.into();
        }
        (ModelState::Ready { .. }, LabelState::Unavailable(why)) => {
            (HISTORY_UNAVAILABLE, format!("whether the label was loaded before is not known: {why}"))
        }
        (ModelState::Ready { revision, .. }, _) => return start(job, revision, now),
        (ModelState::Absent, _) => (reasons::MODEL_NOT_FOUND, text::absent_model(job)),
        (ModelState::NotNow { reason, message }, _) => (*reason, message.clone()),
    };
    // The watch of the model and the answer of the history trigger the next reconcile.
    Write { status: status(JobState::Pending, reason, message), ..Write::default() }.into()
}

fn start(job: &ValidJob, revision: &str, now: Timestamp) -> Next {
    let status = IngestJobStatus {
        model_revision: Some(revision.into()),
        start_time: Some(clock::text(now)),
        waiting: Some(clock::minutes(job.created, now)),
        progress: Some("0%".into()),
        ..status(JobState::Uploading, reasons::WAITING_FOR_UPLOAD, text::running(job, JobState::Uploading))
    };
    Write {
        status,
        exclusive: true,
        event: Some(EventNote::normal("Started", format!("checked by revision {revision}"))),
        requeue_after: Some(Duration::from_secs(1)),
        send_inline: job.inline,
        ..Write::default()
    }
    .into()
}

fn running(job: &ValidJob, start: Timestamp, now: Timestamp) -> Next {
    if job.cancel {
        let message = format!("cancelled after {} rows; rows loaded so far stay", job.counts.total);
        return end(job, Some(start), JobState::Cancelled, reasons::CANCELLED, message, now);
    }
    let (state, reason) = of_progress(&job.upload, &job.counts, job.problem.as_ref(), &job.policy);
    if state.is_end() {
        return end(job, Some(start), state, &reason, text::end(job, &reason), now);
    }
    if job.model == ModelState::Absent {
        let message =
            format!("model '{}' was deleted while the job ran; rows loaded so far stay", job.model_name);
        return end(job, Some(start), JobState::Failed, reasons::MODEL_NOT_FOUND, message, now);
    }
    let left = job.upload_deadline.saturating_sub(now.duration_since(start));
    if !job.upload.complete && left <= SignedDuration::ZERO {
        let message = format!(
            "the upload was not complete within {} s of the job's start (spec.uploadDeadlineSeconds); rows loaded so far stay",
            job.upload_deadline.as_secs()
        );
        return end(job, Some(start), JobState::Failed, reasons::UPLOAD_EXPIRED, message, now);
    }
    let mut write = Write {
        status: running_status(job, state, &reason, now),
        send_inline: job.inline && !job.upload.complete,
        ..Write::default()
    };
    let requeue_after = match state {
        JobState::Uploading if job.inline => left.min(INLINE_CHECK),
        JobState::Uploading => left,
        JobState::Blocked => {
            recount(job, now, &mut write);
            RECOUNT
        }
        _ => {
            let ledger = job.ledger.as_ref();
            match lost::step(&job.upload, &job.counts, job.positions.as_deref(), job.suspicion, ledger) {
                lost::Step::Wait => {}
                lost::Step::Suspect(suspicion) => write.suspicion = Some(suspicion),
                lost::Step::AskLedger(suspicion) => {
                    (write.suspicion, write.ask) = (Some(suspicion), Some(Ask::Ledger));
                }
                lost::Step::CountsBehind(counts) => write.counts = Some(counts),
                lost::Step::Lost(missing) => {
                    let message = text::lost(job, &missing);
                    return end(job, Some(start), JobState::Failed, reasons::CHUNKS_LOST, message, now);
                }
            }
            LOST_CHECK
        }
    };
    write.requeue_after = Some(requeue_after.unsigned_abs());
    if let Some(since) = job.complete_since.filter(|_| state == JobState::Processing && job.problem.is_none())
    {
        let time = if job.upload.chunks == 1 { ONE_CHUNK_TIME } else { SMALL_JOB_TIME };
        let left = time.saturating_sub(now.duration_since(since));
        if left > SignedDuration::ZERO {
            write.status = job.status.clone();
            write.requeue_after = Some(left.unsigned_abs());
        }
    }
    write.into()
}

/// For a blocked job: a line in the ledger drops parked chunks, and no worker reports that line.
fn recount(job: &ValidJob, now: Timestamp, write: &mut Write) {
    let newest = job.ledger.as_ref();
    let is_due = newest.is_none_or(|reading| now.duration_since(reading.at) >= RECOUNT);
    write.ask = is_due.then_some(Ask::Ledger);
    write.counts = newest
        .map(|reading| ledger::totals(&reading.lines))
        .filter(|totals| ledger::is_further(totals, &job.counts));
}

fn running_status(job: &ValidJob, state: JobState, reason: &str, now: Timestamp) -> IngestJobStatus {
    let message = text::running(job, state);
    let mut list = job.status.conditions.clone();
    let why = job.problem.as_ref().map(|problem| problem.reason.as_str());
    match why.or_else(|| (state == JobState::Blocked).then_some(reason)) {
        Some(why) => set_condition(
            &mut list,
            condition(conditions::STALLED, true, why, &message),
            &clock::seconds(now),
        ),
        None => list.retain(|condition| condition.type_ != conditions::STALLED),
    }
    IngestJobStatus {
        model_revision: job.status.model_revision.clone(),
        start_time: job.status.start_time.clone(),
        waiting: job.status.waiting.clone(),
        progress: Some(format!("{}%", percent(&job.upload, &job.counts, false))),
        conditions: list,
        ..status(state, reason, message)
    }
}

fn end(
    job: &ValidJob,
    start: Option<Timestamp>,
    state: JobState,
    reason: &str,
    message: String,
    now: Timestamp,
) -> Next {
    let complete = matches!(state, JobState::Success | JobState::PartialSuccess);
    let mut list = job.status.conditions.clone();
    list.retain(|condition| condition.type_ != conditions::STALLED);
    for (type_, is) in [(conditions::COMPLETE, complete), (conditions::FAILED, !complete)] {
        set_condition(&mut list, condition(type_, is, reason, &message), &clock::seconds(now));
    }
    let event =
        if complete { EventNote::normal(reason, &message) } else { EventNote::warning(reason, &message) };
    let finished = start.is_some() && is_done(&job.upload, &job.counts);
    let status = IngestJobStatus {
        model_revision: job.status.model_revision.clone(),
        start_time: job.status.start_time.clone(),
        completion_time: Some(clock::text(now)),
        waiting: job.status.waiting.clone().or_else(|| Some(clock::minutes(job.created, now))),
        processing: start.map(|start| clock::minutes(start, now)),
        // A job that was stopped half-way does not show 100%.
        progress: Some(format!("{}%", percent(&job.upload, &job.counts, complete || finished))),
        conditions: list,
        ..status(state, reason, message)
    };
    Write {
        status,
        exclusive: true,
        event: Some(event),
        requeue_after: Some(job.ttl.unsigned_abs()),
        ..Write::default()
    }
    .into()
}

fn condition(type_: &str, is: bool, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.into(),
        status: if is { "True" } else { "False" }.into(),
        reason: reason.into(),
        message: message.into(),
        ..Condition::default()
    }
}

fn status(state: JobState, reason: &str, message: impl AsRef<str>) -> IngestJobStatus {
    IngestJobStatus {
        state: Some(state),
        reason: Some(reason.into()),
        message: Some(message.as_ref().chars().take(2048).collect()),
        ..IngestJobStatus::default()
    }
}

#[cfg(test)]
mod tests;
