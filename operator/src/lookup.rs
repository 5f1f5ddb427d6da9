//! Questions about jobs that are answered in the background, many at a time: one query answers all questions of a
//! short time. A reconcile asks and continues; it runs again when the answer is there.
//!
//! Guarantees: a job has one question at a time. While ClickHouse is unavailable, the same questions are asked again,
//! with a growing wait, until they are answered. A restart loses the answers; they are then asked for again.

use std::collections::HashMap;
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender as Caller;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::backoff;
use crate::objects::JobKey;
use crate::query::QueryError;

/// The most questions in one batch.
const MAX_BATCH: usize = 500;

/// A question about a job.
#[derive(Debug)]
pub struct Request<Q> {
    /// The job's uid.
    pub uid: String,
    /// The job.
    pub job: JobKey,
    /// What is asked.
    pub question: Q,
}

#[derive(Debug)]
struct Entry<A> {
    is_pending: bool,
    answer: Option<A>,
    problem: Option<String>,
}

/// The questions and their answers, by the uid of the job.
#[derive(Debug)]
pub struct Lookup<Q, A> {
    name: &'static str,
    requests: UnboundedSender<Request<Q>>,
    entries: Mutex<HashMap<String, Entry<A>>>,
}

impl<Q, A: Clone> Lookup<Q, A> {
    /// Makes a lookup, and the receiver of the questions that [`Self::serve`] answers. `name` is for the log.
    #[must_use]
    pub fn new(name: &'static str) -> (Self, UnboundedReceiver<Request<Q>>) {
        let (requests, received) = unbounded_channel();
        (Self { name, requests, entries: Mutex::default() }, received)
    }

    /// Asks, unless a question about this job already waits. The last answer is kept until the new one is there.
    pub fn ask(&self, uid: &str, job: JobKey, question: Q) {
        let mut entries = self.entries();
        let entry =
            entries.entry(uid.to_owned()).or_insert(Entry { is_pending: false, answer: None, problem: None });
        if !entry.is_pending {
            entry.is_pending = true;
            // Fails only while the operator stops.
            drop(self.requests.send(Request { uid: uid.to_owned(), job, question }));
        }
    }

    /// Returns the last answer.
    #[must_use]
    pub fn answer(&self, uid: &str) -> Option<A> {
        self.entries().get(uid)?.answer.clone()
    }

    /// Returns why there is no answer yet, if the last try failed.
    #[must_use]
    pub fn problem(&self, uid: &str) -> Option<String> {
        self.entries().get(uid)?.problem.clone()
    }

