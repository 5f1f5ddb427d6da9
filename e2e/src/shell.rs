//! Runs commands and prints them if wanted.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code, -1 if a signal ended it.
    pub code: i32,
}

impl Output {
    /// Returns the standard output of a command that must have succeeded.
    pub fn ok(self) -> Result<String> {
        if self.code != 0 {
            bail!("exit code {}\n{}{}", self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

impl From<std::process::Output> for Output {
    fn from(done: std::process::Output) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
            code: done.status.code().unwrap_or(-1),
        }
    }
}

/// Runs commands with additional environment variables.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// Whether each command and its output are printed.
    pub echo: bool,
    /// The environment variables of each command.
    pub env: Vec<(String, String)>,
    /// The folders that are added before `PATH`.
    pub path: Vec<PathBuf>,
}

impl Shell {
    /// Runs a command to its end.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Result<Output> {
        self.run_with(program, args, None)
    }

    /// Runs a command with a file as its standard input.
    pub fn run_from<S: AsRef<OsStr>>(&self, program: &str, args: &[S], file: File) -> Result<Output> {
        let child = self.command(program, args).stdin(file).output();
        child.map(Output::from).with_context(|| format!("failed to run {program}"))
    }

    /// Runs a command with text as its standard input.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        program: &str,
        args: &[S],
        input: Option<&str>,
    ) -> Result<Output> {
        if self.echo {
            println!("\n$ {}", shown(program, args));
        }
        let mut child = self
            .command(program, args)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {program}"))?;
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            // A command that refuses early closes its input. The error that it prints about this is what matters.
            let _ = stdin.write_all(text.as_bytes());
        }
        let done = child.wait_with_output().with_context(|| format!("failed to wait for {program}"))?;
        let output = Output::from(done);
        if self.echo {
            print!("{}{}", output.stdout, output.stderr);
        }
        Ok(output)
    }

    /// Runs a command whose output goes directly to the output of this process: for long work that shows its own
    /// progress.
    pub fn stream<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Result<()> {
        if self.echo {
            println!("\n$ {}", shown(program, args));
        }
        let status = self.command(program, args).stdin(Stdio::null()).status()?;
        if !status.success() {
            bail!("{} failed: {status}", shown(program, args));
        }
        Ok(())
    }

    fn command<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Command {
        let mut command = Command::new(program);
        command.args(args).envs(self.env.iter().map(|(k, v)| (k, v)));
        let old = std::env::var_os("PATH").unwrap_or_default();
        let path = self.path.iter().cloned().chain(std::env::split_paths(&old));
        if let Ok(path) = std::env::join_paths(path) {
            command.env("PATH", path);
        }
        command
    }
}

/// Returns a command as a person would type it.
fn shown<S: AsRef<OsStr>>(program: &str, args: &[S]) -> String {
    let name = PathBuf::from(program)
        .file_name()
        .map_or_else(|| program.to_owned(), |n| n.to_string_lossy().into_owned());
    args.iter().fold(name, |mut line, arg| {
        let arg = arg.as_ref().to_string_lossy();
        let plain =
            !arg.is_empty() && arg.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+{}[]".contains(c));
        let _ =
            if plain { write!(line, " {arg}") } else { write!(line, " '{}'", arg.replace('\'', "'\\''")) };
        line
    })
}
