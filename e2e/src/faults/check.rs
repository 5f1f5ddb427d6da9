//! Compares one job that has ended with its file.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::checker::{Stored, differences};
use super::expected::Expected;
use super::load::Files;
use super::observe::{self, Subject};
use super::outcomes::{JobFaults, allowed};
use super::plan::{JobPlan, model};
use super::system::System;
use super::watcher::{Seen, Watcher};

/// How long after the end of a job its last counts, its receipt and its history may arrive.
const COMPLETE_WITHIN: Duration = Duration::from_secs(60);

/// A job without differences.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its name.
    pub job: String,
    /// Its uid.
    pub uid: String,
    /// Its model.
    pub model: String,
    /// Its status.
    pub seen: Seen,
    /// What is stored for it.
    pub stored: Stored,
}

/// Compares a job that has ended with its file. The inner error has the differences, if there are any.
pub fn check(
    system: &System,
    watcher: &Watcher,
    table: &str,
    job: &JobPlan,
    files: &Files,
    faults: JobFaults,
) -> Result<Result<Checked, Vec<String>>> {
    let mut candidates = vec![files.file.as_path()];
    candidates.extend(files.other.as_deref());
    let shape = model(&job.model).context("a model of the run")?.shape;
    let expected =
        candidates.iter().map(|file| Expected::of(file, shape, job.format)).collect::<Result<Vec<_>, _>>()?;
    let end = Instant::now() + COMPLETE_WITHIN;
    loop {
        let seen = watcher.seen(&job.name).context("a job that was never seen")?;
        let stored = system.keep_trying("to read what is stored", COMPLETE_WITHIN, || {
            observe::stored(system, table, shape, &seen.uid)
        })?;
        let mut first = None;
        for (file, expected) in candidates.iter().zip(&expected) {
            let mut found = differences(expected, &allowed(job, expected, faults), &seen.status, &stored);
            // Rows are compared one by one if the sums cannot be compared, and if the sums differ.
            if found.is_empty() && !seen.status.finished() || !found.is_empty() && Instant::now() >= end {
                found.extend(rows(system, table, job, file, &seen, expected)?);
            }
            if found.is_empty() && seen.wrong.is_empty() {
                let (job, model, uid) = (job.name.clone(), job.model.clone(), seen.uid.clone());
                return Ok(Ok(Checked { job, uid, model, seen, stored }));
            }
            first.get_or_insert(found);
        }
        if Instant::now() >= end || !seen.wrong.is_empty() {
            let updates = seen.wrong.iter().map(|wrong| format!("a status update: {wrong}"));
            return Ok(Err(updates.chain(first.unwrap_or_default()).collect()));
        }
        watcher.next_update(&job.name, Duration::from_secs(1));
    }
}

fn rows(
    system: &System,
    table: &str,
    job: &JobPlan,
    file: &Path,
    seen: &Seen,
    expected: &Expected,
) -> Result<Vec<String>> {
    let shape = model(&job.model).context("a model of the run")?.shape;
    let complete = seen.status.finished();
    let subject = Subject { table, shape, format: job.format, uid: &seen.uid, file, complete };
    let rejects =
        Subject { complete: complete && seen.status.counts.stored_errors == expected.bad_cells, ..subject };
    let found =
        [observe::first_row_difference(system, subject)?, observe::first_reject_difference(system, rejects)?];
    Ok(found.into_iter().flatten().collect())
}

/// Returns a difference if what is stored for a job has changed since it was checked. Later jobs and replays must not
/// change it.
pub fn unchanged(system: &System, table: &str, checked: &Checked) -> Result<Option<String>> {
    let shape = model(&checked.model).context("a model of the run")?.shape;
    let now = system.keep_trying("to read what is stored", COMPLETE_WITHIN, || {
        observe::stored(system, table, shape, &checked.uid)
    })?;
    let differs = now != checked.stored;
    Ok(differs.then(|| format!("{} was {:?} and is {now:?}", checked.job, checked.stored)))
}
