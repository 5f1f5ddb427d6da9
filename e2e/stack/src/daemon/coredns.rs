//! `CoreDNS`: resolves the names of Services.

use std::path::PathBuf;

use anyhow::Result;

use super::Daemon;
use crate::{fetch::go, health, paths::Paths, process::Spec};

/// Resolves the names of Services.
pub struct Coredns;

impl Daemon for Coredns {
    fn name(&self) -> &'static str {
        "coredns"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["10.244.0.1:53", "127.0.0.1:18181"]
    }

    fn version(&self) -> String {
        go::COREDNS.to_owned()
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("Corefile", include_str!("templates/Corefile")),
            ("coredns-rbac.yaml", include_str!("templates/coredns-rbac.yaml")),
        ]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        Ok(Spec::new(paths.program("coredns"), [PathBuf::from("-conf"), paths.etc().join("Corefile")]))
    }

    fn health(&self, _: &Paths) -> Result<()> {
        health::get("127.0.0.1:18181", "/ready").map(drop)
    }
}
