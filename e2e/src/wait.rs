//! Waits for a condition.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks until the answer is `Some`, for at most `limit`. The error names the awaited condition, and has the last error
/// of `ask`.
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        let seen = ask();
        match seen {
            Ok(Some(answer)) => return Ok(answer),
            _ if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => bail!("waited {} s for {what}", limit.as_secs()),
            Err(error) => return Err(error.context(format!("waited {} s for {what}", limit.as_secs()))),
        }
    }
}
