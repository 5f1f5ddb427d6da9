//! Decides what to do after an attempt failed. Pure, except that the clock is passed in.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::Step;
use crate::client::Failure;

/// Attempts without progress after which the upload is given up. With their pauses this takes about 15 seconds.
pub const ATTEMPTS: u32 = 6;
/// How long an upload waits for a free slot of the server while its job is not created yet. It is the default of
/// `uploadDeadlineSeconds`, the time that a job waits for its file. That deadline ends the wait of a job that is
/// created.
const SLOT_WITHIN: Duration = Duration::from_secs(3600);
/// The pause while it waits if the server names none, and the shortest pause.
const SLOT_PAUSE: Duration = Duration::from_secs(2);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// The attempts so far and their results.
#[derive(Debug, Default)]
pub struct Retries {
    /// Attempts since the last progress.
    attempts: u32,
    /// Whether this upload may have created the job. If it has not, a job with its name belongs to another client.
    made: bool,
    /// Since when the server accepts no more uploads.
    busy_since: Option<Instant>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It cannot succeed, or not for this client.
    GiveUp,
    /// Too many attempts made no progress.
    AttemptsExhausted,
    /// Pause, then find out where to continue.
    Retry {
        pause: Duration,
        /// Whether to ask the API where to continue. If not, the job must be created.
        ask: bool,
        /// What to print. `None` if it was printed before.
        message: Option<String>,
    },
}

impl Retries {
    /// Decides after `step` failed at `now`.
    pub fn decide(&mut self, failure: &Failure, step: Step, now: Instant) -> Decision {
        self.made |= step != Step::Create || may_have_made(failure);
        match failure.reason() {
            // A retry would be refused again, or would take the upload away from the client that continues it now.
            "DifferentFile" | "UploadSuperseded" => Decision::GiveUp,
            "TooManyUploads" => self.wait_for_slot(failure, now),
            _ => {
                // Another request has continued the job. It can be an earlier request of this upload whose connection
                // seemed lost.
                let moved = self.made && failure.status() == Some(StatusCode::CONFLICT);
                let absent =
                    matches!(failure, Failure::Unreachable { .. }) && !self.made && self.attempts == 0;
                if absent || !(failure.is_transient() || moved) {
                    return Decision::GiveUp;
                }
                self.retry(failure)
            }
        }
    }

    /// Decides after the API did not answer where the upload continues.
    pub fn decide_unanswered(&mut self, failure: &Failure) -> Decision {
        if failure.is_transient() { self.retry(failure) } else { Decision::GiveUp }
    }

    /// The server accepted bytes, so earlier failures do not count any more.
    pub fn progress(&mut self) {
        self.attempts = 0;
    }

    fn retry(&mut self, failure: &Failure) -> Decision {
        self.busy_since = None;
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            return Decision::AttemptsExhausted;
        }
        let pause = failure.retry_after().unwrap_or_else(|| Duration::from_millis(250 << self.attempts));
        let message = Some(format!("trying again in {:.1} s", pause.as_secs_f64()));
        Decision::Retry { pause: pause.max(SHORTEST_PAUSE), ask: self.made, message }
    }

    fn wait_for_slot(&mut self, failure: &Failure, now: Instant) -> Decision {
        let message = self.busy_since.is_none().then(|| "waiting for a free upload slot".to_owned());
        let since = *self.busy_since.get_or_insert(now);
        if !self.made && now.duration_since(since) >= SLOT_WITHIN {
            return Decision::GiveUp;
        }
        let pause = failure.retry_after().unwrap_or(SLOT_PAUSE).max(SHORTEST_PAUSE);
        Decision::Retry { pause, ask: self.made, message }
    }
}

/// Returns whether a request that creates a job may have created it although it failed.
fn may_have_made(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => false,
        Failure::Broken { .. } | Failure::Unreadable { .. } => true,
        Failure::Refused(refusal) => refusal.made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refusal;

    fn refused(status: u16, reason: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        let retry_after = Some(Duration::from_secs(3));
        Failure::Refused(Refusal {
            status,
            reason: reason.into(),
            message: String::new(),
            retry_after,
            made: false,
        })
    }

    fn broken() -> Failure {
        Failure::Broken { why: String::new() }
    }

    fn retry(seconds: u64, ask: bool, message: Option<&str>) -> Decision {
        Decision::Retry { pause: Duration::from_secs(seconds), ask, message: message.map(str::to_owned) }
    }

    #[test]
    fn a_refusal_that_stays_is_not_retried() {
        let refusals =
            [(409, "DifferentFile"), (409, "UploadSuperseded"), (422, "EmptyFile"), (404, "JobNotFound")];
        for (status, reason) in refusals {
            let decision =
                Retries::default().decide(&refused(status, reason), Step::Resume(5), Instant::now());
            assert_eq!(decision, Decision::GiveUp, "{reason}");
        }
    }

    #[test]
    fn an_existing_job_is_continued_only_if_this_client_may_have_made_it() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        let retrying = Some("trying again in 3.0 s");
        assert_eq!(retries.decide(&refused(503, "LabelBusy"), Step::Create, now), retry(3, false, retrying));
        assert_eq!(retries.decide(&refused(409, "JobExists"), Step::Create, now), Decision::GiveUp);
        // Now the job may be that of the request that broke.
        assert!(matches!(retries.decide(&broken(), Step::Create, now), Decision::Retry { ask: true, .. }));
        assert_eq!(retries.decide(&refused(409, "JobExists"), Step::Create, now), retry(3, true, retrying));
    }

    #[test]
    fn attempts_without_progress_are_limited() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        for _ in 1..ATTEMPTS {
            assert!(matches!(retries.decide(&broken(), Step::Resume(5), now), Decision::Retry { .. }));
        }
        assert_eq!(retries.decide_unanswered(&broken()), Decision::AttemptsExhausted);
        retries.progress();
        assert!(matches!(retries.decide(&broken(), Step::Resume(6), now), Decision::Retry { .. }));
    }

    #[test]
    fn the_wait_for_an_upload_slot_is_longer_and_is_printed_once() {
        let (mut retries, start) = (Retries::default(), Instant::now());
        let busy = refused(429, "TooManyUploads");
        let mut decide = |seconds, step| retries.decide(&busy, step, start + Duration::from_secs(seconds));
        assert_eq!(decide(0, Step::Create), retry(3, false, Some("waiting for a free upload slot")));
        for seconds in 1..3600 {
            assert_eq!(decide(seconds, Step::Create), retry(3, false, None), "{seconds}");
        }
        assert_eq!(decide(3600, Step::Create), Decision::GiveUp);
        // The API enforces the deadline of an existing job.
        assert_eq!(decide(9999, Step::Resume(5)), retry(3, true, None));
    }

    #[test]
    fn an_api_that_is_unreachable_at_the_first_attempt_is_not_retried() {
        let unreachable = Failure::Unreachable { url: "http://h".parse().unwrap(), why: String::new() };
        assert_eq!(Retries::default().decide(&unreachable, Step::Create, Instant::now()), Decision::GiveUp);
        let decision = Retries::default().decide(&unreachable, Step::Resume(0), Instant::now());
        assert!(matches!(decision, Decision::Retry { ask: true, .. }), "{decision:?}");
    }
}
