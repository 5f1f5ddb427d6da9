//! The records that were polled and not yet handed over, by lane, and the partitions that are paused for that reason.
//!
//! A pause drops what librdkafka has fetched ahead, so a lane is paused only when it was full for some time. The other
//! lane continues.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crds::names::SMALL_PARTITION;
use tokio::sync::mpsc::Sender;

use crate::budget::Lane;
use crate::pipeline::Delivery;

/// A lane is full with this number of bytes.
const LANE_BYTES: usize = 8 << 20;
/// A lane is full with this number of records.
const LANE_RECORDS: usize = 256;
/// A lane is paused when it was full for this time. It is shorter than what a small job can wait, and longer than most
/// inserts.
pub const FULL_BEFORE_PAUSE: Duration = Duration::from_millis(300);

/// Both lanes.
#[derive(Debug)]
pub struct Lanes {
    /// The lane of all chunks that are not small.
    pub bulk: Waiting,
    /// The lane of the chunks of small batches.
    pub small: Waiting,
}

/// The records that wait in one lane.
#[derive(Debug)]
pub struct Waiting {
    next: Sender<Delivery>,
    queue: VecDeque<Delivery>,
    bytes: usize,
    full_since: Option<Instant>,
    paused: bool,
}

impl Lanes {
    /// Makes lanes that lead to these stages.
    #[must_use]
    pub fn new(bulk: Sender<Delivery>, small: Sender<Delivery>) -> Self {
        Self { bulk: Waiting::new(bulk), small: Waiting::new(small) }
    }

    /// Adds a record that was polled.
    pub fn push(&mut self, delivery: Delivery, now: Instant) {
        match delivery.lane() {
            Lane::Bulk => self.bulk.push(delivery, now),
            Lane::Small => self.small.push(delivery, now),
        }
    }

    /// Forwards as many records as the stages accept, small ones first.
    pub fn forward(&mut self) {
        self.small.forward();
        self.bulk.forward();
    }

    /// Returns whether no record waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bulk.queue.is_empty() && self.small.queue.is_empty()
    }

    /// Returns whether a lane is full and not paused: then nothing may be polled.
    #[must_use]
    pub fn is_full(&self) -> bool {
        [&self.bulk, &self.small].iter().any(|lane| lane.full_since.is_some() && !lane.paused)
    }

    /// Returns which of the assigned partitions must be paused. `waits`: a lane may be full for some time before it is
    /// paused.
    pub fn paused(&mut self, assigned: &[i32], waits: bool, now: Instant) -> BTreeSet<i32> {
        let mut paused = BTreeSet::new();
        for (lane, small) in [(&mut self.bulk, false), (&mut self.small, true)] {
            if !lane.is_paused(waits, now) {
                continue;
            }
            let of_lane = |partition: &&i32| (**partition == SMALL_PARTITION) == small;
            paused.extend(assigned.iter().filter(of_lane));
            paused.extend(lane.queue.iter().map(Delivery::partition));
        }
        paused.retain(|partition| assigned.contains(partition));
        paused
    }
}

impl Waiting {
    fn new(next: Sender<Delivery>) -> Self {
        Self { next, queue: VecDeque::new(), bytes: 0, full_since: None, paused: false }
    }

    /// Returns the stage that the lane leads to.
    #[must_use]
    pub fn next(&self) -> &Sender<Delivery> {
        &self.next
    }

