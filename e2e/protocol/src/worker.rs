//! The workers: what each of them does with the records of a partition.

use crate::actions::{Role, WorkerStep};
use crate::clickhouse::{Counts, Line};
use crate::file::{Batch, Record};
use crate::guards::{Guard, Protocol};
use crate::state::{Event, JobState, Log, State, Step, Worker};

impl Protocol {
    /// A worker does a step.
    pub(crate) fn work(
        &self,
        state: &mut State,
        partition: usize,
        role: Role,
        step: WorkerStep,
    ) -> Option<()> {
        let workers = &state.workers[partition];
        let mut worker = match role {
            Role::Owner => workers.owner,
            Role::CutOff => workers.cut_off?,
        };
        match step {
            WorkerStep::Take => {
                while worker.step == Step::Taking && worker.has_more(&state.logs[partition]) {
                    self.take(state, partition, &mut worker);
                }
            }
            WorkerStep::Attempt => self.attempt(state, &mut worker)?,
            WorkerStep::Answer => {
                self.store(state, worker.batch?);
                worker.step = Step::Loaded;
            }
            WorkerStep::LoseAnswer => {
                state.add_in_flight(worker.batch?);
                worker.attempted = true;
                worker.step = Step::Assembled;
            }
            WorkerStep::WriteLedger => self.write_ledger(state, &mut worker)?,
            WorkerStep::ReadCounts => {
                worker.step = Step::Reporting(self.counts_to_write(state, &worker));
                if self.reports_at_once {
                    self.write_counts(state, &mut worker);
                }
            }
            WorkerStep::WriteCounts => self.write_counts(state, &mut worker),
            WorkerStep::Commit => {
                state.commit(partition, worker.position);
                if worker.step == Step::Reported {
                    worker = Worker { batch: None, attempted: false, step: Step::Taking, ..worker };
                }
            }
            WorkerStep::GiveUp => {
                worker.batch = None;
                worker.step = Step::Reported;
            }
            WorkerStep::Stop => {
                state.stop(worker);
                state.workers[partition].cut_off = None;
                return Some(());
            }
        }
        let workers = &mut state.workers[partition];
        match role {
            Role::Owner => workers.owner = worker,
            Role::CutOff => workers.cut_off = self.continues_when_cut_off(&worker).then_some(worker),
        }
        Some(())
    }

    /// Takes one record.
    fn take(&self, state: &mut State, partition: usize, worker: &mut Worker) {
        let log = &state.logs[partition];
        let known = *worker.known.get_or_insert_with(|| self.read_ledger(state));
        worker.position = worker.position.max(log.start);
        let record = log.at(worker.position);
        worker.position += 1;
        if worker.position > worker.assigned_end {
            worker.assigned_end = 0;
        }
        let over = state.job.is_over();
        if known & 1 << record.first() != 0 {
            worker.batch = None;
            let line = state.clickhouse.ledger[usize::from(record.first())];
            let differs =
                |line: Line| record.chunk < line.end && line.contents.other(record.chunk) != record.other;
            // The batch may have been loaded by a worker that died before it reported.
            worker.step = if record.ends_batch() { Step::LedgerWritten } else { Step::Reported };
            if line.is_some_and(differs) && !over {
                self.conflict(state, worker);
            }
            return;
        }
        let conflicts =
            |batch: Batch| batch.has(record.chunk) && batch.contents.other(record.chunk) != record.other;
        match worker.batch.filter(|batch| batch.first == record.first()) {
            Some(batch) if conflicts(batch) && !over => self.conflict(state, worker),
            Some(batch) if batch.end == record.chunk => worker.set_batch(batch.with(record), record),
            Some(_) => {}
            None if record.chunk == record.first() => worker.set_batch(Batch::begin(record), record),
            // The first chunk of the batch was deleted.
            None => worker.step = Step::Reported,
        }
    }

    fn read_ledger(&self, state: &State) -> u8 {
        if !self.is_on(Guard::LedgerLookUp) {
            return 0;
        }
        (0..)
            .zip(&state.clickhouse.ledger)
            .filter(|(_, line)| line.is_some())
            .fold(0, |set, (first, _)| set | 1 << first)
    }

    fn conflict(&self, state: &mut State, worker: &mut Worker) {
        if !self.is_on(Guard::ChunkDigest) {
            state.events = state.events.with(Event::ConflictIgnored);
            return;
        }
        state.job.state = JobState::ChunkConflict;
        worker.batch = None;
        worker.step = Step::Reported;
    }

    /// Returns whether the owner may give up its incomplete batch after it took all records: the job is over, or the
    /// upload is complete and its end is passed.
    pub(crate) fn can_give_up(&self, state: &State, partition: usize) -> bool {
        let (job, worker) = (&state.job, &state.workers[partition].owner);
        let all_arrived = job.upload.complete && worker.position >= job.upload.ends[partition];
        self.is_on(Guard::GiveUpIncomplete) && worker.batch.is_some() && (job.is_over() || all_arrived)
    }

