//! kube-controller-manager: the built-in controllers.

use anyhow::Result;

use super::Daemon;
use crate::{health, kubernetes::layout::Layout, paths::Paths, process::Spec};

/// The built-in controllers.
pub struct KubeControllerManager;

impl Daemon for KubeControllerManager {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["127.0.0.1:10257"]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        Ok(command(&Layout::of_stack(paths)))
    }

    fn health(&self, _: &Paths) -> Result<()> {
        health::https("https://127.0.0.1:10257/healthz")
    }
}

/// Returns the command of the controller-manager. The default limit of 20 requests per second would delay the
/// default service account by five seconds. Without its own credentials, the controllers have no rights in RBAC.
pub fn command(layout: &Layout) -> Spec {
    let kubeconfig = layout.etc.join("kube-controller-manager.kubeconfig").display().to_string();
    let pki = |name: &str| layout.pki.join(name).display().to_string();
    let mut args = vec![
        format!("--kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", layout.controller_port),
        "--leader-elect=false".into(),
        "--use-service-account-credentials=true".into(),
        "--kube-api-qps=300".into(),
        "--kube-api-burst=600".into(),
        format!("--service-account-private-key-file={}", pki("sa.key")),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--flex-volume-plugin-dir={}", layout.data.join("kubelet-volume-plugins").display()),
        "--profiling=false".into(),
    ];
    if layout.node {
        args.extend([
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--cluster-signing-cert-file={}", pki("ca.crt")),
            format!("--cluster-signing-key-file={}", pki("ca.key")),
        ]);
    } else {
        args.push(format!("--controllers={}", CONTROLLERS_WITHOUT_NODE.join(",")));
    }
    Spec::new(layout.bin.join("kube-controller-manager"), args)
}

/// The controllers that reconcile tests need: objects are created, owned and garbage-collected, but nothing runs.
const CONTROLLERS_WITHOUT_NODE: [&str; 8] = [
    "namespace-controller",
    "serviceaccount-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "endpointslice-controller",
    "root-ca-certificate-publisher-controller",
];
