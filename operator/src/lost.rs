//! Chunks that disappeared from Kafka before they were loaded, because of retention or because a topic was deleted and
//! created again. Pure; the time is that of the readings.
//!
//! A worker first writes the ledger, then reports, then commits the offset. So once every partition is consumed beyond
//! a job's last record, or no longer has that record, no more chunks of the job arrive, and the chunks without a line
//! in the ledger are lost. A reading may be a little older than the counts with which it is compared. So the same must
//! be seen for [`GRACE`] while the counts do not change; and the ledger decides.

use crds::job::{Counts, UploadStatus};
use jiff::{SignedDuration, Timestamp};

use crate::ledger::{self, Reading};
use crate::scale::lag::{Position, Positions};

/// No chunk may arrive during this time before the missing chunks of a job are lost.
pub const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// Since when no more chunks can arrive, and at which counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    since: Timestamp,
    counts: Counts,
}

/// What is known about the missing chunks of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// They can still arrive.
    Wait,
    /// No more can arrive. The operator watches how long this stays so.
    Suspect(Suspicion),
    /// It stayed so for [`GRACE`]: ask the ledger which chunks it has.
    AskLedger(Suspicion),
    /// The ledger has more than the counts of the job show.
    CountsBehind(Counts),
    /// These chunks are lost.
    Lost(Vec<ledger::ChunkRange>),
}

/// Returns what is known now. `before` is the suspicion of the previous step, `ledger` the newest reading of the
/// ledger.
#[must_use]
pub fn step(
    upload: &UploadStatus,
    counts: &Counts,
    positions: Option<&Positions>,
    before: Option<Suspicion>,
    ledger: Option<&Reading>,
) -> Step {
    if !upload.complete || ledger::chunks_with_line(counts) >= upload.chunks {
        return Step::Wait;
    }
    let Some(positions) = positions else { return before.map_or(Step::Wait, Step::Suspect) };
    if !is_past(&upload.last_offsets, &positions.partitions) {
        return Step::Wait;
    }
    let suspicion = before
        .filter(|before| before.counts == *counts)
        .unwrap_or(Suspicion { since: positions.at, counts: *counts });
    let sure_from = suspicion.since.saturating_add(GRACE).unwrap_or(Timestamp::MAX);
    if positions.at < sure_from {
        return Step::Suspect(suspicion);
    }
    match ledger.filter(|reading| reading.at >= sure_from) {
        None => Step::AskLedger(suspicion),
        Some(reading) => {
            let totals = ledger::totals(&reading.lines);
            let missing = ledger::missing(&reading.lines, upload.chunks);
            if ledger::is_further(&totals, counts) {
                Step::CountsBehind(totals)
            } else if missing.is_empty() {
                Step::Suspect(suspicion)
            } else {
                Step::Lost(missing)
            }
        }
    }
}

