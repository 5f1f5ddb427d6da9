//! A model of the exactly-once protocol of `docs/architecture.md`. All states that it can reach are explored.
//!
//! # What is modelled
//!
//! One job: a file of three chunks in two batches, chunks 0 and 1 in one partition and chunk 2 in another.
//!
//! - **API**: two pods. A request takes an epoch, fixes the first chunk's digest, sends the chunks one after the
//!   other, and writes `status.upload` at any time. If a newer request has taken over the upload, the older one
//!   continues to send until it notices. The client continues with the same file or with another.
//! - **Kafka**: the records of each partition in the order of their arrival, and the committed offset.
//! - **Workers**: for each partition its owner, and at most one worker that is cut off but does not know it yet. A
//!   worker takes a batch, attempts its INSERT, writes the ledger line, reports the counts and commits the offset.
//!   These are five steps, and it can die between any two.
//! - **ClickHouse**: how many copies of each chunk's rows are in the table, the tokens that it remembers, the ledger,
//!   and late INSERTs. An INSERT is late if its worker died, was cut off or got no answer. It is stored later or
//!   never.
//! - **Operator and user**: the end of the job is decided only from its status. The user can cancel it at any time.
//!
//! [`Fault`] lists what can go wrong. [`Guard`] lists the rules that make the faults harmless. [`Invariant`] lists
//! what must always hold. A run ([`Protocol`]) limits the number of faults; within this limit, they occur in every
//! order and at every time.
//!
//! # What is not modelled
//!
//! Rejected rows, parked batches and the dead-letter topic, more than two batches, two batches of a partition in one
//! worker at the same time, chunks of one request that reach two partitions out of order, deadlines, and how the parts
//! read their caches. Writes that are a compare-and-swap on the job's `resourceVersion` are one step. A request ends
//! when the job ends. The receipt and the history are not modelled either: they have the counts at the end of the job,
//! and a worker that was cut off before a cancellation may be counted after it.
//!
//! # How to read a counterexample
//!
//! A failed test prints the shortest way to the violation that it found, one step per line, and the last state. `a1`
//! is chunk 1 of the first file and `b1` that of the second, if the two files differ. `aab` is the digest of a file
//! whose chunk 2 is from the second file. Offsets count from the first record that is not yet committed. `insert: 3`
//! are chunks 0 and 1, by bit.
//!
//! To explore another scenario, write a test with the builder methods of [`Protocol`] and print the result of
//! [`Protocol::explore`].

mod actions;
mod api;
mod apply;
mod clickhouse;
mod file;
mod flags;
mod guards;
mod invariants;
mod properties;
mod run;
mod state;
mod worker;

use stateright::{Model, Property};

pub use crate::actions::{Action, ApiStep, Role, WorkerStep};
pub use crate::file::{File, SecondFile};
pub use crate::flags::{Flag, Flags};
pub use crate::guards::{Fault, Guard, Protocol};
pub use crate::invariants::Invariant;
pub use crate::properties::POSSIBLE;
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
        state.normalize();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
