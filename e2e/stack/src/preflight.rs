//! What a machine must have. It is checked before anything is changed. Every error says what to do.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{
    paths::Paths,
    ports::{self, Listener},
    progress::output,
};

const GIB: u64 = 1 << 30;

/// How to get a program that the Debian packages of this stack do not install.
const TOOLS: [(&str, &str); 5] = [
    ("go", "Go 1.24 or newer, from https://go.dev/dl or `apt-get install golang-go` of a recent Debian"),
    ("gcc", "`apt-get install gcc libc6-dev`"),
    ("java", "Java 17 or newer: `apt-get install openjdk-17-jre-headless`"),
    ("mvn", "`apt-get install maven`"),
    ("python3", "`apt-get install python3 python3-venv`"),
];

/// Fails if one of these programs is not in the `PATH`. The error names all that are missing.
pub fn tools(names: &[&str]) -> Result<()> {
    all_of(&missing_tools(names))
}

/// Checks root, disk and tools: what is known before Debian packages are installed.
pub fn machine(paths: &Paths) -> Result<()> {
    let mut problems = Vec::new();
    if !rustix::process::getuid().is_root() {
        problems
            .push("it needs root: containers, a bridge and packet filters (run it by `sudo -E`)".to_owned());
    }
    let cold = |part: &str| !paths.cache.join(part).join(".stamp").exists();
    // A build of Kubernetes leaves three GiB in the caches of Go.
    let wanted = [
        (&paths.cache, if cold("bin") { 8 } else { 1 }, "BATCH_STACK_CACHE"),
        (&paths.data, 3, "BATCH_STACK_DATA"),
    ];
    for (folder, gib, variable) in wanted {
        if let Some(free) = free_bytes(folder).filter(|free| *free < gib * GIB) {
            problems.push(format!(
                "{} has {:.1} GiB free and {gib} are needed: free some, or set {variable} to another folder",
                folder.display(),
                precise(free) / precise(GIB),
            ));
        }
    }
    let mut names = vec!["java"];
    for (part, tools) in [("bin", &["go", "gcc"][..]), ("kafka", &["mvn"]), ("clickhouse", &["python3"])] {
        if cold(part) {
            names.extend(tools);
        }
    }
    problems.extend(missing_tools(&names));
    all_of(&problems)
}

/// Checks the features of the kernel, and the addresses that must be free, each with the name of its part.
pub fn host(wanted: &[(&str, &str)]) -> Result<()> {
    let mut problems = Vec::new();
    for namespace in ["mnt", "net", "pid", "ipc", "uts"] {
        if !Path::new("/proc/self/ns").join(namespace).exists() {
            problems.push(format!("the kernel has no {namespace} namespaces, which containers are made of"));
        }
    }
    // `modprobe` loads the file system if it is a module.
    let overlay = || fs::read_to_string("/proc/filesystems").unwrap_or_default().contains("overlay");
    if !overlay() {
        let _ = Command::new("modprobe").arg("overlay").status();
        if !overlay() {
            problems.push("the kernel has no overlay file system: `modprobe overlay`".to_owned());
        }
    }
    if fs::read_dir("/sys/fs/cgroup").map_or(true, |mut folder| folder.next().is_none()) {
        problems.push("no cgroups are mounted at /sys/fs/cgroup".to_owned());
    }
    if let Err(e) = output(Command::new("nft").args(["list", "tables"])) {
        problems.push(format!("the kernel has no nftables: {e:#}"));
    }
    problems.extend(ports_taken(wanted));
    all_of(&problems)
}

fn all_of(problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks something:\n  - {}", problems.join("\n  - "))
}

fn missing_tools(names: &[&str]) -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let hint = |name: &str| TOOLS.iter().find(|(n, _)| *n == name).map_or("", |(_, hint)| hint);
    names.iter().filter(|n| !there(n)).map(|n| format!("`{n}` is not on the PATH: {}", hint(n))).collect()
}

/// Returns the free bytes of the file system that has or will have the folder.
fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|f| f.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}

/// Returns the addresses that another program uses.
fn ports_taken(wanted: &[(&str, &str)]) -> Vec<String> {
    let listeners = ports::listeners();
    let taken = wanted.iter().filter_map(|(part, address)| {
        let listener = taken(&listeners, address)?;
        let by = ports::owner(listener).unwrap_or_else(|| "a process that cannot be seen".to_owned());
        Some(format!("{address} ({part}) is taken by {by}: stop it"))
    });
    taken.collect()
}

fn taken<'a>(listeners: &'a [Listener], address: &str) -> Option<&'a Listener> {
    let address = address.parse::<std::net::SocketAddrV4>().ok()?;
    listeners.iter().find(|l| {
        l.address.port() == address.port()
            && (l.address.ip() == *address.ip() || l.address.ip().is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_tool_is_named_with_the_way_to_get_it() {
        assert!(tools(&["sh"]).is_ok());
        let error = tools(&["sh", "no-such-tool"]).unwrap_err().to_string();
        assert!(error.contains("`no-such-tool` is not on the PATH"), "{error}");
        assert!(!error.contains("`sh`"), "{error}");
    }

    #[test]
    fn a_port_is_taken_on_its_address_or_on_all() {
        let on = |text: &str| Listener { address: text.parse().unwrap(), inode: 1 };
        assert!(taken(&[on("127.0.0.1:9092")], "127.0.0.1:9092").is_some());
        assert!(taken(&[on("[::]:9092")], "127.0.0.1:9092").is_some());
        assert!(taken(&[on("10.0.0.1:9092"), on("127.0.0.1:9093")], "127.0.0.1:9092").is_none());
    }
}
