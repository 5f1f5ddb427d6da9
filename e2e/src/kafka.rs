//! Kafka's own tools on the local stack.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;
use stack::Paths;

use crate::target::Target;

/// Deletes all records of a topic up to their end, as retention would. `partitions` is the number of its partitions.
pub fn delete_records(target: &Target, topic: &str, partitions: u32) -> Result<()> {
    let ends: Vec<_> = (0..partitions)
        .map(|partition| json!({"topic": topic, "partition": partition, "offset": -1}))
        .collect();
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let file = std::env::temp_dir().join(format!("delete-records-{stamp}.json"));
    std::fs::write(&file, json!({"version": 1, "partitions": ends}).to_string())?;
    let offsets = file.to_string_lossy().into_owned();
    let done = tool(
        target,
        "org.apache.kafka.tools.DeleteRecordsCommand",
        &["--bootstrap-server", &target.parts.kafka_host, "--offset-json-file", &offsets],
    );
    std::fs::remove_file(&file)?;
    done.map(drop)
}

/// Runs a tool of Kafka by the name of its class. Returns what it prints.
pub fn tool(target: &Target, class: &str, args: &[&str]) -> Result<String> {
    let jars = jars().join("*").to_string_lossy().into_owned();
    let all = [&["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", &jars, class], args].concat();
    target.shell.run("java", &all)?.ok().with_context(|| class.to_owned())
}

fn jars() -> PathBuf {
    Paths::from_env().cache.join("kafka/lib")
}
