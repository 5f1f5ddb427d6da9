//! Watches one job, from the version in which it was seen: one request, and an answer as soon as the job changes.

use std::time::Duration;

use crds::IngestJob;
use futures::{StreamExt, pin_mut};
use kube::ResourceExt;
use kube::api::{Api, WatchEvent, WatchParams};
use tokio::time::timeout;

/// Waits until `condition` is true for the job, at most for `time`, and returns the job as it was seen last; `None` if it was
/// deleted. Returns early, with a job for which `condition` is not true, if the watch breaks or the version is too old.
pub async fn watch_job(
    jobs: &Api<IngestJob>,
    mut job: IngestJob,
    time: Duration,
    condition: impl Fn(&IngestJob) -> bool,
) -> kube::Result<Option<IngestJob>> {
    if condition(&job) || time.is_zero() {
        return Ok(Some(job));
    }
    let watching = next_state(jobs, &mut job, time, condition);
    let exists = timeout(time, watching).await.unwrap_or(Ok(true))?;
    Ok(exists.then_some(job))
}

/// Writes each state to `seen`. Returns whether the job exists.
async fn next_state(
    jobs: &Api<IngestJob>,
    seen: &mut IngestJob,
    time: Duration,
    condition: impl Fn(&IngestJob) -> bool,
) -> kube::Result<bool> {
    let seconds = u32::try_from(time.as_secs() + 1).unwrap_or(u32::MAX);
    let only = WatchParams::default().fields(&format!("metadata.name={}", seen.name_any())).timeout(seconds);
    let events = jobs.watch(&only, &seen.resource_version().unwrap_or_default()).await?;
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(job) | WatchEvent::Modified(job) if job.uid() == seen.uid() => {
                *seen = job;
                if condition(seen) {
                    break;
                }
            }
            WatchEvent::Deleted(_) => return Ok(false),
            WatchEvent::Bookmark(_) => {}
            // The version is too old, or another job has the name now.
            WatchEvent::Error(_) | WatchEvent::Added(_) | WatchEvent::Modified(_) => break,
        }
    }
    Ok(true)
}
