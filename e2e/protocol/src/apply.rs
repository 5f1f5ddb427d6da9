//! Computes the state after an action, and what an INSERT stores.

use crate::actions::{Action, WorkerStep};
use crate::api;
use crate::file::Batch;
use crate::guards::{Guard, Protocol};
use crate::state::{Event, JobState, State, Worker, Workers};

impl Protocol {
    /// Changes the state by an action. `None` if the action is refused and changes nothing.
    pub(crate) fn apply(&self, state: &mut State, action: Action) -> Option<()> {
        if action.is_fault(state) {
            state.faults_left -= 1;
        }
        match action {
            Action::Start(file) => self.start(state, file)?,
            Action::Api(epoch, step) => self.request(state, epoch, step),
            Action::Work(partition, role, step) => self.work(state, partition, role, step)?,
            Action::StoreInsert(at) => self.store_late(state, at, true)?,
            Action::LoseInsert(at) => {
                state.in_flight[at] = None;
                state.in_flight.sort_unstable();
            }
            Action::End(end) => state.job.state = end,
            Action::Cancel => state.job.state = JobState::Cancelled,
            Action::ApiCrash(epoch) => {
                for request in &mut state.requests {
                    *request = request.filter(|request| request.epoch != epoch);
                }
                api::order(&mut state.requests);
            }
            Action::WorkerCrash(partition) => {
                state.stop(state.workers[partition].owner);
                state.workers[partition].owner = Worker::assigned(&state.logs[partition]);
            }
            Action::Rebalance(partition) => {
                // There are two workers. So a worker that was cut off before is the one to which the partition is
                // assigned now.
                let Workers { owner, cut_off } = state.workers[partition];
                if let Some(before) = cut_off {
                    state.stop(before);
                }
                let assigned = Worker::assigned(&state.logs[partition]);
                state.workers[partition] = Workers { owner: assigned, cut_off: Some(owner) };
            }
            Action::PartialInsert(at) => self.store_late(state, at, false)?,
            Action::ExpireTokens => state.clickhouse.tokens = 0,
            Action::DeleteRecords(partition) => {
                let log = &mut state.logs[partition];
                log.start = log.end;
                state.events = state.events.with(Event::RecordsDeleted);
            }
        }
        Some(())
    }

    /// An INSERT is stored: each of its table partitions, unless its token is remembered there.
    pub(crate) fn store(&self, state: &mut State, batch: Batch) {
        let clickhouse = &mut state.clickhouse;
        for chunk in batch.chunks().filter(|chunk| batch.insert & 1 << chunk != 0) {
            let token = 1 << (3 * batch.first + chunk);
            if self.is_on(Guard::Token) {
                if clickhouse.tokens & token != 0 {
                    continue;
                }
                clickhouse.tokens |= token;
            }
            let copies = &mut clickhouse.copies[usize::from(chunk)][usize::from(batch.contents.other(chunk))];
            *copies = (*copies + 1).min(2);
        }
    }

    /// A late INSERT is stored, completely or only in the first of its table partitions.
    fn store_late(&self, state: &mut State, at: usize, complete: bool) -> Option<()> {
        let batch = state.in_flight[at].take()?;
        state.in_flight.sort_unstable();
        let first = 1 << batch.insert.trailing_zeros();
        self.store(state, if complete { batch } else { Batch { insert: first, ..batch } });
        Some(())
    }
}

impl Action {
    /// Returns whether the action uses up one of the faults of a run.
    fn is_fault(self, state: &State) -> bool {
        match self {
            Self::ApiCrash(_)
            | Self::WorkerCrash(_)
            | Self::Rebalance(_)
            | Self::PartialInsert(_)
            | Self::ExpireTokens
            | Self::DeleteRecords(_) => true,
            Self::Work(_, _, step) => step == WorkerStep::LoseAnswer,
            Self::Start(_) => state.requests.iter().any(Option::is_some),
            Self::Api(..) | Self::StoreInsert(_) | Self::LoseInsert(_) | Self::End(_) | Self::Cancel => false,
        }
    }
}
