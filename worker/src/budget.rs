//! How much memory the batches may take: blocks and rejects, in bytes, of open batches and of those being inserted.

use std::sync::Arc;

use crds::ChunkHeader;
use tokio::sync::watch;

/// What small batches may take beside the others.
const SMALL_LIMIT: u64 = 16 << 20;
/// The longest chunk of a small batch, in bytes.
const SMALL_CHUNK: usize = 1 << 20;

/// Which way a batch takes. Small batches have their own places, so that they do not wait for large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The only chunk of a job, less than 1 MiB.
    Small,
    /// All others.
    Bulk,
}

/// What is taken, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// By open batches.
    pub open: u64,
    /// By batches being inserted.
    pub in_flight: u64,
    /// By small batches.
    pub small: u64,
}

/// The limits and what is taken of them.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: watch::Sender<Used>,
}

/// What one batch takes. It is given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    lane: Lane,
    in_flight: bool,
    bytes: u64,
}

impl Lane {
    /// The way of a chunk of `bytes` bytes.
    #[must_use]
    pub fn of(header: &ChunkHeader, bytes: usize) -> Self {
        let only = header.chunk == 0 && header.batch.number == 0 && header.ends_batch;
        if only && bytes < SMALL_CHUNK { Self::Small } else { Self::Bulk }
    }
}

impl Budget {
    /// A budget of `limit` bytes for batches that are not small.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: watch::Sender::new(Used::default()) })
    }

    /// The most that batches which are not small may take, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is taken.
    #[must_use]
    pub fn used(&self) -> Used {
        *self.used.borrow()
    }

    /// Whether `bytes` more may be begun on this way.
    #[must_use]
    pub fn has_space(&self, lane: Lane, bytes: u64) -> bool {
        fits(self.used(), self.limit, lane, bytes)
    }

    /// Waits until `bytes` more may be begun, or until no batch is being inserted: then waiting for space is of no use.
    /// More than the budget fits once nothing is taken.
    pub async fn wait(&self, lane: Lane, bytes: u64) {
        let ready = |used: &Used| match lane {
            Lane::Small => fits(*used, self.limit, lane, bytes),
            Lane::Bulk => fits(*used, self.limit, lane, bytes) || used.in_flight == 0,
        };
        // Fails only without a sender, which `self` is.
        let _ = self.used.subscribe().wait_for(ready).await;
    }

    /// A share of nothing yet.
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
    /// Takes so many bytes more.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.change(|taken| *taken += bytes);
    }

    /// The batch is complete and goes to its insert.
    pub fn set_in_flight(&mut self) {
        let bytes = self.bytes;
        self.change(|taken| *taken -= bytes);
        self.in_flight = true;
        self.change(|taken| *taken += bytes);
    }

    /// How many bytes it has.
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
    fn small_batches_have_space_when_the_others_have_none() {
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
