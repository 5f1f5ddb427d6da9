//! What becomes of a job now: its status, an Event, and when to look again. Pure; the clock is an argument.

use std::time::Duration;

use crds::IngestJobStatus;
use crds::state::{JobState, of_progress, percent, reasons};
use crds::status::{Condition, conditions, set_condition};
use jiff::{SignedDuration, Timestamp};

use super::labels::DUPLICATE_LABEL;
use super::validate::{ModelState, Phase, ValidJob};
use crate::clock::{self, elapsed};
use crate::events::Told;

/// What is to be done about a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Its time is over.
    Delete,
    /// Write this, unless it is there already.
    Write(Box<Write>),
}

/// A status, and what goes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The operator's part of the status, complete: server-side apply takes away what is left out.
    pub status: IngestJobStatus,
    /// A start or an end: to be written only over the very object it was decided on.
    pub exclusive: bool,
    /// What people are told once it is written.
    pub told: Option<Told>,
    /// When to look again without being called.
    pub again: Option<Duration>,
    /// Whether the inline file is to be sent.
    pub send_inline: bool,
}

/// What becomes of a job now.
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
    if left <= SignedDuration::ZERO {
        return Next::Delete;
    }
    Next::Write(Box::new(Write {
        status: job.status.clone(),
        exclusive: false,
        told: None,
        again: Some(left.unsigned_abs()),
        send_inline: false,
    }))
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
    if let Some(first) = &job.twin {
        let message = format!(
            "job '{first}' has the same label and model: nothing was loaded; give this load another label if it is another one"
        );
        return end(job, None, JobState::Failed, DUPLICATE_LABEL, message, now);
    }
    let (reason, message) = match &job.model {
        ModelState::Ready { revision, .. } => return start(job, revision, now),
        ModelState::Absent => {
            let message = format!(
                "there is no model '{}' in the job's namespace; the job starts when there is",
                job.model_name
            );
            (reasons::MODEL_NOT_FOUND, message)
        }
        ModelState::NotNow { reason, message } => (*reason, message.clone()),
    };
    let status = IngestJobStatus {
        waiting: Some(clock::minutes(job.created, now)),
        ..status(JobState::Pending, reason, message)
    };
    Next::Write(Box::new(Write {
        status,
        exclusive: false,
        told: None,
        // The model's watch calls; this only keeps the time that is shown.
        again: Some(tick(elapsed(job.created, now)).unsigned_abs()),
        send_inline: false,
    }))
}

fn start(job: &ValidJob, revision: &str, now: Timestamp) -> Next {
    let message = uploading_message(job);
    let status = IngestJobStatus {
        model_revision: Some(revision.into()),
        start_time: Some(clock::text(now)),
        waiting: Some(clock::minutes(job.created, now)),
        processing: Some("00:00".into()),
        progress: Some("0%".into()),
        ..status(JobState::Uploading, reasons::WAITING_FOR_UPLOAD, message)
    };
    Next::Write(Box::new(Write {
        status,
        exclusive: true,
        told: Some(Told::normal("Started", format!("judged by revision {revision}"))),
        again: Some(Duration::from_secs(1)),
        send_inline: job.inline,
    }))
}

