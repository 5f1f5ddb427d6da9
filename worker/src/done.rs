//! Which chunks of a job are done.

use std::collections::BTreeMap;

/// A set of chunk numbers, kept as runs: a job of 100,000 chunks that is done in order is one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkSet {
    /// First to last of each run; runs do not touch.
    runs: BTreeMap<u32, u32>,
}

impl ChunkSet {
    /// Whether the chunk is in the set.
    #[must_use]
    pub fn contains(&self, chunk: u32) -> bool {
        self.runs.range(..=chunk).next_back().is_some_and(|(_, last)| *last >= chunk)
    }

    /// Adds a chunk.
    pub fn insert(&mut self, chunk: u32) {
        if self.contains(chunk) {
            return;
        }
        let before =
            self.runs.range(..chunk).next_back().filter(|(_, last)| **last + 1 == chunk).map(|(f, _)| *f);
        let after = chunk.checked_add(1).and_then(|next| self.runs.remove(&next));
        self.runs.insert(before.unwrap_or(chunk), after.unwrap_or(chunk));
    }
}

impl FromIterator<u32> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = u32>>(chunks: I) -> Self {
        let mut set = Self::default();
        chunks.into_iter().for_each(|chunk| set.insert(chunk));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_contained_and_nothing_else() {
        let set: ChunkSet = [5, 1, 3, 3, u32::MAX, 0].into_iter().collect();
        let found: Vec<u32> = (0..10).filter(|chunk| set.contains(*chunk)).collect();
        assert_eq!(found, [0, 1, 3, 5]);
        assert!(set.contains(u32::MAX) && !set.contains(u32::MAX - 1));
    }

    #[test]
    fn chunks_that_touch_are_one_run_in_whatever_order_they_come() {
        let set: ChunkSet = [7, 9, 8, 0, 2, 1, 6, 3, 5, 4].into_iter().collect();
        assert_eq!(set.runs, BTreeMap::from([(0, 9)]));
    }
}
