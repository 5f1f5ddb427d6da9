//! The fault suite on the local stack: loads files of known content while parts are killed, stopped, cut off from the
//! network, or out of disk space.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use e2e::Target;
use e2e::faults::plan::{Limits, Plan, round};
use e2e::faults::run::{run_for, run_plan, undo};

/// Loads files of known content while faults are injected, and compares what is stored with a plain reading of the
/// files
///
/// Needs the local stack with the chart (`make install`). A failure prints the seed, the plan and the first
/// difference, keeps the namespace and ends with exit code 1.
#[derive(Parser)]
struct Args {
    /// The seed of all random values; default: the clock
    #[arg(long)]
    seed: Option<u64>,
    /// For how many minutes new rounds are started
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Run this plan instead of random rounds
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Loads per round
    #[arg(long, default_value_t = Limits::default().jobs)]
    jobs: u64,
    /// Faults per round
    #[arg(long, default_value_t = Limits::default().injections)]
    injections: u64,
    /// The largest file, in MB
    #[arg(long, default_value_t = Limits::default().max_bytes / 1_000_000)]
    max_mb: u64,
    /// Also fill ClickHouse's disk: its data is on a separate small disk during the run
    #[arg(long)]
    disk: bool,
    /// Inject faults only into workers, topics and jobs of this run, so that others can use the parts at the same time
    #[arg(long, conflicts_with = "disk")]
    shared: bool,
    /// Print the first rounds of the seed as a plan, and run nothing
    #[arg(long, value_name = "ROUNDS")]
    show: Option<u64>,
    /// Undo what a killed run has left, and do nothing else
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
        injections: args.injections,
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
