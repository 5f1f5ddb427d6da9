//! The exactly-once protocol of `docs/architecture.md` as a model, explored in every state that it can reach.
//!
//! # What is modelled
//!
//! One job: a file of three chunks in two batches, chunks 0 and 1 in one partition and chunk 2 in another.
//!
//! - **API**: two pods. A request takes an epoch, fixes the first chunk's digest, sends chunk after chunk and writes
//!   `status.upload` at any time. One that was overtaken goes on sending until it notices. The client goes on with the same
//!   file or with another.
//! - **Kafka**: the records of each partition, in the order they came, and the committed offset.
//! - **Workers**: for each partition its owner, and at most one worker that was cut off and does not know yet. A worker
//!   takes a batch, attempts its INSERT, writes the ledger line, reports the counts and commits the offset: five steps, and
//!   it can die between any two.
//! - **ClickHouse**: how often each chunk's rows are in the table, the tokens it remembers, the ledger, and late INSERTs: those
//!   whose worker died, was cut off or got no answer. Each lands later or never.
//! - **Operator and user**: the job's end is decided from its status alone; it is cancelled at any time.
//!
//! [`Fault`] lists what can go wrong, [`Guard`] the rules that keep it harmless, [`Invariant`] what holds all the same. A run
//! ([`Protocol`]) has a limit on how many faults strike in all; within it they strike in every order at every moment.
//!
//! # What is not modelled
//!
//! Rejected rows, parked batches and the dead-letter topic, more than two batches, two batches of a partition in one
//! worker at the same time, chunks of one request that reach two partitions out of order, deadlines, and how the parts read
//! their caches. Writes that are a compare-and-swap on the job's `resourceVersion` are one step. A request ends with the job.
//! The receipt and the history are left out, too: they say what the counts were when the job ended, and a worker that was
//! cut off before a cancellation may be counted after it.
//!
//! # How to read a counterexample
//!
//! A failed test prints the shortest way to the fault that it found, one step a line, and the last state. `a1` is chunk 1
//! of the first file and `b1` that of the second, where the two differ; `aab` is the digest of a file whose chunk 2 is the
//! second's. Offsets count from the first record that is not yet committed. `insert: 3` are chunks 0 and 1, by bit.
//!
//! To look into another scenario, write a test with the builder methods of [`Protocol`] and print what
//! [`Protocol::explore`] returns.

mod actions;
mod api;
mod apply;
mod clickhouse;
mod file;
mod flags;
mod guards;
mod properties;
mod run;
mod state;
mod worker;

use stateright::{Model, Property};

pub use crate::actions::{Action, ApiStep, Role, WorkerStep};
pub use crate::file::{File, SecondFile};
pub use crate::flags::{Flag, Flags};
pub use crate::guards::{Fault, Guard, Protocol};
pub use crate::properties::{Invariant, POSSIBLE};
pub use crate::run::Outcome;
pub use crate::state::{JobState, State};

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { faults_left: self.max_faults, ..State::default() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        self.apply(&mut state, action)?;
        state.forget();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
