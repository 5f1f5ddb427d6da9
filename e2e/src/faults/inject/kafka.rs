//! What an administrator of Kafka may do to a topic and to a consumer group, with Kafka's own tools.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::model::{patch, undo};
use crate::faults::inject::Outcome;
use crate::faults::plan::Target;
use crate::faults::system::System;
use crate::kafka;
use crate::wait::until;

/// The number of partitions of each topic of a run.
pub const PARTITIONS: u32 = 4;
/// How long workers may take to leave the consumer group. Each restart of the broker begins the session of a member that
/// was killed again, and on a busy machine the broker needs a minute to start.
const LEAVING: Duration = Duration::from_secs(300);

/// Deletes the topic of a model.
pub fn delete_topic(system: &System, model: &str, injected: &dyn Fn()) -> Result<Outcome> {
    let topic = topic(system, model)?;
    // The lock prevents a kill of Kafka meanwhile: the tool would wait for minutes.
    let lock = system.lock(Target::Kafka.name());
    let _guard = lock.lock();
    injected();
    run(system, "org.apache.kafka.tools.TopicCommand", &["--delete", "--topic", &topic])?;
    Ok(Outcome::Done(topic))
}

/// Deletes all records that are in the topic of a model now.
pub fn delete_records(system: &System, model: &str, injected: &dyn Fn()) -> Result<Outcome> {
    let topic = topic(system, model)?;
    let lock = system.lock(Target::Kafka.name());
    let _guard = lock.lock();
    injected();
    kafka::delete_records(&system.target, &topic, PARTITIONS)?;
    Ok(Outcome::Done(topic))
}

/// Stops the workers of a model, makes the tables forget every insert token, and resets the consumer group to offset
/// 0.
pub fn replay(system: &System, model: &str, injected: &dyn Fn()) -> Result<Outcome> {
    let lock = system.lock(&format!("model {model}"));
    let _guard = lock.lock();
    let topic = topic(system, model)?;
    let table = model_status(system, model, "{.status.table}")?;
    let restart = system.journal.note(undo(system, model, r#"{"spec":{"paused":false}}"#))?;
    injected();
    patch(system, model, r#"{"spec":{"paused":true}}"#)?;
    let done = (|| {
        reset(system, &topic)?;
        [table.as_str(), "rejected_rows", "ingest_batches"]
            .iter()
            .try_for_each(|table| clear_tokens(system, table))
    })();
    system.keep_trying("to let the model continue", LEAVING, || system.journal.undo(restart))?;
    done.map(|()| Outcome::Done(topic))
}

/// Resets the consumer group after all workers have left it. The error names the members that did not leave.
fn reset(system: &System, topic: &str) -> Result<()> {
    let command = |args: &[&str]| {
        let lock = system.lock(Target::Kafka.name());
        let _guard = lock.lock();
        let args = [&["--group", topic], args].concat();
        run(system, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &args)
    };
    let done = until(&format!("the group {topic} to be reset"), LEAVING, || {
        let output = command(&["--topic", topic, "--reset-offsets", "--to-earliest", "--execute"])?;
        // One line for each partition. If the group still has members, the tool prints that and exits with 0.
        let lines = output.lines().filter(|line| line.contains(topic)).count();
        ensure!(lines >= PARTITIONS as usize, "{output}");
        Ok(Some(()))
    });
    done.with_context(|| match command(&["--describe", "--members"]) {
        Ok(members) => members,
        Err(error) => format!("its members are not known: {error}"),
    })
}

/// With a window of one token, the table drops all other tokens. The second statement restores the size of the window.
/// 10,000 inserts would have the same effect, in some minutes. The lock prevents a full disk meanwhile: ClickHouse then
/// leaves an empty file where it keeps the definition of the table.
fn clear_tokens(system: &System, table: &str) -> Result<()> {
    let setting = "non_replicated_deduplication_window";
    system.keep_trying("to clear the window", LEAVING, || {
        let lock = system.lock(Target::Clickhouse.name());
        let _held = lock.lock();
        let now = system.sql(&format!(
            "SELECT extract(create_table_query, '{setting} = (\\\\d+)') FROM system.tables \
             WHERE concat(database, '.', name) = '{table}' OR (database = currentDatabase() AND name = '{table}')"
        ))?;
        if now.is_empty() {
            bail!("{table} has no window");
        }
        let changed = system.sql(&format!("ALTER TABLE {table} MODIFY SETTING {setting} = 1"));
        system.sql(&format!("ALTER TABLE {table} MODIFY SETTING {setting} = {}", restored(&now)))?;
        changed.map(drop)
    })
}

/// Returns the size to restore. If a failed attempt left the table at 1, it is the size that all tables have.
fn restored(now: &str) -> &str {
    if now == "1" { "10000" } else { now }
}

fn topic(system: &System, model: &str) -> Result<String> {
    model_status(system, model, "{.status.topic}")
}

fn model_status(system: &System, model: &str, path: &str) -> Result<String> {
    let path = format!("jsonpath={path}");
    let args = ["get", "ingestmodel", "-n", &system.namespace, model, "-o", &path];
    let text =
        system.keep_trying("to read a model", Duration::from_secs(60), || system.target.kubectl(&args))?;
    ensure!(!text.is_empty(), "model {model} has no {path}");
    Ok(text)
}

fn run(system: &System, class: &str, args: &[&str]) -> Result<String> {
    let server = ["--bootstrap-server", system.target.parts.kafka_host.as_str()];
    kafka::tool(&system.target, class, &[&server, args].concat())
}
