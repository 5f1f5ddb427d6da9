//! The fault suite on the local stack: loads of known content while parts are killed, stopped, cut off and filled up.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use e2e::Target;
use e2e::faults::plan::{Limits, Plan, round};
use e2e::faults::run::{run_for, run_plan, undo};

/// Loads files of known content while faults strike, and compares what is stored with a plain reading of the files
///
/// Needs the local stack with the chart (`make install`). A failure prints the seed, the plan and the first difference,
/// keeps the namespace and ends with exit code 1.
#[derive(Parser)]
struct Args {
    /// What everything is drawn from; default: the clock
    #[arg(long)]
    seed: Option<u64>,
    /// How long rounds are begun
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Do this plan instead
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Loads a round
    #[arg(long, default_value_t = Limits::default().jobs)]
    jobs: u64,
    /// Faults a round
    #[arg(long, default_value_t = Limits::default().strikes)]
    strikes: u64,
    /// The most MB of a file
    #[arg(long, default_value_t = Limits::default().max_bytes / 1_000_000)]
    max_mb: u64,
    /// Fill ClickHouse's disk, too: its data is on a small disk of its own during the run
    #[arg(long)]
    disk: bool,
    /// Strike only workers, topics and jobs of this run, so that others can use the parts meanwhile
    #[arg(long, conflicts_with = "disk")]
    shared: bool,
    /// Print the first rounds of the seed as a plan and do nothing
    #[arg(long, value_name = "ROUNDS")]
    show: Option<u64>,
    /// Take back what a run that was killed has left, and do nothing else
    #[arg(long)]
    undo: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = args.seed.unwrap_or(clock);
    let limits = Limits {
        jobs: args.jobs,
        strikes: args.strikes,
        max_bytes: args.max_mb * 1_000_000,
        disk: args.disk,
        shared: args.shared,
        ..Limits::default()
    };
    if let Some(rounds) = args.show {
        let rounds = (0..rounds).map(|number| round(seed, number, &limits)).collect();
        print!("{}", Plan { seed, about: String::new(), rounds }.to_yaml()?);
        return Ok(());
    }
    let target = Target::load()?;
    if args.undo {
        return undo(&target);
    }
    let report = if let Some(path) = &args.plan {
        let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
        run_plan(&target, &Plan::parse(&text)?)?
    } else {
        println!("seed {seed}");
        run_for(&target, seed, Duration::from_secs(args.minutes * 60), &limits)?
    };
    println!("{report}");
    Ok(())
}
