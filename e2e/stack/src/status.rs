//! The status of the parts, for people and for programs.

use std::{fmt::Write as _, path::Path, thread};

use anyhow::Result;
use serde::Serialize;

use crate::{control_plane::ControlPlane, fetch::go, part::Part, paths::Paths, process::Process};

/// The state of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Health {
    /// It runs and answers.
    Healthy,
    /// It runs but does not answer correctly.
    Failing {
        /// Its answer.
        message: String,
    },
    /// It was started and has ended without `stop`, or another program killed it.
    Died {
        /// The end of its log.
        log: String,
    },
    /// It was not started, or it was stopped by this program.
    Stopped,
}

/// One line of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartStatus {
    /// Its name.
    pub part: String,
    /// The addresses on which it listens.
    pub addresses: Vec<String>,
    /// Its pid, if it runs.
    pub pid: Option<i32>,
    /// Its version.
    pub version: String,
    /// Whether it works.
    pub health: Health,
}

/// Checks all parts in parallel, so that a part that hangs delays the result only by its own time limit.
#[must_use]
pub fn of_all(paths: &Paths) -> Vec<PartStatus> {
    let ask = |part: Part| of(&part.process(paths), part.addresses(), part.version(), || part.health(paths));
    thread::scope(|s| {
        let asked: Vec<_> = Part::all().map(|part| s.spawn(move || ask(part))).collect();
        asked.into_iter().filter_map(|job| job.join().ok()).collect()
    })
}

/// Returns the parts of a control plane without a node, or none if there is no control plane. It only checks whether
/// they run.
#[must_use]
pub fn of_control_plane(folder: &Path) -> Vec<PartStatus> {
    let started = ControlPlane::processes(folder).into_iter().filter(|process| process.started().is_some());
    started
        .map(|process| {
            let version = if process.name == "etcd" { go::ETCD } else { go::KUBERNETES };
            of(&process, &[], version.to_owned(), || Ok(()))
        })
        .collect()
}

fn of(
    process: &Process,
    addresses: &[&str],
    version: String,
    health: impl FnOnce() -> Result<()>,
) -> PartStatus {
    let running = process.running();
    let health = match (running, process.started()) {
        (None, None) => Health::Stopped,
        (None, Some(_)) => Health::Died { log: process.tail(10) },
        (Some(_), _) => match health() {
            Ok(()) => Health::Healthy,
            Err(e) => Health::Failing { message: format!("{e:#}") },
        },
    };
    PartStatus {
        part: process.name.clone(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        pid: running.map(|id| id.pid),
        version,
        health,
    }
}

/// Returns whether every part works.
#[must_use]
pub fn all_healthy(parts: &[PartStatus]) -> bool {
    !parts.is_empty() && parts.iter().all(|p| p.health == Health::Healthy)
}

/// Returns a table, followed by the problems of the parts that do not work.
#[must_use]
pub fn render(parts: &[PartStatus]) -> String {
    let rows = parts.iter().map(|p| {
        let state = match p.health {
            Health::Healthy => "healthy",
            Health::Failing { .. } => "failing",
            Health::Died { .. } => "died",
            Health::Stopped => "stopped",
        };
        let pid = p.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let addresses = if p.addresses.is_empty() { "-".to_owned() } else { p.addresses.join(" ") };
        [p.part.clone(), state.to_owned(), pid, p.version.clone(), addresses]
    });
    let head = ["PART", "HEALTH", "PID", "VERSION", "ADDRESS"].map(str::to_owned);
    let table: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut text = String::new();
    for row in &table {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = table.iter().map(|r| r[column].len()).max().unwrap_or(0) + 2;
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for p in parts {
        match &p.health {
            Health::Died { log } => {
                let _ = write!(text, "\n{} died. The end of its log:\n{}\n", p.part, indent(log));
            }
            Health::Failing { message } => {
                let _ = write!(text, "\n{} runs and does not work:\n{}\n", p.part, indent(message));
            }
            Health::Healthy | Health::Stopped => {}
        }
    }
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, pid: Option<i32>, health: Health) -> PartStatus {
        let addresses = vec!["127.0.0.1:1".to_owned()];
        PartStatus { part: name.to_owned(), addresses, pid, version: "1.0".to_owned(), health }
    }

    #[test]
    fn a_dead_part_is_shown_with_the_end_of_its_log() {
        let parts = [
            part("etcd", Some(12), Health::Healthy),
            part("kafka", None, Health::Died { log: "one\ntwo".to_owned() }),
        ];
        assert_eq!(
            render(&parts),
            "PART   HEALTH   PID  VERSION  ADDRESS\n\
             etcd   healthy  12   1.0      127.0.0.1:1\n\
             kafka  died     -    1.0      127.0.0.1:1\n\
             \n\
             kafka died. The end of its log:\n    one\n    two\n"
        );
        assert!(!all_healthy(&parts));
        assert!(all_healthy(&parts[..1]));
    }

    #[test]
    fn programs_get_the_state_as_a_word() {
        let json = serde_json::to_value(part("x", None, Health::Stopped)).unwrap();
        assert_eq!(json["health"]["state"], "stopped");
        assert_eq!(json["pid"], serde_json::Value::Null);
    }
}
