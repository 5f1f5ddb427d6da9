//! Whether counts go forward.

use crds::job::Counts;

/// What new counts are, seen from those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More is done.
    Forward,
    /// As much is done.
    Same,
    /// Less is done: whoever wrote the old ones has seen a newer ledger.
    Back,
}

/// Compares by how much is done: chunks, then rows.
#[must_use]
pub fn step(old: Option<Counts>, new: Counts) -> Step {
    let done = |counts: Counts| (counts.chunks_done, counts.total);
    match old.map(|old| done(new).cmp(&done(old))) {
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
}
