//! Writes the progress to the jobs: at once on the first progress, then at most once a second for each job, and when
//! nothing of a job is in flight any more. Only what was written may be committed to Kafka.

pub mod counts;
pub mod debounce;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crds::job::ErrorSummary;
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;

use self::counts::{Step, step};
use self::debounce::Debounce;
use crate::cluster::{Cluster, Progress};
use crate::error::{Class, Failure};
use crate::jobs::{Job, ended};
use crate::ledger::Ledger;
use crate::ledger::totals::Totals;
use crate::metrics::Metrics;
use crate::retry::Retry;
use crate::tracker::Ticket;

/// How many jobs are written at the same time.
const AT_ONCE: usize = 8;
/// How often a status that another program has changed in the meantime is read again at once.
const CONFLICTS: usize = 5;

/// A change to write to a job: chunks that are in the ledger, or a problem.
#[derive(Debug)]
pub struct ProgressUpdate {
    /// The job.
    pub job: Arc<Job>,
    /// The tickets to finish after the job was written; none if the ledger has nothing new of the job.
    pub tickets: Vec<Ticket>,
}

/// Writes the progress.
pub struct Reporter {
    /// The source of the counts.
    pub ledger: Ledger,
    /// The cluster with the jobs.
    pub cluster: Cluster,
    /// Shows failures.
    pub retry: Retry,
    /// The metrics.
    pub metrics: Metrics,
}

/// The changes that wait to be written to a job.
struct Pending {
    job: Arc<Job>,
    tickets: Vec<Ticket>,
}

impl Reporter {
    /// Writes until there are no more updates, then writes everything that is left once more.
    pub async fn run(self, mut updates: UnboundedReceiver<ProgressUpdate>) {
        let mut debounce = Debounce::default();
        let mut pending: HashMap<String, Pending> = HashMap::new();
        let mut open = true;
        while open {
            let idle = |uid: &str| pending.get(uid).is_none_or(|p| p.job.is_idle());
            let wait = debounce.wait(Instant::now(), idle);
            tokio::select! {
                first = updates.recv() => match first {
                    Some(first) => {
                        let mut next = Some(first);
                        while let Some(ProgressUpdate { job, tickets }) = next {
                            debounce.note(&job.uid);
                            let of_job = pending.entry(job.uid.clone());
                            let of_job = of_job.or_insert_with(|| Pending { job, tickets: Vec::new() });
                            of_job.tickets.extend(tickets);
                            next = updates.try_recv().ok();
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

    /// Writes some jobs. Returns those that could not be written.
    async fn round(&self, due: Vec<Pending>, debounce: &mut Debounce) -> Vec<Pending> {
        let start = Instant::now();
        let numbers = self.numbers(&due).await;
        let written: Vec<(Pending, Result<(), Failure>)> = match numbers {
            Ok((mut totals, mut summaries)) => {
                let write = |pending: Pending| {
                    let uid = pending.job.uid.as_str();
                    let (totals, summary) = (totals.remove(uid), summaries.remove(uid).unwrap_or_default());
                    async move {
                        let written = self.write(&pending, totals, &summary).await;
                        (pending, written)
                    }
                };
                stream::iter(due).map(write).buffer_unordered(AT_ONCE).collect().await
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
        for (pending, written) in written {
            match written {
                Ok(()) => {
                    debounce.written(&pending.job.uid, Instant::now());
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
            self.retry.succeeded("report");
        }
        self.metrics.stage("report", start.elapsed());
        failed
    }

    /// Returns the sums and the errors of these jobs in the ledger.
    async fn numbers(
        &self,
        due: &[Pending],
    ) -> Result<(HashMap<String, Totals>, HashMap<String, Vec<ErrorSummary>>), Failure> {
        let uids: Vec<&str> = due.iter().map(|pending| pending.job.uid.as_str()).collect();
        let totals = self.ledger.totals(&uids).await?;
        let bad = |uid: &&str| totals.get(*uid).is_some_and(|totals| totals.counts.bad_cells > 0);
        let bad: Vec<&str> = uids.into_iter().filter(bad).collect();
        let mut summaries: HashMap<String, Vec<ErrorSummary>> = HashMap::new();
        if !bad.is_empty() {
            for (uid, kind) in self.ledger.summary(&bad).await? {
                summaries.entry(uid).or_default().push(kind);
            }
        }
        Ok((totals, summaries))
    }

    /// Writes one job. Notes if the job has ended.
    async fn write(
        &self,
        pending: &Pending,
        totals: Option<Totals>,
        summary: &[ErrorSummary],
    ) -> Result<(), Failure> {
        let job = &pending.job;
        if let Some(conflict) = totals.as_ref().and_then(|totals| totals.conflict.clone()) {
            tracing::error!(job = job.name, conflict, "ChunkConflict");
            job.set_conflict(conflict);
        }
        let counts = totals.map(|totals| totals.counts);
        if let Some(counts) = counts {
            job.are_stored(u64::try_from(counts.stored_errors).unwrap_or(0));
        } else if !pending.tickets.is_empty() && !job.has_ended() {
            // Every chunk with a ticket here was written to the ledger before, unless its job ended because of a
            // conflict.
            return Err(Failure::LedgerBehind);
        }
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
            let old = object.status.clone().unwrap_or_default();
            let load_problem = job.problem_over(old.load_problem.as_ref());
            let step = counts.map_or(Step::Same, |counts| step(old.counts, counts));
            let (counts, error_summary) = match (step, counts) {
                (Step::Same, _) if load_problem == old.load_problem => return Ok(()),
                (Step::Same, _) | (Step::Forward, None) => (old.counts, old.error_summary.as_slice()),
                (Step::Forward, Some(counts)) => (Some(counts), summary),
                (Step::Back, _) if over => return Ok(()),
                (Step::Back, _) => return Err(Failure::LedgerBehind),
            };
            match self
                .cluster
                .apply_progress(&object, &Progress { counts, error_summary, load_problem })
                .await
            {
                Ok(()) => return Ok(()),
                Err(failure) if failure.class() == Class::Outage => conflict = failure,
                Err(failure) => return Err(failure),
            }
        }
        Err(conflict)
    }
}
