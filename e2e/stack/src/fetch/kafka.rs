//! The jars of Kafka from Maven Central, pinned in `kafka/pom.xml` and, jar by jar, in `kafka/lib.sha256`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Stamp, sha256};
use crate::{
    paths::{Paths, remove},
    preflight,
    progress::Progress,
};

/// Kafka's version, as in `pom.xml`.
pub const VERSION: &str = "4.3.1";
/// What pins the jars: the file of Maven.
pub const POM: &str = include_str!("../../kafka/pom.xml");
/// What pins the jars: the checksum of each.
pub const CHECKSUMS: &str = include_str!("../../kafka/lib.sha256");

/// Downloads and checks the jars.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    let folder = paths.cache.join("kafka");
    let lib = folder.join("lib");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let file = folder.join(".stamp");
    let jars = Stamp::new(&file, &[POM.as_bytes(), CHECKSUMS.as_bytes()]);
    if jars.matches() {
        return Ok(());
    }
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
    jars.set()
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

/// Returns the path of the archive of loaded classes.
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
