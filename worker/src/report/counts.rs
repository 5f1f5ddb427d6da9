//! Compares new counts with old ones.

use crds::job::Counts;

/// How new counts relate to the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The new counts contain more.
    Forward,
    /// The new counts contain the same.
    Same,
    /// The new counts contain less: the writer of the old ones read a newer ledger.
    Back,
}

/// Compares the chunks that have a ledger line, then those that are loaded, then those that a person dropped, then the
/// rows. A chunk that was parked and is loaded now is a step forward.
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
    fn a_parked_chunk_that_is_loaded_or_dropped_is_progress() {
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
