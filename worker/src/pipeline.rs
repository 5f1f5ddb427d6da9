//! The stages between Kafka and the report. Each hands over by a channel of length one, so the next chunk is checked
//! while this one is inserted, and a slow ClickHouse stops everything up to Kafka.

use std::sync::Arc;
use std::time::Instant;

use crds::ChunkHeader;
use rows::{Checker, Plan};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender};
use tokio::task::JoinSet;

use crate::buffers::{Buffer, Buffers};
use crate::dead_letter::{DeadLetters, Letter};
use crate::insert::Inserter;
use crate::jobs::{InHand, Jobs};
use crate::judge::{Verdict, judge};
use crate::metrics::{Fate, Metrics};
use crate::plan::{NoTarget, Target, Targets};
use crate::report::News;
use crate::retry::Retry;
use crate::stop::Stopped;
use crate::tracker::Ticket;

/// Checkers keep buffers of the size of a chunk; files of more kinds than this take turns.
const CHECKERS: usize = 2;

/// What Kafka's thread hands over.
#[derive(Debug)]
pub enum Delivery {
    /// A chunk.
    Chunk(Chunk),
    /// A record that is none.
    Letter(Letter, Ticket),
}

/// A chunk as it was taken.
#[derive(Debug)]
pub struct Chunk {
    /// What Kafka says of it.
    pub header: ChunkHeader,
    /// Its records.
    pub body: Buffer,
    /// Its place in the partition.
    pub ticket: Ticket,
}

/// A chunk that is to be judged.
#[derive(Debug)]
pub struct Prepared {
    chunk: Chunk,
    target: Arc<Target>,
    job: InHand,
}

/// A chunk that was judged.
#[derive(Debug)]
pub struct Judged {
    header: ChunkHeader,
    ticket: Ticket,
    target: Arc<Target>,
    job: InHand,
    verdict: Verdict,
}

/// What the stages share.
pub struct Stages {
    /// The jobs that are known.
    pub jobs: Jobs,
    /// The plans that are known.
    pub targets: Targets,
    /// The way to ClickHouse.
    pub inserter: Inserter,
    /// How calls are made.
    pub retry: Retry,
    /// What is counted.
    pub metrics: Metrics,
    /// Where impossible records go.
    pub dead_letters: Arc<DeadLetters>,
    /// Where chunks and blocks live.
    pub buffers: Buffers,
}

impl Stages {
    /// First stage: is the chunk to be judged at all, and by which plan?
    pub async fn prepare(
        self: Arc<Self>,
        mut deliveries: Receiver<Delivery>,
        next: Sender<Prepared>,
        news: UnboundedSender<News>,
    ) {
        while let Some(delivery) = deliveries.recv().await {
            let start = Instant::now();
            let prepared = match delivery {
                Delivery::Chunk(chunk) => self.prepare_one(chunk, &news).await,
                Delivery::Letter(letter, ticket) => {
                    self.dead_letters.bury(letter, ticket).await;
                    continue;
                }
            };
            // Whatever was given up was dropped with its ticket.
            let Ok(Some(prepared)) = prepared else { continue };
            self.metrics.stage("prepare", start.elapsed());
            if next.send(prepared).await.is_err() {
                return;
            }
        }
    }

    async fn prepare_one(
        &self,
        chunk: Chunk,
        news: &UnboundedSender<News>,
    ) -> Result<Option<Prepared>, Stopped> {
        if self.is_void(&chunk.ticket) {
            return Err(Stopped);
        }
        let job = self.jobs.of(&chunk.header, chunk.ticket.assignments(), &self.retry).await?;
        if job.is_done(chunk.header.chunk) {
            self.metrics.chunk(Fate::Skipped);
            // It may have been done by a worker that died before it could say so.
            let _ = news.send(News { job, ticket: chunk.ticket });
            return Ok(None);
        }
        if job.has_ended() {
            self.metrics.chunk(Fate::Dropped);
            chunk.ticket.finish();
            return Ok(None);
        }
        match self.targets.of(&chunk.header, &self.retry).await {
            Ok(target) => Ok(Some(Prepared { chunk, target, job: job.begin() })),
            Err(NoTarget::Stopped(stopped)) => Err(stopped),
            Err(error) => {
                let letter = Letter::of_chunk(&chunk.header, chunk.body.as_ref(), &error);
                self.dead_letters.bury(letter, chunk.ticket).await;
                Ok(None)
            }
        }
    }

