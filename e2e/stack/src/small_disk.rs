//! A small disk for ClickHouse: its data folder is a file system in a file. So a test can fill it, while the machine's
//! own disk always has free space.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    daemon::{Daemon, clickhouse::Clickhouse},
    paths::{Paths, remove},
    progress::output,
};

/// The file that takes all free space.
const FILLER: &str = "filler";

/// Moves ClickHouse's data to a file system of `mib` MiB. ClickHouse is stopped meanwhile.
pub fn enter(paths: &Paths, mib: u64) -> Result<()> {
    if image(paths).exists() {
        return mount(paths);
    }
    Clickhouse.stop(paths)?;
    let new = paths.data.join("clickhouse.new");
    fs::create_dir_all(&new)?;
    let file = fs::File::create(image(paths)).context("failed to make the image of the small disk")?;
    file.set_len(mib << 20)?;
    let made = format(paths).and_then(|()| mount_at(paths, &new)).and_then(|()| copy(&data(paths), &new));
    let unmounted = unmount(&new);
    fs::remove_dir(&new)?;
    if made.is_err() {
        fs::remove_file(image(paths))?;
    }
    made.and(unmounted).and_then(|()| {
        fs::rename(data(paths), aside(paths))?;
        mount(paths)
    })?;
    start(paths)
}

/// Moves the data back to the machine's disk. ClickHouse is stopped meanwhile.
pub fn leave(paths: &Paths) -> Result<()> {
    if !image(paths).exists() {
        return Ok(());
    }
    free(paths)?;
    Clickhouse.stop(paths)?;
    mount(paths)?;
    remove(&aside(paths))?;
    fs::create_dir_all(aside(paths))?;
    copy(&data(paths), &aside(paths))?;
    unmount(&data(paths))?;
    fs::remove_dir(data(paths))?;
    fs::rename(aside(paths), data(paths))?;
    fs::remove_file(image(paths))?;
    start(paths)
}

/// Takes all free space of the small disk. The space is only reserved, not written, so the machine's disk does not
/// fill.
pub fn fill(paths: &Paths) -> Result<()> {
    let folder = data(paths);
    ensure!(is_mounted(&folder)?, "ClickHouse is not on a small disk");
    // A file system reserves some blocks for itself, so a smaller size is tried until it fits.
    let mut kib: u64 = output(Command::new("df").args(["--output=avail", "--block-size=1K"]).arg(&folder))?
        .lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok())
        .context("df says nothing")?;
    while kib > 64 {
        let mut command = Command::new("fallocate");
        command.arg("--length").arg(format!("{kib}KiB")).arg(folder.join(FILLER));
        if output(&mut command).is_ok() {
            return Ok(());
        }
        kib -= kib / 64 + 1;
    }
    Ok(())
}

/// Frees the space again.
pub fn free(paths: &Paths) -> Result<()> {
    match fs::remove_file(data(paths).join(FILLER)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context("failed to free the disk"),
        _ => Ok(()),
    }
}

/// Mounts the image over the data folder, if the image exists and is not mounted.
pub fn mount(paths: &Paths) -> Result<()> {
    if !image(paths).exists() || is_mounted(&data(paths))? {
        return Ok(());
    }
    fs::create_dir_all(data(paths))?;
    mount_at(paths, &data(paths))
}

fn start(paths: &Paths) -> Result<()> {
    Clickhouse.start(paths)?;
    Clickhouse.wait_healthy(paths, Duration::from_mins(1))
}

fn mount_at(paths: &Paths, folder: &Path) -> Result<()> {
    output(Command::new("mount").args(["-o", "loop"]).arg(image(paths)).arg(folder)).map(drop)
}

fn unmount(folder: &Path) -> Result<()> {
    if is_mounted(folder)? {
        output(Command::new("umount").arg(folder))?;
    }
    Ok(())
}

fn format(paths: &Paths) -> Result<()> {
    // Without a journal and without reserved blocks for root, a full disk has no free space at all.
    let options = ["-q", "-F", "-m", "0", "-O", "^has_journal"];
    output(Command::new("mkfs.ext4").args(options).arg(image(paths))).map(drop)
}

/// Copies the content of one folder into another, with owners, links and times.
fn copy(from: &Path, to: &Path) -> Result<()> {
    output(Command::new("cp").arg("--archive").arg(from.join(".")).arg(to)).map(drop)
}

fn is_mounted(folder: &Path) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(1) == folder.to_str()))
}

fn image(paths: &Paths) -> PathBuf {
    paths.data.join("clickhouse.img")
}

fn data(paths: &Paths) -> PathBuf {
    paths.data.join("clickhouse")
}

fn aside(paths: &Paths) -> PathBuf {
    paths.data.join("clickhouse.host")
}
