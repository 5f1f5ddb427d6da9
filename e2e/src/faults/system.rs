//! The parts that the suite uses: Kubernetes, ClickHouse, the upload API, and their processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use stack::process::Id;
use stack::{Part, Stack};

use super::plan::Target as FaultTarget;
use super::undo::{Journal, part};
use crate::wait::until;
use crate::{Target, shell::Output};

/// How long to wait for a process that a fault needs.
const APPEARS: Duration = Duration::from_secs(15);

/// What the suite needs in one namespace of a run.
pub struct System {
    /// Commands and addresses.
    pub target: Target,
    /// The local stack.
    pub stack: Stack,
    /// The URL of the upload API. It is read once, because the API server may be down later.
    pub api_url: String,
    /// The namespace of the models and jobs.
    pub namespace: String,
    /// The folder of the files.
    pub folder: PathBuf,
    /// What must be undone.
    pub journal: Arc<Journal>,
    locks: Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
}

impl System {
    /// Makes a system on an existing namespace.
    pub fn new(target: &Target, namespace: &str, folder: PathBuf, journal: Arc<Journal>) -> Result<Self> {
        Ok(Self {
            target: target.clone(),
            stack: Stack::from_env(),
            api_url: target.api_url()?,
            namespace: namespace.to_owned(),
            folder,
            journal,
            locks: Mutex::default(),
        })
    }

    /// Returns the lock of a part. A fault holds it while it affects the part, so that faults of one part run one
    /// after the other.
    pub fn lock(&self, what: &str) -> Arc<Mutex<()>> {
        let mut locks = self.locks.lock();
        Arc::clone(locks.entry(what.to_owned()).or_default())
    }

    /// Returns the processes of a kind, in the order of their pids. Workers: those of the models of this namespace.
    #[must_use]
    pub fn processes(&self, of: FaultTarget) -> Vec<Id> {
        if of.is_part() {
            let part = part(of.name()).ok();
            return part.and_then(|part| part.process(&self.stack.paths).running()).into_iter().collect();
        }
        let program = match of {
            FaultTarget::Worker => "/usr/bin/worker",
            FaultTarget::Api => "/usr/bin/ingest-api",
            _ => "/usr/bin/operator",
        };
        let mut found: Vec<Id> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| {
                fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.to_str() == Some(program))
            })
            .filter(|pid| of != FaultTarget::Worker || self.is_ours(*pid))
            .filter_map(Id::of)
            .collect();
        found.sort_unstable_by_key(|id| id.pid);
        found
    }

    /// Returns one of the processes of a kind: the one with the number `which` modulo the number of processes. Waits a
    /// while until there is one, because a model has no worker before its first job.
    #[must_use]
    pub fn process(&self, of: FaultTarget, which: u32) -> Option<Id> {
        let one = || {
            let found = self.processes(of);
            let index = usize::try_from(which).ok().and_then(|which| which.checked_rem(found.len()));
            Ok(index.map(|index| found[index]))
        };
        until("a process to appear", APPEARS, one).ok()
    }

    fn is_ours(&self, pid: i32) -> bool {
        let wanted = format!("MODEL_NAMESPACE={}", self.namespace);
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|b| *b == 0).any(|v| v == wanted.as_bytes()))
    }

    /// Runs `batch ARGS` without asking the API server for the address of the upload API.
    pub fn batch(&self, args: &[&str]) -> Result<Output> {
        let mut shell = self.target.shell.clone();
        shell.env.push(("BATCH_API_URL".into(), self.api_url.clone()));
        shell.env.push(("BATCH_NAMESPACE".into(), self.namespace.clone()));
        shell.run("batch", args)
    }

    /// Runs a command that must succeed. It is repeated while a part is down.
    pub fn keep_trying<T>(
        &self,
        what: &str,
        limit: Duration,
        mut call: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            match call() {
                Ok(value) => return Ok(value),
                Err(error) if Instant::now() >= end => {
                    return Err(error.context(format!("tried {what} for {} s", limit.as_secs())));
                }
                Err(_) => thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    /// Runs a statement with a time limit, so that a stopped ClickHouse does not block the suite.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let parts = &self.target.parts;
        let user = format!("{}:{}", parts.clickhouse_user, parts.clickhouse_password);
        let url = format!("http://{}:{}/", parts.clickhouse_host, parts.clickhouse_http_port);
        let args =
            ["-sS", "--fail-with-body", "--max-time", "300", "--user", &user, "--data-binary", "@-", &url];
        let answer = self.target.shell.run_with("curl", &args, Some(statement))?;
        Ok(answer.ok().with_context(|| statement.to_owned())?.trim_end().to_owned())
    }

    /// Starts every part that died, and waits until all parts work. Returns the names of the started parts.
    pub fn restart_dead_parts(&self) -> Result<Vec<&'static str>> {
        let mut started = vec![];
        for part in Part::all() {
            if part.process(&self.stack.paths).running().is_none() {
                started.push(part.name());
            }
            self.keep_trying(part.name(), Duration::from_secs(120), || self.stack.start(part))?;
        }
        Ok(started)
    }
}

/// Runs a command on the host. The command must succeed.
pub fn host(program: &str, args: &[&str]) -> Result<String> {
    let done =
        Command::new(program).args(args).output().with_context(|| format!("failed to run {program}"))?;
    if !done.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
