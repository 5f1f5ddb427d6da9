//! One daemon. It is started in its own session. It is identified by pid **and** kernel start time, so that a pid
//! which the kernel has given to another process is never signalled.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::wait;

/// The command to run.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program's path or name.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables that are added to those of this process.
    pub env: Vec<(OsString, OsString)>,
}

impl Spec {
    /// Makes the command of a program with arguments.
    pub fn new<A: Into<OsString>>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect(), env: Vec::new() }
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }
}

/// A process as the kernel identifies it: the pid, and the clock tick of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// The process id.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start: u64,
}

impl Id {
    /// Reads the text of `to_line`. `None` for any other text.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (pid, start) = line.trim().split_once(' ')?;
        let id = Self { pid: pid.parse().ok()?, start: start.parse().ok()? };
        (id.pid > 1).then_some(id)
    }

    /// Returns `PID START`, the content of a pid file.
    #[must_use]
    pub fn to_line(self) -> String {
        format!("{} {}\n", self.pid, self.start)
    }

    /// Returns the process that has this pid now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        start_of_living(&stat).map(|start| Self { pid, start })
    }

    /// Returns whether this process runs. A zombie does not run: some init processes reap late.
    #[must_use]
    pub fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(self, signal: Signal) -> Result<()> {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.alive()) {
            kill_process(pid, signal).with_context(|| format!("failed to signal pid {}", self.pid))?;
        }
        Ok(())
    }
}

/// Returns the start time in a line of `/proc/<pid>/stat`, or `None` for a zombie or a dead process. The second field
/// is the name in parentheses, which may contain spaces and parentheses.
fn start_of_living(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// A daemon with its pid file and log.
#[derive(Clone, Debug)]
pub struct Process {
    /// The name of the pid file and the log.
    pub name: String,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Makes the daemon `name`, with the pid file and the log in these folders.
    #[must_use]
    pub fn new(name: &str, pids: &Path, logs: &Path) -> Self {
        Self {
            name: name.to_owned(),
            pid_file: pids.join(format!("{name}.pid")),
            log: logs.join(format!("{name}.log")),
        }
    }

    /// Returns the file of its output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns the running process, if it runs.
    #[must_use]
    pub fn running(&self) -> Option<Id> {
        self.started().filter(|id| id.alive())
    }

    /// Returns the process that was started and not stopped by this program, whether or not it still runs.
    #[must_use]
    pub fn started(&self) -> Option<Id> {
        Id::parse(&fs::read_to_string(&self.pid_file).ok()?)
    }

    /// Starts it. Returns `false` if it already runs. The log of the run before is kept as `<name>.log.1`.
    pub fn start(&self, spec: &Spec) -> Result<bool> {
        if self.running().is_some() {
            return Ok(false);
        }
        for file in [&self.pid_file, &self.log] {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
            }
        }
        if self.log.exists() {
            fs::rename(&self.log, self.log.with_extension("log.1"))?;
        }
        let log =
            File::create(&self.log).with_context(|| format!("failed to write {}", self.log.display()))?;
        // setsid(1) becomes the program itself with the same pid: it forks only if it leads a process group.
        let child = Command::new("setsid")
            .arg(&spec.program)
            .args(&spec.args)
            .envs(spec.env.iter().map(|(k, v)| (k, v)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", self.name))?;
        let pid = i32::try_from(child.id()).context("a pid beyond 31 bits")?;
        // It may have died already. The start time is then unknown, and 0 matches no process.
        let id = Id::of(pid).unwrap_or(Id { pid, start: 0 });
        fs::write(&self.pid_file, id.to_line())
            .with_context(|| format!("failed to write {}", self.pid_file.display()))?;
        Ok(true)
    }

    /// Sends TERM, then KILL if it still runs after `limit`. Returns whether it had to be killed.
    pub fn stop(&self, limit: Duration) -> Result<bool> {
        let mut killed = false;
        if let Some(id) = self.running() {
            id.signal(Signal::TERM)?;
            // A process that is stopped by a signal would not receive the TERM.
            id.signal(Signal::CONT)?;
            if wait::until(limit, &self.name, || Ok(!id.alive())).is_err() {
                id.signal(Signal::KILL)?;
                killed = true;
                wait::until(Duration::from_secs(10), &self.name, || Ok(!id.alive()))?;
            }
        }
        if let Some(pid) = self.started().and_then(|id| Pid::from_raw(id.pid)) {
            // Reaps it if it is a child of this process (tests). In all other cases there is nothing to reap.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        match fs::remove_file(&self.pid_file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("failed to remove {}", self.pid_file.display()))
            }
            _ => Ok(killed),
        }
    }

    /// Returns the last lines of its log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        last_lines(&String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()), lines)
    }
}

/// Returns the last `count` lines of `text`.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(test: &str) -> (PathBuf, Process) {
        let dir = std::env::temp_dir().join(format!("stack-{test}-{}", std::process::id()));
        (dir.clone(), Process::new("sleeper", &dir.join("pids"), &dir.join("logs")))
    }

    #[test]
    fn a_pid_file_is_read_back_and_nonsense_is_no_process() {
        let id = Id { pid: 4711, start: 99 };
        assert_eq!(Id::parse(&id.to_line()), Some(id));
        for line in ["", "12", "x 1", "1 5", "0 5", "-4 5", "12 "] {
            assert_eq!(Id::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_start_time_is_found_behind_a_name_with_blanks_and_brackets() {
        let stat = |state| format!("7 (a ) b) {state} 1 7 7 0 -1 4 1 0 0 0 2 3 0 0 20 0 1 0 12345 99 1");
        assert_eq!(start_of_living(&stat("S")), Some(12345));
        assert_eq!(start_of_living(&stat("Z")), None, "a zombie does not live");
    }

    #[test]
    fn a_reused_pid_is_not_taken_for_ours() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Id::of(pid).unwrap();
        assert!(me.alive());
        assert!(!Id { start: me.start + 1, ..me }.alive());
    }

    #[test]
    fn a_daemon_starts_once_shows_its_log_and_stops() {
        let (dir, sleeper) = process("life");
        let spec = Spec::new("/bin/sh", ["-c", "echo one; echo two >&2; exec sleep 1000"]);
        assert!(sleeper.start(&spec).unwrap());
        let id = sleeper.running().unwrap();
        assert!(!sleeper.start(&spec).unwrap(), "it runs already");
        assert_eq!(sleeper.running(), Some(id));
        wait::until(Duration::from_secs(5), "its output", || Ok(sleeper.tail(5) == "one\ntwo")).unwrap();
        assert_eq!(sleeper.tail(1), "two");
        assert!(!sleeper.stop(Duration::from_secs(5)).unwrap());
        assert!(!id.alive());
        assert_eq!(sleeper.started(), None);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_daemon_that_ignores_term_is_killed_and_one_that_died_is_known_as_started() {
        let (dir, stubborn) = process("stubborn");
        stubborn
            .start(&Spec::new("/bin/sh", ["-c", "trap '' TERM; echo up; while :; do sleep 1; done"]))
            .unwrap();
        wait::until(Duration::from_secs(5), "its trap", || Ok(stubborn.tail(1) == "up")).unwrap();
        assert!(stubborn.stop(Duration::from_millis(100)).unwrap());

        stubborn.start(&Spec::new("/bin/false", [""; 0])).unwrap();
        wait::until(Duration::from_secs(5), "its end", || Ok(stubborn.running().is_none())).unwrap();
        assert!(stubborn.started().is_some());
        fs::remove_dir_all(dir).unwrap();
    }
}
