//! Which offset of a partition may be stored: the one after the last of an unbroken run of finished records.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// The records taken off each partition that is ours, in the order they were taken.
#[derive(Debug, Default)]
pub struct Offsets {
    partitions: HashMap<i32, Partition>,
    assignments: u64,
}

#[derive(Debug)]
struct Partition {
    assignment: u64,
    assigned_at: Instant,
    leaving: bool,
    taken: VecDeque<(i64, State)>,
    /// The offset to store, once it moved.
    next: Option<i64>,
    /// The end of the partition when it was assigned: what lies before may have been delivered before.
    end: i64,
    /// The offset behind the last record that was taken.
    reached: i64,
    /// How many of `taken` are on their way or waiting.
    waiting: usize,
    in_flight: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is on its way to its batch.
    Taken,
    /// It is in its batch, which is not complete.
    Waiting,
    /// Its batch is being inserted, or waits for its report.
    InFlight,
    Finished,
    /// Given up while the partition was leaving: nothing behind it may be stored.
    Abandoned,
}

impl Offsets {
    /// The partition is ours from `now` on; `end` is its end offset if it is known. What was taken under an earlier
    /// assignment no longer counts.
    pub fn assign(&mut self, partition: i32, end: Option<i64>, now: Instant) {
        self.assignments += 1;
        let new = Partition {
            assignment: self.assignments,
            assigned_at: now,
            leaving: false,
            taken: VecDeque::new(),
            next: None,
            end: end.unwrap_or(i64::MAX),
            reached: i64::MIN,
            waiting: 0,
            in_flight: 0,
        };
        self.partitions.insert(partition, new);
    }

