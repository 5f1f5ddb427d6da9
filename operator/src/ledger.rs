//! What the ledger has about a job: the sum of its lines, and the chunks without a line. Pure, except for [`read`].

pub mod read;

use std::fmt::Write as _;
use std::sync::Arc;

use crds::job::{Counts, LineCounts};
use crds::tables::outcomes;
use jiff::Timestamp;

/// The newest line of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The number of its first chunk.
    pub first_chunk: u32,
    /// Its chunks, rows and bad cells.
    pub counts: LineCounts,
    /// One of [`outcomes`].
    pub outcome: String,
    /// Why it is parked, for machines.
    pub reason: String,
    /// Why it is parked, for people.
    pub message: String,
}

/// The lines of one job, in the order of their chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When the ledger was asked. Lines that are written later may be missing.
    pub at: Timestamp,
    /// The lines.
    pub lines: Arc<[Line]>,
}

/// Consecutive chunks, both ends included.
pub type ChunkRange = (u32, u32);

/// Returns the sum of the lines.
#[must_use]
pub fn totals(lines: &[Line]) -> Counts {
    let mut counts = Counts::default();
    for line in lines {
        counts.add(&line.outcome, line.counts);
    }
    counts
}

/// Returns how many chunks have a line, whatever their outcome is.
#[must_use]
pub fn chunks_with_line(counts: &Counts) -> i64 {
    counts.chunks_done + counts.chunks_parked + counts.chunks_dropped
}

/// Returns whether `new` is further than `old`: more chunks are done or dropped; or as many are, and more are parked.
/// Counts are replaced only by counts that are further, so they never decrease.
#[must_use]
pub fn is_further(new: &Counts, old: &Counts) -> bool {
    let progress = |counts: &Counts| (counts.chunks_done + counts.chunks_dropped, counts.chunks_parked);
    progress(new) > progress(old)
}

/// Returns the chunks from 0 to `chunks - 1` that have no line.
#[must_use]
pub fn missing(lines: &[Line], chunks: i64) -> Vec<ChunkRange> {
    let end = u32::try_from(chunks.max(0)).unwrap_or(u32::MAX);
    let mut covered: Vec<ChunkRange> = lines
        .iter()
        .map(|line| (line.first_chunk, line.first_chunk.saturating_add(line.counts.chunks)))
        .collect();
    covered.sort_unstable();
    let mut out = Vec::new();
    let mut next = 0;
    for (from, to) in covered.into_iter().chain([(end, end)]) {
        if from.min(end) > next {
            out.push((next, from.min(end) - 1));
        }
        next = next.max(to);
    }
    out
}

/// Returns the parked chunks, and the line of the first of them.
#[must_use]
pub fn parked(lines: &[Line]) -> (Vec<ChunkRange>, Option<&Line>) {
    let of: Vec<&Line> = lines.iter().filter(|line| line.outcome == outcomes::PARKED).collect();
    let mut out: Vec<ChunkRange> = Vec::new();
    for line in &of {
        let last = line.first_chunk.saturating_add(line.counts.chunks.saturating_sub(1));
        match out.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(line.first_chunk) => *end = last,
            _ => out.push((line.first_chunk, last)),
        }
    }
    (out, of.first().copied())
}

/// Writes ranges as `3-5, 9`, at most 20 of them.
#[must_use]
pub fn text(ranges: &[ChunkRange]) -> String {
    const SHOWN: usize = 20;
    let one = |(from, to): &ChunkRange| if from == to { from.to_string() } else { format!("{from}-{to}") };
    let mut out = ranges.iter().take(SHOWN).map(one).collect::<Vec<_>>().join(", ");
    if ranges.len() > SHOWN {
        let _ = write!(out, " and {} more ranges", ranges.len() - SHOWN);
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn line(first_chunk: u32, chunks: u32, outcome: &str) -> Line {
        Line {
            first_chunk,
            counts: LineCounts::example(chunks, i64::from(first_chunk) + 1),
            outcome: outcome.into(),
            ..Line::default()
        }
    }

    #[test]
    fn rows_are_counted_if_they_were_loaded_and_chunks_by_outcome() {
        let lines = [line(0, 3, "loaded"), line(3, 2, "parked"), line(5, 1, "dropped"), line(6, 1, "loaded")];
        let expected = Counts {
            total: 40,
            ok: 36,
            errors: 4,
            chunks_done: 4,
            checksum: 8,
            chunks_parked: 2,
            chunks_dropped: 1,
            bad_cells: 4,
            stored_errors: 2,
        };
        assert_eq!(totals(&lines), expected);
        assert_eq!(chunks_with_line(&expected), 7);
    }

    #[test]
    fn the_chunks_without_a_line_are_found_at_the_start_in_the_middle_and_at_the_end() {
        let lines = [line(6, 3, "loaded"), line(1, 2, "loaded")];
        assert_eq!(missing(&lines, 12), [(0, 0), (3, 5), (9, 11)]);
        assert_eq!(missing(&lines, 9), [(0, 0), (3, 5)]);
        assert_eq!(missing(&[], 2), [(0, 1)]);
        assert_eq!(missing(&[line(0, 4, "parked")], 4), []);
        assert_eq!(missing(&[line(0, 9, "loaded")], 4), [], "more than there should be is not missing");
    }

    #[test]
    fn ranges_are_short_text() {
        assert_eq!(text(&[(3, 5), (9, 9)]), "3-5, 9");
        let many: Vec<ChunkRange> = (0..25).map(|i| (i * 2, i * 2)).collect();
        assert!(text(&many).ends_with("36, 38 and 5 more ranges"), "{}", text(&many));
    }

    #[test]
    fn parked_chunks_that_follow_each_other_are_one_range() {
        let lines = [line(0, 1, "loaded"), line(1, 2, "parked"), line(3, 1, "parked"), line(7, 1, "parked")];
        let (ranges, first) = parked(&lines);
        assert_eq!(ranges, [(1, 3), (7, 7)]);
        assert_eq!(first, Some(&lines[1]));
    }

    #[test]
    fn counts_are_newer_only_if_more_chunks_have_an_outcome() {
        let counts = |chunks_done, chunks_dropped, chunks_parked| Counts {
            chunks_done,
            chunks_dropped,
            chunks_parked,
            ..Counts::default()
        };
        assert!(is_further(&counts(3, 0, 0), &counts(2, 0, 1)), "a parked one was loaded");
        assert!(is_further(&counts(2, 1, 0), &counts(2, 0, 1)), "a parked one was dropped");
        assert!(is_further(&counts(2, 0, 1), &counts(2, 0, 0)));
        assert!(!is_further(&counts(2, 0, 1), &counts(3, 0, 0)), "an old reading");
        assert!(!is_further(&counts(2, 0, 1), &counts(2, 0, 1)));
    }
}
