//! The stages between Kafka and the insert: prepare and check.
//!
//! Small batches and others are prepared separately, so that a small batch does not wait for the budget of the others.

use std::sync::Arc;
use std::time::Instant;

use crds::ChunkHeader;
use futures::StreamExt as _;
use futures::stream;
use rows_check::{Checker, Plan};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender};

use crate::batch::Batch;
use crate::budget::Lane;
use crate::buffers::{Buffer, Buffers};
use crate::check::check;
use crate::collect::{Added, Arrival, ArrivedRows, Collector, Wanted};
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::done::InLedger;
use crate::insert::Inserter;
use crate::job::LastRow;
use crate::jobs::{InFlight, Job, Jobs};
use crate::metrics::{ChunkOutcome, Metrics};
use crate::plan::{Target, Targets};
use crate::refusal::Refusal;
use crate::report::ProgressUpdate;
use crate::retry::Retry;
use crate::stop::Stopped;
use crate::tracker::Ticket;

/// The number of checkers that are kept. Each has buffers of the size of a chunk. If files of more kinds arrive at the
/// same time, checkers are made again.
const CHECKERS: usize = 2;
/// How many small chunks are prepared at the same time: each may have to read a job.
const SMALL_AT_ONCE: usize = 8;

/// What Kafka's thread hands over.
#[derive(Debug)]
pub enum Delivery {
    /// A chunk.
    Chunk(Chunk),
    /// A record that is not a chunk.
    DeadLetter(DeadLetter, Ticket),
}

/// A chunk that was taken from Kafka.
#[derive(Debug)]
pub struct Chunk {
    /// The headers of its Kafka record.
    pub header: ChunkHeader,
    /// Its records.
    pub body: Buffer,
    /// Its place in the partition.
    pub ticket: Ticket,
}

/// A chunk that is ready for the check or for its batch.
#[derive(Debug)]
pub struct Prepared {
    chunk: Chunk,
    job: InFlight,
    action: Action,
}

/// What is done with a chunk before it is in its batch.
#[derive(Debug)]
enum Action {
    /// Check the chunk.
    Check(Arc<Target>),
    /// Nothing: the batch keeps no rows of a job that has ended.
    SkipCheck,
    /// Nothing: the chunk cannot be checked.
    Refuse(Refusal),
}

/// What the stages have in common.
pub struct Stages {
    /// The known jobs.
    pub jobs: Arc<Jobs>,
    /// The known targets.
    pub targets: Arc<Targets>,
    /// The open batches.
    pub collector: Arc<Collector>,
    /// The inserts into ClickHouse.
    pub inserter: Inserter,
    /// Repeats calls that fail.
    pub retry: Retry,
    /// The metrics.
    pub metrics: Metrics,
    /// The topic for records that are not chunks.
    pub dead_letters: Arc<DeadLetters>,
    /// The buffers of chunks and blocks.
    pub buffers: Buffers,
}

impl Stages {
    /// First stage: determines whether the chunk must be checked, and with which plan.
    pub async fn prepare(
        self: Arc<Self>,
        lane: Lane,
        deliveries: Receiver<Delivery>,
        next: Sender<Prepared>,
        progress: UnboundedSender<ProgressUpdate>,
    ) {
        let deliveries = stream::unfold(deliveries, |mut d| async move { Some((d.recv().await?, d)) });
        let at_once = if lane == Lane::Small { SMALL_AT_ONCE } else { 1 };
        let prepare = |delivery| async {
            let start = Instant::now();
            // A chunk that is not processed further is dropped with its ticket.
            if let Ok(Some(prepared)) = self.prepare_one(lane, delivery, &progress).await {
                self.metrics.stage("prepare", start.elapsed());
                // Fails only if the check has ended.
                let _ = next.send(prepared).await;
            }
        };
        deliveries.for_each_concurrent(at_once, prepare).await;
    }

    async fn prepare_one(
        &self,
        lane: Lane,
        delivery: Delivery,
        progress: &UnboundedSender<ProgressUpdate>,
    ) -> Result<Option<Prepared>, Stopped> {
        let chunk = match delivery {
            Delivery::Chunk(chunk) => chunk,
            Delivery::DeadLetter(record, ticket) => {
                self.dead_letters.send_in_background(record, ticket).await;
                return Ok(None);
            }
        };
        tokio::select! {
            () = self.collector.admit(lane) => {}
            () = self.retry.stop().wait() => return Err(Stopped),
        }
        if self.is_void(&chunk.ticket) {
            return Err(Stopped);
        }
        let job = self.jobs.of(&chunk.header, chunk.ticket.assignments(), &self.retry).await?;
        if job.find(&chunk.header) == InLedger::Loaded {
            self.metrics.chunks(ChunkOutcome::Skipped, 1);
            // A worker may have loaded it and died before it reported that.
            let _ = progress.send(ProgressUpdate { job, tickets: vec![chunk.ticket] });
            return Ok(None);
        }
        if job.has_ended() {
            if self.may_be_in_table(&job, &chunk.header, &chunk.ticket).await? {
                return Ok(Some(Prepared { chunk, action: Action::SkipCheck, job: job.begin() }));
            }
            self.metrics.chunks(ChunkOutcome::Dropped, 1);
            chunk.ticket.finish();
            return Ok(None);
        }
        let action = match self.targets.of(&chunk.header, &self.retry).await {
            Ok(target) => Action::Check(target),
            Err(error) => Action::Refuse(error.into_refusal()?),
        };
        Ok(Some(Prepared { chunk, action, job: job.begin() }))
    }

