//! A batch while its chunks arrive: which chunks have arrived, and what is kept of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crds::ChunkHeader;
use rows_types::Digest;

use crate::budget::{Lane, Share};
use crate::check::CheckedChunk;
use crate::insert::RowRange;
use crate::job::InFlight;
use crate::plan::Target;
use crate::refusal::Refusal;
use crate::summary::{self, Kind, RowCounts};
use crate::tracker::Ticket;

/// Which chunks of a batch have arrived. Pure.
#[derive(Clone, Debug, Default)]
pub struct BatchChunks {
    facts: Vec<Option<ChunkFacts>>,
    seen: usize,
    /// The number of chunks of the batch, when its last chunk has arrived.
    len: Option<usize>,
}

/// What is always kept of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChunkFacts {
    digest: Digest,
    first_row: u64,
    rows: u32,
    /// The offset of the chunk in Kafka.
    offset: i64,
}

/// How a chunk fits into its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The chunk had not arrived before.
    New,
    /// The chunk has arrived before.
    Repeated,
    /// Another chunk with this number has arrived before, or the batch has another end.
    Conflict,
}

impl BatchChunks {
    /// Notes a chunk, which Kafka has at `offset`.
    pub fn note(&mut self, header: &ChunkHeader, offset: i64) -> Noted {
        let index = (header.chunk - header.batch.first_chunk) as usize;
        let ends = self.len.is_some_and(|len| index >= len || header.ends_batch != (index + 1 == len));
        let ends_before_others = header.ends_batch && self.facts.len() > index + 1;
        if ends || ends_before_others {
            return Noted::Conflict;
        }
        let new =
            ChunkFacts { digest: header.digest, first_row: header.first_row, rows: header.rows, offset };
        if self.facts.len() <= index {
            self.facts.resize(index + 1, None);
        }
        let Some(slot) = self.facts.get_mut(index) else { return Noted::Conflict };
        match slot {
            Some(old) if (ChunkFacts { offset: old.offset, ..new }) == *old => return Noted::Repeated,
            Some(_) => return Noted::Conflict,
            None => *slot = Some(new),
        }
        self.seen += 1;
        if header.ends_batch {
            self.len = Some(index + 1);
        }
        Noted::New
    }

    /// Returns whether every chunk of the batch has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.len == Some(self.seen)
    }

    /// Returns whether each chunk begins with the row after the last row of the chunk before it.
    #[must_use]
    pub fn is_contiguous(&self, first_row: u64) -> bool {
        let end = self.facts.iter().flatten().try_fold(first_row, |row, chunk| {
            (chunk.first_row == row).then_some(row + u64::from(chunk.rows))
        });
        end.is_some()
    }

    /// Returns how many chunks have arrived.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen
    }

    /// Returns the digest of each chunk, in order.
    #[must_use]
    pub fn digests(&self) -> Vec<u64> {
        self.facts.iter().flatten().map(|chunk| chunk.digest.as_u64()).collect()
    }

    /// Returns the number of rows of all chunks.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.facts.iter().flatten().map(|chunk| chunk.rows).sum()
    }

    /// Returns the offsets of the chunks in Kafka, each once.
    #[must_use]
    pub fn offsets(&self) -> Vec<i64> {
        self.facts.iter().flatten().map(|chunk| chunk.offset).collect()
    }
}

/// A batch. All its tickets are of one partition and one assignment.
#[derive(Debug)]
pub struct Batch {
    /// The header of the chunk that arrived first.
    pub header: ChunkHeader,
    /// The job.
    pub job: InFlight,
    /// The lane of the batch.
    pub lane: Lane,
    /// Which chunks have arrived.
    pub chunks: BatchChunks,
    /// The tickets of all chunks, also of those that arrived again.
    pub tickets: Vec<Ticket>,
    /// What is kept of its rows.
    pub content: Content,
}

/// What is kept of the rows of a batch.
#[derive(Debug)]
pub enum Content {
    /// Everything that is sent.
    Data(BatchData),
    /// Nothing: the chunks are read from Kafka again.
    Evicted,
    /// Nothing: it cannot be loaded.
    Refused(Refusal),
    /// Nothing: the loader has taken it.
    Taken,
}

/// Everything that is sent to ClickHouse for a batch.
#[derive(Debug)]
pub struct BatchData {
    /// The target of the rows.
    pub target: Arc<Target>,
    /// The counts of the rows.
    pub counts: RowCounts,
    /// The bad cells, by column and code.
    pub summary: Vec<Kind>,
    /// The blocks, by the number of the chunk.
    blocks: Vec<(u32, Bytes)>,
    /// The bad cells, as `RowBinary`.
    pub rejects: Vec<Bytes>,
    /// The number of these bad cells.
    pub reject_count: u64,
    /// The memory of all this.
    pub share: Share,
}

