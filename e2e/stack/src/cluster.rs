//! The Kubernetes cluster: starts its daemons in the order in which they need each other, and stops it completely.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use crate::{
    daemon::{
        Daemon, containerd::Containerd, coredns::Coredns, etcd::Etcd, kube_apiserver::KubeApiserver,
        kube_controller_manager::KubeControllerManager, kube_proxy::KubeProxy, kube_scheduler::KubeScheduler,
        kubelet::Kubelet,
    },
    image,
    kubernetes::{PAUSE_IMAGE, kubectl, layout::Layout, network},
    paths::{Paths, remove},
    progress::{Progress, output},
    wait,
};

const LIMIT: Duration = Duration::from_mins(2);

/// Starts everything in about five seconds, up to a Ready node, a default service account and DNS. Needs the bridge,
/// the certificates and the configuration.
pub fn up(paths: &Paths, progress: &Progress) -> Result<()> {
    for daemon in [&Etcd as &dyn Daemon, &Containerd, &KubeApiserver] {
        daemon.start(paths)?;
    }
    // The pause image is imported while the API server starts.
    wait::all(
        &format!("the import of {PAUSE_IMAGE}"),
        [&|| KubeApiserver.wait_healthy(paths, LIMIT), &|| {
            Containerd.wait_healthy(paths, LIMIT).and_then(|()| image::import_pause(paths))
        }],
    )?;
    progress.say(format_args!("kubernetes: API server at {}", Layout::of_stack(paths).url()));
    for daemon in [&KubeControllerManager as &dyn Daemon, &KubeScheduler, &Kubelet] {
        daemon.start(paths)?;
    }
    let rbac = paths.etc().join("coredns-rbac.yaml");
    output(kubectl(paths).args(["apply", "--filename"]).arg(rbac))?;
    KubeProxy.start(paths)?;
    // If CoreDNS starts before the authorizer knows its role, it waits five seconds.
    let mut can_list = kubectl(paths);
    can_list.args(["auth", "can-i", "list", "endpointslices.discovery.k8s.io", "--as=system:coredns"]);
    wait::until(LIMIT, "CoreDNS' role", || Ok(output(&mut can_list).is_ok()))?;
    Coredns.start(paths)?;
    let mut account = kubectl(paths);
    account.args(["get", "--namespace=default", "serviceaccount", "default"]);
    for daemon in [&Kubelet as &dyn Daemon, &KubeControllerManager, &KubeScheduler, &Coredns, &KubeProxy] {
        daemon.wait_healthy(paths, LIMIT)?;
    }
    wait::until(LIMIT, "the default ServiceAccount", || Ok(output(&mut account).is_ok()))?;
    network::restore_kernel_settings(paths)?;
    progress.say("kubernetes: node Ready, DNS answers");
    Ok(())
}

/// Stops the cluster: no container, mount, namespace or firewall table is left. If something cannot be removed, the
/// error names it. Everything else is tried before that.
pub fn down(paths: &Paths) -> Result<()> {
    for daemon in [&KubeScheduler as &dyn Daemon, &KubeControllerManager, &Kubelet] {
        daemon.stop(paths)?;
    }
    remove_sandboxes(paths)?;
    for daemon in [&KubeProxy as &dyn Daemon, &Coredns, &KubeApiserver, &Etcd, &Containerd] {
        daemon.stop(paths)?;
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
    Containerd.start(paths)?;
    Containerd.wait_healthy(paths, Duration::from_secs(30))?;
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
