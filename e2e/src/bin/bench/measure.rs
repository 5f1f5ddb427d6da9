//! What a load uses: time, and the CPU and memory of each part.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::processes::{Usage, forget_peaks, usage};

/// The part that counts the commands which the bench runs: `batch`, `curl`.
pub const CLIENT: &str = "client";

/// One load: its duration, and what each part used during it.
pub struct Load {
    /// From the start of the upload until the last row is visible.
    pub wall: Duration,
    /// The usage by part.
    pub parts: BTreeMap<&'static str, Usage>,
}

impl Load {
    /// Returns the faster of two loads.
    pub fn best(old: Option<Self>, new: Self) -> Self {
        match old {
            Some(old) if old.wall <= new.wall => old,
            _ => new,
        }
    }

    /// Returns the CPU seconds of all parts.
    pub fn cpu(&self) -> f64 {
        self.parts.values().map(|usage| usage.cpu).sum()
    }

    /// Prints a row of the table that starts with [`header`].
    pub fn print(&self, what: &str, rows: u64, bytes: u64) {
        let seconds = self.wall.as_secs_f64();
        let each = |f: &dyn Fn(&Usage) -> String| {
            let shown: Vec<String> = self.parts.iter().map(|(part, u)| format!("{part} {}", f(u))).collect();
            shown.join(", ")
        };
        #[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
        let (rows, mb) = (rows as f64 / 1e6 / seconds, bytes as f64 / 1e6 / seconds);
        println!(
            "| {what} | {seconds:.2} | {rows:.2} | {mb:.0} | {:.2} | {} | {} |",
            self.cpu(),
            each(&|u| format!("{:.2}", u.cpu)),
            each(&|u| format!("{:.0}", u.peak_mib)),
        );
    }
}

/// Prints the header of a table of loads.
pub fn header() {
    println!(
        "| | s | Mrows/s | MB/s | CPU s | CPU s of each part | peak MiB of each part |\n|---|---|---|---|---|---|---|"
    );
}

/// Runs `work`. Returns what the named parts, and the commands that it ran, used during it.
pub fn measured(parts: &[&'static str], work: impl FnOnce() -> Result<()>) -> Result<Load> {
    forget_peaks()?;
    let (before, client) = (usage()?, cpu_of_commands()?);
    let start = Instant::now();
    work()?;
    let wall = start.elapsed();
    let client = cpu_of_commands()? - client;
    let mut after = usage()?;
    after.retain(|part, _| parts.contains(part));
    for (part, used) in &mut after {
        let before = before.get(part).cloned().unwrap_or_default();
        ensure!(
            before.pids.iter().all(|pid| used.pids.contains(pid)),
            "a process of {part} ended during the load, with the CPU seconds that it used: run the bench again"
        );
        used.cpu -= before.cpu;
    }
    after.insert(CLIENT, Usage { cpu: client, ..Usage::default() });
    Ok(Load { wall, parts: after })
}

/// Returns the CPU seconds of all commands that this process ran to their end.
fn cpu_of_commands() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name in parentheses: fields 16 and 17 of proc(5), in ticks of 1/100 s.
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("a name in brackets")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).context("a field of proc(5)")?.parse::<f64>().context("a number");
    Ok((ticks(13)? + ticks(14)?) / 100.0)
}