impl Batch {
    /// Returns the rows of the batch.
    #[must_use]
    pub fn rows(&self) -> RowRange {
        let first = self.header.batch.first_row;
        RowRange { job: self.header.job.clone(), first, end: first + u64::from(self.chunks.rows()) }
    }

    /// Returns whether work on the batch still makes sense: its partition is assigned to this worker and is not being
    /// revoked.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.tickets.first().is_none_or(Ticket::is_valid)
    }

    /// Returns whether the batch may be inserted to its end: its partition is assigned to this worker, even if it is
    /// being revoked.
    #[must_use]
    pub fn is_assigned(&self) -> bool {
        self.tickets.first().is_none_or(Ticket::is_assigned)
    }

    /// Returns whether a chunk of the batch may have been delivered before.
    #[must_use]
    pub fn is_maybe_delivered(&self) -> bool {
        self.tickets.iter().any(Ticket::is_maybe_delivered)
    }

    /// Returns how long after `now` an INSERT of the batch may still take effect that began before the partition was
    /// assigned to this worker.
    #[must_use]
    pub fn late_inserts(&self, now: Instant) -> Duration {
        self.tickets.first().map_or(Duration::ZERO, |ticket| ticket.late_inserts(now))
    }

    /// Returns the partition of the batch.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.tickets.first().map_or(0, |ticket| ticket.position().0)
    }
}

impl BatchData {
    /// Makes an empty value.
    #[must_use]
    pub fn new(target: Arc<Target>, share: Share) -> Self {
        Self {
            target,
            counts: RowCounts::default(),
            summary: Vec::new(),
            blocks: Vec::new(),
            rejects: Vec::new(),
            reject_count: 0,
            share,
        }
    }

    /// Adds a chunk.
    pub fn add(&mut self, number: u32, chunk: CheckedChunk) {
        self.share.add(chunk.memory);
        self.counts.add(chunk.counts);
        summary::merge(&mut self.summary, chunk.summary);
        if !chunk.block.is_empty() {
            let at = self.blocks.partition_point(|(known, _)| *known < number);
            self.blocks.insert(at, (number, chunk.block));
        }
        if chunk.rejects.count > 0 {
            self.reject_count += chunk.rejects.count;
            self.rejects.push(chunk.rejects.bytes);
        }
    }

    /// Returns the blocks in the order of the file, to send them.
    #[must_use]
    pub fn take_blocks(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.blocks).into_iter().map(|(_, block)| block).collect()
    }

    /// Returns the number of bytes of the rejects.
    #[must_use]
    pub fn reject_bytes(&self) -> usize {
        self.rejects.iter().map(Bytes::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::header;

    fn noted(chunks: &[(u32, bool)]) -> (BatchChunks, Vec<Noted>) {
        let mut batch = BatchChunks::default();
        let noted =
            chunks.iter().map(|(chunk, ends)| batch.note(&header(*chunk, 4, *ends), i64::from(*chunk)));
        let noted = noted.collect();
        (batch, noted)
    }

    #[test]
    fn a_batch_is_complete_once_all_its_chunks_have_arrived_in_any_order() {
        for order in [[(4, false), (5, false), (6, true)], [(6, true), (4, false), (5, false)]] {
            let (batch, noted) = noted(&order);
            assert_eq!(noted, [Noted::New; 3]);
            assert!(batch.is_complete() && batch.is_contiguous(41) && !batch.is_contiguous(40));
            assert_eq!((batch.count(), batch.rows(), batch.offsets()), (3, 30, vec![4, 5, 6]));
        }
        assert!(!noted(&[(4, false), (6, true)]).0.is_complete());
        assert!(!noted(&[(4, false), (5, false)]).0.is_complete());
    }

    #[test]
    fn a_repeated_chunk_is_recognized_unless_its_digest_differs() {
        let (mut batch, _) = noted(&[(4, false), (5, false)]);
        assert_eq!(batch.note(&header(4, 4, false), 99), Noted::Repeated);
        assert_eq!(batch.offsets(), [4, 5], "the place that was seen first");
        let mut other = header(4, 4, false);
        other.digest = Digest::of(b"another file");
        assert_eq!(batch.note(&other, 100), Noted::Conflict);
    }

    #[test]
    fn a_batch_has_only_one_last_chunk() {
        let (mut batch, _) = noted(&[(4, false), (5, true)]);
        assert_eq!(batch.note(&header(6, 4, false), 6), Noted::Conflict, "beyond its end");
        assert_eq!(
            batch.note(&header(5, 4, false), 6),
            Noted::Conflict,
            "the batch of another file is longer"
        );
        assert_eq!(batch.note(&header(4, 4, true), 6), Noted::Conflict);
        let (mut batch, _) = noted(&[(6, false)]);
        assert_eq!(batch.note(&header(5, 4, true), 5), Noted::Conflict, "a later chunk is there");
    }
}
