//! ClickHouse: the engine from a Python wheel, with its own HTTP and native ports.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Daemon;
use crate::{
    fetch::clickhouse::{VERSION, python},
    health,
    paths::Paths,
    process::Spec,
    progress::Progress,
};

/// The HTTP address for programs on this machine. The user `default` has no password here.
pub const HOST: &str = "127.0.0.1:8123";
/// The HTTP address for pods, which need the user [`USER`].
pub const PODS: &str = "10.244.0.1:8123";
/// The user of the installed system. It has all rights.
pub const USER: &str = "ingest";
/// The password of [`USER`]. It is public on purpose: this server has only test data and listens only on this machine.
pub const PASSWORD: &str = "ingest-local";

/// The database.
pub struct Clickhouse;

impl Clickhouse {
    /// Starts it and waits until both addresses answer.
    pub fn up(&self, paths: &Paths, progress: &Progress) -> Result<()> {
        self.start(paths)?;
        self.wait_healthy(paths, Duration::from_mins(2))?;
        health::clickhouse(HOST, "CREATE DATABASE IF NOT EXISTS batch")?;
        let version = health::clickhouse(HOST, "SELECT version()")?;
        progress.say(format_args!("clickhouse {version}: {HOST}, and {PODS} for pods"));
        Ok(())
    }
}

impl Daemon for Clickhouse {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &[HOST, "127.0.0.1:9000", PODS, "10.244.0.1:9000"]
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("clickhouse/config.xml", include_str!("../../clickhouse/config.xml")),
            ("clickhouse/users.xml", include_str!("../../clickhouse/users.xml")),
            ("clickhouse/server.py", include_str!("../../clickhouse/server.py")),
        ]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        let etc = paths.etc().join("clickhouse");
        Ok(Spec::new(python(paths), [etc.join("server.py"), etc, paths.data.join("clickhouse")]))
    }

    fn health(&self, _: &Paths) -> Result<()> {
        for address in [HOST, PODS] {
            let answer = health::get(address, "/ping")?;
            ensure!(answer.trim() == "Ok.", "{address} answered {answer:?}");
        }
        Ok(())
    }

    fn stop_limit(&self) -> Duration {
        Duration::from_secs(40)
    }
}
