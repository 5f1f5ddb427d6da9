//! kube-scheduler: puts pods on the node.

use anyhow::Result;

use super::Daemon;
use crate::{health, paths::Paths, process::Spec};

/// Puts pods on the node.
pub struct KubeScheduler;

impl Daemon for KubeScheduler {
    fn name(&self) -> &'static str {
        "kube-scheduler"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["127.0.0.1:10259"]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        let kubeconfig = paths.etc().join("kube-scheduler.kubeconfig").display().to_string();
        Ok(Spec::new(
            paths.program("kube-scheduler"),
            [
                format!("--kubeconfig={kubeconfig}"),
                format!("--authentication-kubeconfig={kubeconfig}"),
                format!("--authorization-kubeconfig={kubeconfig}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--leader-elect=false".into(),
                "--profiling=false".into(),
            ],
        ))
    }

    fn health(&self, _: &Paths) -> Result<()> {
        health::https("https://127.0.0.1:10259/healthz")
    }
}
