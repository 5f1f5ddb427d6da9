//! Makes container images without Docker, from the project's binaries and the libraries of this machine, and imports
//! them into containerd.

pub mod oci;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{daemon::containerd::ctr, kubernetes::PAUSE_IMAGE, paths::Paths};
use oci::{File, Image};

/// One binary of an image: `NAME=PATH`. In the image it is `/usr/bin/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Its name in the image.
    pub name: String,
    /// Its path on this machine.
    pub path: PathBuf,
}

impl std::str::FromStr for Binary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') && !path.is_empty() => {
                Ok(Self { name: name.to_owned(), path: path.into() })
            }
            _ => Err("expected NAME=PATH, as in operator=target/release/operator".to_owned()),
        }
    }
}

/// Puts the binaries into `repository:<content hash>` in containerd and returns this reference. The same binaries have
/// the same reference and are imported only once.
pub fn import(paths: &Paths, repository: &str, binaries: &[Binary]) -> Result<String> {
    ensure!(!binaries.is_empty(), "no binary given");
    let mut files = system_files();
    for binary in binaries {
        files.insert(format!("usr/bin/{}", binary.name), read(&binary.path)?);
        for library in libraries(&binary.path)? {
            // The program needs the loader at exactly this path, which may be a link.
            files.insert(library.trim_start_matches('/').to_owned(), read(Path::new(&library))?);
        }
    }
    let image = Image::new(&files, "65532:65532", None)?;
    let reference = format!("{repository}:{}", image.short_id());
    import_once(paths, &reference, &image)?;
    Ok(reference)
}

/// Imports the image that keeps the namespaces of a pod open.
pub fn import_pause(paths: &Paths) -> Result<()> {
    let files = BTreeMap::from([("pause".to_owned(), read(&paths.program("pause"))?)]);
    let image = Image::new(&files, "65535:65535", Some("/pause"))?;
    import_once(paths, PAUSE_IMAGE, &image)
}

fn import_once(paths: &Paths, reference: &str, image: &Image) -> Result<()> {
    let there = ctr(paths, &["images", "list", &format!("name=={reference}")])?;
    if there.contains(&image.manifest_digest()) {
        return Ok(());
    }
    let folder = paths.data.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let file = folder.join(format!("{}.tar", image.short_id()));
    fs::write(&file, image.archive(reference)?)
        .with_context(|| format!("failed to write {}", file.display()))?;
    let imported = ctr(paths, &["images", "import", &file.display().to_string()]);
    fs::remove_file(&file)?;
    imported.map(drop).with_context(|| format!("failed to import {reference}"))
}

fn read(path: &Path) -> Result<File> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let mode = fs::metadata(path)?.permissions().mode() & 0o755;
    Ok(File { mode, bytes })
}

/// Returns the system files: a user without rights, name resolution by file and DNS, and the certificate authorities
/// that this machine trusts.
fn system_files() -> BTreeMap<String, File> {
    let text = |text: &str| File { mode: 0o644, bytes: text.into() };
    let mut files = BTreeMap::from([
        (
            "etc/passwd".to_owned(),
            text("root:x:0:0:root:/root:/sbin/nologin\nbatch:x:65532:65532:batch:/:/sbin/nologin\n"),
        ),
        ("etc/group".to_owned(), text("root:x:0:\nbatch:x:65532:\n")),
        ("etc/nsswitch.conf".to_owned(), text("hosts: files dns\n")),
    ]);
    let authorities = "etc/ssl/certs/ca-certificates.crt";
    if let Ok(bytes) = fs::read(Path::new("/").join(authorities)) {
        files.insert(authorities.to_owned(), File { mode: 0o644, bytes });
    }
    files
}

/// Returns the shared libraries and the loader of a program, as this machine resolves them. Empty for a static
/// program.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let out = Command::new("ldd").arg(program).output().context("failed to run ldd")?;
    let text = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() {
        let error = String::from_utf8_lossy(&out.stderr);
        ensure!(
            format!("{text}{error}").contains("not a dynamic executable"),
            "ldd {}: {error}",
            program.display()
        );
        return Ok(Vec::new());
    }
    parse_ldd(&text).with_context(|| format!("in {}", program.display()))
}

fn parse_ldd(text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.ends_with("=> not found") {
            bail!("a library is missing on this machine: {line}");
        }
        let place = line.split_once("=> ").map_or(line, |(_, place)| place);
        let path = place.split_once(" (").map_or(place, |(path, _)| path);
        if path.starts_with('/') {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_gives_the_libraries_and_the_loader_and_a_missing_one_is_an_error() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x7f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        assert_eq!(
            parse_ldd(text).unwrap(),
            ["/lib/x86_64-linux-gnu/libz.so.1", "/lib64/ld-linux-x86-64.so.2"]
        );
        assert_eq!(parse_ldd("\tstatically linked\n").unwrap(), [""; 0]);
        assert!(parse_ldd("\tlibx.so.3 => not found\n").is_err());
    }

    #[test]
    fn a_binary_is_named_and_has_a_path() {
        let binary: Binary = "operator=target/release/operator".parse().unwrap();
        assert_eq!(
            (binary.name.as_str(), binary.path.as_path()),
            ("operator", Path::new("target/release/operator"))
        );
        for text in ["operator", "=x", "a/b=x", "a="] {
            assert!(text.parse::<Binary>().is_err(), "{text}");
        }
    }
}
