//! Tables: the plain table, and the table of jobs, which has the column positions of the quick start.

use std::io::Write;

use anyhow::Result;
use crds::IngestJob;
use crds::state::JobState;

use super::{bar, csv};
use crate::args::Output;

/// Rows under headings. Each column is as wide as its widest cell, with two spaces between columns.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Makes a table that has only headings.
    pub fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Prints the table as CSV if `output` says so, otherwise for people.
    pub fn print(&self, output: Output, out: &mut impl Write) -> Result<()> {
        if output == Output::Csv {
            for row in &self.rows {
                csv::record(row.iter().map(String::as_str), out)?;
            }
            return Ok(());
        }
        let width = |at: usize| self.rows.iter().map(|r| r[at].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The widths of the two columns in the table of jobs that grow with their content.
#[derive(Clone, Copy, Debug)]
pub struct Widths {
    job: usize,
    model: usize,
}

impl Widths {
    /// Returns widths that are wide enough for all of these jobs, and not narrower than in the quick start.
    pub fn of<'a>(jobs: impl IntoIterator<Item = &'a IngestJob>) -> Self {
        jobs.into_iter().fold(Self { job: 8, model: 11 }, |widths, job| Self {
            job: widths.job.max(name_of(job).chars().count()),
            model: widths.model.max(job.spec.model_ref.name.chars().count()),
        })
    }

    /// Returns the line of headings.
    pub fn headings(self) -> String {
        format!(
            "{:<job$} {:<model$} {:<15} TOTAL   OK      ERRORS  PROGRESS      WAITING  PROCESSING",
            "JOB",
            "MODEL",
            "STATE",
            job = self.job,
            model = self.model
        )
    }

    /// Returns the line of one job.
    pub fn line(self, job: &IngestJob) -> String {
        let [name, model, state, total, ok, errors, progress, waiting, processing] = cells(job);
        format!(
            "{name:<w_job$} {model:<w_model$} {state:<15} {total:>7} {ok:>7} {errors:>7} {bar}   {waiting:>5}        {processing:>5}",
            bar = bar::of_progress(&progress),
            w_job = self.job,
            w_model = self.model,
        )
    }
}

/// Returns the cells of a job's line. A count that the status does not have yet is 0.
pub fn cells(job: &IngestJob) -> [String; 9] {
    let status = job.status.clone().unwrap_or_default();
    let counts = status.counts.unwrap_or_default();
    let no_time = || "00:00".to_owned();
    [
        name_of(job).to_owned(),
        job.spec.model_ref.name.clone(),
        state_of(job).as_str().to_owned(),
        counts.total.to_string(),
        counts.ok.to_string(),
        counts.errors.to_string(),
        status.progress.unwrap_or_else(|| "0%".to_owned()),
        status.waiting.unwrap_or_else(no_time),
        status.processing.unwrap_or_else(no_time),
    ]
}

/// Returns the state of the job: PENDING until the operator has seen it.
pub fn state_of(job: &IngestJob) -> JobState {
    job.status.as_ref().and_then(|s| s.state).unwrap_or(JobState::Pending)
}

/// Returns the name of the job.
pub fn name_of(job: &IngestJob) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}

/// Prints the headings and the lines of jobs.
pub fn print_jobs(jobs: &[IngestJob], output: Output, out: &mut impl Write) -> Result<()> {
    if output == Output::Csv {
        let headings =
            ["JOB", "MODEL", "STATE", "TOTAL", "OK", "ERRORS", "PROGRESS", "WAITING", "PROCESSING"];
        csv::record(headings, out)?;
        for job in jobs {
            csv::record(cells(job).iter().map(String::as_str), out)?;
        }
        return Ok(());
    }
    let widths = Widths::of(jobs);
    writeln!(out, "{}", widths.headings())?;
    for job in jobs {
        writeln!(out, "{}", widths.line(job))?;
    }
    Ok(())
}

/// Prints what a person needs to know about a job with a problem: the cause, the kinds of errors, and what to do next.
pub fn print_why(job: &IngestJob, out: &mut impl Write) -> Result<()> {
    let status = job.status.clone().unwrap_or_default();
    match (state_of(job), &status.load_problem) {
        (JobState::Failed | JobState::Pending | JobState::Cancelled | JobState::Blocked, _) => {
            let reason = status.reason.as_deref().unwrap_or("NotSeenYet");
            let message = status.message.as_deref().unwrap_or("the operator has not seen the job yet");
            writeln!(out, "\n{reason}: {message}")?;
        }
        (JobState::Processing | JobState::Uploading, Some(problem)) => {
            writeln!(out, "\n{}: {}", problem.reason, problem.message)?;
        }
        _ => {}
    }
    if status.error_summary.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = Table::new(["COLUMN", "ERROR", "COUNT", "FIRST ROW", "SAMPLE"]);
    for kind in &status.error_summary {
        table.row([
            kind.column.clone(),
            kind.error.clone(),
            kind.count.to_string(),
            kind.first_row.to_string(),
            kind.sample.escape_debug().to_string(),
        ]);
    }
    table.print(Output::Table, out)?;
    writeln!(out, "\nEvery bad cell: batch job rejected {}", name_of(job))?;
    Ok(())
}

#[cfg(test)]
mod tests;
