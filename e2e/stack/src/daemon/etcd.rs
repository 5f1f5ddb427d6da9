//! etcd: the store of the cluster.

use anyhow::Result;

use super::Daemon;
use crate::{fetch::go, health, kubernetes::layout::Layout, paths::Paths, process::Spec};

/// The store of the cluster.
pub struct Etcd;

impl Daemon for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["127.0.0.1:2379", "127.0.0.1:2380"]
    }

    fn version(&self) -> String {
        go::ETCD.to_owned()
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        Ok(command(&Layout::of_stack(paths)))
    }

    fn health(&self, _: &Paths) -> Result<()> {
        health::get("127.0.0.1:2379", "/health").map(drop)
    }
}

/// Returns the command of etcd. It has no fsync and a short election time: a single member waits for no other, and
/// its data may be lost.
pub fn command(layout: &Layout) -> Spec {
    let client = format!("http://127.0.0.1:{}", layout.etcd_port);
    let peer = format!("http://127.0.0.1:{}", layout.etcd_peer_port);
    Spec::new(
        layout.bin.join("etcd"),
        [
            "--name=local".to_owned(),
            format!("--data-dir={}", layout.data.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=local={peer}"),
            "--unsafe-no-fsync".into(),
            "--auto-compaction-retention=1h".into(),
            "--log-level=warn".into(),
            "--heartbeat-interval=20".into(),
            "--election-timeout=200".into(),
        ],
    )
}
