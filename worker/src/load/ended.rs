//! Decides whether a batch of a job that has ended is still needed.

use std::time::{Duration, Instant};

use super::Loader;
use super::slots::Slot;
use crate::batch::Batch;
use crate::stop::Stopped;

/// How often a waiting batch checks whether its partition is still assigned to this worker.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl Loader {
    /// Returns whether a batch of an ended job can be dropped: none of its rows is in the table, and none can still get
    /// there. If not, its rows must be counted. `maybe`: this worker or another may have sent it, and everything that
    /// this worker sent was answered.
    pub(super) async fn is_over(&self, batch: &Batch, maybe: bool, slot: &mut Slot) -> Result<bool, Stopped> {
        if !maybe {
            return Ok(true);
        }
        self.wait_for_late_inserts(batch, slot).await?;
        Ok(self.count(batch, slot).await? == 0)
    }

    /// Waits until no INSERT of the batch that began before its partition was assigned can still take effect. In the
    /// meantime other batches can have its slot.
    pub(super) async fn wait_for_late_inserts(&self, batch: &Batch, slot: &mut Slot) -> Result<(), Stopped> {
        loop {
            let left = batch.late_inserts(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // A revocation does not wait for this.
            if !batch.is_valid() {
                return Err(Stopped);
            }
            slot.release();
            self.retry.pause(left.min(CHECK_INTERVAL)).await?;
        }
    }
}
