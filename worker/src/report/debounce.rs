//! Decides when the progress of a job is written to its status. Pure: the clock is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::backoff;

/// A job is written at most once in this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// The jobs with progress to write, and those that were written recently.
#[derive(Debug, Default)]
pub struct Debounce {
    jobs: HashMap<String, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    dirty: bool,
    written: Option<Instant>,
    /// Whether the last write came before the interval had passed.
    early: bool,
    failures: u32,
    not_before: Option<Instant>,
}

impl Entry {
    /// Returns when the job must be written. A job with nothing in flight may have just ended: it need not wait for the
    /// interval, but not twice in a row.
    fn due(&self, idle: bool) -> Option<Instant> {
        let written = self.written?;
        let regular = if idle && !self.early { written } else { written + INTERVAL };
        Some(self.not_before.map_or(regular, |t| t.max(regular)))
    }
}

impl Debounce {
    /// Notes that a job has made progress.
    pub fn note(&mut self, uid: &str) {
        match self.jobs.get_mut(uid) {
            Some(entry) => entry.dirty = true,
            None => {
                self.jobs.insert(uid.to_owned(), Entry { dirty: true, ..Entry::default() });
            }
        }
    }

    /// Returns the jobs to write now. Their progress counts as written.
    pub fn due(&mut self, now: Instant, idle: impl Fn(&str) -> bool) -> Vec<String> {
        self.jobs.retain(|_, e| e.dirty || e.written.is_some_and(|written| now < written + INTERVAL));
        let mut due = Vec::new();
        for (uid, entry) in &mut self.jobs {
            let at = entry.due(idle(uid)).or(entry.not_before);
            if entry.dirty && at.is_none_or(|at| at <= now) {
                entry.dirty = false;
                due.push(uid.clone());
            }
        }
        due
    }

    /// Returns all jobs with progress to write.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.jobs.iter().filter(|(_, e)| e.dirty).map(|(uid, _)| uid.clone()).collect()
    }

    /// Returns how long to wait until a job must be written; `None` if there is nothing to write.
    #[must_use]
    pub fn wait(&self, now: Instant, idle: impl Fn(&str) -> bool) -> Option<Duration> {
        let at = |(uid, e): (&String, &Entry)| e.due(idle(uid)).or(e.not_before).unwrap_or(now);
        let dirty = self.jobs.iter().filter(|(_, e)| e.dirty);
        dirty.map(at).min().map(|at| at.saturating_duration_since(now))
    }

    /// Notes that a job was written.
    pub fn written(&mut self, uid: &str, now: Instant) {
        if let Some(entry) = self.jobs.get_mut(uid) {
            entry.early = entry.written.is_some_and(|written| now < written + INTERVAL);
            entry.written = Some(now);
            entry.failures = 0;
            entry.not_before = None;
        }
    }

    /// Notes that a job could not be written: its progress is written later.
    pub fn failed(&mut self, uid: &str, now: Instant) {
        if let Some(entry) = self.jobs.get_mut(uid) {
            entry.dirty = true;
            entry.not_before = Some(now + backoff::delay(entry.failures, u64::MAX));
            entry.failures = entry.failures.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: fn(&str) -> bool = |_| false;
    const IDLE: fn(&str) -> bool = |_| true;

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_progress_is_written_at_once_and_the_next_after_a_second() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        debounce.note("a");
        assert_eq!(debounce.wait(start, BUSY), Some(Duration::ZERO));
        assert_eq!(debounce.due(start, BUSY), ["a"]);
        debounce.written("a", start);
        debounce.note("a");
        assert!(debounce.due(ms(start, 999), BUSY).is_empty());
        assert_eq!(debounce.wait(ms(start, 400), BUSY), Some(Duration::from_millis(600)));
        assert_eq!(debounce.due(ms(start, 1000), BUSY), ["a"]);
        assert_eq!(debounce.due(ms(start, 5000), BUSY), [""; 0], "nothing to write");
    }

    #[test]
    fn the_end_of_a_job_is_written_at_once_but_not_twice_in_a_row() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        for (at, due) in [(0, true), (100, true), (200, false), (1100, true), (1200, true), (1300, false)] {
            debounce.note("a");
            let now = ms(start, at);
            assert_eq!(!debounce.due(now, IDLE).is_empty(), due, "at {at} ms");
            if due {
                debounce.written("a", now);
            }
        }
    }

    #[test]
    fn a_job_that_could_not_be_written_waits_longer_each_time_and_is_not_removed() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        debounce.note("a");
        assert_eq!(debounce.due(start, BUSY).len(), 1);
        debounce.failed("a", start);
        assert_eq!(debounce.wait(start, BUSY), Some(Duration::from_millis(100)));
        assert!(debounce.due(ms(start, 99), BUSY).is_empty());
        assert_eq!(debounce.due(ms(start, 100), BUSY).len(), 1);
        debounce.failed("a", ms(start, 100));
        assert_eq!(debounce.wait(ms(start, 100), BUSY), Some(Duration::from_millis(200)));
        assert_eq!(debounce.all(), ["a"]);
    }

    #[test]
    fn a_job_without_progress_is_removed() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        debounce.note("a");
        debounce.due(start, BUSY);
        debounce.written("a", start);
        debounce.due(ms(start, 1000), BUSY);
        assert!(debounce.jobs.is_empty());
    }

    #[test]
    fn jobs_do_not_wait_for_each_other() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        debounce.note("a");
        debounce.due(start, BUSY);
        debounce.written("a", start);
        debounce.note("a");
        debounce.note("b");
        assert_eq!(debounce.due(ms(start, 1), BUSY), ["b"]);
    }
}
