//! What must be taken back, written down before it is done: at the end of a run, at its next start, also after a panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use stack::process::Id;
use stack::{Fault as Signal, Part, Stack};

use super::strike::network;
use crate::Target;

/// One thing to take back. Safe to be done twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// SIGCONT.
    Continue {
        /// The process.
        pid: i32,
        /// Its start, so that no other process of this pid is meant.
        start: u64,
    },
    /// Start a part of the stack.
    Start {
        /// Its name.
        part: String,
    },
    /// Let packets of a pod through again.
    Reconnect {
        /// Its address.
        address: String,
    },
    /// Remove what fills ClickHouse's disk.
    FreeDisk,
    /// Give ClickHouse the machine's disk back.
    LeaveSmallDisk,
    /// Set a model's spec back.
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
    /// Takes it back.
    pub fn run(&self, target: &Target) -> Result<()> {
        let stack = Stack::from_env();
        match self {
            Self::Continue { pid, start } => Signal::Cont.send(Id { pid: *pid, start: *start }),
            Self::Start { part } => stack.start(self::part(part)?),
            Self::Reconnect { address } => network::reconnect(address),
            Self::FreeDisk => stack.free_small_disk(),
            Self::LeaveSmallDisk => stack.leave_small_disk(),
            Self::Model { namespace, name, patch } => {
                let args = ["patch", "ingestmodel", "-n", namespace, name, "--type=merge", "-p", patch];
                target.kubectl(&args).map(drop)
            }
        }
    }
}

/// A part of the stack by its name.
pub fn part(name: &str) -> Result<Part> {
    Part::from_str(name, false).map_err(|error| anyhow::anyhow!("no part {name}: {error}"))
}

/// All that is to be taken back now, in memory and in a file.
#[derive(Debug)]
pub struct Journal {
    target: Target,
    file: PathBuf,
    open: Mutex<BTreeMap<u64, Undo>>,
}

impl Journal {
    /// The journal of this machine. What a run before left is taken back first.
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

    /// Notes something that is about to be done. The number is for [`Self::undo`].
    pub fn note(&self, undo: Undo) -> Result<u64> {
        let mut open = self.lock();
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        open.insert(number, undo);
        self.write(&open)?;
        Ok(number)
    }

    /// Takes one thing back. It stays in the journal where that fails.
    pub fn undo(&self, number: u64) -> Result<()> {
        let undo = self.lock().get(&number).cloned();
        let Some(undo) = undo else { return Ok(()) };
        undo.run(&self.target)?;
        let mut open = self.lock();
        open.remove(&number);
        self.write(&open)
    }

    /// Forgets what is not to be taken back any more: its object is gone.
    pub fn forget(&self, which: impl Fn(&Undo) -> bool) -> Result<()> {
        let mut open = self.lock();
        open.retain(|_, undo| !which(undo));
        self.write(&open)
    }

    /// Takes everything back, the last first. What fails is printed and tried once more at the end.
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
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn what_was_noted_is_read_back_by_the_next_run() {
        let noted = BTreeMap::from([
            (0, Undo::Continue { pid: 12, start: 34 }),
            (1, Undo::Start { part: "kafka".into() }),
            (2, Undo::FreeDisk),
        ]);
        assert_eq!(parse(&serde_json::to_string(&noted).unwrap()).unwrap(), noted);
    }

    #[test]
    fn every_part_of_the_stack_is_known_by_its_name() {
        for known in Part::ALL {
            assert_eq!(part(known.name()).unwrap(), known);
        }
    }
}
