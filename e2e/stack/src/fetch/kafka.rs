//! The jars of Kafka from Maven Central, pinned in `kafka/pom.xml` and, jar by jar, in `kafka/lib.sha256`.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Stamp, sha256};
use crate::{
    health, kafka,
    paths::{Paths, remove},
    preflight,
    process::Process,
    progress::{Progress, output},
    wait,
};

/// Kafka's version, as in `pom.xml`.
pub const VERSION: &str = "4.3.1";
const POM: &str = include_str!("../../kafka/pom.xml");
const CHECKSUMS: &str = include_str!("../../kafka/lib.sha256");

/// Downloads and checks the jars, and makes the archive of start-up classes for this version of Java.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    let folder = paths.cache.join("kafka");
    let lib = folder.join("lib");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let file = folder.join(".stamp");
    let jars = Stamp::new(&file, &[POM.as_bytes(), CHECKSUMS.as_bytes()]);
    if !jars.matches() {
        preflight::tools(&["java", "mvn"])?;
        let pom = folder.join("pom.xml");
        fs::write(&pom, POM)?;
        remove(&lib)?;
        progress.run(
            "downloading Kafka's jars (46 MB)",
            &folder.join("maven.log"),
            Command::new("mvn")
                .args(["--batch-mode", "--quiet", "--strict-checksums", "--file"])
                .arg(pom)
                .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies")
                .arg("-DincludeScope=runtime")
                .arg(format!("-DoutputDirectory={}", lib.display())),
        )?;
        check(&lib)?;
        jars.set()?;
    }
    // Java ignores an archive of another Java or of other jars without a message.
    let java = output(Command::new("java").arg("--version")).unwrap_or_default();
    let file = folder.join(".archive");
    let archive = Stamp::new(&file, &[POM.as_bytes(), CHECKSUMS.as_bytes(), java.as_bytes()]);
    if !archive.matches() || !java_archive(paths).exists() {
        progress.say("making Kafka's archive of start-up classes …");
        make_archive(paths, &folder.join("archive-run"))?;
        archive.set()?;
    }
    Ok(())
}

/// Returns the jars in the order with which the archive was made.
pub fn class_path(paths: &Paths) -> Result<String> {
    let lib = paths.cache.join("kafka/lib");
    let mut jars: Vec<String> = fs::read_dir(&lib)
        .with_context(|| format!("no jars in {}; run `stack up`", lib.display()))?
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect();
    jars.sort_unstable();
    Ok(jars.join(":"))
}

/// Returns the path of the archive of loaded classes. It halves the start time.
#[must_use]
pub fn java_archive(paths: &Paths) -> PathBuf {
    paths.cache.join("kafka/classes.jsa")
}

/// Compares the jars with the pinned list: the same jars, no more and no fewer.
fn check(lib: &Path) -> Result<()> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(lib)? {
        let entry = entry?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), sha256(&fs::read(entry.path())?));
    }
    let differ = differences(CHECKSUMS, &found);
    ensure!(differ.is_empty(), "Kafka's jars are not the pinned ones:\n{}", differ.join("\n"));
    Ok(())
}

fn differences(pinned: &str, found: &BTreeMap<String, String>) -> Vec<String> {
    let pinned: BTreeMap<&str, &str> =
        pinned.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    let missing =
        pinned.keys().filter(|name| !found.contains_key(**name)).map(|name| format!("missing: {name}"));
    let other = found.iter().filter(|(name, sum)| pinned.get(name.as_str()) != Some(&sum.as_str()));
    missing.chain(other.map(|(name, sum)| format!("not pinned: {sum}  {name}"))).collect()
}

/// Runs a separate broker on free ports once, so that the Java virtual machine writes a list of the classes that it
/// loads.
fn make_archive(paths: &Paths, scratch: &Path) -> Result<()> {
    remove(scratch)?;
    let port = |listener: &TcpListener| listener.local_addr().map(|a| a.port());
    let (a, b) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let (client, controller) = (port(&a)?, port(&b)?);
    drop((a, b));
    let address = format!("127.0.0.1:{client}");
    let data = scratch.join("data");
    kafka::write_config(scratch, &data, &format!("LOCAL://{address}"), controller)?;
    kafka::format(paths, scratch, &data)?;
    let broker = Process::new("kafka-archive", scratch, scratch);
    let archive = java_archive(paths);
    broker.start(&kafka::broker(
        paths,
        scratch,
        &[format!("-XX:ArchiveClassesAtExit={}", archive.display())],
    )?)?;
    let ready = wait::until(Duration::from_mins(2), "the broker that makes the archive", || {
        ensure!(broker.running().is_some(), "the broker that makes the archive died:\n{}", broker.tail(20));
        Ok(health::kafka(&address).is_ok())
    });
    broker.stop(Duration::from_mins(2))?;
    ready?;
    ensure!(archive.exists(), "Java wrote no {}", archive.display());
    remove(scratch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_changed_and_an_added_jar_are_each_named() {
        let found = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, s)| ((*n).to_owned(), (*s).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let pinned = "11  a.jar\n22  b.jar\n";
        assert!(differences(pinned, &found(&[("a.jar", "11"), ("b.jar", "22")])).is_empty());
        assert_eq!(
            differences(pinned, &found(&[("a.jar", "99"), ("c.jar", "33")])),
            ["missing: b.jar", "not pinned: 99  a.jar", "not pinned: 33  c.jar"]
        );
    }

    #[test]
    fn the_version_shown_is_the_one_the_pom_pins() {
        assert!(POM.contains(&format!("<kafka.version>{VERSION}</kafka.version>")));
        assert!(CHECKSUMS.contains(&format!("kafka_2.13-{VERSION}.jar")));
    }
}
