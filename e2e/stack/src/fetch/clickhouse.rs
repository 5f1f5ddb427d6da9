//! The engine of ClickHouse from the Python registry, pinned with its hash in `clickhouse/requirements.txt`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Stamp;
use crate::{
    paths::{Paths, remove},
    preflight,
    progress::Progress,
};

/// The version of the engine in chdb-core 26.9.0, as `SELECT version()` returns it.
pub const VERSION: &str = "26.9.2.1";
const REQUIREMENTS: &str = include_str!("../../clickhouse/requirements.txt");

/// Installs the wheel into a separate virtual environment.
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

/// Returns the Python interpreter of the environment.
pub fn python(paths: &Paths) -> PathBuf {
    paths.cache.join("clickhouse/venv/bin/python")
}

/// Returns whether the interpreter runs: an environment does not work any more if its base interpreter was removed.
fn runs(python: &Path) -> bool {
    Command::new(python).arg("--version").output().is_ok_and(|out| out.status.success())
}
