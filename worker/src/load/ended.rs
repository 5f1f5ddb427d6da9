//! A batch of a job that has ended: is it of any more use?

use std::time::{Duration, Instant};

use super::Loader;
use super::slots::Slot;
use crate::batch::Batch;
use crate::stop::Stopped;

/// How often a batch that waits looks whether its partition is still ours.
const LOOK: Duration = Duration::from_millis(250);

impl Loader {
    /// Whether a batch of a job that has ended goes: no row of it is in the table or can get there any more. Otherwise its
    /// rows have to be counted. `maybe`: it may have been sent by us or another, and all that we sent was answered.
    pub(super) async fn is_over(&self, batch: &Batch, maybe: bool, slot: &mut Slot) -> Result<bool, Stopped> {
        if !maybe {
            return Ok(true);
        }
        self.wait_for_late_inserts(batch, slot).await?;
        Ok(self.count(batch, slot).await? == 0)
    }

    /// Waits until no INSERT of the batch can land any more that was begun before its partition was assigned. Others have
    /// its place meanwhile.
    pub(super) async fn wait_for_late_inserts(&self, batch: &Batch, slot: &mut Slot) -> Result<(), Stopped> {
        loop {
            let left = batch.late_inserts(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // A partition that leaves does not wait for this.
            if !batch.is_valid() {
                return Err(Stopped);
            }
            slot.release();
            self.retry.pause(left.min(LOOK)).await?;
        }
    }
}
