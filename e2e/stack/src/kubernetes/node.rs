//! Starts the cluster: the control plane, the node, DNS. Everything is idempotent.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result};

use super::{NODE_IP, NODE_NAME, PAUSE_IMAGE, control_plane::Layout, network};
use crate::{
    image,
    part::Part,
    paths::Paths,
    process::Spec,
    progress::{Progress, output},
    wait,
};

const LIMIT: Duration = Duration::from_mins(2);

/// Starts everything in about five seconds, up to a Ready node, a default service account and DNS. Needs the bridge,
/// the certificates and the configuration.
pub fn up(paths: &Paths, progress: &Progress) -> Result<()> {
    for part in [Part::Etcd, Part::Containerd, Part::KubeApiserver] {
        part.start(paths)?;
    }
    // The pause image is imported while the API server starts.
    thread::scope(|s| {
        let pause = s.spawn(|| {
            Part::Containerd.wait_healthy(paths, LIMIT)?;
            image::import_pause(paths)
        });
        Part::KubeApiserver.wait_healthy(paths, LIMIT)?;
        pause.join().map_err(|_| anyhow::anyhow!("the import of {PAUSE_IMAGE} broke off"))?
    })?;
    progress.say(format_args!("kubernetes: API server at {}", Layout::of_stack(paths).url()));
    for part in [Part::KubeControllerManager, Part::KubeScheduler, Part::Kubelet] {
        part.start(paths)?;
    }
    let rbac = paths.etc().join("coredns-rbac.yaml");
    output(kubectl(paths).args(["apply", "--filename"]).arg(rbac))?;
    Part::KubeProxy.start(paths)?;
    // If CoreDNS starts before the authorizer knows its role, it waits five seconds.
    let mut can_list = kubectl(paths);
    can_list.args(["auth", "can-i", "list", "endpointslices.discovery.k8s.io", "--as=system:coredns"]);
    wait::until(LIMIT, "CoreDNS' role", || Ok(output(&mut can_list).is_ok()))?;
    Part::Coredns.start(paths)?;
    let mut account = kubectl(paths);
    account.args(["get", "--namespace=default", "serviceaccount", "default"]);
    for part in
        [Part::Kubelet, Part::KubeControllerManager, Part::KubeScheduler, Part::Coredns, Part::KubeProxy]
    {
        part.wait_healthy(paths, LIMIT)?;
    }
    wait::until(LIMIT, "the default ServiceAccount", || Ok(output(&mut account).is_ok()))?;
    network::restore_kernel_settings(paths)?;
    progress.say("kubernetes: node Ready, DNS answers");
    Ok(())
}

/// Returns kubectl as the administrator of this stack.
#[must_use]
pub fn kubectl(paths: &Paths) -> Command {
    let mut command = Command::new(paths.program("kubectl"));
    command.env("KUBECONFIG", paths.kubeconfig());
    command
}

/// Checks with the Kubernetes API that the node is Ready.
pub fn node_ready(paths: &Paths) -> Result<()> {
    let condition = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    let status = output(kubectl(paths).args([
        "get",
        "node",
        NODE_NAME,
        "--request-timeout=3s",
        "--output",
        condition,
    ]))?;
    anyhow::ensure!(status == "True", "the node is not Ready");
    Ok(())
}

/// Returns the command of the scheduler.
#[must_use]
pub fn scheduler(paths: &Paths) -> Spec {
    let kubeconfig = paths.etc().join("kube-scheduler.kubeconfig").display().to_string();
    Spec::new(
        paths.program("kube-scheduler"),
        [
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--leader-elect=false".into(),
            "--profiling=false".into(),
        ],
    )
}

/// Returns the command of kubelet. Creates the folder of its certificates.
pub fn kubelet(paths: &Paths) -> Result<Spec> {
    let root = paths.data.join("kubelet");
    fs::create_dir_all(root.join("pki")).context("failed to make kubelet's folder")?;
    let etc = paths.etc();
    Ok(Spec::new(
        paths.program("kubelet"),
        [
            format!("--config={}", etc.join("kubelet.yaml").display()),
            format!("--kubeconfig={}", etc.join("kubelet.kubeconfig").display()),
            format!("--root-dir={}", root.display()),
            format!("--cert-dir={}", root.join("pki").display()),
            format!("--hostname-override={NODE_NAME}"),
            format!("--node-ip={NODE_IP}"),
        ],
    ))
}