    /// Returns whether the lane is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    fn push(&mut self, delivery: Delivery, now: Instant) {
        self.bytes += delivery.bytes();
        self.queue.push_back(delivery);
        if self.bytes >= LANE_BYTES || self.queue.len() >= LANE_RECORDS {
            self.full_since.get_or_insert(now);
        }
    }

    fn forward(&mut self) {
        while !self.queue.is_empty() {
            // Also fails if the stage has ended because the worker stops.
            let Ok(permit) = self.next.try_reserve() else { return };
            let Some(delivery) = self.queue.pop_front() else { return };
            self.bytes -= delivery.bytes();
            if self.bytes < LANE_BYTES && self.queue.len() < LANE_RECORDS {
                self.full_since = None;
            }
            permit.send(delivery);
        }
    }

    /// The lane is paused when it was full for some time, and until it is empty.
    fn is_paused(&mut self, waits: bool, now: Instant) -> bool {
        let full = |since: Instant| !waits || now.duration_since(since) >= FULL_BEFORE_PAUSE;
        self.paused = if self.paused { !self.queue.is_empty() } else { self.full_since.is_some_and(full) };
        self.paused
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;
    use crate::buffers::Buffers;
    use crate::pipeline::Chunk;
    use crate::testing::header;
    use crate::tracker::Tracker;

    struct Fixture {
        lanes: Lanes,
        tracker: Arc<Tracker>,
        bulk: mpsc::Receiver<Delivery>,
        small: mpsc::Receiver<Delivery>,
        offset: i64,
        start: Instant,
    }

    fn fixture() -> Fixture {
        let ((to_bulk, bulk), (to_small, small)) = (mpsc::channel(1), mpsc::channel(1));
        let tracker = Arc::new(Tracker::default());
        (0..3).for_each(|partition| tracker.offsets().assign(partition, Some(0), Instant::now()));
        let (lanes, start) = (Lanes::new(to_bulk, to_small), Instant::now());
        Fixture { lanes, tracker, bulk, small, offset: 0, start }
    }

    impl Fixture {
        fn push(&mut self, partition: i32, small: bool, bytes: usize) {
            self.offset += 1;
            let ticket = self.tracker.take(partition, self.offset).unwrap();
            let header = if small { header(0, 0, true) } else { header(1, 0, false) };
            let body = Buffers::new(0).copy(&vec![0; bytes]);
            self.lanes.push(Delivery::Chunk(Chunk { header, body, ticket }), self.start);
        }

        fn paused(&mut self, after: Duration) -> Vec<i32> {
            let now = self.start + after;
            self.lanes.paused(&[0, 1, 2], true, now).into_iter().collect()
        }
    }

    #[test]
    fn a_full_lane_is_paused_after_a_while_until_it_is_empty_and_small_jobs_continue() {
        let mut f = fixture();
        f.push(1, false, LANE_BYTES / 2);
        f.push(2, false, LANE_BYTES);
        assert!(f.lanes.is_full() && f.paused(Duration::ZERO).is_empty());
        assert_eq!(f.paused(FULL_BEFORE_PAUSE), [1, 2]);
        assert!(!f.lanes.is_full(), "what is paused may be polled");
        f.push(0, true, 10);
        f.lanes.forward();
        assert!(f.small.try_recv().is_ok() && f.bulk.try_recv().is_ok());
        assert_eq!(f.paused(FULL_BEFORE_PAUSE), [1, 2], "one still waits");
        f.lanes.forward();
        assert!(f.paused(FULL_BEFORE_PAUSE).is_empty() && f.lanes.is_empty());
    }

    #[test]
    fn in_a_topic_of_one_partition_that_partition_is_paused_for_either_lane() {
        let mut f = fixture();
        f.push(0, false, LANE_BYTES);
        assert_eq!(f.paused(FULL_BEFORE_PAUSE), [0, 1, 2]);
    }

    #[test]
    fn too_many_small_chunks_pause_only_their_own_partition() {
        let mut f = fixture();
        (0..LANE_RECORDS).for_each(|_| f.push(0, true, 10));
        assert_eq!(f.paused(FULL_BEFORE_PAUSE), [0]);
    }

    #[test]
    fn a_full_lane_is_paused_at_once_if_it_may_not_wait() {
        let mut f = fixture();
        f.push(1, false, LANE_BYTES);
        let now = f.start;
        assert_eq!(f.lanes.paused(&[0, 1, 2], false, now).len(), 2);
    }
}
