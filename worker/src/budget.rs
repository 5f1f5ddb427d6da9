//! The memory limit of the batches: blocks and rejects, in bytes, of open batches and of those that are being inserted.

use std::sync::Arc;

use crds::ChunkHeader;
use tokio::sync::watch;

/// The limit of small batches, in addition to that of the others.
const SMALL_LIMIT: u64 = 16 << 20;
/// The most bytes of the chunk of a small batch.
const SMALL_CHUNK: usize = 1 << 20;

/// The lane of a batch. Small batches have their own lane, so that they do not wait for large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// For a batch with the only chunk of its job, less than 1 MiB.
    Small,
    /// For all other batches.
    Bulk,
}

/// The memory that is used, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Used by open batches.
    pub open: u64,
    /// Used by batches that are being inserted.
    pub in_flight: u64,
    /// Used by small batches.
    pub small: u64,
}

/// The limits and the memory that is used.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: watch::Sender<Used>,
}

/// The memory of one batch. It is free again when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    lane: Lane,
    in_flight: bool,
    bytes: u64,
}

impl Lane {
    /// Returns the lane of a chunk of `bytes` bytes.
    #[must_use]
    pub fn of(header: &ChunkHeader, bytes: usize) -> Self {
        let only = header.chunk == 0 && header.batch.number == 0 && header.ends_batch;
        if only && bytes < SMALL_CHUNK { Self::Small } else { Self::Bulk }
    }
}

impl Budget {
    /// Makes a budget of `limit` bytes for batches that are not small.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: watch::Sender::new(Used::default()) })
    }

    /// Returns the limit of the batches that are not small, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns the memory that is used.
    #[must_use]
    pub fn used(&self) -> Used {
        *self.used.borrow()
    }

    /// Returns whether `bytes` more bytes may be used in this lane.
    #[must_use]
    pub fn has_space(&self, lane: Lane, bytes: u64) -> bool {
        fits(self.used(), self.limit, lane, bytes)
    }

    /// Waits until `bytes` more bytes may be used, or until no batch is being inserted: then no memory becomes free by
    /// waiting. If nothing is used, more bytes than the budget may be used.
    pub async fn wait(&self, lane: Lane, bytes: u64) {
        let ready = |used: &Used| match lane {
            Lane::Small => fits(*used, self.limit, lane, bytes),
            Lane::Bulk => fits(*used, self.limit, lane, bytes) || used.in_flight == 0,
        };
        // Fails only if there is no sender, but `self` has it.
        let _ = self.used.subscribe().wait_for(ready).await;
    }

    /// Makes a share of 0 bytes.
    #[must_use]
    pub fn share(self: &Arc<Self>, lane: Lane) -> Share {
        Share { budget: self.clone(), lane, in_flight: false, bytes: 0 }
    }
}

fn fits(used: Used, limit: u64, lane: Lane, bytes: u64) -> bool {
    let (taken, limit) = match lane {
        Lane::Small => (used.small, SMALL_LIMIT),
        Lane::Bulk => (used.open + used.in_flight, limit),
    };
    taken == 0 || taken + bytes <= limit
}

impl Share {
    /// Adds `bytes` bytes to the share.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.change(|taken| *taken += bytes);
    }

    /// The batch is complete and will be inserted.
    pub fn set_in_flight(&mut self) {
        let bytes = self.bytes;
        self.change(|taken| *taken -= bytes);
        self.in_flight = true;
        self.change(|taken| *taken += bytes);
    }

    /// Returns the number of bytes of the share.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn change(&self, change: impl FnOnce(&mut u64)) {
        self.budget.used.send_modify(|used| match (self.lane, self.in_flight) {
            (Lane::Small, _) => change(&mut used.small),
            (Lane::Bulk, true) => change(&mut used.in_flight),
            (Lane::Bulk, false) => change(&mut used.open),
        });
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.change(|taken| *taken -= bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_waits_for_inserts_to_end_but_not_for_open_batches() {
        let budget = Budget::new(100);
        let (mut open, mut in_flight) = (budget.share(Lane::Bulk), budget.share(Lane::Bulk));
        open.add(60);
        in_flight.add(50);
        budget.wait(Lane::Bulk, 1).await;
        in_flight.set_in_flight();
        assert_eq!(budget.used(), Used { open: 60, in_flight: 50, small: 0 });
        assert!(!budget.has_space(Lane::Bulk, 1));
        let waiting = budget.wait(Lane::Bulk, 1);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(in_flight);
        waiting.await;
        assert!(budget.has_space(Lane::Bulk, 40) && !budget.has_space(Lane::Bulk, 41));
    }

    #[test]
    fn small_batches_have_memory_when_the_others_have_none() {
        let budget = Budget::new(100);
        let mut share = budget.share(Lane::Bulk);
        share.add(200);
        assert!(budget.has_space(Lane::Small, 1));
    }

    #[test]
    fn what_is_larger_than_the_budget_fits_into_an_empty_one() {
        assert!(Budget::new(1).has_space(Lane::Bulk, 100));
    }
}