    /// Returns whether rows of the chunk's batch may be in the table, or may still get there, although the ledger does
    /// not have them.
    pub(crate) async fn may_be_in_table(
        &self,
        job: &Job,
        header: &ChunkHeader,
        ticket: &Ticket,
    ) -> Result<bool, Stopped> {
        let now = Instant::now();
        if !ticket.is_maybe_delivered() {
            return Ok(false);
        }
        if !ticket.late_inserts(now).is_zero() {
            return Ok(true);
        }
        let mut last = job.last_row.lock().await;
        let known = last.filter(|known| ticket.late_inserts(known.read_at).is_zero());
        let row = match known {
            Some(known) => known.row,
            None => self.retry.run("last row", || self.inserter.last_row(&job.uid)).await?,
        };
        if known.is_none() {
            *last = Some(LastRow { read_at: now, row });
        }
        Ok(header.batch.first_row <= row)
    }

    /// Second stage, on a thread of its own: the only one that needs much CPU.
    pub fn check(
        &self,
        mut prepared: Receiver<Prepared>,
        complete: &UnboundedSender<Box<Batch>>,
        progress: &UnboundedSender<ProgressUpdate>,
    ) {
        let mut checkers = Checkers::default();
        while let Some(Prepared { chunk, job, action }) = prepared.blocking_recv() {
            if self.is_void(&chunk.ticket) {
                continue;
            }
            let start = Instant::now();
            let Chunk { header, body, ticket } = chunk;
            let lane = Lane::of(&header, body.as_ref().len());
            let rows = match action {
                Action::Check(target) => {
                    self.check_one(&mut checkers, &header, body.as_ref(), &ticket, &job, target)
                }
                Action::SkipCheck => ArrivedRows::Unchecked,
                Action::Refuse(refusal) => ArrivedRows::Refused(refusal),
            };
            drop(body);
            self.metrics.stage("check", start.elapsed());
            let added = self.collector.add(Arrival { header, ticket, job, lane, rows }, Instant::now());
            let sent = match added {
                Added::Nothing => true,
                Added::Complete(batch) => complete.send(batch).is_ok(),
                Added::Report(update) => progress.send(update).is_ok(),
            };
            if !sent {
                return;
            }
        }
    }

    fn check_one(
        &self,
        checkers: &mut Checkers,
        header: &ChunkHeader,
        body: &[u8],
        ticket: &Ticket,
        job: &InFlight,
        target: Arc<Target>,
    ) -> ArrivedRows {
        let Wanted::Rows(limits) = self.collector.wanted(header, ticket, job.job()) else {
            return ArrivedRows::Unchecked;
        };
        let checker = checkers.of(&target.plan);
        match check(checker, header, body, &target, self.inserter.names(), limits, &self.buffers) {
            Ok(chunk) => {
                job.job().will_store(chunk.rejects.count);
                self.metrics.checked(chunk.counts.ok, chunk.counts.bad_rows, body.len());
                ArrivedRows::Checked(target, Box::new(chunk))
            }
            Err(error) => {
                ArrivedRows::Refused(Refusal { reason: "WrongRows".into(), message: error.to_string() })
            }
        }
    }

    /// Returns whether work on a chunk that has not begun should not begin any more.
    fn is_void(&self, ticket: &Ticket) -> bool {
        self.retry.stop().is_set() || !ticket.is_valid()
    }
}

/// The checkers of the plans that were used last.
#[derive(Default)]
struct Checkers(Vec<(Arc<Plan>, Checker)>);

impl Checkers {
    /// Returns the checker of a plan, and makes it if it does not exist. The checker that was not used for the longest
    /// time is dropped.
    fn of(&mut self, plan: &Arc<Plan>) -> &mut Checker {
        let checkers = &mut self.0;
        let entry = if let Some(at) = checkers.iter().position(|(known, _)| Arc::ptr_eq(known, plan)) {
            checkers.remove(at)
        } else {
            if checkers.len() >= CHECKERS {
                checkers.remove(0);
            }
            (plan.clone(), Checker::new(plan.clone()))
        };
        checkers.push(entry);
        let last = checkers.len() - 1;
        &mut checkers[last].1
    }
}