fn running(job: &ValidJob, start: Timestamp, now: Timestamp) -> Next {
    if job.cancel {
        let message = format!("cancelled after {} rows; rows loaded so far stay", job.counts.total);
        return end(job, Some(start), JobState::Cancelled, reasons::CANCELLED, message, now);
    }
    let (state, reason) = of_progress(&job.upload, &job.counts, &job.policy);
    if state.is_end() {
        let message = end_message(job, &reason);
        return end(job, Some(start), state, &reason, message, now);
    }
    if job.model == ModelState::Absent {
        let message =
            format!("model '{}' was deleted while the job ran; rows loaded so far stay", job.model_name);
        return end(job, Some(start), JobState::Failed, reasons::MODEL_NOT_FOUND, message, now);
    }
    let mut again = tick(elapsed(start, now));
    if !job.upload.complete {
        let left = job.upload_deadline.saturating_sub(now.duration_since(start));
        if left <= SignedDuration::ZERO {
            let message = format!(
                "the upload was not complete within {} s of the job's start (spec.uploadDeadlineSeconds); rows loaded so far stay",
                job.upload_deadline.as_secs()
            );
            return end(job, Some(start), JobState::Failed, reasons::UPLOAD_EXPIRED, message, now);
        }
        again = again.min(left);
    }
    let message = match state {
        JobState::Uploading => uploading_message(job),
        _ => with_problem(job, "the upload is complete; rows are being checked and loaded"),
    };
    let status = IngestJobStatus {
        model_revision: job.status.model_revision.clone(),
        start_time: job.status.start_time.clone(),
        waiting: job.status.waiting.clone(),
        processing: Some(clock::minutes(start, now)),
        progress: Some(format!("{}%", percent(&job.upload, &job.counts, false))),
        ..status(state, &reason, message)
    };
    Next::Write(Box::new(Write {
        status,
        exclusive: false,
        told: None,
        again: Some(again.unsigned_abs()),
        send_inline: job.inline && !job.upload.complete,
    }))
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
    for (type_, is) in [(conditions::COMPLETE, complete), (conditions::FAILED, !complete)] {
        let condition = Condition {
            type_: type_.into(),
            status: if is { "True" } else { "False" }.into(),
            reason: reason.into(),
            message: message.clone(),
            ..Condition::default()
        };
        set_condition(&mut list, condition, &clock::seconds(now));
    }
    let told = if complete { Told::normal(reason, &message) } else { Told::warning(reason, &message) };
    let finished = start.is_some() && job.upload.complete;
    let status = IngestJobStatus {
        model_revision: job.status.model_revision.clone(),
        start_time: job.status.start_time.clone(),
        completion_time: Some(clock::text(now)),
        waiting: job.status.waiting.clone().or_else(|| Some(clock::minutes(job.created, now))),
        processing: start.map(|start| clock::minutes(start, now)),
        // A job that was given up half-way does not claim to be done.
        progress: Some(format!(
            "{}%",
            percent(&job.upload, &job.counts, complete || finished && is_done(job))
        )),
        conditions: list,
        ..status(state, reason, message)
    };
    Next::Write(Box::new(Write {
        status,
        exclusive: true,
        told: Some(told),
        again: Some(job.ttl.unsigned_abs()),
        send_inline: false,
    }))
}

fn is_done(job: &ValidJob) -> bool {
    job.counts.total >= job.upload.rows
}

fn status(state: JobState, reason: &str, message: impl AsRef<str>) -> IngestJobStatus {
    IngestJobStatus {
        state: Some(state),
        reason: Some(reason.into()),
        message: Some(message.as_ref().chars().take(2048).collect()),
        ..IngestJobStatus::default()
    }
}

fn uploading_message(job: &ValidJob) -> String {
    if let Some(problem) = &job.inline_problem {
        return format!("the inline file has not reached the upload API: {problem}; retrying");
    }
    let text = match (job.inline, job.upload.bytes) {
        (true, _) => "the inline file is on its way",
        (false, 0) => "waiting for the file: PUT it to the upload API, or use batch job create",
        (false, _) => "the file is arriving; if it broke off, send it again to go on",
    };
    with_problem(job, text)
}

fn with_problem(job: &ValidJob, text: &str) -> String {
    match &job.model {
        ModelState::Ready { problem: Some(problem), .. } => {
            format!("{text}; the model is not ready: {problem}")
        }
        ModelState::NotNow { message, .. } => format!("{text}; {message}"),
        _ => text.to_owned(),
    }
}

fn end_message(job: &ValidJob, reason: &str) -> String {
    if let Some(error) = &job.upload.error {
        return error.message.clone();
    }
    let counts = &job.counts;
    let see = format!("see batch job rejected {}", job.name);
    match reason {
        reasons::TOO_MANY_ERRORS => {
            format!(
                "{} of {} rows were rejected, more than errorPolicy allows; rows loaded so far stay; {see}",
                counts.errors, counts.total
            )
        }
        reasons::ALL_ROWS_LOADED => format!("{} rows were loaded", counts.ok),
        reasons::ALL_ROWS_REJECTED => format!("all {} rows were rejected; {see}", counts.errors),
        _ => format!("{} of {} rows were loaded, {} rejected; {see}", counts.ok, counts.total, counts.errors),
    }
}

/// How often the time that is shown moves: each second at first, seldom later, so that a long job costs little.
fn tick(age: SignedDuration) -> SignedDuration {
    let seconds = match age.as_secs() {
        0..60 => 1,
        60..600 => 5,
        _ => 30,
    };
    SignedDuration::from_secs(seconds)
}

#[cfg(test)]
mod tests;
