//! ClickHouse on a small disk for the time of a run, where its plan fills the disk.

use std::sync::Arc;

use anyhow::Result;

use super::undo::{Journal, Undo};

/// MiB of the small disk: room for what a run of an hour loads.
const MIB: u64 = 16 * 1024;

/// Moves ClickHouse to a small disk. The journal moves it back.
pub fn enter(journal: &Arc<Journal>) -> Result<()> {
    journal.note(Undo::LeaveSmallDisk)?;
    stack::Stack::from_env().enter_small_disk(MIB)
}
