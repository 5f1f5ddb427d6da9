//! Whether counts go forward.

use crds::job::Counts;

/// What new counts are, seen from those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More is known.
    Forward,
    /// The same is known.
    Same,
    /// Less is known: whoever wrote the old ones has seen a newer ledger.
    Back,
}

/// Compares by the chunks that have a ledger line, then by those that are loaded, then those that a person gave up, then
/// the rows. A chunk that was parked and is loaded now is a step forward.
#[must_use]
pub fn step(old: Option<Counts>, new: Counts) -> Step {
    let known = |c: Counts| {
        let all = c.chunks_done + c.chunks_parked + c.chunks_dropped;
        (all, c.chunks_done, c.chunks_dropped, c.total)
    };
    match old.map(|old| known(new).cmp(&known(old))) {
        None | Some(std::cmp::Ordering::Greater) => Step::Forward,
        Some(std::cmp::Ordering::Equal) => Step::Same,
        Some(std::cmp::Ordering::Less) => Step::Back,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_never_move_backwards() {
        let counts = |chunks_done, total| Counts { chunks_done, total, ok: total, ..Counts::default() };
        assert_eq!(step(None, counts(1, 0)), Step::Forward);
        assert_eq!(step(Some(counts(1, 10)), counts(2, 20)), Step::Forward);
        assert_eq!(step(Some(counts(2, 20)), counts(2, 20)), Step::Same);
        assert_eq!(step(Some(counts(2, 20)), counts(1, 30)), Step::Back);
    }

    #[test]
    fn a_parked_chunk_that_is_loaded_or_dropped_is_a_step_forward() {
        let counts = |chunks_done, chunks_parked, chunks_dropped| Counts {
            chunks_done,
            chunks_parked,
            chunks_dropped,
            ..Counts::default()
        };
        assert_eq!(step(Some(counts(1, 0, 0)), counts(1, 1, 0)), Step::Forward);
        assert_eq!(step(Some(counts(1, 1, 0)), counts(2, 0, 0)), Step::Forward);
        assert_eq!(step(Some(counts(1, 1, 0)), counts(1, 0, 1)), Step::Forward);
        assert_eq!(step(Some(counts(2, 0, 0)), counts(1, 1, 0)), Step::Back);
    }
}
