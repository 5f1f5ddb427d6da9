//! Moves ClickHouse to a small disk during a run whose plan fills the disk.

use std::sync::Arc;

use anyhow::Result;

use super::undo::{Journal, Undo};

/// The size of the small disk in MiB: enough for what a run of an hour loads.
const MIB: u64 = 16 * 1024;

/// Moves ClickHouse to a small disk. Undoing the journal moves it back.
pub fn enter(journal: &Arc<Journal>) -> Result<()> {
    journal.note(Undo::LeaveSmallDisk)?;
    stack::small_disk::enter(&stack::Paths::from_env(), MIB)
}
