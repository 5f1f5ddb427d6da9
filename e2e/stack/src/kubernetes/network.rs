//! What the cluster needs from the host: a bridge, IP forwarding, a shared /run/netns, a cgroup. The values before are
//! saved, so that `restore` can set them again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{BRIDGE, CGROUP, NODE_IP};
use crate::{paths::Paths, progress::output, wait};

/// The first one is changed by this program. The others are changed by kubelet, once, when it starts.
const SYSCTLS: [&str; 5] = [
    "net/ipv4/ip_forward",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Creates what is missing.
pub fn up(paths: &Paths) -> Result<()> {
    fs::create_dir_all(&paths.volatile)
        .with_context(|| format!("failed to make {}", paths.volatile.display()))?;
    let before = paths.volatile.join("sysctl.before");
    if !before.exists() {
        let lines = SYSCTLS.map(|name| {
            let value = fs::read_to_string(sysctl(name)).unwrap_or_default();
            format!("{name} {}\n", value.trim())
        });
        fs::write(&before, lines.concat())?;
    }
    if !Path::new("/sys/class/net").join(BRIDGE).exists() {
        output(Command::new("ip").args(["link", "add", BRIDGE, "type", "bridge"]))
            .context("the kernel needs bridges (module `bridge`)")?;
    }
    if !output(Command::new("ip").args(["-4", "addr", "show", "dev", BRIDGE]))?.contains(NODE_IP) {
        output(Command::new("ip").args(["addr", "add", &format!("{NODE_IP}/24"), "dev", BRIDGE]))?;
    }
    output(Command::new("ip").args(["link", "set", BRIDGE, "up"]))?;
    fs::write(sysctl("net/ipv4/ip_forward"), "1").context("failed to turn on IP forwarding")?;
    share_netns(paths)?;
    for hierarchy in cgroup_roots() {
        let folder = hierarchy.join(CGROUP);
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    Ok(())
}

/// Restores the host's own panic and overcommit settings. kubelet does not check them again.
pub fn restore_kernel_settings(paths: &Paths) -> Result<()> {
    restore(paths, |name| name != "net/ipv4/ip_forward")
}

/// Undoes all changes of the host.
pub fn down(paths: &Paths) -> Result<()> {
    restore(paths, |_| true)?;
    let _ = fs::remove_file(paths.volatile.join("sysctl.before"));
    if Path::new("/sys/class/net").join(BRIDGE).exists() {
        output(Command::new("ip").args(["link", "del", BRIDGE]))?;
    }
    let marker = paths.volatile.join("netns.mounted");
    if marker.exists() && fs::read_dir("/run/netns").is_ok_and(|mut d| d.next().is_none()) {
        output(Command::new("umount").arg("/run/netns"))?;
        let _ = fs::remove_dir("/run/netns");
        fs::remove_file(marker)?;
    }
    for hierarchy in cgroup_roots() {
        let folder = hierarchy.join(CGROUP);
        // A process that was just killed leaves its cgroup a short time later.
        wait::until(Duration::from_secs(5), &format!("{} to empty", folder.display()), || {
            remove_cgroup(&folder);
            Ok(!folder.exists())
        })?;
    }
    Ok(())
}

fn sysctl(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

fn restore(paths: &Paths, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(before) = fs::read_to_string(paths.volatile.join("sysctl.before")) else { return Ok(()) };
    for (name, value) in before.lines().filter_map(|l| l.split_once(' ')) {
        if wanted(name) && fs::read_to_string(sysctl(name)).is_ok_and(|now| now.trim() != value) {
            fs::write(sysctl(name), value)
                .with_context(|| format!("failed to set {name} back to {value}"))?;
        }
    }
    Ok(())
}

/// Shares /run/netns. If it is not shared, the first `ip netns add` on the host mounts over the namespaces of the
/// pods, and containerd cannot remove them any more.
fn share_netns(paths: &Paths) -> Result<()> {
    fs::create_dir_all("/run/netns")?;
    if fs::read_to_string("/proc/mounts")?.lines().any(|l| l.split(' ').nth(1) == Some("/run/netns")) {
        return Ok(());
    }
    output(Command::new("mount").args(["--bind", "/run/netns", "/run/netns"]))?;
    output(Command::new("mount").args(["--make-shared", "/run/netns"]))?;
    fs::write(paths.volatile.join("netns.mounted"), "").context("failed to note the mount")
}

/// Returns each hierarchy of cgroup version 1, or the one of version 2.
fn cgroup_roots() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let folders = fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path());
    folders.filter(|p| p.join("cgroup.procs").exists() && !p.is_symlink()).collect()
}

fn remove_cgroup(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
