//! Computes which offset of a partition may be stored: the one after the last of an uninterrupted sequence of finished
//! records.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// The records that were taken from each assigned partition, in the order in which they were taken.
#[derive(Debug, Default)]
pub struct Offsets {
    partitions: HashMap<i32, Partition>,
    assignments: u64,
}

#[derive(Debug)]
struct Partition {
    assignment: u64,
    assigned_at: Instant,
    being_revoked: bool,
    taken: VecDeque<(i64, State)>,
    /// The offset to store, if it has changed.
    next: Option<i64>,
    /// The end of the partition when it was assigned. Records before it may have been delivered before.
    end: i64,
    /// The offset after the last record that was taken.
    reached: i64,
    /// How many of `taken` are on their way to their batch or in it.
    waiting: usize,
    in_flight: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The record is on its way to its batch.
    Taken,
    /// The record is in its batch, which is not complete.
    Waiting,
    /// Its batch is being inserted, or waits for its report.
    InFlight,
    Finished,
    /// The record was dropped while the partition was revoked: no later offset may be stored.
    Abandoned,
}

impl Offsets {
    /// Notes that the partition is assigned from `now` on. `end` is its end offset if it is known. Records that were
    /// taken in an earlier assignment no longer count.
    pub fn assign(&mut self, partition: i32, end: Option<i64>, now: Instant) {
        self.assignments += 1;
        let new = Partition {
            assignment: self.assignments,
            assigned_at: now,
            being_revoked: false,
            taken: VecDeque::new(),
            next: None,
            end: end.unwrap_or(i64::MAX),
            reached: i64::MIN,
            waiting: 0,
            in_flight: 0,
        };
        self.partitions.insert(partition, new);
    }

