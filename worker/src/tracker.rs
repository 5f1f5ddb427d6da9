//! The offsets, which Kafka's thread and the stages have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::offsets::Offsets;
use crate::redelivery;

/// The offsets, and a condition variable that is notified when the state of an offset changes.
#[derive(Debug, Default)]
pub struct Tracker {
    offsets: Mutex<Offsets>,
    state_changed: Condvar,
}

/// What a stage holds while it processes a record. If it is dropped unfinished, the record is abandoned: the offset of
/// the partition does not advance past it.
#[derive(Debug)]
pub struct Ticket {
    tracker: Arc<Tracker>,
    partition: i32,
    assignment: u64,
    offset: i64,
    finished: bool,
    maybe_delivered: bool,
}

impl Tracker {
    /// Returns the offsets. Hold the guard only for a short time.
    pub fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock()
    }

    /// Returns a ticket for a record that was taken; `None` if its partition is not assigned (any more).
    pub fn take(self: &Arc<Self>, partition: i32, offset: i64) -> Option<Ticket> {
        let (assignment, maybe_delivered) = self.offsets().take(partition, offset)?;
        Some(Ticket {
            tracker: self.clone(),
            partition,
            assignment,
            offset,
            finished: false,
            maybe_delivered,
        })
    }

    /// Waits until nothing of these partitions is in flight, at most `timeout`. `moved` receives the offsets to store.
    /// It does not wait for chunks whose batch is not complete: the worker that gets the partition next takes them
    /// again.
    pub fn drain(
        &self,
        partitions: &[i32],
        timeout: Duration,
        mut moved: impl FnMut(Vec<(i32, i64)>),
    ) -> bool {
        let end = Instant::now() + timeout;
        loop {
            let mut offsets = self.offsets();
            let ready = offsets.moved();
            let idle = offsets.in_flight(partitions) == 0;
            if ready.is_empty() && !idle {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                self.state_changed.wait_for(&mut offsets, left);
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
    /// Returns whether work on the record still makes sense: its partition is assigned and not being revoked.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.tracker.offsets().is_ours(self.partition, self.assignment)
    }

    /// Notes that the record is in its batch, which waits for more.
    pub fn set_waiting(&self) {
        self.tracker.offsets().set_waiting(self.partition, self.assignment, self.offset);
    }

    /// Notes that its batch is complete and will be inserted. Returns false if its partition is not assigned or is
    /// being revoked.
    #[must_use]
    pub fn set_in_flight(&self) -> bool {
        self.tracker.offsets().set_in_flight(self.partition, self.assignment, self.offset)
    }

    /// Returns whether the record may have been delivered before, to this worker or another.
    #[must_use]
    pub fn is_maybe_delivered(&self) -> bool {
        self.maybe_delivered
    }

    /// Returns the offset up to which every record of its assignment is in its batch or finished. `None` if the
    /// partition is no longer assigned.
    #[must_use]
    pub fn arrived(&self) -> Option<i64> {
        self.tracker.offsets().arrived(self.partition, self.assignment)
    }

    /// Returns how long after `now` an INSERT may still take effect that began before the partition was assigned.
    #[must_use]
    pub fn late_inserts(&self, now: Instant) -> Duration {
        let assigned_at = self.tracker.offsets().assigned_at(self.partition, self.assignment);
        assigned_at.map_or(Duration::ZERO, |assigned_at| redelivery::late_inserts(assigned_at, now))
    }

    /// Returns whether every record that was in the partition when it was assigned is in its batch.
    #[must_use]
    pub fn is_past_end(&self) -> bool {
        self.tracker.offsets().is_past_end(self.partition, self.assignment)
    }

    /// Returns the number of the partition's assignment.
    #[must_use]
    pub fn assignment(&self) -> u64 {
        self.assignment
    }

    /// Returns whether work that has begun on the record may continue: its partition is assigned, even if it is being
    /// revoked.
    #[must_use]
    pub fn is_assigned(&self) -> bool {
        self.tracker.offsets().is_assigned(self.partition, self.assignment)
    }

    /// Returns a function for the same check, for callers that cannot have the ticket.
    pub fn assigned(&self) -> impl Fn() -> bool + Send + use<> {
        let (tracker, partition, assignment) = (self.tracker.clone(), self.partition, self.assignment);
        move || tracker.offsets().is_assigned(partition, assignment)
    }

    /// Notes that nothing more has to be done for the record: its offset may be stored.
    pub fn finish(mut self) {
        self.finished = true;
        self.tracker.offsets().finish(self.partition, self.assignment, self.offset);
        self.tracker.state_changed.notify_all();
    }

    /// Returns partition and offset, for a log line.
    #[must_use]
    pub fn position(&self) -> (i32, i64) {
        (self.partition, self.offset)
    }

    /// Returns a number that grows with each assignment. Caches of an older assignment are outdated.
    #[must_use]
    pub fn assignments(&self) -> u64 {
        self.tracker.offsets().assignments()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished {
            self.tracker.offsets().abandon(self.partition, self.assignment, self.offset);
            self.tracker.state_changed.notify_all();
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
    fn the_offset_of_a_dropped_ticket_is_not_committed() {
        let tracker = Arc::new(Tracker::default());
        tracker.offsets().assign(0, Some(0), Instant::now());
        let (first, second) = (ticket(&tracker, 5), ticket(&tracker, 6));
        drop(first);
        second.finish();
        assert_eq!(tracker.offsets().moved(), []);
    }

    #[test]
    fn inserts_of_the_previous_owner_of_a_partition_may_be_stored_for_a_while() {
        let (tracker, start) = (Arc::new(Tracker::default()), Instant::now());
        tracker.offsets().assign(0, Some(0), start);
        let ticket = ticket(&tracker, 5);
        assert_eq!(ticket.late_inserts(start), redelivery::LATE_INSERT);
        assert_eq!(ticket.late_inserts(start + redelivery::LATE_INSERT), Duration::ZERO);
        tracker.offsets().assign(0, Some(0), start);
        assert_eq!(ticket.late_inserts(start), Duration::ZERO, "it is not ours any more");
    }

    #[test]
    fn a_drain_ends_when_the_last_ticket_in_flight_is_finished_and_returns_every_offset() {
        let tracker = Arc::new(Tracker::default());
        tracker.offsets().assign(0, Some(0), Instant::now());
        let work = ticket(&tracker, 5);
        let _open = ticket(&tracker, 6);
        assert!(work.set_in_flight());
        let worker = std::thread::spawn(move || work.finish());
        let mut stored = vec![];
        assert!(tracker.drain(&[0], Duration::from_mins(1), |moved| stored.extend(moved)));
        worker.join().unwrap();
        assert_eq!(stored, [(0, 6)]);
    }

    #[test]
    fn a_drain_ends_after_its_timeout() {
        let tracker = Arc::new(Tracker::default());
        tracker.offsets().assign(0, Some(0), Instant::now());
        let work = ticket(&tracker, 5);
        assert!(work.set_in_flight());
        assert!(!tracker.drain(&[0], Duration::from_millis(1), |_| ()));
    }
}
