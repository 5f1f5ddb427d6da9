//! Repeats calls until they succeed: no outage loses or rejects a row.

use std::time::Duration;

use crate::backoff;
use crate::error::{Class, Failure};
use crate::health_tracker::HealthTracker;
use crate::metrics::Metrics;
use crate::stop::{Stop, Stopped};

/// Makes calls to other programs: without limit, with back-off, until the worker stops.
#[derive(Clone, Debug)]
pub struct Retry {
    stop: Stop,
    health: HealthTracker,
    metrics: Metrics,
}

impl Retry {
    /// Makes a value that tries until `stop`, and shows failures in `health` and `metrics`.
    #[must_use]
    pub fn new(stop: Stop, health: HealthTracker, metrics: Metrics) -> Self {
        Self { stop, health, metrics }
    }

    /// Calls `call` until it succeeds. The first call is made even if the worker is stopping. A call in progress is not
    /// interrupted; only the wait and the next call are.
    pub async fn run<T, F>(&self, what: &'static str, mut call: impl FnMut() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempt = 0;
        loop {
            match call().await {
                Ok(value) => {
                    self.health.succeeded(what);
                    if attempt > 0 {
                        tracing::info!(what, attempts = attempt + 1, "works again");
                    }
                    return Ok(value);
                }
                Err(failure) => self.failed(what, attempt, &failure),
            }
            self.pause(backoff::delay(attempt, backoff::jitter())).await?;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Waits, unless the worker is stopping.
    pub async fn pause(&self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.stop.wait() => Err(Stopped),
        }
    }

    /// Shows a failure in health, metrics and log.
    pub fn failed(&self, what: &'static str, attempt: u32, failure: &Failure) {
        let reason = failure.reason();
        self.metrics.retried(reason);
        self.health.failed(what, format!("{reason}: {failure}"));
        match failure.class() {
            Class::Configuration | Class::Refusal => {
                tracing::error!(what, reason, %failure, attempt, "waiting until a person changes this");
            }
            Class::Outage | Class::Limit => {
                tracing::warn!(what, reason, %failure, attempt, "waiting, then trying again");
            }
        }
    }

    /// Shows that the call succeeds.
    pub fn succeeded(&self, what: &'static str) {
        self.health.succeeded(what);
    }

    /// Returns the signal to stop.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}
