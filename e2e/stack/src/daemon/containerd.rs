//! containerd: runs containers and stores images.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail};

use super::Daemon;
use crate::{paths::Paths, process::Spec, progress::output};

/// Runs containers and stores images.
pub struct Containerd;

impl Daemon for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &[]
    }

    fn version(&self) -> String {
        output(Command::new("containerd").arg("--version"))
            .ok()
            .and_then(|line| line.split_whitespace().nth(2).map(|v| v.trim_start_matches('v').to_owned()))
            .unwrap_or_else(|| "?".to_owned())
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("containerd.toml", include_str!("templates/containerd.toml")),
            ("cni/10-pods.conflist", include_str!("templates/pods.conflist")),
        ]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        let config = paths.etc().join("containerd.toml");
        Ok(Spec::new("/usr/bin/containerd", [PathBuf::from("--config"), config]))
    }

    fn health(&self, paths: &Paths) -> Result<()> {
        ctr(paths, &["version"]).map(drop)
    }
}

/// Runs the client of containerd on the containerd of this stack, in the namespace that kubelet uses.
pub fn ctr(paths: &Paths, args: &[&str]) -> Result<String> {
    let socket = paths.containerd_socket();
    if !socket.exists() {
        bail!("no containerd at {}", socket.display());
    }
    output(Command::new("ctr").arg("--address").arg(socket).args(["--namespace", "k8s.io"]).args(args))
}