    /// Notes that the partition is being revoked: no new work on it begins.
    pub fn begin_revoke(&mut self, partition: i32) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.being_revoked = true;
        }
    }

    /// Removes a revoked partition.
    pub fn remove(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// Notes that a record was taken. Returns its assignment, and whether it may have been delivered before; `None` if
    /// the partition is not assigned.
    pub fn take(&mut self, partition: i32, offset: i64) -> Option<(u64, bool)> {
        let partition = self.partitions.get_mut(&partition)?;
        partition.taken.push_back((offset, State::Taken));
        partition.waiting += 1;
        partition.reached = offset + 1;
        Some((partition.assignment, offset < partition.end))
    }

    /// Notes that the record is in its batch, which waits for more.
    pub fn set_waiting(&mut self, partition: i32, assignment: u64, offset: i64) {
        self.set_state(partition, assignment, offset, State::Waiting);
    }

    /// Returns the offset up to which every record of this assignment is in its batch or finished. `None` if the
    /// partition is no longer assigned, or no record of it was taken.
    #[must_use]
    pub fn arrived(&self, partition: i32, assignment: u64) -> Option<i64> {
        let partition = self.assigned(partition, assignment).filter(|p| p.reached > i64::MIN)?;
        let is_pending = |(_, state): &&(i64, State)| matches!(state, State::Taken | State::Abandoned);
        Some(partition.taken.iter().find(is_pending).map_or(partition.reached, |(offset, _)| *offset))
    }

    /// Returns whether every record that existed at the assignment is in its batch. Always false if the end is not
    /// known.
    #[must_use]
    pub fn is_past_end(&self, partition: i32, assignment: u64) -> bool {
        let end = self.assigned(partition, assignment).map(|p| p.end);
        end.is_some_and(|end| self.arrived(partition, assignment).is_some_and(|arrived| arrived >= end))
    }

    /// Returns since when the partition is assigned; `None` if it no longer is.
    #[must_use]
    pub fn assigned_at(&self, partition: i32, assignment: u64) -> Option<Instant> {
        self.assigned(partition, assignment).map(|p| p.assigned_at)
    }

    /// Notes that the batch of the record is complete and will be inserted. Returns false if the partition is not
    /// assigned or is being revoked: then the insert must not begin.
    pub fn set_in_flight(&mut self, partition: i32, assignment: u64, offset: i64) -> bool {
        self.is_ours(partition, assignment)
            && self.set_state(partition, assignment, offset, State::InFlight).is_some()
    }

    /// Returns whether work on a record of this assignment still makes sense: the partition is not being revoked.
    #[must_use]
    pub fn is_ours(&self, partition: i32, assignment: u64) -> bool {
        self.assigned(partition, assignment).is_some_and(|p| !p.being_revoked)
    }

    /// Returns whether the partition is still assigned, even if it is being revoked: work that has begun may be
    /// finished.
    #[must_use]
    pub fn is_assigned(&self, partition: i32, assignment: u64) -> bool {
        self.assigned(partition, assignment).is_some()
    }

    /// Notes that nothing more has to be done for the record.
    pub fn finish(&mut self, partition: i32, assignment: u64, offset: i64) {
        let Some(partition) = self.set_state(partition, assignment, offset, State::Finished) else { return };
        while let Some((offset, State::Finished)) = partition.taken.front() {
            partition.next = Some(offset + 1);
            partition.taken.pop_front();
        }
    }

    /// Notes that the record was dropped. Kafka delivers it again, to this worker or another.
    pub fn abandon(&mut self, partition: i32, assignment: u64, offset: i64) {
        self.set_state(partition, assignment, offset, State::Abandoned);
    }

    /// Returns the offsets that have changed since the last call: partition and next offset.
    pub fn moved(&mut self) -> Vec<(i32, i64)> {
        let mut moved: Vec<(i32, i64)> =
            self.partitions.iter_mut().filter_map(|(id, p)| p.next.take().map(|next| (*id, next))).collect();
        moved.sort_unstable();
        moved
    }

    /// Returns how many records of these partitions are being inserted or wait for their report.
    #[must_use]
    pub fn in_flight(&self, partitions: &[i32]) -> usize {
        partitions.iter().filter_map(|id| self.partitions.get(id)).map(|p| p.in_flight).sum()
    }

    /// Returns how many records are taken and not finished, and how many of these are being inserted or wait for their
    /// report.
    #[must_use]
    pub fn unfinished(&self) -> (usize, usize) {
        let add = |(all, in_flight), p: &Partition| (all + p.waiting + p.in_flight, in_flight + p.in_flight);
        self.partitions.values().fold((0, 0), add)
    }

    /// Returns the assigned partitions.
    #[must_use]
    pub fn partitions(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    /// Returns a number that grows with each assignment.
    #[must_use]
    pub fn assignments(&self) -> u64 {
        self.assignments
    }

    fn assigned(&self, partition: i32, assignment: u64) -> Option<&Partition> {
        self.partitions.get(&partition).filter(|p| p.assignment == assignment)
    }

    fn set_state(
        &mut self,
        partition: i32,
        assignment: u64,
        offset: i64,
        to: State,
    ) -> Option<&mut Partition> {
        let partition = self.partitions.get_mut(&partition).filter(|p| p.assignment == assignment)?;
        let at = partition.taken.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        let (_, state) = partition.taken.get_mut(at)?;
        match std::mem::replace(state, to) {
            State::Taken | State::Waiting => partition.waiting -= 1,
            State::InFlight => partition.in_flight -= 1,
            State::Finished | State::Abandoned => {}
        }
        match to {
            State::Taken | State::Waiting => partition.waiting += 1,
            State::InFlight => partition.in_flight += 1,
            State::Finished | State::Abandoned => {}
        }
        Some(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(offsets: &[i64]) -> (Offsets, u64) {
        let mut all = Offsets::default();
        all.assign(0, Some(0), Instant::now());
        let assignments: Vec<u64> = offsets.iter().filter_map(|o| Some(all.take(0, *o)?.0)).collect();
        (all, assignments[0])
    }

    #[test]
    fn an_offset_advances_only_over_consecutive_finished_records() {
        let (mut all, a) = taken(&[10, 11, 12]);
        all.finish(0, a, 11);
        assert_eq!(all.moved(), []);
        all.finish(0, a, 10);
        assert_eq!(all.moved(), [(0, 12)]);
        assert_eq!(all.moved(), [], "once");
        all.finish(0, a, 12);
        assert_eq!(all.moved(), [(0, 13)]);
    }

    #[test]
    fn gaps_in_the_offsets_of_a_partition_do_not_block_it() {
        let (mut all, a) = taken(&[3, 7]);
        all.finish(0, a, 7);
        all.finish(0, a, 3);
        assert_eq!(all.moved(), [(0, 8)]);
    }

    #[test]
    fn no_offset_after_an_abandoned_record_is_stored() {
        let (mut all, a) = taken(&[1, 2, 3]);
        all.finish(0, a, 1);
        all.abandon(0, a, 2);
        all.finish(0, a, 3);
        assert_eq!(all.moved(), [(0, 2)]);
        assert_eq!(all.unfinished(), (0, 0));
    }

    #[test]
    fn records_of_an_earlier_assignment_change_nothing() {
        let (mut all, old) = taken(&[1]);
        all.remove(0);
        all.finish(0, old, 1);
        all.assign(0, Some(0), Instant::now());
        let (new, _) = all.take(0, 1).unwrap();
        all.finish(0, old, 1);
        assert_eq!((all.moved(), all.unfinished()), (vec![], (1, 0)));
        assert!(all.is_ours(0, new) && !all.is_ours(0, old));
    }

    #[test]
    fn a_partition_that_is_being_revoked_starts_no_batch_but_finishes_those_in_flight() {
        let (mut all, a) = taken(&[1, 2]);
        assert!(all.set_in_flight(0, a, 1));
        all.begin_revoke(0);
        assert!(!all.is_ours(0, a) && all.is_assigned(0, a));
        assert!(!all.set_in_flight(0, a, 2), "a batch that is complete too late");
        assert_eq!((all.in_flight(&[0]), all.unfinished()), (1, (2, 1)));
        all.finish(0, a, 1);
        assert_eq!((all.moved(), all.in_flight(&[0])), (vec![(0, 2)], 0));
    }

    #[test]
    fn records_before_the_end_at_the_assignment_may_have_been_delivered_before() {
        let mut all = Offsets::default();
        all.assign(0, Some(7), Instant::now());
        let maybe: Vec<bool> = [5, 6, 7].into_iter().filter_map(|o| Some(all.take(0, o)?.1)).collect();
        assert_eq!(maybe, [true, true, false]);
        all.assign(1, None, Instant::now());
        assert!(all.take(1, 1_000_000).unwrap().1, "the end is not known");
    }

    #[test]
    fn a_partition_is_past_its_end_once_all_records_at_the_assignment_are_in_their_batches() {
        let mut all = Offsets::default();
        all.assign(0, Some(7), Instant::now());
        let (a, _) = all.take(0, 5).unwrap();
        all.set_waiting(0, a, 5);
        assert!(!all.is_past_end(0, a));
        all.take(0, 6);
        assert!(!all.is_past_end(0, a), "it is on its way");
        all.set_waiting(0, a, 6);
        assert!(all.is_past_end(0, a));
    }

    #[test]
    fn records_have_arrived_up_to_the_first_pending_one() {
        let (mut all, a) = taken(&[3, 7, 9]);
        assert_eq!(all.arrived(0, a), Some(3));
        all.set_waiting(0, a, 9);
        all.set_waiting(0, a, 3);
        assert_eq!((all.arrived(0, a), all.unfinished()), (Some(7), (3, 0)));
        all.finish(0, a, 7);
        assert_eq!(all.arrived(0, a), Some(10));
        all.take(0, 12);
        all.abandon(0, a, 12);
        assert_eq!(all.arrived(0, a), Some(12), "what is given up comes again");
        assert_eq!((all.arrived(0, a + 1), all.arrived(1, a)), (None, None));
    }

    #[test]
    fn a_record_of_a_partition_that_is_not_assigned_is_not_accepted() {
        assert_eq!(Offsets::default().take(4, 1), None);
    }
}