    /// Returns whether the worker cannot decide yet, because an INSERT of the batch may still be stored.
    pub(crate) fn must_wait(&self, state: &State, partition: usize, worker: &Worker) -> bool {
        let (Some(batch), true) = (worker.batch, state.job.is_over()) else { return false };
        let same = |late: &Batch| late.first == batch.first;
        let cut_off = state.workers[partition].cut_off.filter(|other| other.step == Step::Waiting);
        self.is_on(Guard::WaitForLateInserts)
            && self.may_be_sent_before(state, worker)
            && state
                .in_flight
                .iter()
                .flatten()
                .chain(cut_off.and_then(|other| other.batch).as_ref())
                .any(same)
    }

    fn attempt(&self, state: &mut State, worker: &mut Worker) -> Option<()> {
        let batch = worker.batch?;
        let all = batch.chunks().fold(0, |set, chunk| set | 1 << chunk);
        let looks_up = self.is_on(Guard::TableLookUp) && self.may_be_sent_before(state, worker);
        let missing = if looks_up { state.clickhouse.missing(batch) } else { all };
        let (begun, over) = (missing != all, state.job.is_over());
        worker.step = match missing {
            0 => Step::Loaded,
            _ if over && !begun && self.is_on(Guard::JobCheck) => Step::Reported,
            _ => Step::Waiting,
        };
        if worker.step == Step::Waiting && over && !begun {
            state.events = state.events.with(Event::SentAfterEnd);
        }
        let insert = if self.is_on(Guard::InsertOnlyMissing) && missing != 0 { missing } else { all };
        worker.batch = (worker.step != Step::Reported).then_some(Batch { insert, ..batch });
        Some(())
    }

    /// Returns whether an INSERT of its batch may have been sent before, by this worker or another.
    fn may_be_sent_before(&self, state: &State, worker: &Worker) -> bool {
        let retry_looks_up = self.is_on(Guard::TableLookUpBeforeRetry) || state.job.is_over();
        worker.position <= worker.assigned_end || (worker.attempted && retry_looks_up)
    }

    fn write_ledger(&self, state: &mut State, worker: &mut Worker) -> Option<()> {
        let batch = worker.batch?;
        state.clickhouse.ledger[usize::from(batch.first)] =
            Some(Line { end: batch.end, contents: batch.contents });
        if worker.step == Step::Assembled {
            return Some(());
        }
        if self.is_on(Guard::LedgerLookUp) {
            worker.known = worker.known.map(|known| known | 1 << batch.first);
        }
        worker.step = Step::LedgerWritten;
        Some(())
    }

    fn counts_to_write(&self, state: &State, worker: &Worker) -> Counts {
        let ledger = state.clickhouse.counts(self.second_file);
        if self.is_on(Guard::CountsFromLedger) {
            return ledger;
        }
        let before = state.job.counts;
        let chunks = || worker.batch.into_iter().flat_map(Batch::chunks);
        let rows = |chunk| {
            self.second_file.rows(chunk, worker.batch.is_some_and(|batch| batch.contents.other(chunk)))
        };
        let added = chunks().map(|_| 1).sum::<u8>();
        Counts { chunks: before.chunks + added, rows: before.rows + chunks().map(rows).sum::<u8>(), ..ledger }
    }

    fn write_counts(&self, state: &mut State, worker: &mut Worker) {
        if let Step::Reporting(counts) = worker.step {
            let forward = counts.chunks > state.job.counts.chunks;
            if forward || !self.is_on(Guard::CountsOnlyForward) {
                if counts.chunks < state.job.counts.chunks {
                    state.events = state.events.with(Event::CountsWentBack);
                }
                if !self.is_on(Guard::EndByCompareAndSwap) {
                    state.job.old_counts = state.job.counts;
                }
                state.job.counts = counts;
            }
        }
        worker.step = Step::Reported;
    }
}

impl Worker {
    /// Makes a worker to which a partition was just assigned.
    pub(crate) fn assigned(log: &Log) -> Self {
        let assigned_end = if log.end > log.committed { log.end } else { 0 };
        Self { position: log.committed, assigned_end, ..Self::default() }
    }

    fn set_batch(&mut self, batch: Batch, last: Record) {
        self.batch = Some(batch);
        if last.ends_batch() {
            self.step = Step::Assembled;
        }
    }

    /// Returns whether the partition has records that the worker has not taken.
    pub(crate) fn has_more(&self, log: &Log) -> bool {
        self.position.max(log.start) < log.end
    }
}

impl State {
    /// Removes a worker. If it has sent an INSERT, that may be stored later.
    pub(crate) fn stop(&mut self, worker: Worker) {
        if let (Step::Waiting, Some(batch)) = (worker.step, worker.batch) {
            self.add_in_flight(batch);
        }
    }

    fn commit(&mut self, partition: usize, position: u8) {
        let log = &mut self.logs[partition];
        let from = log.committed.max(log.start).min(position);
        let has_no_line = |record: Record| self.clickhouse.ledger[usize::from(record.first())].is_none();
        if !self.job.is_over() && log.range(from, position).any(has_no_line) {
            self.events = self.events.with(Event::CommittedTooEarly);
        }
        log.committed = log.committed.max(position);
    }

    fn add_in_flight(&mut self, batch: Batch) {
        if let Some(free) = self.in_flight.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(batch);
        }
        self.in_flight.sort_unstable();
    }
}
