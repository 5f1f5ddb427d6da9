//! Gets what runs: Debian packages, programs built from Go modules, Kafka's jars, ClickHouse's wheel. Each is
//! pinned by a file in this crate, and each leaves a stamp, so that a second time costs milliseconds.

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

/// Everything that is not a Debian package, side by side: one is bound by the processor, two by the network.
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

/// Lower-case hex of SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A file that says from what something was made.
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
