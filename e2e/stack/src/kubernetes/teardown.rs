//! Stops Kubernetes completely: no container, mount, namespace or firewall table is left.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::network;
use crate::{
    part::Part,
    paths::{Paths, remove},
    progress::output,
    wait,
};

/// If something cannot be removed, the error names it. Everything else is tried before that.
pub fn down(paths: &Paths) -> Result<()> {
    for part in [Part::KubeScheduler, Part::KubeControllerManager, Part::Kubelet] {
        part.stop(paths)?;
    }
    remove_sandboxes(paths)?;
    for part in [Part::KubeProxy, Part::Coredns, Part::KubeApiserver, Part::Etcd, Part::Containerd] {
        part.stop(paths)?;
    }
    unmount_below(&[&paths.data, &paths.volatile])?;
    for family in ["ip", "ip6"] {
        // The table does not exist if kube-proxy never ran.
        let _ = output(Command::new("nft").args(["delete", "table", family, "kube-proxy"]));
    }
    network::down(paths)?;
    remove_fixed_paths(paths);
    for folder in [paths.data.join("kubelet"), paths.data.join("pod-logs"), paths.volatile.clone()] {
        remove(&folder)?;
    }
    Ok(())
}

/// Removes the pods: containers are killed, CNI releases addresses and interfaces, and shims end. A containerd that
/// died has left all of this behind, so it is started again to remove it.
fn remove_sandboxes(paths: &Paths) -> Result<()> {
    if !paths.volatile.join("containerd").exists() {
        return Ok(());
    }
    Part::Containerd.start(paths)?;
    Part::Containerd.wait_healthy(paths, Duration::from_secs(30))?;
    let socket = format!("unix://{}", paths.containerd_socket().display());
    let clean = || output(Command::new(paths.program("kube")).args(["cri-clean", &socket]));
    // The first try may find a container that is just starting.
    clean().or_else(|_| clean()).map(drop).context("failed to remove the pods")
}

/// Unmounts kubelet's memory file systems for tokens and secrets, and all other mounts in these folders, the deepest
/// first.
fn unmount_below(folders: &[&Path]) -> Result<()> {
    wait::until(Duration::from_secs(10), "mounts to go", || {
        let text = fs::read_to_string("/proc/mounts")?;
        let mut mounts: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|mount| folders.iter().any(|f| Path::new(mount).starts_with(f) && Path::new(mount) != *f))
            .collect();
        mounts.sort_unstable();
        for mount in mounts.iter().rev() {
            let _ = output(Command::new("umount").arg(mount));
        }
        Ok(mounts.is_empty())
    })
}

/// Removes paths that are fixed in kubelet, CNI and containerd. Each is removed only if nothing else uses it.
fn remove_fixed_paths(paths: &Paths) {
    for entry in fs::read_dir("/var/log/containers").into_iter().flatten().flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(&paths.data)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_file("/var/lib/kubelet/device-plugins/kubelet.sock");
    for folder in [
        "/var/log/containers",
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet",
        "/var/lib/cni/results",
        "/var/lib/cni",
        "/run/containerd/s",
        "/run/containerd/fifo",
        "/run/containerd",
    ] {
        // This fails on purpose if the folder is not empty.
        let _ = fs::remove_dir(folder);
    }
}