    /// The partition is about to leave: nothing new of it is begun.
    pub fn leave(&mut self, partition: i32) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.leaving = true;
        }
    }

    /// The partition has left.
    pub fn remove(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// A record was taken. Returns the assignment it belongs to, and whether it may have been delivered before; `None` if
    /// the partition is not ours.
    pub fn take(&mut self, partition: i32, offset: i64) -> Option<(u64, bool)> {
        let partition = self.partitions.get_mut(&partition)?;
        partition.taken.push_back((offset, State::Taken));
        partition.waiting += 1;
        partition.reached = offset + 1;
        Some((partition.assignment, offset < partition.end))
    }

    /// The record is in its batch, which waits for more.
    pub fn set_waiting(&mut self, partition: i32, assignment: u64, offset: i64) {
        self.settle(partition, assignment, offset, State::Waiting);
    }

    /// The offset up to which every record of this assignment has come to its batch or is finished. `None` if the
    /// partition is not ours any more, or nothing of it was taken.
    #[must_use]
    pub fn arrived(&self, partition: i32, assignment: u64) -> Option<i64> {
        let partition = self.assigned(partition, assignment).filter(|p| p.reached > i64::MIN)?;
        let on_its_way = |(_, state): &&(i64, State)| matches!(state, State::Taken | State::Abandoned);
        Some(partition.taken.iter().find(on_its_way).map_or(partition.reached, |(offset, _)| *offset))
    }

    /// Whether every record that was there at the assignment has come to its batch. Never, if the end is not known.
    #[must_use]
    pub fn is_past_end(&self, partition: i32, assignment: u64) -> bool {
        let end = self.assigned(partition, assignment).map(|p| p.end);
        end.is_some_and(|end| self.arrived(partition, assignment).is_some_and(|arrived| arrived >= end))
    }

    /// Since when the partition is ours; `None` if it is not any more.
    #[must_use]
    pub fn assigned_at(&self, partition: i32, assignment: u64) -> Option<Instant> {
        self.assigned(partition, assignment).map(|p| p.assigned_at)
    }

    /// The batch of the record is complete and goes to its insert. False if the partition is not ours or is leaving: then
    /// the batch must not be begun.
    pub fn set_in_flight(&mut self, partition: i32, assignment: u64, offset: i64) -> bool {
        self.is_ours(partition, assignment)
            && self.settle(partition, assignment, offset, State::InFlight).is_some()
    }

    /// Whether work on a record of this assignment still makes sense.
    #[must_use]
    pub fn is_ours(&self, partition: i32, assignment: u64) -> bool {
        self.assigned(partition, assignment).is_some_and(|p| !p.leaving)
    }

    /// Whether the partition is still assigned to us, also if it is leaving: what was begun may be brought to its end.
    #[must_use]
    pub fn is_assigned(&self, partition: i32, assignment: u64) -> bool {
        self.assigned(partition, assignment).is_some()
    }

    /// Nothing more is to be done about the record.
    pub fn finish(&mut self, partition: i32, assignment: u64, offset: i64) {
        let Some(partition) = self.settle(partition, assignment, offset, State::Finished) else { return };
        while let Some((offset, State::Finished)) = partition.taken.front() {
            partition.next = Some(offset + 1);
            partition.taken.pop_front();
        }
    }

    /// The record was given up; someone else will take it again.
    pub fn abandon(&mut self, partition: i32, assignment: u64, offset: i64) {
        self.settle(partition, assignment, offset, State::Abandoned);
    }

    /// The offsets that moved since the last call: partition and next offset.
    pub fn moved(&mut self) -> Vec<(i32, i64)> {
        let mut moved: Vec<(i32, i64)> =
            self.partitions.iter_mut().filter_map(|(id, p)| p.next.take().map(|next| (*id, next))).collect();
        moved.sort_unstable();
        moved
    }

    /// How many records of these partitions are being inserted or wait for their report.
    #[must_use]
    pub fn in_flight(&self, partitions: &[i32]) -> usize {
        partitions.iter().filter_map(|id| self.partitions.get(id)).map(|p| p.in_flight).sum()
    }

    /// How many records are taken and not settled, and how many of them are being inserted or wait for their report.
    #[must_use]
    pub fn unfinished(&self) -> (usize, usize) {
        let add = |(all, in_flight), p: &Partition| (all + p.waiting + p.in_flight, in_flight + p.in_flight);
        self.partitions.values().fold((0, 0), add)
    }

    /// The partitions that are ours.
    #[must_use]
    pub fn partitions(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    /// Grows with each assignment.
    #[must_use]
    pub fn assignments(&self) -> u64 {
        self.assignments
    }

    fn assigned(&self, partition: i32, assignment: u64) -> Option<&Partition> {
        self.partitions.get(&partition).filter(|p| p.assignment == assignment)
    }

    fn settle(&mut self, partition: i32, assignment: u64, offset: i64, to: State) -> Option<&mut Partition> {
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
    fn an_offset_moves_only_over_an_unbroken_run_of_finished_records() {
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
    fn holes_in_the_numbers_of_a_partition_do_not_hold_it_up() {
        let (mut all, a) = taken(&[3, 7]);
        all.finish(0, a, 7);
        all.finish(0, a, 3);
        assert_eq!(all.moved(), [(0, 8)]);
    }

    #[test]
    fn nothing_is_stored_behind_an_abandoned_record() {
        let (mut all, a) = taken(&[1, 2, 3]);
        all.finish(0, a, 1);
        all.abandon(0, a, 2);
        all.finish(0, a, 3);
        assert_eq!(all.moved(), [(0, 2)]);
        assert_eq!(all.unfinished(), (0, 0));
    }

    #[test]
    fn what_belongs_to_an_earlier_assignment_changes_nothing() {
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
    fn a_leaving_partition_begins_nothing_but_finishes_what_it_has() {
        let (mut all, a) = taken(&[1, 2]);
        assert!(all.set_in_flight(0, a, 1));
        all.leave(0);
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
    fn a_partition_is_past_its_end_once_all_that_was_there_has_come_to_its_batch() {
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
    fn records_have_arrived_up_to_the_first_that_is_on_its_way() {
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
    fn a_record_of_a_partition_that_is_not_ours_is_not_taken() {
        assert_eq!(Offsets::default().take(4, 1), None);
    }
}
