//! Debian packages: the container runtime and the tools that set up the network.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

const PACKAGES: [&str; 7] =
    ["containerd", "runc", "nftables", "containernetworking-plugins", "iproute2", "openssl", "curl"];
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_MARK: &str = "# written by batch-on-kafka's local stack while it installs packages";

/// Installs what is missing. Needs root.
pub fn ensure(log: &Path, progress: &Progress) -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if Command::new("apt-get").arg("--version").stdout(Stdio::null()).status().is_err() {
        bail!("these Debian packages are missing and there is no apt-get here to install them: {list}");
    }
    let _policy = NoServiceStarts::new()?;
    let install = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
        command
    };
    // A fresh image has no package lists. A machine that has them needs no `apt-get update`, which saves time.
    if progress.run(&format!("installing {list}"), log, &mut install()).is_err() {
        progress.run("apt-get update", log, Command::new("apt-get").arg("update"))?;
        progress.run(&format!("installing {list}"), log, &mut install())?;
    }
    if missing.contains(&"containerd") && Path::new("/run/systemd/system").exists() {
        // Only the containerd of this stack is wanted, also after a reboot.
        let _ = Command::new("systemctl").args(["disable", "containerd"]).status();
    }
    Ok(())
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Abbrev}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|out| out.stdout.starts_with(b"ii"))
}

/// The file that Debian asks whether an installed service may start. This file says no, but only while this process
/// lives, so that a file that a killed process left behind does no harm.
struct NoServiceStarts {
    ours: bool,
}

impl NoServiceStarts {
    fn new() -> Result<Self> {
        let left_over = fs::read_to_string(POLICY).is_ok_and(|text| text.contains(POLICY_MARK));
        if Path::new(POLICY).exists() && !left_over {
            return Ok(Self { ours: false });
        }
        let text = format!("#!/bin/sh\n{POLICY_MARK}\n[ ! -d /proc/{} ] || exit 101\n", std::process::id());
        fs::write(POLICY, text).with_context(|| format!("failed to write {POLICY}"))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}
