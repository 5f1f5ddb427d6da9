//! The actions that can happen next.

use std::fmt;

use crate::file::{Batch, CHUNKS, File, PARTITIONS};
use crate::guards::{Fault, Guard, Protocol};
use crate::state::{JobState, Request, State, Step, Worker};

/// One step of one part, or a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The client starts a request, and the API takes the next epoch.
    Start(File),
    /// A request does a step. The request is identified by its epoch.
    Api(u8, ApiStep),
    /// A worker does a step. The worker is identified by its partition and its role there.
    Work(usize, Role, WorkerStep),
    /// A late INSERT is stored. A late INSERT is one for whose answer no worker waits any more.
    StoreInsert(usize),
    /// A late INSERT has no effect.
    LoseInsert(usize),
    /// The operator ends the job.
    End(JobState),
    /// The user cancels the job.
    Cancel,
    /// A request ends because its pod dies.
    ApiCrash(u8),
    /// The owner of a partition dies.
    WorkerCrash(usize),
    /// A partition is assigned to another worker. The previous owner continues for now if it still has something to
    /// do; otherwise this is the same as its death.
    Rebalance(usize),
    /// A late INSERT is stored only in the first of its table partitions.
    PartialInsert(usize),
    /// Other inserts make ClickHouse forget all tokens.
    ExpireTokens,
    /// Kafka deletes all records of a partition.
    DeleteRecords(usize),
}

/// The steps of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiStep {
    /// Writes the digest of the first chunk to the status.
    FixFirstChunk,
    /// Sends the next chunk, which Kafka acknowledges.
    Produce,
    /// Writes how many chunks are acknowledged.
    Acknowledge,
    /// Writes that the upload is complete.
    Complete,
    /// Ends, because a newer request has taken over the upload.
    Stop,
}

/// Which of the workers of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The partition is assigned to it.
    Owner,
    /// The partition was assigned to it, but it does not know yet that this has ended.
    CutOff,
}

/// The steps of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerStep {
    /// Takes records until it has a complete batch or there are no more. Before the first record it reads the ledger.
    Take,
    /// Before an attempt to insert a batch, checks partition and job. If the batch may have been sent before, looks it
    /// up in the table. Then sends what is missing.
    Attempt,
    /// Its INSERT is stored and answered.
    Answer,
    /// A fault: the answer does not arrive.
    LoseAnswer,
    /// Writes the ledger line.
    WriteLedger,
    /// Reads the counts from the ledger.
    ReadCounts,
    /// Writes the counts to the status.
    WriteCounts,
    /// Commits the offset.
    Commit,
    /// Gives up a batch whose other chunks cannot arrive any more.
    GiveUp,
    /// Notices that the partition is no longer assigned to it, or dies.
    Stop,
}

