//! Injects faults and undoes them. There is one file for each group of faults.

pub mod kafka;
pub mod model;
pub mod network;
pub mod process;

use anyhow::{Context, Result};

use super::plan::time::keep_for;
use super::plan::{Fault, Injection, Target};
use super::system::System;
use super::undo::Undo;

/// The result of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was injected; the text describes it.
    Done(String),
    /// There was nothing into which it could be injected.
    Nothing(String),
}

/// Injects a fault, waits as long as it lasts, and undoes it. `injected` is called when the fault starts.
pub fn inject(system: &System, injection: &Injection, injected: &dyn Fn()) -> Result<Outcome> {
    match &injection.fault {
        Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target }
            if target.is_part() =>
        {
            let lock = system.lock(target.name());
            let _guard = lock.lock();
            process::inject(system, injection, injected)
        }
        Fault::Kill { .. } | Fault::Pause { .. } | Fault::Terminate { .. } => {
            process::inject(system, injection, injected)
        }
        Fault::CutOff { for_ms } => network::cut_off(system, injection.which, *for_ms, injected),
        Fault::DiskFull { for_ms } => disk_full(system, *for_ms, injected),
        Fault::Scale { model, for_ms } => model::scale(system, model, *for_ms, injected),
        Fault::Cancel { job } => model::cancel(system, job, injected),
        Fault::DeleteTopic { model } => kafka::delete_topic(system, model, injected),
        Fault::DeleteRecords { model } => kafka::delete_records(system, model, injected),
        Fault::Replay { model } => kafka::replay(system, model, injected),
    }
}

fn disk_full(system: &System, for_ms: u64, injected: &dyn Fn()) -> Result<Outcome> {
    // The lock prevents a kill of ClickHouse meanwhile: it could not start again.
    let lock = system.lock(Target::Clickhouse.name());
    let _guard = lock.lock();
    let undo = system.journal.note(Undo::FreeDisk)?;
    injected();
    stack::small_disk::fill(&system.stack.paths).context("failed to fill the disk")?;
    keep_for(for_ms);
    system.journal.undo(undo)?;
    Ok(Outcome::Done(format!("for {for_ms} ms")))
}
