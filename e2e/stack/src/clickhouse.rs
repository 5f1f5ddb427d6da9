//! ClickHouse: the engine from a Python wheel, with its own HTTP and native ports.

use std::time::Duration;

use anyhow::Result;

use crate::{
    fetch::clickhouse::python,
    health,
    kubernetes::{NODE_IP, POD_CIDR},
    part::Part,
    paths::{Paths, render, write_if_changed},
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

/// Starts it and waits until both addresses answer.
pub fn up(paths: &Paths, progress: &Progress) -> Result<()> {
    let etc = paths.etc().join("clickhouse");
    let logs = paths.logs().display().to_string();
    let values = [("node_ip", NODE_IP), ("pod_cidr", POD_CIDR), ("logs", &logs)];
    write_if_changed(&etc.join("config.xml"), &render(include_str!("../clickhouse/config.xml"), &values)?)?;
    write_if_changed(&etc.join("users.xml"), &render(include_str!("../clickhouse/users.xml"), &values)?)?;
    write_if_changed(&etc.join("server.py"), include_str!("../clickhouse/server.py"))?;
    Part::Clickhouse.start(paths)?;
    Part::Clickhouse.wait_healthy(paths, Duration::from_mins(2))?;
    health::clickhouse(HOST, "CREATE DATABASE IF NOT EXISTS batch")?;
    let version = health::clickhouse(HOST, "SELECT version()")?;
    progress.say(format_args!("clickhouse {version}: {HOST}, and {PODS} for pods"));
    Ok(())
}

/// Returns the command of the launcher.
#[must_use]
pub fn spec(paths: &Paths) -> Spec {
    let etc = paths.etc().join("clickhouse");
    Spec::new(python(paths), [etc.join("server.py"), etc, paths.data.join("clickhouse")])
}
