//! The slots for inserts: a fixed number of batches at a time, and one small batch in addition.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::budget::Lane;

/// The slots of all batches.
#[derive(Clone, Debug)]
pub struct Slots {
    bulk: Arc<Semaphore>,
    small: Arc<Semaphore>,
}

/// The slot of one batch. The batch has it during an attempt, but not while it waits for the next one.
#[derive(Debug)]
pub struct Slot {
    slots: Slots,
    lane: Lane,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// Makes slots for `width` batches at a time.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { bulk: Arc::new(Semaphore::new(width)), small: Arc::new(Semaphore::new(1)) }
    }

    /// Returns a slot that is not acquired yet.
    #[must_use]
    pub fn slot(&self, lane: Lane) -> Slot {
        Slot { slots: self.clone(), lane, permit: None }
    }
}

impl Slot {
    /// Waits for the slot, if it is not acquired yet.
    pub async fn acquire(&mut self) {
        if self.permit.is_some() {
            return;
        }
        let bulk = self.slots.bulk.clone().acquire_owned();
        let permit = match self.lane {
            Lane::Bulk => bulk.await,
            Lane::Small => {
                tokio::select! {
                    biased;
                    small = self.slots.small.clone().acquire_owned() => small,
                    bulk = bulk => bulk,
                }
            }
        };
        // Fails only if the semaphore is closed, which never happens.
        self.permit = permit.ok();
    }

    /// Releases the slot for other batches.
    pub fn release(&mut self) {
        self.permit = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_small_batch_does_not_wait_for_large_ones_nor_they_for_it() {
        let slots = Slots::new(1);
        let mut large = slots.slot(Lane::Bulk);
        large.acquire().await;
        let mut small = slots.slot(Lane::Small);
        small.acquire().await;
        let mut next = slots.slot(Lane::Bulk);
        assert!(futures::poll!(std::pin::pin!(next.acquire())).is_pending());
        large.release();
        next.acquire().await;
    }
}
