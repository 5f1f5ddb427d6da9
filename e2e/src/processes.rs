//! What the processes of the parts use: CPU seconds and peak memory, from `/proc`. This works only on the local stack,
//! where every part and every container is a process of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

/// What a part used.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The pids of its processes.
    pub pids: Vec<u32>,
    /// CPU seconds, user and system.
    pub cpu: f64,
    /// The peak of the resident memory so far, in MiB.
    pub peak_mib: f64,
}

/// Returns the usage by part: `ingest-api`, `worker`, `operator` (all their pods together; memory: the largest),
/// `kafka`, `clickhouse`.
pub fn usage() -> Result<BTreeMap<&'static str, Usage>> {
    let mut parts: BTreeMap<&'static str, Usage> = BTreeMap::new();
    for (part, pid) in pids()? {
        // A process that ended meanwhile is skipped: its usage is no longer available.
        let (Some(cpu), Some(peak_mib)) = (cpu_seconds(pid), peak_mib(pid)) else { continue };
        let sum = parts.entry(part).or_default();
        sum.pids.push(pid);
        sum.cpu += cpu;
        sum.peak_mib = sum.peak_mib.max(peak_mib);
    }
    Ok(parts)
}

/// Resets the peaks in the kernel, so that the next [`usage`] returns those of the time after this call.
pub fn forget_peaks() -> Result<()> {
    for (_, pid) in pids()? {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
    Ok(())
}

/// Kills every process of a part (`ingest-api`, `worker`, `operator`) with SIGKILL. At least one must exist.
pub fn kill(part: &str) -> Result<()> {
    let pids: Vec<String> =
        pids()?.into_iter().filter(|(name, _)| *name == part).map(|(_, pid)| pid.to_string()).collect();
    ensure!(!pids.is_empty(), "no {part} runs on this machine");
    let status = Command::new("kill").arg("-KILL").args(&pids).status()?;
    ensure!(status.success(), "failed to kill {part}");
    Ok(())
}

fn pids() -> Result<Vec<(&'static str, u32)>> {
    let mut found = vec![];
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(exe) = fs::read_link(entry.path().join("exe")) else { continue };
        match exe.to_str() {
            Some("/usr/bin/ingest-api") => found.push(("ingest-api", pid)),
            Some("/usr/bin/worker") => found.push(("worker", pid)),
            Some("/usr/bin/operator") => found.push(("operator", pid)),
            _ => {}
        }
    }
    for part in stack::Stack::from_env().status() {
        let name = ["kafka", "clickhouse"].into_iter().find(|n| *n == part.part);
        if let (Some(name), Some(Ok(pid))) = (name, part.pid.map(u32::try_from)) {
            found.push((name, pid));
        }
    }
    Ok(found)
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name in parentheses: fields 14 and 15 of proc(5), in ticks of 1/100 s.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

fn peak_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}
