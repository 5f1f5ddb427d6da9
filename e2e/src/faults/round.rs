//! One round: loads start and faults are injected; then the round waits for all jobs and checks them.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use parking_lot::Mutex;

use super::check::{self, Checked};
use super::inject::{self, Outcome};
use super::load::{Files, Load, write_files};
use super::outcomes::JobFaults;
use super::plan::time::wait_until;
use super::plan::{Fault, Injection, JobPlan, Round};
use super::report::Report;
use super::system::System;
use super::watcher::Watcher;

/// How long after the last fault every job must have ended.
const LIMIT: Duration = Duration::from_secs(420);

/// What the rounds of one namespace share.
pub struct RoundContext<'a> {
    /// The parts that the rounds use.
    pub system: &'a System,
    /// The watcher of the jobs.
    pub watcher: &'a Watcher,
    /// The tables, by model.
    pub tables: &'a BTreeMap<String, String>,
    /// The counts of the run.
    pub report: &'a Report,
}

/// A fault that was injected, and when.
struct Done {
    fault: Fault,
    from: Instant,
    to: Instant,
}

impl RoundContext<'_> {
    /// Runs a round. The outer error is a failure of the suite; the inner error has the differences that were found.
    pub fn run(&self, round: &Round) -> Result<Result<Vec<Checked>, Vec<String>>> {
        let files: Vec<Files> =
            round.jobs.iter().map(|job| write_files(self.system, job)).collect::<Result<_>>()?;
        let began = Instant::now();
        let last =
            round.injections.iter().map(|s| s.at_ms).chain(round.jobs.iter().map(|j| j.start_ms)).max();
        let end = began + Duration::from_millis(last.unwrap_or(0)) + LIMIT;
        let done: Mutex<Vec<Done>> = Mutex::default();
        let failed: Mutex<Vec<String>> = Mutex::default();
        let names: Vec<String> = round.jobs.iter().map(|job| job.name.clone()).collect();
        let fail = |text: String| failed.lock().push(text);
        thread::scope(|scope| {
            for (job, files) in round.jobs.iter().zip(&files) {
                let fail = &fail;
                scope.spawn(move || {
                    wait_until(began + Duration::from_millis(job.start_ms));
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
            for injection in &round.injections {
                let (done, names, fail) = (&done, &names, &fail);
                scope.spawn(move || {
                    wait_until(began + Duration::from_millis(injection.at_ms));
                    match self.inject(injection, names) {
                        Ok(Some(one)) => done.lock().push(one),
                        Ok(None) => {}
                        Err(error) => fail(format!("the fault {injection:?} failed: {error:#}")),
                    }
                });
            }
        });
        self.report.round(&self.system.restart_dead_parts()?);
        let mut failed = failed.into_inner();
        if !failed.is_empty() {
            return Ok(Err(failed));
        }
        let done = done.into_inner();
        let mut checked = vec![];
        for (job, files) in round.jobs.iter().zip(&files) {
            let faults = self.faults_of(job, &done);
            let table = self.tables.get(&job.model).context("a model of the run")?;
            match check::check(self.system, self.watcher, table, job, files, faults)? {
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

    fn inject(&self, injection: &Injection, names: &[String]) -> Result<Option<Done>> {
        let injected = Mutex::new((Instant::now(), 0));
        let outcome = inject::inject(self.system, injection, &|| {
            *injected.lock() = (Instant::now(), self.watcher.under_way(names));
        })?;
        let (from, under_way) = injected.into_inner();
        self.report.fault(&injection.fault, &outcome, under_way);
        let done = matches!(outcome, Outcome::Done(_));
        Ok(done.then(|| Done { fault: injection.fault.clone(), from, to: Instant::now() }))
    }

    /// Returns the faults that affected a job between its start and its end.
    fn faults_of(&self, job: &JobPlan, done: &[Done]) -> JobFaults {
        let seen = self.watcher.seen(&job.name).unwrap_or_default();
        let mut faults = JobFaults::default();
        for one in done {
            let during_job = seen.first_seen.is_none_or(|first| first <= one.to)
                && seen.ended.is_none_or(|ended| ended >= one.from);
            match &one.fault {
                Fault::Cancel { job: name } if *name == job.name => faults.cancelled = true,
                Fault::DeleteTopic { model } | Fault::DeleteRecords { model } if *model == job.model => {
                    faults.records_lost |= during_job;
                }
                _ => {}
            }
        }
        faults
    }

    /// Returns what a person would look at when a job hangs.
    fn explain(&self, job: &str) -> String {
        let namespace = self.system.namespace.as_str();
        let kubectl = |args: &[&str]| self.system.target.kubectl(args).unwrap_or_else(|e| e.to_string());
        let selector = "app.kubernetes.io/name=batch-worker";
        [
            kubectl(&["get", "ingestjob", "-n", namespace, job, "-o", "yaml"]),
            kubectl(&["get", "ingestmodels,pods", "-n", namespace]),
            kubectl(&["logs", "-n", namespace, "-l", selector, "--tail=20", "--prefix"]),
        ]
        .join("\n")
    }
}
