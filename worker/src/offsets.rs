//! Which offset of a partition may be stored: the one after the last of an unbroken run of finished records.

use std::collections::{HashMap, VecDeque};

/// The records taken off each partition that is ours, in the order they were taken.
#[derive(Debug, Default)]
pub struct Offsets {
    partitions: HashMap<i32, Partition>,
    assignments: u64,
}

#[derive(Debug)]
struct Partition {
    assignment: u64,
    leaving: bool,
    taken: VecDeque<(i64, State)>,
    /// The offset to store, once it moved.
    next: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InHand,
    Finished,
    /// Given up while the partition was leaving: nothing behind it may be stored.
    Abandoned,
}

impl Offsets {
    /// The partition is ours from now on. What was taken under an earlier assignment no longer counts.
    pub fn assign(&mut self, partition: i32) {
        self.assignments += 1;
        let new =
            Partition { assignment: self.assignments, leaving: false, taken: VecDeque::new(), next: None };
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

    /// A record was taken. Returns the assignment it belongs to; `None` if the partition is not ours.
    pub fn take(&mut self, partition: i32, offset: i64) -> Option<u64> {
        let partition = self.partitions.get_mut(&partition)?;
        partition.taken.push_back((offset, State::InHand));
        Some(partition.assignment)
    }

    /// Whether work on a record of this assignment still makes sense.
    #[must_use]
    pub fn is_ours(&self, partition: i32, assignment: u64) -> bool {
        self.partitions.get(&partition).is_some_and(|p| p.assignment == assignment && !p.leaving)
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

    /// How many records of these partitions are still worked on.
    #[must_use]
    pub fn in_hand(&self, partitions: &[i32]) -> usize {
        let of = |p: &Partition| p.taken.iter().filter(|(_, state)| *state == State::InHand).count();
        partitions.iter().filter_map(|id| self.partitions.get(id)).map(of).sum()
    }

    /// How many records are still worked on in all.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.in_hand(&self.partitions())
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

    fn settle(&mut self, partition: i32, assignment: u64, offset: i64, to: State) -> Option<&mut Partition> {
        let partition = self.partitions.get_mut(&partition).filter(|p| p.assignment == assignment)?;
        let at = partition.taken.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        let (_, state) = partition.taken.get_mut(at)?;
        *state = to;
        Some(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(offsets: &[i64]) -> (Offsets, u64) {
        let mut all = Offsets::default();
        all.assign(0);
        let assignments: Vec<u64> = offsets.iter().filter_map(|o| all.take(0, *o)).collect();
        (all, assignments[0])
    }

    #[test]
    fn an_offset_moves_only_over_an_unbroken_run_of_finished_records() {
        let (mut all, a) = taken(&[10, 11, 12]);
        all.finish(0, a, 11);
        assert_eq!(all.moved(), []);
        all.finish(0, a, 10);
        assert_eq!(all.moved(), [(0, 12)]);
        assert_eq!(all.moved(), [], "told once");
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
        assert_eq!(all.in_hand(&[0]), 0);
    }

    #[test]
    fn news_of_an_earlier_assignment_is_no_news() {
        let (mut all, old) = taken(&[1]);
        all.remove(0);
        all.finish(0, old, 1);
        all.assign(0);
        let new = all.take(0, 1).unwrap();
        all.finish(0, old, 1);
        assert_eq!((all.moved(), all.in_hand(&[0])), (vec![], 1));
        assert!(all.is_ours(0, new) && !all.is_ours(0, old));
    }

    #[test]
    fn a_leaving_partition_begins_nothing_but_finishes_what_it_has() {
        let (mut all, a) = taken(&[1]);
        all.leave(0);
        assert!(!all.is_ours(0, a));
        assert_eq!(all.in_hand(&[0]), 1);
        all.finish(0, a, 1);
        assert_eq!(all.moved(), [(0, 2)]);
    }

    #[test]
    fn a_record_of_a_partition_that_is_not_ours_is_not_taken() {
        assert_eq!(Offsets::default().take(4, 1), None);
    }
}
