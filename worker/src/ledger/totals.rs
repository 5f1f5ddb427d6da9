//! The sums of the ledger lines of a job, and whether the lines contradict each other. Pure.

use crds::job::{Counts, LineCounts};

/// The newest ledger line of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The number of its first chunk.
    pub first_chunk: u32,
    /// Its chunks, rows and bad cells.
    pub counts: LineCounts,
    /// One of [`crds::tables::outcomes`].
    pub outcome: String,
    /// The number of different lists of digests in its lines, including the older lines. More than one is a conflict.
    pub variants: u64,
}

/// The sums of the lines of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The counts.
    pub counts: Counts,
    /// Why the lines cannot all belong to one file.
    pub conflict: Option<String>,
}

/// Adds up the lines of one job.
#[must_use]
pub fn totals(mut lines: Vec<Line>) -> Totals {
    lines.sort_unstable_by_key(|line| line.first_chunk);
    let mut totals = Totals::default();
    let counts = &mut totals.counts;
    for line in &lines {
        counts.add(&line.outcome, line.counts);
    }
    totals.conflict = conflict(&lines);
    totals
}

/// Returns whether two lines belong to different files. The lines are in order.
fn conflict(lines: &[Line]) -> Option<String> {
    if let Some(line) = lines.iter().find(|line| line.variants > 1) {
        let first = line.first_chunk;
        return Some(format!("the batch of chunk {first} is in the ledger with different digests"));
    }
    let overlap = lines.windows(2).find(|pair| match pair {
        [a, b] => u64::from(a.first_chunk) + u64::from(a.counts.chunks) > u64::from(b.first_chunk),
        _ => false,
    });
    overlap
        .and_then(|pair| pair.last())
        .map(|line| format!("the ledger has chunk {} in two batches", line.first_chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(first_chunk: u32, chunks: u32, outcome: &str) -> Line {
        Line {
            first_chunk,
            counts: LineCounts::example(chunks, i64::from(first_chunk) + 1),
            outcome: outcome.into(),
            variants: 1,
        }
    }

    #[test]
    fn only_loaded_batches_count_as_rows() {
        let lines =
            vec![line(5, 1, "dropped"), line(0, 2, "loaded"), line(2, 3, "parked"), line(6, 1, "loaded")];
        let expected = Counts {
            total: 30,
            ok: 27,
            errors: 3,
            chunks_done: 3,
            checksum: 8,
            chunks_parked: 3,
            chunks_dropped: 1,
            bad_cells: 4,
            stored_errors: 2,
        };
        assert_eq!(totals(lines), Totals { counts: expected, conflict: None });
    }

    #[test]
    fn two_lists_of_digests_for_one_batch_are_a_conflict() {
        let two = Line { variants: 2, ..line(4, 2, "loaded") };
        let conflict = totals(vec![line(0, 4, "loaded"), two]).conflict.unwrap();
        assert!(conflict.contains("chunk 4"), "{conflict}");
    }

    #[test]
    fn a_chunk_in_two_batches_is_a_conflict() {
        assert_eq!(totals(vec![line(2, 2, "loaded"), line(0, 2, "loaded")]).conflict, None);
        let conflict = totals(vec![line(2, 2, "parked"), line(0, 3, "loaded")]).conflict.unwrap();
        assert!(conflict.contains("chunk 2 in two batches"), "{conflict}");
    }
}
