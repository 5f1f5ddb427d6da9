//! `Prefer: wait=N` on a job ([RFC 7240, section 4.3](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)): the answer comes
//! when the job stops, or after `N` seconds with the job as it is then. A client that follows a job asks once a wait
//! instead of many times a second.

use std::time::Duration;

use axum::http::HeaderMap;
use crds::IngestJob;
use crds::state::JobState;
use kube::ResourceExt;

use crate::error::ApiError;
use crate::names::Namespace;
use crate::state::{App, until_true};
use crate::watch::watch_job;

/// The longest wait, in seconds. A client that prefers more gets this.
const LONGEST_SECONDS: u32 = 60;
/// Requests that wait at the same time. Each holds a watch on the Kubernetes API; one more is answered at once.
pub const WAITERS: usize = 256;

/// Returns for how many seconds a client prefers to wait: 0 without a preference that can be read.
#[must_use]
pub fn preferred_seconds(headers: &HeaderMap) -> u32 {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    let wait = preferences.find_map(|one| one.trim().strip_prefix("wait="));
    wait.and_then(|seconds| seconds.trim_matches('"').parse().ok()).unwrap_or(0).min(LONGEST_SECONDS)
}

/// Waits until the job stops, and returns it as it was seen last. The wait also ends when the server stops or the watch
/// breaks. Fails with `JobNotFound` if the job is deleted meanwhile.
pub async fn until_stopped(
    app: &App,
    namespace: &Namespace,
    job: IngestJob,
    seconds: u32,
) -> Result<IngestJob, ApiError> {
    if seconds == 0 {
        return Ok(job);
    }
    let Ok(_waiter) = app.waiters.try_acquire() else { return Ok(job) };
    let (jobs, mut stop) = (app.jobs(namespace), app.stop.clone());
    let stops =
        |job: &IngestJob| job.status.as_ref().and_then(|status| status.state).is_some_and(JobState::stops);
    let watching = watch_job(&jobs, job.clone(), Duration::from_secs(u64::from(seconds)), stops);
    tokio::select! {
        seen = watching => seen?.ok_or_else(|| ApiError::JobNotFound {
            namespace: namespace.to_string(),
            job: job.name_any(),
        }),
        () = until_true(&mut stop) => Ok(job),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: &[&'static str]) -> u32 {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", axum::http::HeaderValue::from_static(value));
        }
        preferred_seconds(&headers)
    }

    #[test]
    fn a_wait_is_read_from_among_other_preferences_and_is_bounded() {
        assert_eq!(seconds(&["wait=20"]), 20);
        assert_eq!(seconds(&["respond-async, wait=10"]), 10);
        assert_eq!(seconds(&["respond-async", "wait=\"5\""]), 5);
        assert_eq!(seconds(&["wait=4000000"]), 60);
    }

    #[test]
    fn an_invalid_wait_is_ignored_as_the_rfc_requires() {
        for value in ["", "wait", "wait=", "wait=-1", "wait=x", "handling=strict", "wait=99999999999"] {
            assert_eq!(seconds(&[value]), 0, "{value}");
        }
    }
}
