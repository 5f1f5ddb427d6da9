//! The folders of the stack: what can be made again (cache), what the parts store (data), what ends with a reboot
//! (volatile).

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::wait;

/// The folders of one stack.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Downloads and builds. If it is removed, the next start takes some minutes longer. Nothing is lost.
    pub cache: PathBuf,
    /// What the parts store: etcd, Kafka's log, ClickHouse's tables, images, certificates, logs, pid files.
    pub data: PathBuf,
    /// Sockets, container state, and notes about what was changed on the host. A reboot ends all of it, and also the
    /// changes that the notes describe.
    pub volatile: PathBuf,
}

impl Paths {
    /// Reads `$BATCH_STACK_CACHE` or uses `~/.cache/batch-on-kafka`; reads `$BATCH_STACK_DATA` or uses
    /// `/var/lib/batch-on-kafka`.
    #[must_use]
    pub fn from_env() -> Self {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        let folder = |name: &str, default: PathBuf| {
            std::env::var_os(name).filter(|v| !v.is_empty()).map_or(default, PathBuf::from)
        };
        Self {
            cache: folder("BATCH_STACK_CACHE", home.join(".cache/batch-on-kafka")),
            data: folder("BATCH_STACK_DATA", PathBuf::from("/var/lib/batch-on-kafka")),
            volatile: PathBuf::from("/run/batch-on-kafka"),
        }
    }

    /// The folder of the built programs.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.cache.join("bin")
    }

    /// The path of one built program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// The folder of the rendered configuration.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.data.join("etc")
    }

    /// The folder of the cluster's certificates and keys.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.data.join("pki")
    }

    /// The folder of the pid files.
    #[must_use]
    pub fn pids(&self) -> PathBuf {
        self.data.join("pids")
    }

    /// The folder of the logs: one for each part, and the one of the run before.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.data.join("kubeconfig")
    }

    /// The socket of this stack's own containerd.
    #[must_use]
    pub fn containerd_socket(&self) -> PathBuf {
        self.volatile.join("containerd.sock")
    }
}

/// Holds `folder/.lock` until it is dropped, so that two programs never build or start the same thing at the same
/// time.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl Lock {
    /// Waits up to half an hour for another holder, because a first build may take that long.
    pub fn hold(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let path = folder.join(".lock");
        let file = File::create(&path).with_context(|| format!("failed to open {}", path.display()))?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another run, which holds {} …", path.display());
            wait::until(Duration::from_mins(30), &format!("the lock {}", path.display()), || {
                Ok(file.try_lock().is_ok())
            })?;
        }
        Ok(Self(file))
    }
}

/// Writes `text` only if it differs: kube-proxy ends when its configuration file is written again.
pub fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// Removes a folder, if it exists.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Fills the `{{name}}` placeholders of a template. A placeholder without a value is an error, not an empty text.
pub fn render(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    match text.split_once("{{") {
        Some((_, rest)) => {
            anyhow::bail!("no value for {{{{{}", rest.split_inclusive("}}").next().unwrap_or(rest))
        }
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_a_forgotten_value_is_an_error() {
        assert_eq!(render("a: {{x}}, b: {{x}}{y}", &[("x", "1")]).unwrap(), "a: 1, b: 1{y}");
        let error = render("a: {{x}} {{z}}", &[("x", "1")]).unwrap_err().to_string();
        assert_eq!(error, "no value for {{z}}");
    }
}
