//! An archive of the classes that Java loads when the broker starts. It halves the start time.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};

use super::{broker, format, write_config};
use crate::{
    fetch::{
        Stamp,
        kafka::{CHECKSUMS, POM, java_archive},
    },
    health,
    paths::{Paths, remove},
    ports,
    process::Process,
    progress::{Progress, output},
    wait,
};

/// Makes the archive for this version of Java, unless it exists. Needs the jars.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    let folder = paths.cache.join("kafka");
    // Java ignores an archive of another Java or of other jars without a message.
    let java = output(Command::new("java").arg("--version")).unwrap_or_default();
    let file = folder.join(".archive");
    let archive = Stamp::new(&file, &[POM.as_bytes(), CHECKSUMS.as_bytes(), java.as_bytes()]);
    if archive.matches() && java_archive(paths).exists() {
        return Ok(());
    }
    progress.say("making Kafka's archive of start-up classes …");
    make(paths, &folder.join("archive-run"))?;
    archive.set()
}

/// Runs a separate broker on free ports once, so that the Java virtual machine writes a list of the classes that it
/// loads.
fn make(paths: &Paths, scratch: &Path) -> Result<()> {
    remove(scratch)?;
    let [client, controller] = ports::free()?;
    let address = format!("127.0.0.1:{client}");
    let data = scratch.join("data");
    write_config(scratch, &data, &format!("LOCAL://{address}"), controller)?;
    format(paths, scratch, &data)?;
    let process = Process::new("kafka-archive", scratch, scratch);
    let archive = java_archive(paths);
    process.start(&broker(paths, scratch, &[format!("-XX:ArchiveClassesAtExit={}", archive.display())])?)?;
    let ready = wait::until(Duration::from_mins(2), "the broker that makes the archive", || {
        ensure!(process.running().is_some(), "the broker that makes the archive died:\n{}", process.tail(20));
        Ok(health::kafka(&address).is_ok())
    });
    process.stop(Duration::from_mins(2))?;
    ready?;
    ensure!(archive.exists(), "Java wrote no {}", archive.display());
    remove(scratch)
}
