//! The ledger lines of the batches of a job, and whether a chunk is in one of these batches.

use std::collections::BTreeMap;

use crds::ChunkHeader;

/// The newest ledger line of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// The digest of each chunk, in order.
    pub digests: Vec<u64>,
    /// Whether its good rows are in the table. If not, it was parked or dropped.
    pub loaded: bool,
}

/// The ledger lines of a job, by the number of the first chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoneBatches {
    lines: BTreeMap<u32, BatchLine>,
}

/// What the ledger has about a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InLedger {
    /// It has nothing about the chunk.
    No,
    /// The batch was parked or dropped: it may be loaded now.
    Parked,
    /// The chunk is loaded.
    Loaded,
    /// It has another chunk with the same number.
    Other,
}

impl DoneBatches {
    /// Adds a line; it replaces an older one of the same batch. A line with `parked` does not replace one with
    /// `loaded`.
    pub fn insert(&mut self, first_chunk: u32, line: BatchLine) {
        if line.loaded || self.lines.get(&first_chunk).is_none_or(|old| !old.loaded) {
            self.lines.insert(first_chunk, line);
        }
    }

    /// Returns whether a batch is parked or dropped.
    #[must_use]
    pub fn has_parked(&self) -> bool {
        self.lines.values().any(|line| !line.loaded)
    }

    /// Returns what the ledger has about a chunk. A chunk with the same number is the same only with the same digest,
    /// in a batch with the same bounds.
    #[must_use]
    pub fn find(&self, header: &ChunkHeader) -> InLedger {
        let Some((first, line)) = self.lines.range(..=header.chunk).next_back() else { return InLedger::No };
        let (index, chunks) = ((header.chunk - first) as usize, line.digests.len());
        let same_batch = *first == header.batch.first_chunk;
        match line.digests.get(index) {
            None if same_batch && line.loaded => InLedger::Other,
            None => InLedger::No,
            Some(_) if !line.loaded => {
                if same_batch {
                    InLedger::Parked
                } else {
                    InLedger::No
                }
            }
            Some(digest) => {
                let same = same_batch
                    && *digest == header.digest.as_u64()
                    && header.ends_batch == (index + 1 == chunks);
                if same { InLedger::Loaded } else { InLedger::Other }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::header;

    fn done(loaded: bool) -> DoneBatches {
        let mut done = DoneBatches::default();
        let digest = |chunk| header(chunk, 4, false).digest.as_u64();
        done.insert(4, BatchLine { digests: vec![digest(4), digest(5)], loaded });
        done
    }

    #[test]
    fn a_chunk_is_loaded_only_with_the_digest_that_the_ledger_has() {
        assert_eq!(done(true).find(&header(4, 4, false)), InLedger::Loaded);
        assert_eq!(done(true).find(&header(5, 4, true)), InLedger::Loaded);
        let mut other = header(5, 4, true);
        other.digest = rows_types::Digest::of(b"another file");
        assert_eq!(done(true).find(&other), InLedger::Other);
    }

    #[test]
    fn a_chunk_beyond_the_end_of_a_loaded_batch_is_of_another_file() {
        assert_eq!(done(true).find(&header(6, 4, true)), InLedger::Other);
        assert_eq!(
            done(true).find(&header(5, 4, false)),
            InLedger::Other,
            "the batch of another file is longer"
        );
        assert_eq!(done(true).find(&header(5, 5, true)), InLedger::Other, "its batch begins elsewhere");
        assert_eq!(done(true).find(&header(6, 6, true)), InLedger::No, "the next batch");
        assert_eq!(done(true).find(&header(3, 3, true)), InLedger::No, "the batch before");
    }

    #[test]
    fn a_parked_chunk_may_be_loaded() {
        assert_eq!(done(false).find(&header(5, 4, true)), InLedger::Parked);
        let mut both = done(false);
        both.insert(4, done(true).lines[&4].clone());
        both.insert(4, done(false).lines[&4].clone());
        assert_eq!(
            both.find(&header(5, 4, true)),
            InLedger::Loaded,
            "an older line does not replace a newer"
        );
    }
}
