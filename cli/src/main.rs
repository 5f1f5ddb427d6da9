//! `batch`: models and jobs from the command line.
//!
//! Exit codes: 0 done; 1 the job did not succeed, or rows were rejected; 2 the command could not be run.

mod args;
mod client;
mod commands;
mod model_file;
mod output;
mod pieces;
mod rows_file;
mod source;
mod upload;
mod utf8;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use args::{Cli, Command};
use commands::Outcome;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::NotClean) => ExitCode::from(1),
        // The reader of the output has closed it (`batch job list | head`). Exit like a program that gets SIGPIPE.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(141),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Outcome> {
    // Fails only if a provider is already installed, which works as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let out = &mut io::stdout().lock();
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Model { command } => commands::model::run(command, &cli.global, out).await,
            Command::Job { command } => commands::job::run(command, &cli.global, out).await,
            Command::Dlq { command } => commands::dlq::run(command, &cli.global, out).await,
            Command::Validate(args) => commands::validate::run(&args, &cli.global, out).await,
            Command::Completions { shell } => commands::completions::completions(shell, out),
            Command::Reference => commands::completions::reference(out),
        }
    });
    // A thread that waits for the next line of a terminal must not delay the exit.
    runtime.shutdown_background();
    outcome
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}
