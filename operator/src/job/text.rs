//! The texts of a job's message.

use crds::state::{JobState, reasons};

use super::validate::{ModelState, ValidJob};
use crate::ledger::{self, ChunkRange};

/// The message while a job waits for its model, or for the history.
#[must_use]
pub fn absent_model(job: &ValidJob) -> String {
    format!("there is no model '{}' in the job's namespace; the job starts when there is", job.model_name)
}

/// The message while a job runs.
#[must_use]
pub fn running(job: &ValidJob, state: JobState) -> String {
    match state {
        JobState::Uploading => with_problem(job, &uploading(job)),
        JobState::Blocked => blocked(job),
        _ => with_problem(job, "the upload is complete; rows are being checked and loaded"),
    }
}

fn uploading(job: &ValidJob) -> String {
    if let Some(problem) = &job.inline_problem {
        return format!("the inline file has not reached the upload API: {problem}; retrying");
    }
    match (job.inline, job.upload.bytes) {
        (true, _) => "the inline file is on its way",
        (false, 0) => "waiting for the file: PUT it to the upload API, or use batch job create",
        (false, _) => "the file is arriving; if it broke off, send it again to continue",
    }
    .to_owned()
}

fn with_problem(job: &ValidJob, text: &str) -> String {
    if let Some(problem) = &job.problem {
        return format!(
            "{text}; chunks cannot be loaded now: {}: {}; retrying",
            problem.reason, problem.message
        );
    }
    match &job.model {
        ModelState::Ready { problem: Some(problem), .. } => {
            format!("{text}; the model is not ready: {problem}")
        }
        ModelState::NotNow { message, .. } => format!("{text}; {message}"),
        _ => text.to_owned(),
    }
}

/// The message of a blocked job: which chunks are refused, why, and what to do.
fn blocked(job: &ValidJob) -> String {
    let (ranges, first) =
        job.ledger.as_ref().map(|reading| ledger::parked(&reading.lines)).unwrap_or_default();
    let which =
        if ranges.is_empty() { String::new() } else { format!(" (chunks {})", ledger::text(&ranges)) };
    let why = match (&job.problem, first) {
        (Some(problem), _) => format!(": {}: {}", problem.reason, problem.message),
        (None, Some(line)) => format!(": {}: {}", line.reason, line.message),
        (None, None) => String::new(),
    };
    let model = &job.model_name;
    format!(
        "ClickHouse refuses {} of {} chunks{which}{why}; they wait in the dead-letter topic: see batch dlq list {model}, load them \
         again with batch dlq requeue {model}, or give them up with batch dlq drop {model}",
        job.counts.chunks_parked, job.upload.chunks
    )
}

/// The message when chunks disappeared from Kafka.
#[must_use]
pub fn lost(job: &ValidJob, missing: &[ChunkRange]) -> String {
    format!(
        "chunks {} of {} were deleted from Kafka before they were loaded (retention, or the topic was deleted); rows \
         loaded so far stay: {} of {}; load the file again as a new job",
        ledger::text(missing),
        job.upload.chunks,
        job.counts.ok,
        job.upload.rows
    )
}

/// The message when a job has ended without being cancelled.
#[must_use]
pub fn end(job: &ValidJob, reason: &str) -> String {
    if let Some(error) = &job.upload.error {
        return error.message.clone();
    }
    if let Some(problem) = job.problem.as_ref().filter(|problem| problem.fatal && problem.reason == reason) {
        return problem.message.clone();
    }
    let (counts, upload) = (&job.counts, &job.upload);
    let hint = format!("see batch job rejected {}", job.name);
    match reason {
        reasons::TOO_MANY_ERRORS => {
            format!(
                "{} of {} rows were rejected, more than errorPolicy allows; rows loaded so far stay; {hint}",
                counts.errors, counts.total
            )
        }
        reasons::CHUNKS_DROPPED => {
            format!(
                "{} of {} chunks were given up (batch dlq drop); {} of {} rows were loaded and stay",
                counts.chunks_dropped, upload.chunks, counts.ok, upload.rows
            )
        }
        reasons::CHUNK_CONFLICT => {
            format!(
                "the ledger has {} chunks with {} rows, the upload sent {} with {}: chunks of two files came under the same \
                 numbers; rows loaded so far stay; delete them by _job and load the file again as a new job",
                counts.chunks_done, counts.total, upload.chunks, upload.rows
            )
        }
        reasons::ALL_ROWS_LOADED => format!("{} rows were loaded", counts.ok),
        reasons::ALL_ROWS_REJECTED => format!("all {} rows were rejected; {hint}", counts.errors),
        _ => {
            format!("{} of {} rows were loaded, {} rejected; {hint}", counts.ok, counts.total, counts.errors)
        }
    }
}