/// Returns whether every partition is past the job's last record there: the record was consumed, or the partition ends
/// before it (the topic was created again). An upload without offsets is past when no record waits in any partition.
fn is_past(last_offsets: &[i64], partitions: &[Option<Position>]) -> bool {
    if last_offsets.is_empty() {
        let nothing_waits =
            |position: &Option<Position>| position.is_some_and(|position| position.lag() == 0);
        return !partitions.is_empty() && partitions.iter().all(nothing_waits);
    }
    last_offsets.iter().enumerate().filter(|(_, last)| **last >= 0).all(|(partition, last)| {
        match partitions.get(partition) {
            // The topic was created again, with fewer partitions.
            None => true,
            Some(None) => false,
            Some(Some(position)) => position.consumed > *last || position.end <= *last,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::line;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    /// Twelve chunks. The last one in partition 1 is at offset 7, the last one in partition 2 at offset 3.
    fn upload() -> UploadStatus {
        UploadStatus { complete: true, chunks: 12, last_offsets: vec![-1, 7, 3], ..UploadStatus::default() }
    }

    fn positions(seconds: i64, partitions: &[(i64, i64)]) -> Positions {
        let partitions =
            partitions.iter().map(|(consumed, end)| Some(Position { consumed: *consumed, end: *end }));
        Positions { at: at(seconds), partitions: partitions.collect() }
    }

    fn counts(chunks_done: i64) -> Counts {
        Counts { chunks_done, total: chunks_done * 10, ..Counts::default() }
    }

    /// All records are consumed.
    const PAST: [(i64, i64); 3] = [(0, 5), (8, 9), (4, 4)];

    fn run(counts_at: &[(i64, Counts)], ledger: Option<&Reading>) -> Step {
        let mut before = None;
        let mut last = Step::Wait;
        for (seconds, counts) in counts_at {
            last = step(&upload(), counts, Some(&positions(*seconds, &PAST)), before, ledger);
            before = match &last {
                Step::Suspect(suspicion) | Step::AskLedger(suspicion) => Some(*suspicion),
                _ => None,
            };
        }
        last
    }

    fn reading(seconds: i64, lines: Vec<crate::ledger::Line>) -> Reading {
        Reading { at: at(seconds), lines: lines.into() }
    }

    #[test]
    fn chunks_are_lost_if_nothing_arrived_for_the_grace_period_and_the_ledger_lacks_them() {
        let c = counts(8);
        assert!(matches!(run(&[(0, c)], None), Step::Suspect(_)));
        assert!(matches!(run(&[(0, c), (29, c)], None), Step::Suspect(_)));
        assert!(matches!(run(&[(0, c), (30, c)], None), Step::AskLedger(_)));
        let ledger = reading(31, vec![line(0, 3, "loaded"), line(6, 3, "loaded"), line(10, 2, "loaded")]);
        assert_eq!(run(&[(0, c), (30, c)], Some(&ledger)), Step::Lost(vec![(3, 5), (9, 9)]));
    }

    #[test]
    fn a_reading_of_the_ledger_from_before_the_end_of_the_grace_period_is_ignored() {
        let old = reading(29, vec![]);
        assert!(matches!(run(&[(0, counts(8)), (30, counts(8))], Some(&old)), Step::AskLedger(_)));
    }

    #[test]
    fn the_grace_period_restarts_when_the_counts_change() {
        assert!(matches!(run(&[(0, counts(7)), (20, counts(8)), (40, counts(8))], None), Step::Suspect(_)));
        assert!(matches!(run(&[(0, counts(7)), (20, counts(8)), (50, counts(8))], None), Step::AskLedger(_)));
    }

    #[test]
    fn counts_that_are_behind_the_ledger_are_corrected_instead() {
        let ledger = reading(31, vec![line(0, 12, "loaded")]);
        let Step::CountsBehind(totals) = run(&[(0, counts(8)), (30, counts(8))], Some(&ledger)) else {
            panic!("the ledger has all")
        };
        assert_eq!((totals.chunks_done, totals.total), (12, 120));
    }

    #[test]
    fn nothing_is_lost_while_a_record_waits_in_one_partition() {
        let now = |partitions: &[(i64, i64)]| {
            step(&upload(), &counts(8), Some(&positions(0, partitions)), None, None)
        };
        assert_eq!(now(&[(0, 5), (7, 9), (4, 4)]), Step::Wait, "offset 7 of partition 1 waits");
        assert!(
            matches!(now(&[(0, 5), (8, 9), (4, 4)]), Step::Suspect(_)),
            "partition 0 has no record of the job"
        );
        assert!(matches!(now(&[(0, 5), (0, 2), (4, 4)]), Step::Suspect(_)), "partition 1 was made anew");
        assert!(matches!(now(&[(0, 5), (8, 9)]), Step::Suspect(_)), "partition 2 is missing");
    }

    #[test]
    fn an_unknown_position_is_not_past_and_no_reading_at_all_changes_nothing() {
        let mut unknown = positions(0, &PAST);
        unknown.partitions[1] = None;
        assert_eq!(step(&upload(), &counts(8), Some(&unknown), None, None), Step::Wait);
        let before = Suspicion { since: at(0), counts: counts(8) };
        assert_eq!(step(&upload(), &counts(8), None, Some(before), None), Step::Suspect(before));
    }

    #[test]
    fn a_job_whose_chunks_all_have_a_line_or_whose_upload_continues_is_not_suspected() {
        let mut parked = counts(11);
        parked.chunks_parked = 1;
        assert_eq!(step(&upload(), &parked, Some(&positions(99, &PAST)), None, None), Step::Wait);
        let open = UploadStatus { complete: false, ..upload() };
        assert_eq!(step(&open, &counts(1), Some(&positions(99, &PAST)), None, None), Step::Wait);
    }

    #[test]
    fn an_upload_that_names_no_offsets_is_past_when_nothing_waits() {
        let upload = UploadStatus { last_offsets: vec![], ..upload() };
        let now = |partitions: &[(i64, i64)]| {
            step(&upload, &counts(8), Some(&positions(0, partitions)), None, None)
        };
        assert_eq!(now(&[(5, 5), (1, 2)]), Step::Wait);
        assert!(matches!(now(&[(5, 5), (2, 2)]), Step::Suspect(_)));
        assert_eq!(now(&[]), Step::Wait);
    }
}
