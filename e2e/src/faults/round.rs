//! One round: loads start and faults strike, then everything is waited for and checked.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::check::{self, Checked};
use super::load::{Files, Load, write_files};
use super::outcomes::Struck;
use super::plan::{Fault, JobPlan, Round, Strike};
use super::report::Report;
use super::strike::{self, Outcome};
use super::system::System;
use super::watcher::Watcher;

/// How long after the last fault every job must have ended.
const LIMIT: Duration = Duration::from_secs(420);

/// What rounds of one namespace share.
pub struct Stage<'a> {
    /// What is reached.
    pub system: &'a System,
    /// What is seen.
    pub watcher: &'a Watcher,
    /// Tables by model.
    pub tables: &'a BTreeMap<String, String>,
    /// Numbers.
    pub report: &'a Report,
}

/// A fault that was done, and when.
struct Done {
    fault: Fault,
    from: Instant,
    to: Instant,
}

impl Stage<'_> {
    /// Does a round. The outer error is of the suite, the inner one what is not as it should be.
    pub fn run(&self, round: &Round) -> Result<Result<Vec<Checked>, Vec<String>>> {
        let files: Vec<Files> =
            round.jobs.iter().map(|job| write_files(self.system, job)).collect::<Result<_>>()?;
        let began = Instant::now();
        let last = round.strikes.iter().map(|s| s.at_ms).chain(round.jobs.iter().map(|j| j.start_ms)).max();
        let end = began + Duration::from_millis(last.unwrap_or(0)) + LIMIT;
        let done: Mutex<Vec<Done>> = Mutex::default();
        let failed: Mutex<Vec<String>> = Mutex::default();
        let names: Vec<String> = round.jobs.iter().map(|job| job.name.clone()).collect();
        let fail = |text: String| failed.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        thread::scope(|scope| {
            for (job, files) in round.jobs.iter().zip(&files) {
                let fail = &fail;
                scope.spawn(move || {
                    sleep_until(began + Duration::from_millis(job.start_ms));
                    let (system, watcher, resumed) = (self.system, self.watcher, &self.report.resumed);
                    let sent = Load { system, watcher, job, files, end, resumed }.send();
                    if let Err(error) = sent {
                        return fail(format!("job {}: {error:#}\n{}", job.name, self.explain(&job.name)));
                    }
                    let ended = watcher.wait(&job.name, end, |seen| {
                        seen.status.ended() && (seen.visible || !seen.status.finished())
                    });
                    if ended.is_none() {
                        fail(format!("job {} does not end\n{}", job.name, self.explain(&job.name)));
                    }
                });
            }
            for strike in &round.strikes {
                let (done, names, fail) = (&done, &names, &fail);
                scope.spawn(move || {
                    sleep_until(began + Duration::from_millis(strike.at_ms));
                    match self.strike(strike, names) {
                        Ok(Some(one)) => done.lock().unwrap_or_else(PoisonError::into_inner).push(one),
                        Ok(None) => {}
                        Err(error) => fail(format!("the fault {strike:?} failed: {error:#}")),
                    }
                });
            }
        });
        self.report.round(&self.system.heal()?);
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !failed.is_empty() {
            return Ok(Err(failed));
        }
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut checked = vec![];
        for (job, files) in round.jobs.iter().zip(&files) {
            let struck = self.struck(job, &done);
            let table = self.tables.get(&job.model).context("a model of the run")?;
            match check::check(self.system, self.watcher, table, job, files, struck)? {
                Ok(job) => {
                    self.report.job(&job.job, &job.model, &job.seen);
                    checked.push(job);
                }
                Err(found) => {
                    failed.extend(found.into_iter().map(|what| format!("job {}: {what}", job.name)));
                }
            }
        }
        if !failed.is_empty() {
            return Ok(Err(failed));
        }
        for file in files.iter().flat_map(|f| [Some(&f.file), f.other.as_ref()]).flatten() {
            fs::remove_file(file)?;
        }
        Ok(Ok(checked))
    }

    fn strike(&self, strike: &Strike, names: &[String]) -> Result<Option<Done>> {
        let struck = Mutex::new((Instant::now(), 0));
        let outcome = strike::strike(self.system, strike, &|| {
            *struck.lock().unwrap_or_else(PoisonError::into_inner) =
                (Instant::now(), self.watcher.under_way(names));
        })?;
        let (from, under_way) = struck.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.report.fault(&strike.fault, &outcome, under_way);
        let done = matches!(outcome, Outcome::Done(_));
        Ok(done.then(|| Done { fault: strike.fault.clone(), from, to: Instant::now() }))
    }

    /// What struck a job between its start and its end.
    fn struck(&self, job: &JobPlan, done: &[Done]) -> Struck {
        let seen = self.watcher.seen(&job.name).unwrap_or_default();
        let mut struck = Struck::default();
        for one in done {
            let meanwhile = seen.first_seen.is_none_or(|first| first <= one.to)
                && seen.ended.is_none_or(|ended| ended >= one.from);
            match &one.fault {
                Fault::Cancel { job: name } if *name == job.name => struck.cancelled = true,
                Fault::DeleteTopic { model } | Fault::DeleteRecords { model } if *model == job.model => {
                    struck.records_lost |= meanwhile;
                }
                _ => {}
            }
        }
        struck
    }

    /// What a person would look at when a job hangs.
    fn explain(&self, job: &str) -> String {
        let namespace = self.system.namespace.as_str();
        let look = |args: &[&str]| self.system.target.kubectl(args).unwrap_or_else(|e| e.to_string());
        let selector = "app.kubernetes.io/name=batch-worker";
        [
            look(&["get", "ingestjob", "-n", namespace, job, "-o", "yaml"]),
            look(&["get", "ingestmodels,pods", "-n", namespace]),
            look(&["logs", "-n", namespace, "-l", selector, "--tail=20", "--prefix"]),
        ]
        .join("\n")
    }
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}
