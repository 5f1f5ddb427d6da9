//! Telling jobs how far they are: at once on the first news, then at most once a second a job, and when its last chunk
//! in hand is done. Only what was told may be committed to Kafka.

pub mod counts;
pub mod debounce;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crds::job::{Counts, ErrorSummary};
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;

use self::counts::{Step, step};
use self::debounce::Debounce;
use crate::cluster::Cluster;
use crate::error::{Class, Failure};
use crate::jobs::{Job, ended};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::retry::Retry;
use crate::tracker::Ticket;

/// How many jobs are told at once.
const AT_ONCE: usize = 8;
/// How often a status that someone else changes meanwhile is read again at once.
const CONFLICTS: usize = 5;

/// A chunk is in the ledger.
#[derive(Debug)]
pub struct News {
    /// Whose.
    pub job: Arc<Job>,
    /// Finished once the job was told.
    pub ticket: Ticket,
}

/// The one who tells.
pub struct Reporter {
    /// Where the numbers are.
    pub ledger: Ledger,
    /// Whom they are told.
    pub cluster: Cluster,
    /// How trouble is told.
    pub retry: Retry,
    /// What is counted.
    pub metrics: Metrics,
}

/// What waits to be told of a job.
struct Pending {
    job: Arc<Job>,
    tickets: Vec<Ticket>,
}

impl Reporter {
    /// Tells until there is no more news, then once more all that is left.
    pub async fn run(self, mut news: UnboundedReceiver<News>) {
        let mut debounce = Debounce::default();
        let mut pending: HashMap<String, Pending> = HashMap::new();
        let mut open = true;
        while open {
            let idle = |uid: &str| pending.get(uid).is_none_or(|p| p.job.is_idle());
            let wait = debounce.wait(Instant::now(), idle);
            tokio::select! {
                first = news.recv() => match first {
                    Some(first) => {
                        let mut next = Some(first);
                        while let Some(News { job, ticket }) = next {
                            debounce.note(&job.uid);
                            let of_job = pending.entry(job.uid.clone());
                            of_job.or_insert_with(|| Pending { job, tickets: Vec::new() }).tickets.push(ticket);
                            next = news.try_recv().ok();
                        }
                    }
                    None => open = false,
                },
                () = async { tokio::time::sleep(wait.unwrap_or_default()).await }, if wait.is_some() => {}
            }
            let idle = |uid: &str| pending.get(uid).is_none_or(|p| p.job.is_idle());
            let due = if open { debounce.due(Instant::now(), idle) } else { debounce.all() };
            let due: Vec<Pending> = due.iter().filter_map(|uid| pending.remove(uid)).collect();
            if !due.is_empty() {
                for failed in self.round(due, &mut debounce).await {
                    pending.insert(failed.job.uid.clone(), failed);
                }
            }
        }
    }

    /// Tells some jobs; returns those that could not be told.
    async fn round(&self, due: Vec<Pending>, debounce: &mut Debounce) -> Vec<Pending> {
        let start = Instant::now();
        let numbers = self.numbers(&due).await;
        let told: Vec<(Pending, Result<(), Failure>)> = match numbers {
            Ok((counts, summaries)) => {
                let tell = |pending: Pending| {
                    let uid = pending.job.uid.as_str();
                    let (counts, summary) = (counts.get(uid).copied(), summaries.get(uid).cloned());
                    async move {
                        let told = self.tell(&pending.job, counts, &summary.unwrap_or_default()).await;
                        (pending, told)
                    }
                };
                stream::iter(due).map(tell).buffer_unordered(AT_ONCE).collect().await
            }
            Err(failure) => {
                self.retry.failed("report", 0, &failure);
                for pending in &due {
                    debounce.failed(&pending.job.uid, Instant::now());
                }
                return due;
            }
        };
        let mut failed = Vec::new();
        for (pending, told) in told {
            match told {
                Ok(()) => {
                    debounce.told(&pending.job.uid, Instant::now());
                    pending.tickets.into_iter().for_each(Ticket::finish);
                }
                Err(failure) => {
                    self.retry.failed("report", 0, &failure);
                    debounce.failed(&pending.job.uid, Instant::now());
                    failed.push(pending);
                }
            }
        }
        if failed.is_empty() {
            self.retry.fine("report");
        }
        self.metrics.stage("report", start.elapsed());
        failed
    }

    /// What the ledger says of these jobs.
    async fn numbers(
        &self,
        due: &[Pending],
    ) -> Result<(HashMap<String, Counts>, HashMap<String, Vec<ErrorSummary>>), Failure> {
        let uids: Vec<&str> = due.iter().map(|pending| pending.job.uid.as_str()).collect();
        let counts: HashMap<String, Counts> = self.ledger.counts(&uids).await?.into_iter().collect();
        let bad: Vec<&str> =
            uids.into_iter().filter(|uid| counts.get(*uid).is_some_and(|c| c.bad_cells > 0)).collect();
        let mut summaries: HashMap<String, Vec<ErrorSummary>> = HashMap::new();
        if !bad.is_empty() {
            for (uid, kind) in self.ledger.summary(&bad).await? {
                summaries.entry(uid).or_default().push(kind);
            }
        }
        Ok((counts, summaries))
    }

    /// Tells one job. Learns on the way whether it goes on.
    async fn tell(&self, job: &Job, counts: Option<Counts>, summary: &[ErrorSummary]) -> Result<(), Failure> {
        // Every chunk that is news was written to the ledger before.
        let counts = counts.ok_or(Failure::LedgerBehind)?;
        job.are_stored(u64::try_from(counts.stored_errors).unwrap_or(0));
        let mut conflict = Failure::LedgerBehind;
        for _ in 0..CONFLICTS {
            let Some(object) = self.cluster.job(&job.name, &job.uid).await? else {
                job.end();
                return Ok(());
            };
            let over = ended(&object);
            if over {
                job.end();
            }
            match step(object.status.as_ref().and_then(|status| status.counts), counts) {
                Step::Same => return Ok(()),
                Step::Back if over => return Ok(()),
                Step::Back => return Err(Failure::LedgerBehind),
                Step::Forward => match self.cluster.apply_counts(&object, &counts, summary).await {
                    Ok(()) => return Ok(()),
                    Err(failure) if failure.class() == Class::Transient => conflict = failure,
                    Err(failure) => return Err(failure),
                },
            }
        }
        Err(conflict)
    }
}
