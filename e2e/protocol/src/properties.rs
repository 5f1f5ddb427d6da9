//! Checks what must always hold, and what must be possible.

use stateright::Property;

use crate::file::{CHUNKS, File, PARTITIONS, SecondFile};
use crate::flags::Flag;
use crate::guards::Protocol;
use crate::invariants::Invariant;
use crate::state::{Event, JobState, State, Step};

/// The property that checks the invariants: a run checks those in [`Protocol::invariants`].
pub const INVARIANTS: &str = "the invariants hold";

/// What must be possible, so that a model that does nothing does not pass.
pub const POSSIBLE: [&str; 4] = [
    "SUCCESS",
    "SUCCESS after the last fault that can occur",
    "ChunkConflict",
    "rows counted after a cancellation",
];

pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![Property::always(INVARIANTS, |p: &Protocol, s| p.broken(s).is_none())];
    if protocol.checks_possible {
        all.extend([
            Property::sometimes(POSSIBLE[0], |_, s: &State| s.job.state == JobState::Success),
            Property::sometimes(POSSIBLE[1], |_, s: &State| {
                s.job.state == JobState::Success && s.faults_left == 0
            }),
            Property::sometimes(POSSIBLE[2], |_, s: &State| s.job.state == JobState::ChunkConflict),
            Property::sometimes(POSSIBLE[3], |p: &Protocol, s: &State| {
                s.job.state == JobState::Cancelled && s.job.counts.rows > 0 && p.at_rest(s)
            }),
        ]);
    }
    all
}

impl Protocol {
    /// Returns the first invariant that does not hold in a state, of those that the run checks.
    #[must_use]
    pub fn broken(&self, state: &State) -> Option<Invariant> {
        let broken =
            |invariant: &&Invariant| self.invariants.has(**invariant) && !self.holds_in(state, **invariant);
        let at_rest = self.at_rest(state);
        Invariant::ALL
            .iter()
            .filter(|invariant| at_rest || !invariant.is_only_at_rest())
            .find(broken)
            .copied()
    }

    fn holds_in(&self, state: &State, invariant: Invariant) -> bool {
        let (job, event) = (&state.job, |event| state.events.has(event));
        match invariant {
            Invariant::SuccessIsTheFile => job.state != JobState::Success || self.is_loaded(state),
            Invariant::NoRowTwice => {
                state.clickhouse.copies.iter().all(|[first, second]| first + second <= 1)
            }
            Invariant::CountsAreTheTable => {
                event(Event::RecordsDeleted) || job.counts.rows == state.clickhouse.rows(self.second_file)
            }
            Invariant::CountsOnlyGrow => !event(Event::CountsWentBack),
            Invariant::UploadOnlyGrows => !event(Event::UploadWentBack),
            Invariant::OlderEpochsWriteNothing => !event(Event::OlderEpochWrote),
            Invariant::NoInsertAfterTheEnd => !event(Event::SentAfterEnd),
            Invariant::CommittedIsInLedger => {
                !event(Event::CommittedTooEarly) || event(Event::RecordsDeleted)
            }
            Invariant::CompleteUploadEnds => job.is_over() || !job.upload.complete,
            Invariant::NoLagIsLeft => {
                !job.is_over() || state.logs.iter().all(|log| log.committed.max(log.start) >= log.end)
            }
            Invariant::LostOnlyIfDeleted => job.state != JobState::ChunksLost || event(Event::RecordsDeleted),
            Invariant::ConflictOnlyIfTwoFiles => {
                let two = event(Event::SecondFileSent) && self.second_file != SecondFile::Different;
                job.state != JobState::ChunkConflict || two
            }
            Invariant::TwoFilesEnd => !event(Event::ConflictIgnored) || job.is_over(),
        }
    }

    fn is_loaded(&self, state: &State) -> bool {
        let counts = state.clickhouse.counts(self.second_file);
        let is = |file| {
            let contents = self.second_file.contents(file);
            let once = |(chunk, copies): (u8, &[u8; 2])| {
                let other = contents.other(chunk);
                copies[usize::from(other)] == 1 && copies[usize::from(!other)] == 0
            };
            (0..CHUNKS).zip(&state.clickhouse.copies).all(once)
                && counts.chunks == CHUNKS
                && counts.digest == contents
                && state.job.upload.digest == contents
        };
        is(File::First) || is(File::Second)
    }

    /// Returns whether nothing happens any more without a client, a user or a fault.
    #[must_use]
    pub fn at_rest(&self, state: &State) -> bool {
        let idle = |partition: usize| {
            let (log, workers) = (&state.logs[partition], &state.workers[partition]);
            workers.cut_off.is_none()
                && workers.owner.step == Step::Taking
                && !workers.owner.has_more(log)
                && !self.can_give_up(state, partition)
        };
        state.requests == [None, None]
            && state.in_flight.iter().all(Option::is_none)
            && (0..PARTITIONS).all(idle)
            && self.possible_ends(state).next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use stateright::Model;

    use super::*;

    #[test]
    fn a_state_is_at_rest_exactly_if_no_step_is_possible() {
        let protocol = Protocol::new().any_faults(1).second_file(SecondFile::SameStart);
        let (mut seen, mut pending) = (HashSet::new(), protocol.init_states());
        let (mut steps, mut rests) = (Vec::new(), 0);
        while let Some(state) = pending.pop() {
            steps.clear();
            protocol.steps(&state, &mut steps);
            assert_eq!(protocol.at_rest(&state), steps.is_empty(), "{state:?} {steps:?}");
            rests += u32::from(steps.is_empty());
            pending.extend(protocol.next_states(&state).into_iter().filter(|next| seen.insert(*next)));
        }
        assert!(rests > 100, "{rests} states at rest of {}", seen.len());
    }
}
