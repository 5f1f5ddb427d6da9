//! Functions with which the tests make and run a model.

use std::fmt::Write;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::actions::Action;
use crate::file::SecondFile;
use crate::flags::Flags;
use crate::guards::{Fault, Guard, Protocol};
use crate::invariants::Invariant;
use crate::properties::INVARIANTS;
use crate::state::State;

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The number of different states.
    pub states: usize,
    /// The invariant that does not hold, if there is one, and the way to that state as text.
    pub broken: Option<(Invariant, String)>,
    /// The examples of [`crate::POSSIBLE`] that were found.
    pub possible: Vec<&'static str>,
}

impl Protocol {
    /// Makes a run with all guards, no fault, one request, two partitions, and no cancellation.
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
            checks_possible: false,
        }
    }

    /// Allows these faults. The most faults in the run is the length of the list. If a fault can break an upload, the
    /// upload is resumed once.
    #[must_use]
    pub fn faults(self, faults: &[Fault]) -> Self {
        let upload_can_break = faults.contains(&Fault::ApiCrash) || faults.contains(&Fault::Takeover);
        Self {
            faults: Flags::of(faults),
            max_faults: u8::try_from(faults.len()).unwrap_or(u8::MAX),
            max_requests: if upload_can_break { 2 } else { 1 },
            ..self
        }
    }

    /// Allows all faults, up to `at_most` in the run. The upload is resumed once, and the job may be cancelled.
    #[must_use]
    pub fn any_faults(self, at_most: u8) -> Self {
        Self { faults: Flags::all(), max_faults: at_most, max_requests: 2, cancel: true, ..self }
    }

    /// Allows the client to send this file when it sends a file again.
    #[must_use]
    pub fn second_file(self, second_file: SecondFile) -> Self {
        Self { second_file, ..self }
    }

    /// Allows the user to cancel the job.
    #[must_use]
    pub fn cancelled(self) -> Self {
        Self { cancel: true, ..self }
    }

    /// Switches off a guard.
    #[must_use]
    pub fn without(self, guard: Guard) -> Self {
        Self { guards: self.guards.without(guard), ..self }
    }

    /// Checks only one invariant.
    #[must_use]
    pub fn only(self, invariant: Invariant) -> Self {
        Self { invariants: Flags::NONE.with(invariant), ..self }
    }

    /// Explores all states, the nearest first, until an invariant does not hold.
    #[must_use]
    pub fn explore(self) -> Outcome {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let checker =
            self.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let mut discoveries = checker.discoveries();
        let broken = discoveries.remove(INVARIANTS);
        let broken = broken.and_then(|path| Some((self.broken(path.last_state())?, trace(&path))));
        Outcome { states: checker.unique_state_count(), broken, possible: discoveries.into_keys().collect() }
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns a path as text: one action per line, then the state after the last action.
fn trace(path: &Path<State, Action>) -> String {
    let mut trace = String::new();
    for (at, action) in (1..).zip(path.clone().into_actions()) {
        let _ = writeln!(trace, "{at:>3}. {action}");
    }
    let state = path.last_state();
    let _ = writeln!(trace, "{:?}\nrequests: {:?}", state.job, state.requests);
    for (partition, (log, workers)) in state.logs.iter().zip(&state.workers).enumerate() {
        let _ = writeln!(trace, "partition {partition}: {log:?}\n  owner: {:?}", workers.owner);
        if let Some(worker) = workers.cut_off {
            let _ = writeln!(trace, "  cut off: {worker:?}");
        }
    }
    let in_flight: Vec<_> = state.in_flight.iter().flatten().collect();
    let _ = writeln!(trace, "{:?}\nin flight: {in_flight:?}\n{:?}", state.clickhouse, state.events);
    trace
}
