//! The results of a run: lines while it runs, and counts at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use super::inject::Outcome;
use super::plan::Fault;
use super::watcher::Seen;

/// The counts of a run. All its threads share them.
pub struct Report {
    began: Instant,
    numbers: Mutex<Numbers>,
    /// The number of uploads that were resumed.
    pub resumed: AtomicU64,
}

#[derive(Debug, Default)]
struct Numbers {
    jobs: BTreeMap<String, u64>,
    rows: u64,
    loaded: u64,
    rejected: u64,
    bytes: u64,
    updates: u64,
    rounds: u64,
    restarted: u64,
    /// By kind: the number of all faults, and of those during which loads ran.
    faults: BTreeMap<String, (u64, u64)>,
    nothing: u64,
}

impl Default for Report {
    fn default() -> Self {
        Self { began: Instant::now(), numbers: Mutex::default(), resumed: AtomicU64::new(0) }
    }
}

impl Report {
    /// Prints a line with the time.
    pub fn line(&self, text: fmt::Arguments) {
        println!("{:7.1} s  {text}", self.began.elapsed().as_secs_f64());
    }

    /// Counts and prints a fault that was injected.
    pub fn fault(&self, fault: &Fault, outcome: &Outcome, under_way: usize) {
        let kind = fault.kind();
        let mut numbers = self.lock();
        match outcome {
            Outcome::Done(what) => {
                let counted = numbers.faults.entry(kind.clone()).or_default();
                counted.0 += 1;
                counted.1 += u64::from(under_way > 0);
                drop(numbers);
                self.line(format_args!("fault  {kind}: {what}; {under_way} loads under way"));
            }
            Outcome::Nothing(why) => {
                numbers.nothing += 1;
                drop(numbers);
                self.line(format_args!("fault  {kind}: not done, {why}"));
            }
        }
    }

    /// Counts and prints a job without differences.
    pub fn job(&self, job: &str, model: &str, seen: &Seen) {
        let status = &seen.status;
        let mut numbers = self.lock();
        *numbers.jobs.entry(format!("{} {}", status.state, status.reason)).or_default() += 1;
        numbers.rows += status.counts.total;
        numbers.loaded += status.counts.ok;
        numbers.rejected += status.counts.errors;
        numbers.bytes += status.upload.bytes;
        numbers.updates += seen.updates;
        drop(numbers);
        self.line(format_args!(
            "job    {job} ({model}): {} {}, {} ok, {} bad, {} chunks, {} updates seen",
            status.state,
            status.reason,
            status.counts.ok,
            status.counts.errors,
            status.upload.chunks,
            seen.updates
        ));
    }

    /// Counts a round, and the parts that died in it without an injected fault.
    pub fn round(&self, restarted: &[&str]) {
        let mut numbers = self.lock();
        numbers.rounds += 1;
        numbers.restarted += restarted.len() as u64;
        drop(numbers);
        if !restarted.is_empty() {
            self.line(format_args!("       started again: {}", restarted.join(", ")));
        }
    }

    /// Returns the number of faults so far, and of those during which loads ran.
    #[must_use]
    pub fn faults(&self) -> (u64, u64) {
        self.lock().faults.values().fold((0, 0), |sum, kind| (sum.0 + kind.0, sum.1 + kind.1))
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, under_way) = self.faults();
        let numbers = self.lock();
        let jobs: u64 = numbers.jobs.values().sum();
        writeln!(
            f,
            "{} rounds in {:.0} min: {jobs} jobs, {} rows ({} loaded, {} rejected), {:.1} GB, {} status updates seen, \
             {} uploads taken up again",
            numbers.rounds,
            self.began.elapsed().as_secs_f64() / 60.0,
            numbers.rows,
            numbers.loaded,
            numbers.rejected,
            crate::faults::report::gigabytes(numbers.bytes),
            numbers.updates,
            self.resumed.load(Ordering::Relaxed)
        )?;
        for (end, count) in &numbers.jobs {
            writeln!(f, "{count:7} jobs   {end}")?;
        }
        writeln!(
            f,
            "{all} faults, {under_way} of them while loads were under way; {} not done",
            numbers.nothing
        )?;
        for (kind, (all, under_way)) in &numbers.faults {
            writeln!(f, "{all:7} faults {kind}, {under_way} under way of loads")?;
        }
        write!(f, "{} parts started again that had died by themselves", numbers.restarted)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::plan::Target;

    #[test]
    fn faults_are_counted_by_kind_and_by_whether_loads_were_under_way() {
        let report = Report::default();
        let fault = Fault::Kill { target: Target::Worker, down_ms: 0 };
        report.fault(&fault, &Outcome::Done("pid 1".into()), 3);
        report.fault(&fault, &Outcome::Done("pid 2".into()), 0);
        report.fault(&fault, &Outcome::Nothing("no worker runs".into()), 3);
        assert_eq!(report.faults(), (2, 1));
        let shown = report.to_string();
        assert!(shown.contains("2 faults kill worker, 1 under way of loads"), "{shown}");
        assert!(shown.contains("2 faults, 1 of them while loads were under way; 1 not done"), "{shown}");
    }
}
