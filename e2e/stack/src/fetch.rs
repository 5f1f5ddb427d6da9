//! Downloads or builds the programs of the stack: Debian packages, programs built from Go modules, Kafka's jars,
//! ClickHouse's wheel. Each is pinned by a file in this crate. Each leaves a stamp, so that a second run takes
//! milliseconds.

pub mod apt;
pub mod clickhouse;
pub mod go;
pub mod kafka;

use std::{fs, path::Path, thread};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use crate::{
    paths::{Lock, Paths},
    progress::Progress,
};

/// Fetches everything that is not a Debian package, in parallel: one is limited by the processor, two by the network.
pub fn all(paths: &Paths, progress: &Progress) -> Result<()> {
    let _lock = Lock::hold(&paths.cache)?;
    thread::scope(|s| {
        let kafka = s.spawn(|| kafka::ensure(paths, progress));
        let clickhouse = s.spawn(|| clickhouse::ensure(paths, progress));
        let go = go::ensure(paths, progress);
        for job in [kafka, clickhouse] {
            job.join().map_err(|_| anyhow!("a download broke off"))??;
        }
        go
    })
}

/// Returns the SHA-256 as lower-case hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A file that records from what something was made.
struct Stamp<'a> {
    file: &'a Path,
    value: String,
}

impl<'a> Stamp<'a> {
    fn new(file: &'a Path, made_from: &[&[u8]]) -> Self {
        Self { file, value: sha256(&made_from.join(&[0][..])) }
    }

    fn matches(&self) -> bool {
        fs::read_to_string(self.file).is_ok_and(|old| old == self.value)
    }

    fn set(&self) -> Result<()> {
        fs::write(self.file, &self.value).with_context(|| format!("failed to write {}", self.file.display()))
    }
}
