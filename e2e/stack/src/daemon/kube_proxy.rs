//! kube-proxy: implements the addresses of Services, with nftables.

use anyhow::Result;

use super::Daemon;
use crate::{health, paths::Paths, process::Spec};

/// Implements the addresses of Services, with nftables.
pub struct KubeProxy;

impl Daemon for KubeProxy {
    fn name(&self) -> &'static str {
        "kube-proxy"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["127.0.0.1:10256", "127.0.0.1:10249"]
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[("kube-proxy.yaml", include_str!("templates/kube-proxy.yaml"))]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        let config = paths.etc().join("kube-proxy.yaml");
        Ok(Spec::new(paths.program("kube-proxy"), [format!("--config={}", config.display())]))
    }

    fn health(&self, _: &Paths) -> Result<()> {
        health::get("127.0.0.1:10256", "/healthz").map(drop)
    }
}
