//! The offsets, shared between Kafka's thread and those who work on chunks.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::offsets::Offsets;

/// The offsets, and a bell that rings whenever one settles.
#[derive(Debug, Default)]
pub struct Tracker {
    offsets: Mutex<Offsets>,
    settled: Condvar,
}

/// What one has in hand while one works on a record. Dropped unfinished, the record is abandoned: its offset, and every
/// later one of the partition, stays where it is.
#[derive(Debug)]
pub struct Ticket {
    tracker: Arc<Tracker>,
    partition: i32,
    assignment: u64,
    offset: i64,
    finished: bool,
    /// One of the places for unreported chunks, once it is under way.
    pub place: Option<OwnedSemaphorePermit>,
}

impl Tracker {
    /// The offsets, for a moment.
    pub fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for a record that was taken; `None` if its partition is not ours (any more).
    pub fn take(self: &Arc<Self>, partition: i32, offset: i64) -> Option<Ticket> {
        let assignment = self.offsets().take(partition, offset)?;
        Some(Ticket { tracker: self.clone(), partition, assignment, offset, finished: false, place: None })
    }

    /// Waits until nothing of these partitions is in hand, at most `patience`. `moved` gets the offsets to store.
    pub fn drain(
        &self,
        partitions: &[i32],
        patience: Duration,
        mut moved: impl FnMut(Vec<(i32, i64)>),
    ) -> bool {
        let end = Instant::now() + patience;
        loop {
            let mut offsets = self.offsets();
            let ready = offsets.moved();
            let idle = offsets.in_hand(partitions) == 0;
            if ready.is_empty() && !idle {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                drop(self.settled.wait_timeout(offsets, left).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            drop(offsets);
            moved(ready);
            if idle {
                return true;
            }
        }
    }
}

impl Ticket {
    /// Whether work on the record still makes sense: its partition is ours and not leaving.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.tracker.offsets().is_ours(self.partition, self.assignment)
    }

    /// Nothing more is to be done about the record: its offset may be stored.
    pub fn finish(mut self) {
        self.finished = true;
        self.tracker.offsets().finish(self.partition, self.assignment, self.offset);
        self.tracker.settled.notify_all();
    }

    /// Partition and offset, for a log line.
    #[must_use]
    pub fn position(&self) -> (i32, i64) {
        (self.partition, self.offset)
    }

    /// Grows with each assignment; caches of an older one are stale.
    #[must_use]
    pub fn assignments(&self) -> u64 {
        self.tracker.offsets().assignments()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished {
            self.tracker.offsets().abandon(self.partition, self.assignment, self.offset);
            self.tracker.settled.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(tracker: &Arc<Tracker>, offset: i64) -> Ticket {
        tracker.take(0, offset).unwrap()
    }

    #[test]
    fn a_ticket_that_is_dropped_holds_its_offset_back() {
        let tracker = Arc::new(Tracker::default());
        tracker.offsets().assign(0);
        let (first, second) = (ticket(&tracker, 5), ticket(&tracker, 6));
        drop(first);
        second.finish();
        assert_eq!(tracker.offsets().moved(), []);
    }

    #[test]
    fn a_drain_ends_when_the_last_ticket_settles_and_tells_every_offset() {
        let tracker = Arc::new(Tracker::default());
        tracker.offsets().assign(0);
        let work = ticket(&tracker, 5);
        let worker = std::thread::spawn(move || work.finish());
        let mut stored = vec![];
        assert!(tracker.drain(&[0], Duration::from_mins(1), |moved| stored.extend(moved)));
        worker.join().unwrap();
        assert_eq!(stored, [(0, 6)]);
    }

    #[test]
    fn a_drain_gives_up_after_its_patience() {
        let tracker = Arc::new(Tracker::default());
        tracker.offsets().assign(0);
        let _work = ticket(&tracker, 5);
        assert!(!tracker.drain(&[0], Duration::from_millis(1), |_| ()));
    }
}
