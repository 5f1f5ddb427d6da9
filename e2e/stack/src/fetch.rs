//! Downloads or builds the programs of the stack: Debian packages, programs built from Go modules, Kafka's jars,
//! ClickHouse's wheel. Each is pinned by a file in this crate. Each leaves a stamp, so that a second run takes
//! milliseconds.

pub mod apt;
pub mod clickhouse;
pub mod go;
pub mod kafka;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Returns the SHA-256 as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A file that records from what something was made.
pub struct Stamp<'a> {
    file: &'a Path,
    value: String,
}

impl<'a> Stamp<'a> {
    /// Makes the stamp `file` for what is made from these bytes.
    pub fn new(file: &'a Path, made_from: &[&[u8]]) -> Self {
        Self { file, value: sha256(&made_from.join(&[0][..])) }
    }

    /// Returns whether the stamp was set for the same bytes.
    pub fn matches(&self) -> bool {
        fs::read_to_string(self.file).is_ok_and(|old| old == self.value)
    }

    /// Records that it was made.
    pub fn set(&self) -> Result<()> {
        fs::write(self.file, &self.value).with_context(|| format!("failed to write {}", self.file.display()))
    }
}