impl Protocol {
    /// Collects all actions that can happen next, always in the same order.
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        self.steps(state, actions);
        let overtakes = state.requests.iter().any(Option::is_some);
        let may_overtake = state.faults_left > 0 && self.faults.has(Fault::Takeover);
        if !state.job.is_over() && state.requests_made < self.max_requests && (may_overtake || !overtakes) {
            actions.extend([File::First, File::Second].map(Action::Start));
        }
        if self.cancel && !state.job.is_over() {
            actions.push(Action::Cancel);
        }
        if state.faults_left > 0 {
            self.possible_faults(state, actions);
        }
    }

    /// Collects the actions that happen without a client, a user or a fault.
    pub(crate) fn steps(&self, state: &State, actions: &mut Vec<Action>) {
        for request in state.requests.iter().flatten() {
            self.request_steps(state, request, |step| actions.push(Action::Api(request.epoch, step)));
        }
        for (partition, workers) in state.workers.iter().enumerate() {
            self.owner_steps(state, partition, |step| {
                actions.push(Action::Work(partition, Role::Owner, step));
            });
            if let Some(worker) = &workers.cut_off {
                self.cut_off_steps(state, worker, |step| {
                    actions.push(Action::Work(partition, Role::CutOff, step));
                });
            }
        }
        for (at, _) in in_flight(state) {
            actions.extend([Action::StoreInsert(at), Action::LoseInsert(at)]);
        }
        actions.extend(self.possible_ends(state).map(Action::End));
    }

    fn request_steps(&self, state: &State, request: &Request, mut can: impl FnMut(ApiStep)) {
        let overtaken = request.epoch < state.job.upload.epoch;
        if !request.first_chunk_fixed {
            can(ApiStep::FixFirstChunk);
        } else if request.next < CHUNKS {
            can(ApiStep::Produce);
        }
        if overtaken {
            can(ApiStep::Stop);
        }
        if overtaken && self.is_on(Guard::EpochFencing) {
            return;
        }
        if request.next > request.written {
            can(ApiStep::Acknowledge);
        }
        if request.next == CHUNKS {
            can(ApiStep::Complete);
        }
    }

    fn owner_steps(&self, state: &State, partition: usize, mut can: impl FnMut(WorkerStep)) {
        let worker = &state.workers[partition].owner;
        match worker.step {
            Step::Taking => {
                let log = &state.logs[partition];
                if worker.has_more(log) {
                    can(WorkerStep::Take);
                } else if self.can_give_up(state, partition) {
                    can(WorkerStep::GiveUp);
                }
            }
            Step::Assembled => {
                if !self.must_wait(state, partition, worker) {
                    can(WorkerStep::Attempt);
                }
                if !self.is_on(Guard::DataBeforeLedger) {
                    can(WorkerStep::WriteLedger);
                }
            }
            Step::Reported => can(WorkerStep::Commit),
            step => can(after_insert(step)),
        }
        if !self.is_on(Guard::OffsetLast) && worker.batch.is_some() && worker.step != Step::Taking {
            can(WorkerStep::Commit);
        }
    }

    fn cut_off_steps(&self, state: &State, worker: &Worker, mut can: impl FnMut(WorkerStep)) {
        match worker.step {
            Step::Taking | Step::Reported => {}
            Step::Assembled if self.is_on(Guard::TicketCheck) || state.job.is_over() => {}
            Step::Assembled => can(WorkerStep::Attempt),
            step => can(after_insert(step)),
        }
        can(WorkerStep::Stop);
    }

    fn possible_faults(&self, state: &State, actions: &mut Vec<Action>) {
        let can_occur = |fault| self.faults.has(fault);
        if can_occur(Fault::ApiCrash) {
            actions.extend(state.requests.iter().flatten().map(|request| Action::ApiCrash(request.epoch)));
        }
        for partition in 0..PARTITIONS {
            let workers = &state.workers[partition];
            if can_occur(Fault::WorkerCrash) {
                actions.push(Action::WorkerCrash(partition));
            }
            if can_occur(Fault::Rebalance) && self.continues_when_cut_off(&workers.owner) {
                actions.push(Action::Rebalance(partition));
            }
            if can_occur(Fault::LostAnswer) && workers.owner.step == Step::Waiting {
                actions.push(Action::Work(partition, Role::Owner, WorkerStep::LoseAnswer));
            }
            let log = &state.logs[partition];
            let requests = state.requests.iter().any(Option::is_some);
            let uploading = !state.job.is_over() && (requests || !state.job.upload.complete);
            let kept = uploading && self.is_on(Guard::RetentionOutlastsUploads);
            if can_occur(Fault::DeletedRecords) && log.start < log.end && !kept {
                actions.push(Action::DeleteRecords(partition));
            }
        }
        if can_occur(Fault::PartialInsert) {
            let several = in_flight(state).filter(|(_, batch)| batch.insert.count_ones() > 1);
            actions.extend(several.map(|(at, _)| Action::PartialInsert(at)));
        }
        let can_expire =
            state.clickhouse.tokens != 0 && !(self.is_on(Guard::StoredWithinWindow) && has_in_flight(state));
        if can_occur(Fault::ExpiredTokens) && can_expire {
            actions.push(Action::ExpireTokens);
        }
    }

    /// Returns whether a worker still does a step after it lost its partition.
    pub(crate) fn continues_when_cut_off(&self, worker: &Worker) -> bool {
        match worker.step {
            Step::Taking | Step::Reported => false,
            Step::Assembled => !self.is_on(Guard::TicketCheck),
            Step::Waiting | Step::Loaded | Step::LedgerWritten | Step::Reporting(_) => true,
        }
    }
}

/// Returns the step after the INSERT, for every role.
fn after_insert(step: Step) -> WorkerStep {
    match step {
        Step::Waiting => WorkerStep::Answer,
        Step::Loaded => WorkerStep::WriteLedger,
        Step::LedgerWritten => WorkerStep::ReadCounts,
        _ => WorkerStep::WriteCounts,
    }
}

fn in_flight(state: &State) -> impl Iterator<Item = (usize, Batch)> {
    state.in_flight.iter().enumerate().filter_map(|(at, batch)| batch.map(|batch| (at, batch)))
}

fn has_in_flight(state: &State) -> bool {
    let waits = |worker: &Worker| worker.step == Step::Waiting;
    in_flight(state).next().is_some()
        || state.workers.iter().any(|w| waits(&w.owner) || w.cut_off.as_ref().is_some_and(waits))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(file) => write!(f, "the client opens a request with the {file:?} file"),
            Self::Api(epoch, step) => write!(f, "request {epoch}: {step:?}"),
            Self::Work(partition, role, step) => {
                let fault = if *step == WorkerStep::LoseAnswer { "FAULT " } else { "" };
                write!(f, "{fault}partition {partition}, {role:?}: {step:?}")
            }
            Self::StoreInsert(at) => write!(f, "late INSERT {at} is stored"),
            Self::LoseInsert(at) => write!(f, "late INSERT {at} has no effect"),
            Self::End(state) => write!(f, "the operator ends the job: {state:?}"),
            Self::Cancel => write!(f, "the user cancels the job"),
            Self::ApiCrash(epoch) => write!(f, "FAULT request {epoch} dies with its pod"),
            Self::WorkerCrash(partition) => write!(f, "FAULT the worker of partition {partition} dies"),
            Self::Rebalance(partition) => write!(f, "FAULT the worker of partition {partition} is cut off"),
            Self::PartialInsert(at) => {
                write!(f, "FAULT late INSERT {at} is stored in one table partition only")
            }
            Self::ExpireTokens => write!(f, "FAULT other inserts make ClickHouse forget all tokens"),
            Self::DeleteRecords(partition) => write!(f, "FAULT Kafka deletes partition {partition}"),
        }
    }
}
