//! A daemon of the stack: its command, its addresses, and how to check that it works. Each daemon has its own file.

pub mod clickhouse;
pub mod containerd;
pub mod coredns;
pub mod etcd;
pub mod kafka;
pub mod kube_apiserver;
pub mod kube_controller_manager;
pub mod kube_proxy;
pub mod kube_scheduler;
pub mod kubelet;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{
    fetch::go,
    paths::Paths,
    process::{Process, Spec},
    wait,
};

/// One daemon of the stack.
pub trait Daemon: Sync {
    /// Returns the name on the command line, in pid files and in logs.
    fn name(&self) -> &'static str;

    /// Returns the addresses on which it listens, as `address:port`.
    fn addresses(&self) -> &'static [&'static str];

    /// Returns its version: the pinned version, or that of the Debian package.
    fn version(&self) -> String {
        go::KUBERNETES.to_owned()
    }

    /// Returns its configuration files: the name below `etc`, and the template.
    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Returns its command.
    fn spec(&self, paths: &Paths) -> Result<Spec>;

    /// Checks with its own protocol that it works.
    fn health(&self, paths: &Paths) -> Result<()>;

    /// Returns how long a stop may take.
    fn stop_limit(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// Returns its process.
    fn process(&self, paths: &Paths) -> Process {
        Process::new(self.name(), &paths.pids(), &paths.logs())
    }

    /// Starts it. Returns `false` if it already runs.
    fn start(&self, paths: &Paths) -> Result<bool> {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin:{path}", paths.bin().display());
        self.process(paths).start(&self.spec(paths)?.env("PATH", path))
    }

    /// Stops it. If it does not end in time, it is killed. This is no error, because nothing here needs a clean end.
    fn stop(&self, paths: &Paths) -> Result<()> {
        let limit = self.stop_limit();
        if self.process(paths).stop(limit)? {
            eprintln!("{} did not stop within {} s and was killed", self.name(), limit.as_secs());
        }
        Ok(())
    }

    /// Waits until it works. If it dies, this fails at once, with the end of its log.
    fn wait_healthy(&self, paths: &Paths, limit: Duration) -> Result<()> {
        let process = self.process(paths);
        let mut last = None;
        wait::until(limit, self.name(), || {
            ensure!(
                process.running().is_some(),
                "{} died. The end of {}:\n{}",
                self.name(),
                process.log().display(),
                process.tail(20)
            );
            last = self.health(paths).err();
            Ok(last.is_none())
        })
        .with_context(|| match &last {
            Some(e) => format!("{} does not work: {e:#}", self.name()),
            None => format!("{} does not work", self.name()),
        })
    }
}
