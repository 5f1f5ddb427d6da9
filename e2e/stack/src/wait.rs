//! Waits for conditions and for jobs.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};

const STEP: Duration = Duration::from_millis(50);

/// Calls `ready` until it returns true. An error of `ready` ends the wait: it means that waiting is useless.
pub fn until(limit: Duration, what: &str, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + limit;
    while !ready()? {
        if Instant::now() >= end {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        thread::sleep(STEP);
    }
    Ok(())
}

/// Runs jobs at the same time and waits for all. Returns the error of the first job that failed, in the given order.
pub fn all<const N: usize>(what: &str, jobs: [&(dyn Fn() -> Result<()> + Sync); N]) -> Result<()> {
    thread::scope(|s| {
        let mut running = jobs.map(|job| s.spawn(job)).into_iter();
        running.try_for_each(|job| job.join().map_err(|_| anyhow!("{what} broke off"))?)
    })
}
