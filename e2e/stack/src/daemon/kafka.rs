//! Apache Kafka: one broker that is also its own controller, with one address for the host and one for pods.

pub mod archive;

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Daemon;
use crate::{
    fetch::kafka::{VERSION, class_path, java_archive},
    health,
    paths::{Paths, render, write_if_changed},
    process::Spec,
    progress::{Progress, output},
};

/// The address for programs on this machine.
pub const HOST: &str = "127.0.0.1:9092";
/// The address for pods. The bridge must exist before the broker starts.
pub const PODS: &str = "10.244.0.1:9094";
const CONTROLLER_PORT: u16 = 9093;
/// Any 22 characters of base64 are valid. No other cluster uses the data folder.
const CLUSTER_ID: &str = "YmF0Y2gtb24ta2Fma2EtMQ";

/// The broker, which is also its own controller.
pub struct Kafka;

impl Kafka {
    /// Formats the data folder if needed, starts the broker, and waits until both addresses answer.
    pub fn up(&self, paths: &Paths, progress: &Progress) -> Result<()> {
        let etc = paths.etc().join("kafka");
        let data = paths.data.join("kafka");
        write_config(&etc, &data, &format!("LOCAL://{HOST},PODS://{PODS}"), CONTROLLER_PORT)?;
        if self.process(paths).running().is_none() {
            format(paths, &etc, &data)?;
            self.start(paths)?;
        }
        self.wait_healthy(paths, Duration::from_mins(2))?;
        progress.say(format_args!("kafka: {HOST}, and {PODS} for pods"));
        Ok(())
    }
}

impl Daemon for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &[HOST, "127.0.0.1:9093", PODS]
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    /// The broker has a small heap, which was measured as fast as a large one, and start-up classes from an archive.
    fn spec(&self, paths: &Paths) -> Result<Spec> {
        let archive = format!("-XX:SharedArchiveFile={}", java_archive(paths).display());
        broker(paths, &paths.etc().join("kafka"), &[archive, "-Xshare:auto".into()])
    }

    fn health(&self, _: &Paths) -> Result<()> {
        for address in [HOST, PODS] {
            let brokers = health::kafka(address)?;
            ensure!(brokers == [address], "{address} names the brokers {brokers:?}");
        }
        Ok(())
    }

    fn stop_limit(&self) -> Duration {
        Duration::from_secs(40)
    }
}

/// Writes `server.properties` and `log4j2.xml` to `etc`.
pub fn write_config(etc: &Path, data: &Path, listeners: &str, controller_port: u16) -> Result<()> {
    let properties = render(
        include_str!("../../kafka/server.properties"),
        &[
            ("listeners", listeners),
            ("controller_port", &controller_port.to_string()),
            ("data", &data.display().to_string()),
        ],
    )?;
    write_if_changed(&etc.join("server.properties"), &properties)?;
    write_if_changed(&etc.join("log4j2.xml"), include_str!("../../kafka/log4j2.xml"))
}

/// Returns the command of a broker with the configuration in `etc`, with additional options for the Java virtual
/// machine.
pub fn broker(paths: &Paths, etc: &Path, options: &[String]) -> Result<Spec> {
    let mut args: Vec<String> = [
        "-Xms256m",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:MaxDirectMemorySize=256m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
    ]
    .map(str::to_owned)
    .to_vec();
    args.extend_from_slice(options);
    args.extend(java(paths, etc)?);
    args.extend(["kafka.Kafka".to_owned(), etc.join("server.properties").display().to_string()]);
    Ok(Spec::new("java", args))
}

/// Writes the cluster id to the data folder, once.
pub fn format(paths: &Paths, etc: &Path, data: &Path) -> Result<()> {
    if data.join("meta.properties").exists() {
        return Ok(());
    }
    fs::create_dir_all(data).with_context(|| format!("failed to make {}", data.display()))?;
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"]).args(java(paths, etc)?);
    command.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"]);
    output(command.arg(etc.join("server.properties"))).context("failed to format Kafka's folder")?;
    ensure!(data.join("meta.properties").exists(), "Kafka's folder {} stayed unformatted", data.display());
    Ok(())
}

fn java(paths: &Paths, etc: &Path) -> Result<[String; 3]> {
    let log = format!("-Dlog4j2.configurationFile=file:{}", etc.join("log4j2.xml").display());
    Ok(["-classpath".to_owned(), class_path(paths)?, log])
}
