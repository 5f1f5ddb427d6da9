//! kubelet: runs the pods of the node.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::Daemon;
use crate::{
    health,
    kubernetes::{NODE_IP, NODE_NAME, kubectl},
    paths::Paths,
    process::Spec,
    progress::output,
};

/// Runs the pods of the node.
pub struct Kubelet;

impl Daemon for Kubelet {
    fn name(&self) -> &'static str {
        "kubelet"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["10.244.0.1:10250", "127.0.0.1:10248"]
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("kubelet.yaml", include_str!("templates/kubelet.yaml")),
            ("resolv.conf", "nameserver {{node_ip}}\n"),
        ]
    }

    /// Also creates the folder of its certificates.
    fn spec(&self, paths: &Paths) -> Result<Spec> {
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

    /// Also checks with the Kubernetes API that the node is Ready.
    fn health(&self, paths: &Paths) -> Result<()> {
        health::get("127.0.0.1:10248", "/healthz")?;
        let condition = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        let status = output(kubectl(paths).args([
            "get",
            "node",
            NODE_NAME,
            "--request-timeout=3s",
            "--output",
            condition,
        ]))?;
        ensure!(status == "True", "the node is not Ready");
        Ok(())
    }
}
