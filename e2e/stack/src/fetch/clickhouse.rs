//! ClickHouse's engine from the Python registry, pinned with its hash by `clickhouse/requirements.txt`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Stamp;
use crate::{kubernetes::teardown::remove, paths::Paths, preflight, progress::Progress};

/// The engine inside chdb-core 26.9.0, as `SELECT version()` says.
pub const VERSION: &str = "26.9.2.1";
const REQUIREMENTS: &str = include_str!("../../clickhouse/requirements.txt");

/// Installs the wheel into a virtual environment of its own.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    let folder = paths.cache.join("clickhouse");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let file = folder.join(".stamp");
    let stamp = Stamp::new(&file, &[REQUIREMENTS.as_bytes()]);
    if stamp.matches() && runs(&python(paths)) {
        return Ok(());
    }
    preflight::tools(&["python3"])?;
    let venv = folder.join("venv");
    remove(&venv)?;
    let log = folder.join("pip.log");
    progress.run(
        "making a Python environment for ClickHouse",
        &log,
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
    )?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    progress.run(
        "downloading ClickHouse (182 MB)",
        &log,
        Command::new(python(paths))
            .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
            .args(["--only-binary=:all:", "--requirement"])
            .arg(requirements),
    )?;
    stamp.set()
}

/// The interpreter of the environment.
#[must_use]
pub fn python(paths: &Paths) -> PathBuf {
    paths.cache.join("clickhouse/venv/bin/python")
}

/// An environment dies with the interpreter it was made from.
fn runs(python: &Path) -> bool {
    Command::new(python).arg("--version").output().is_ok_and(|out| out.status.success())
}
