//! How the tests make and run a model.

use std::fmt::Write;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::actions::Action;
use crate::file::SecondFile;
use crate::flags::Flags;
use crate::guards::{Fault, Guard, Protocol};
use crate::properties::{INVARIANTS, Invariant};
use crate::state::State;

/// What a run found.
#[derive(Debug)]
pub struct Outcome {
    /// How many different states it saw.
    pub states: usize,
    /// Where an invariant does not hold: which one, and how it came to this, in words.
    pub broken: Option<(Invariant, String)>,
    /// The examples it found of [`crate::POSSIBLE`].
    pub possible: Vec<&'static str>,
}

impl Protocol {
    /// All guards on, no fault, one request, two partitions, nobody cancels.
    #[must_use]
    pub fn new() -> Self {
        Self {
            guards: Flags::all(),
            faults: Flags::NONE,
            max_faults: 0,
            max_requests: 1,
            second_file: SecondFile::None,
            partitions: 2,
            reports_at_once: true,
            cancel: false,
            invariants: Flags::all(),
            looks_for_possible: false,
        }
    }

    /// Each of these faults may strike, as often as there are faults in the list in all. An upload that may break is taken
    /// up again once.
    #[must_use]
    pub fn faults(self, faults: &[Fault]) -> Self {
        let upload_breaks = faults.contains(&Fault::ApiCrash) || faults.contains(&Fault::Takeover);
        Self {
            faults: Flags::of(faults),
            max_faults: u8::try_from(faults.len()).unwrap_or(u8::MAX),
            max_requests: if upload_breaks { 2 } else { 1 },
            ..self
        }
    }

    /// Any faults may strike, so often in all; the upload is taken up again once, and the job may be cancelled.
    #[must_use]
    pub fn any_faults(self, at_most: u8) -> Self {
        Self { faults: Flags::all(), max_faults: at_most, max_requests: 2, cancel: true, ..self }
    }

    /// A client that sends a file again may send this one.
    #[must_use]
    pub fn second_file(self, second_file: SecondFile) -> Self {
        Self { second_file, ..self }
    }

    /// The user may cancel the job.
    #[must_use]
    pub fn cancelled(self) -> Self {
        Self { cancel: true, ..self }
    }

    /// Without a guard.
    #[must_use]
    pub fn without(self, guard: Guard) -> Self {
        Self { guards: self.guards.without(guard), ..self }
    }

    /// Looks at one invariant only.
    #[must_use]
    pub fn only(self, invariant: Invariant) -> Self {
        Self { invariants: Flags::NONE.with(invariant), ..self }
    }

    /// Goes through all states, the nearest first, until an invariant does not hold.
    #[must_use]
    pub fn explore(self) -> Outcome {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let checker =
            self.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let mut discoveries = checker.discoveries();
        let broken = discoveries.remove(INVARIANTS);
        let broken = broken.and_then(|path| Some((self.broken(path.last_state())?, story(&path))));
        Outcome { states: checker.unique_state_count(), broken, possible: discoveries.into_keys().collect() }
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::new()
    }
}

/// A path in words: one action a line, then the state it leads to.
fn story(path: &Path<State, Action>) -> String {
    let mut story = String::new();
    for (at, action) in (1..).zip(path.clone().into_actions()) {
        let _ = writeln!(story, "{at:>3}. {action}");
    }
    let state = path.last_state();
    let _ = writeln!(story, "{:?}\nrequests: {:?}", state.job, state.requests);
    for (partition, (log, workers)) in state.logs.iter().zip(&state.workers).enumerate() {
        let _ = writeln!(story, "partition {partition}: {log:?}\n  owner: {:?}", workers.owner);
        if let Some(worker) = workers.cut_off {
            let _ = writeln!(story, "  cut off: {worker:?}");
        }
    }
    let in_flight: Vec<_> = state.in_flight.iter().flatten().collect();
    let _ = writeln!(story, "{:?}\nin flight: {in_flight:?}\n{:?}", state.clickhouse, state.events);
    story
}