    /// Forgets a job that is deleted, or whose answer is not needed any more.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Answers questions until all senders are dropped. Questions that arrive within `window` after a first one are
    /// answered together. A question that `answer` leaves out has no answer and may be asked again.
    pub async fn serve<F>(
        &self,
        mut requests: UnboundedReceiver<Request<Q>>,
        window: Duration,
        call: Caller<JobKey>,
        answer: F,
    ) where
        F: AsyncFn(&[Request<Q>]) -> Result<HashMap<String, A>, QueryError>,
    {
        let mut batch = Vec::new();
        let mut failures = 0;
        loop {
            if batch.is_empty() {
                let Some(first) = requests.recv().await else { return };
                batch.push(first);
            }
            tokio::time::sleep(if failures == 0 { window } else { backoff::delay(failures) }).await;
            while batch.len() < MAX_BATCH
                && let Ok(next) = requests.try_recv()
            {
                batch.push(next);
            }
            match answer(&batch).await {
                Ok(answers) => {
                    failures = 0;
                    self.store_answers(&batch, answers);
                    for request in batch.drain(..) {
                        // Fails only while the operator stops.
                        drop(call.unbounded_send(request.job));
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(lookup = self.name, jobs = batch.len(), %error, "no answer; retrying");
                    self.store_problem(&batch, &error);
                    for request in &batch {
                        drop(call.unbounded_send(request.job.clone()));
                    }
                }
            }
        }
    }

    fn store_answers(&self, batch: &[Request<Q>], mut answers: HashMap<String, A>) {
        let mut entries = self.entries();
        for request in batch {
            // The entry was deleted meanwhile.
            let Some(entry) = entries.get_mut(&request.uid) else { continue };
            entry.is_pending = false;
            entry.problem = None;
            if let Some(answer) = answers.remove(&request.uid) {
                entry.answer = Some(answer);
            }
        }
    }

    fn store_problem(&self, batch: &[Request<Q>], error: &QueryError) {
        let mut entries = self.entries();
        for request in batch {
            if let Some(entry) = entries.get_mut(&request.uid) {
                entry.problem = Some(error.to_string());
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry<A>>> {
        self.entries.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key(name: &str) -> JobKey {
        JobKey::new(name)
    }

    /// Serves until `calls` jobs were triggered.
    async fn serve(
        lookup: &Lookup<u32, u32>,
        requests: UnboundedReceiver<Request<u32>>,
        calls: usize,
        answer: impl AsyncFn(&[Request<u32>]) -> Result<HashMap<String, u32>, QueryError>,
    ) {
        let (call, called) = futures::channel::mpsc::unbounded();
        tokio::select! {
            () = lookup.serve(requests, Duration::ZERO, call, answer) => {}
            _ = called.take(calls).collect::<Vec<_>>() => {}
        }
    }

    fn doubled(batch: &[Request<u32>]) -> HashMap<String, u32> {
        batch.iter().map(|request| (request.uid.clone(), request.question * 2)).collect()
    }

    #[tokio::test]
    async fn questions_that_arrive_together_are_answered_together_and_each_job_is_reconciled() {
        let (lookup, requests) = Lookup::new("test");
        lookup.ask("a", key("a"), 1);
        lookup.ask("b", key("b"), 2);
        lookup.ask("a", key("a"), 9);
        let batches = AtomicUsize::new(0);
        serve(&lookup, requests, 2, async |batch: &[Request<u32>]| {
            batches.fetch_add(1, Ordering::Relaxed);
            assert_eq!(batch.len(), 2, "a job has one question at a time");
            Ok(doubled(batch))
        })
        .await;
        assert_eq!((lookup.answer("a"), lookup.answer("b")), (Some(2), Some(4)));
        assert_eq!(batches.into_inner(), 1);
    }

    #[tokio::test]
    async fn after_a_failure_the_problem_is_known_and_the_question_is_repeated() {
        let (lookup, requests) = Lookup::<u32, u32>::new("test");
        lookup.ask("a", key("a"), 1);
        serve(&lookup, requests, 1, async |_: &[Request<u32>]| {
            Err(QueryError::Unavailable("refused".into()))
        })
        .await;
        assert!(lookup.problem("a").is_some_and(|text| text.contains("refused")));
        assert_eq!(lookup.answer("a"), None);
    }

    #[tokio::test]
    async fn a_job_that_is_removed_during_the_query_has_no_answer() {
        let (lookup, requests) = Lookup::new("test");
        lookup.ask("a", key("a"), 1);
        serve(&lookup, requests, 1, async |batch: &[Request<u32>]| {
            lookup.forget("a");
            Ok(doubled(batch))
        })
        .await;
        assert_eq!(lookup.answer("a"), None);
    }

    #[tokio::test]
    async fn a_question_without_an_answer_may_be_repeated_and_the_old_answer_is_kept() {
        let (lookup, mut requests) = Lookup::<u32, u32>::new("test");
        lookup.ask("a", key("a"), 1);
        let first = requests.recv().await.unwrap();
        lookup.store_answers(&[first], HashMap::from([("a".to_owned(), 7)]));
        lookup.ask("a", key("a"), 2);
        let second = requests.recv().await.unwrap();
        lookup.store_answers(&[second], HashMap::new());
        assert_eq!(lookup.answer("a"), Some(7));
        lookup.ask("a", key("a"), 3);
        assert_eq!(requests.recv().await.unwrap().question, 3);
    }
}
