//! The journal of what must be undone. Each entry is written before its fault is injected. The entries are undone at
//! the end of a run, also after a panic, and at the start of the next run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use stack::process::Id;
use stack::{Fault as Signal, Part, Stack, small_disk};

use super::inject::network;
use crate::Target;

/// One thing to undo. It is safe to undo it twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// SIGCONT.
    Continue {
        /// The process.
        pid: i32,
        /// Its start time, so that another process with the same pid gets no signal.
        start: u64,
    },
    /// Start a part of the stack.
    Start {
        /// Its name.
        part: String,
    },
    /// Allow the packets of a pod again.
    Reconnect {
        /// Its address.
        address: String,
    },
    /// Remove the file that fills ClickHouse's disk.
    FreeDisk,
    /// Move ClickHouse back to the disk of the machine.
    LeaveSmallDisk,
    /// Restore the spec of a model.
    Model {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// A merge patch.
        patch: String,
    },
}

impl Undo {
    /// Undoes this entry.
    pub fn run(&self, target: &Target) -> Result<()> {
        let stack = Stack::from_env();
        match self {
            Self::Continue { pid, start } => Signal::Cont.send(Id { pid: *pid, start: *start }),
            Self::Start { part } => stack.start(self::part(part)?),
            Self::Reconnect { address } => network::reconnect(address),
            Self::FreeDisk => small_disk::free(&stack.paths),
            Self::LeaveSmallDisk => small_disk::leave(&stack.paths),
            Self::Model { namespace, name, patch } => {
                let args = ["patch", "ingestmodel", "-n", namespace, name, "--type=merge", "-p", patch];
                target.kubectl(&args).map(drop)
            }
        }
    }
}

/// Returns the part of the stack with this name.
pub fn part(name: &str) -> Result<Part> {
    Part::from_str(name, false).map_err(|error| anyhow::anyhow!("no part {name}: {error}"))
}

/// All entries that must be undone now, in memory and in a file.
#[derive(Debug)]
pub struct Journal {
    target: Target,
    file: PathBuf,
    open: Mutex<BTreeMap<u64, Undo>>,
}

impl Journal {
    /// Opens the journal of this machine. Entries of an earlier run are undone first.
    pub fn open(target: &Target) -> Result<Self> {
        let file = Stack::from_env().paths.volatile.join("faults.undo");
        let left = match fs::read_to_string(&file) {
            Ok(text) => parse(&text)?,
            Err(_) => BTreeMap::new(),
        };
        let journal = Self { target: target.clone(), file, open: Mutex::new(left) };
        journal.undo_all();
        Ok(journal)
    }

    /// Adds an entry before its fault is injected. Returns its number for [`Self::undo`].
    pub fn note(&self, undo: Undo) -> Result<u64> {
        let mut open = self.lock();
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        open.insert(number, undo);
        self.write(&open)?;
        Ok(number)
    }

    /// Undoes one entry. It stays in the journal if that fails.
    pub fn undo(&self, number: u64) -> Result<()> {
        let undo = self.lock().get(&number).cloned();
        let Some(undo) = undo else { return Ok(()) };
        undo.run(&self.target)?;
        let mut open = self.lock();
        open.remove(&number);
        self.write(&open)
    }

    /// Removes entries that need not be undone any more, because their object is deleted.
    pub fn forget(&self, which: impl Fn(&Undo) -> bool) -> Result<()> {
        let mut open = self.lock();
        open.retain(|_, undo| !which(undo));
        self.write(&open)
    }

    /// Undoes all entries, the last one first. Failures are printed, and tried once more at the end.
    pub fn undo_all(&self) {
        for _ in 0..2 {
            let numbers: Vec<u64> = self.lock().keys().rev().copied().collect();
            for number in numbers {
                if let Err(error) = self.undo(number) {
                    eprintln!("failed to take back {number}: {error:#}");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Undo>> {
        self.open.lock()
    }

    fn write(&self, open: &BTreeMap<u64, Undo>) -> Result<()> {
        if open.is_empty() {
            let _ = fs::remove_file(&self.file);
            return Ok(());
        }
        let text = serde_json::to_string(open)?;
        fs::write(&self.file, text).with_context(|| format!("failed to write {}", self.file.display()))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.undo_all();
    }
}

fn parse(text: &str) -> Result<BTreeMap<u64, Undo>> {
    serde_json::from_str(text).context("failed to read what a run before left to be taken back")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_undo_journal_is_read_by_the_next_run() {
        let noted = BTreeMap::from([
            (0, Undo::Continue { pid: 12, start: 34 }),
            (1, Undo::Start { part: "kafka".into() }),
            (2, Undo::FreeDisk),
        ]);
        assert_eq!(parse(&serde_json::to_string(&noted).unwrap()).unwrap(), noted);
    }

    #[test]
    fn every_part_of_the_stack_is_found_by_its_name() {
        for known in Part::all() {
            assert_eq!(part(known.name()).unwrap(), known);
        }
    }
}
