//! ClickHouse: the engine of a Python wheel behind its own HTTP and native ports.

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
    small_disk,
};

/// HTTP for programs on this machine; the user `default` has no password here.
pub const HOST: &str = "127.0.0.1:8123";
/// HTTP for pods, which need the user [`USER`].
pub const PODS: &str = "10.244.0.1:8123";
/// What the installed system logs in as. May do everything.
pub const USER: &str = "ingest";
/// The password of [`USER`]. Public on purpose: this server holds test data and listens on this machine only.
pub const PASSWORD: &str = "ingest-local";

/// Starts it and waits until both addresses answer.
pub fn up(paths: &Paths, progress: &Progress) -> Result<()> {
    let etc = paths.etc().join("clickhouse");
    let logs = paths.logs().display().to_string();
    let values = [("node_ip", NODE_IP), ("pod_cidr", POD_CIDR), ("logs", &logs)];
    write_if_changed(&etc.join("config.xml"), &render(include_str!("../clickhouse/config.xml"), &values)?)?;
    write_if_changed(&etc.join("users.xml"), &render(include_str!("../clickhouse/users.xml"), &values)?)?;
    write_if_changed(&etc.join("server.py"), include_str!("../clickhouse/server.py"))?;
    small_disk::mount(paths)?;
    Part::Clickhouse.start(paths)?;
    Part::Clickhouse.wait_healthy(paths, Duration::from_mins(2))?;
    health::clickhouse(HOST, "CREATE DATABASE IF NOT EXISTS batch")?;
    let version = health::clickhouse(HOST, "SELECT version()")?;
    progress.say(format_args!("clickhouse {version}: {HOST}, and {PODS} for pods"));
    Ok(())
}

/// The launcher's command.
#[must_use]
pub fn spec(paths: &Paths) -> Spec {
    let etc = paths.etc().join("clickhouse");
    Spec::new(python(paths), [etc.join("server.py"), etc, paths.data.join("clickhouse")])
}
