//! The progress that a person sees while the stack starts: one line for each step, with the seconds since the start.

use std::{
    fmt::Display,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{process::last_lines, wait};

/// Prints progress to standard error, so that standard output has only results.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    start: Instant,
}

impl Progress {
    /// Starts to count the seconds.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Prints one line.
    pub fn say(&self, text: impl Display) {
        eprintln!("{:7.1}s  {text}", self.start.elapsed().as_secs_f32());
    }

    /// Runs a command that may take minutes. Its output goes to `log`, and every ten seconds a line shows that it
    /// still runs. An error has the end of the log.
    pub fn run(&self, what: &str, log: &Path, command: &mut Command) -> Result<()> {
        self.say(format_args!("{what} …"));
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(log).with_context(|| format!("failed to write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("failed to run {}", command.get_program().display()))?;
        let begin = Instant::now();
        let mut next = Duration::from_secs(10);
        let mut status = None;
        wait::until(Duration::from_hours(1), what, || {
            status = child.try_wait()?;
            if status.is_none() && begin.elapsed() >= next {
                next += Duration::from_secs(10);
                let text = fs::read_to_string(log).unwrap_or_default();
                let last = text.lines().next_back().unwrap_or("…").chars().take(70).collect::<String>();
                let lines = text.lines().count();
                self.say(format_args!("{what}: {} s, {lines} lines, {last}", begin.elapsed().as_secs()));
            }
            Ok(status.is_some())
        })
        .inspect_err(|_| drop(child.kill()))?;
        if status.is_some_and(|s| s.success()) {
            self.say(format_args!("{what}: done in {:.1} s", begin.elapsed().as_secs_f32()));
            return Ok(());
        }
        let text = fs::read_to_string(log).unwrap_or_default();
        bail!("failed: {what}. The end of {}:\n{}", log.display(), last_lines(&text, 20))
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a short command and returns its standard output. An error has its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|a| a.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ");
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("failed to run {line}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        return Ok(text);
    }
    let error = String::from_utf8_lossy(&out.stderr);
    bail!("failed: {line}: {}", if error.trim().is_empty() { text.trim() } else { error.trim() })
}
