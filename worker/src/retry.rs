//! Trying again until it works: nobody's absence loses or rejects a row.

use crate::backoff;
use crate::error::{Class, Failure};
use crate::metrics::Metrics;
use crate::stop::{Stop, Stopped};
use crate::vitals::Vitals;

/// How calls to others are made: without end, with back-off, until the worker is told to stop.
#[derive(Clone, Debug)]
pub struct Retry {
    stop: Stop,
    vitals: Vitals,
    metrics: Metrics,
}

impl Retry {
    /// Tries until `stop`; tells of trouble in `vitals` and `metrics`.
    #[must_use]
    pub fn new(stop: Stop, vitals: Vitals, metrics: Metrics) -> Self {
        Self { stop, vitals, metrics }
    }

    /// Calls `call` until it succeeds. The first call is made even if the worker is stopping; a running one is not cut
    /// off, only the wait and the next call are.
    pub async fn run<T, F>(&self, what: &'static str, mut call: impl FnMut() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempt = 0;
        loop {
            match call().await {
                Ok(value) => {
                    self.vitals.fine(what);
                    if attempt > 0 {
                        tracing::info!(what, attempts = attempt + 1, "works again");
                    }
                    return Ok(value);
                }
                Err(failure) => self.failed(what, attempt, &failure),
            }
            tokio::select! {
                () = tokio::time::sleep(backoff::delay(attempt, backoff::jitter())) => {}
                () = self.stop.wait() => return Err(Stopped),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// Tells of a failure.
    pub fn failed(&self, what: &'static str, attempt: u32, failure: &Failure) {
        let reason = failure.reason();
        self.metrics.retried(reason);
        self.vitals.trouble(what, format!("{reason}: {failure}"));
        match failure.class() {
            Class::Configuration => {
                tracing::error!(what, reason, %failure, attempt, "waiting for someone to mend this");
            }
            Class::Transient => tracing::warn!(what, reason, %failure, attempt, "waiting, then trying again"),
        }
    }

    /// Tells that it works.
    pub fn fine(&self, what: &'static str) {
        self.vitals.fine(what);
    }

    /// The order to stop.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}