    /// Second stage, on a thread of its own: the only one that costs CPU.
    pub fn check(&self, mut prepared: Receiver<Prepared>, next: &Sender<Judged>, runtime: &Handle) {
        let mut checkers: Vec<(Arc<Plan>, Checker)> = Vec::new();
        while let Some(Prepared { chunk, target, job }) = prepared.blocking_recv() {
            if self.is_void(&chunk.ticket) {
                continue;
            }
            let start = Instant::now();
            let Chunk { header, body, ticket } = chunk;
            let checker = checker_of(&mut checkers, &target.plan);
            let room = job.job().room();
            let verdict =
                judge(checker, &header, body.as_ref(), &target, self.inserter.model(), room, &self.buffers);
            match verdict {
                Ok(verdict) => {
                    job.job().will_store(verdict.rejects.count);
                    self.metrics.judged(verdict.ok, verdict.bad_rows, body.as_ref().len());
                    self.metrics.stage("check", start.elapsed());
                    drop(body);
                    if next.blocking_send(Judged { header, ticket, target, job, verdict }).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let letter = Letter::of_chunk(&header, body.as_ref(), &error);
                    runtime.block_on(self.dead_letters.bury(letter, ticket));
                }
            }
        }
    }

    /// Third stage: at most `width` chunks at a time are on their way into ClickHouse.
    pub async fn insert(
        self: Arc<Self>,
        mut judged: Receiver<Judged>,
        news: UnboundedSender<News>,
        width: usize,
    ) {
        let (places, mut running) = (Arc::new(Semaphore::new(width)), JoinSet::new());
        // The place comes first: a chunk that waits here would be one more in memory.
        while let Ok(place) = places.clone().acquire_owned().await {
            let Some(chunk) = judged.recv().await else { break };
            let (this, news) = (self.clone(), news.clone());
            while running.try_join_next().is_some() {}
            running.spawn(async move {
                let _place = place;
                let _: Result<(), Stopped> = this.insert_one(chunk, &news).await;
            });
        }
        while running.join_next().await.is_some() {}
    }

    async fn insert_one(&self, chunk: Judged, news: &UnboundedSender<News>) -> Result<(), Stopped> {
        let Judged { header, ticket, target, job: in_hand, mut verdict } = chunk;
        if self.is_void(&ticket) {
            return Err(Stopped);
        }
        let job = in_hand.job().clone();
        if job.has_ended() {
            self.metrics.chunk(Fate::Dropped);
            ticket.finish();
            return Ok(());
        }
        let block = std::mem::take(&mut verdict.block);
        if !block.is_empty() {
            let call = || self.inserter.data(&header, &target, block.clone());
            self.timed("data", self.retry.run("insert", call)).await?;
        }
        drop(block);
        let mut stored = 0;
        if verdict.bad_cells > 0 {
            let call = || self.inserter.rejects(&header, &verdict.rejects);
            stored = self.timed("rejects", self.retry.run("insert rejects", call)).await?;
        }
        let call = || self.inserter.ledger(&header, &verdict, stored);
        self.timed("ledger", self.retry.run("insert ledger", call)).await?;
        job.set_done(header.chunk);
        self.metrics.chunk(Fate::Loaded);
        // Before the news, so that the last chunk of a job finds it idle and is reported at once.
        drop(in_hand);
        let _ = news.send(News { job, ticket });
        Ok(())
    }

    async fn timed<T>(&self, stage: &'static str, call: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let value = call.await;
        self.metrics.stage(stage, start.elapsed());
        value
    }

    /// Whether a chunk that is not begun should not be begun any more.
    fn is_void(&self, ticket: &Ticket) -> bool {
        self.retry.stop().is_set() || !ticket.is_valid()
    }
}

/// The checker of a plan, made if it is not there; the one used longest ago makes room.
fn checker_of<'a>(checkers: &'a mut Vec<(Arc<Plan>, Checker)>, plan: &Arc<Plan>) -> &'a mut Checker {
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
