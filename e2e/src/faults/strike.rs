//! Faults, done and undone. One file a family.

pub mod kafka;
pub mod model;
pub mod network;
pub mod process;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::plan::{Fault, Strike, Target};
use super::system::System;
use super::undo::Undo;

/// What came of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It struck; what exactly, in words.
    Done(String),
    /// There was nothing to strike.
    Nothing(String),
}

/// Does a fault, waits as long as it lasts, and undoes it. `struck` is called when it begins.
pub fn strike(system: &System, strike: &Strike, struck: &dyn Fn()) -> Result<Outcome> {
    match &strike.fault {
        Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target }
            if target.is_part() =>
        {
            let lock = system.lock(target.name());
            let _held = lock.lock();
            process::strike(system, strike, struck)
        }
        Fault::Kill { .. } | Fault::Pause { .. } | Fault::Terminate { .. } => {
            process::strike(system, strike, struck)
        }
        Fault::CutOff { for_ms } => network::cut_off(system, strike.which, *for_ms, struck),
        Fault::DiskFull { for_ms } => disk_full(system, *for_ms, struck),
        Fault::Scale { model, for_ms } => model::scale(system, model, *for_ms, struck),
        Fault::Cancel { job } => model::cancel(system, job, struck),
        Fault::DeleteTopic { model } => kafka::delete_topic(system, model, struck),
        Fault::DeleteRecords { model } => kafka::delete_records(system, model, struck),
        Fault::Replay { model } => kafka::replay(system, model, struck),
    }
}

fn disk_full(system: &System, for_ms: u64, struck: &dyn Fn()) -> Result<Outcome> {
    // A ClickHouse that is killed meanwhile could not start again.
    let lock = system.lock(Target::Clickhouse.name());
    let _held = lock.lock();
    let undo = system.journal.note(Undo::FreeDisk)?;
    struck();
    system.stack.fill_small_disk().context("failed to fill the disk")?;
    thread::sleep(Duration::from_millis(for_ms));
    system.journal.undo(undo)?;
    Ok(Outcome::Done(format!("for {for_ms} ms")))
}
