//! The state of all parts at one time.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::clickhouse::{ClickHouse, Counts};
use crate::file::{Batch, Contents, File, PARTITIONS, Record, SecondFile};
use crate::flags::{Flag, Flags};

/// The most records in a partition: those of three requests with three chunks each.
const RECORDS: usize = 9;
/// The most late INSERTs at the same time.
pub const IN_FLIGHT: usize = 4;

/// The state at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// The `IngestJob` in Kubernetes.
    pub job: Job,
    /// The requests in the API pods, the older request first.
    pub requests: [Option<Request>; 2],
    /// How many requests the client has made.
    pub requests_made: u8,
    /// Kafka, by partition.
    pub logs: [Log; PARTITIONS],
    /// The workers, by partition.
    pub workers: [Workers; PARTITIONS],
    /// The tables.
    pub clickhouse: ClickHouse,
    /// The late INSERTs: they can still be stored, but no worker waits for their answers. Sorted.
    pub in_flight: [Option<Batch>; IN_FLIGHT],
    /// How many more faults can occur.
    pub faults_left: u8,
    /// What happened at any earlier time, for the properties.
    pub events: Flags<Event>,
}

/// The job's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Job {
    /// Written by the operator.
    pub state: JobState,
    /// Written by the API.
    pub upload: Upload,
    /// Written by the workers.
    pub counts: Counts,
    /// The counts before the last write. Only used without a guard.
    pub old_counts: Counts,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum JobState {
    /// It runs.
    #[default]
    Running,
    /// Every row was loaded.
    Success,
    /// Chunks of two files arrived with the same numbers.
    ChunkConflict,
    /// Chunks disappeared before they were loaded.
    ChunksLost,
    /// The user cancelled it.
    Cancelled,
}

/// `status.upload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Upload {
    /// Increases with each request.
    pub epoch: u8,
    /// The content of the first chunk. It is written before the chunk is sent.
    pub first_chunk: Option<bool>,
    /// How many chunks are acknowledged.
    pub chunks: u8,
    /// The digest of the acknowledged chunks.
    pub digest: Contents,
    /// Whether all chunks are acknowledged.
    pub complete: bool,
    /// The offset after the job's last chunk in each partition. Known when the upload is complete.
    pub ends: [u8; PARTITIONS],
}

/// An upload request in an API pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its epoch.
    pub epoch: u8,
    /// The file that the client sends.
    pub file: File,
    /// The chunk with which it started.
    pub from: u8,
    /// The next chunk to send.
    pub next: u8,
    /// How many acknowledged chunks it has written to the status.
    pub written: u8,
    /// Whether the digest of the first chunk is written.
    pub first_chunk_fixed: bool,
    /// The digest of the chunks before `next`.
    pub digest: Contents,
    /// The offset after its own last chunk in each partition. Only used without a guard.
    pub ends: [u8; PARTITIONS],
}

/// A partition.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    records: [Record; RECORDS],
    /// The offset after the last record.
    pub end: u8,
    /// The first offset that Kafka still has.
    pub start: u8,
    /// The offset from which a newly assigned worker takes records.
    pub committed: u8,
}

impl Log {
    /// Returns the record at an offset, whether or not it was deleted.
    #[must_use]
    pub fn at(&self, offset: u8) -> Record {
        self.records[usize::from(offset)]
    }

    /// Adds a record.
    pub fn push(&mut self, record: Record) {
        self.records[usize::from(self.end)] = record;
        self.end += 1;
    }

    /// Returns the records from one offset to before another.
    pub fn range(&self, from: u8, to: u8) -> impl Iterator<Item = Record> {
        self.records[usize::from(from)..usize::from(to)].iter().copied()
    }

    /// Removes the first records. Offsets then count from the first record that is left.
    fn remove_first(&mut self, count: u8) {
        self.records.copy_within(usize::from(count).., 0);
        self.records[RECORDS - usize::from(count)..].fill(Record::default());
        for offset in [&mut self.end, &mut self.start, &mut self.committed] {
            *offset = offset.saturating_sub(count);
        }
    }
}

/// Hashes two numbers: one call for each field costs a third of the time of a run.
impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let append = |all: u64, record: &Record| {
            all << 4 | u64::from(record.chunk) << 2 | u64::from(record.other) << 1 | u64::from(record.recut)
        };
        self.records.iter().fold(0, append).hash(state);
        u32::from_le_bytes([self.end, self.start, self.committed, 0]).hash(state);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: Vec<Record> = self.range(0, self.end).collect();
        write!(f, "Log {{ {records:?}, start: {}, committed: {} }}", self.start, self.committed)
    }
}

/// The workers that take the records of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Workers {
    /// The worker to which the partition is assigned.
    pub owner: Worker,
    /// A worker to which it was assigned, and which does not know yet that this has ended.
    pub cut_off: Option<Worker>,
}

/// The work of one worker on one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Worker {
    /// The next offset to take.
    pub position: u8,
    /// The end of the partition at the assignment; 0 after the worker has passed it.
    pub assigned_end: u8,
    /// The batches that have a ledger line, by bit of the first chunk. `None` until they are read.
    pub known: Option<u8>,
    /// The batch that it takes, inserts or reports.
    pub batch: Option<Batch>,
    /// Whether an attempt to insert the batch had no answer.
    pub attempted: bool,
    /// How far the worker is with the batch.
    pub step: Step,
}

/// How far a worker is with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// It takes the chunks of the batch.
    #[default]
    Taking,
    /// It has all chunks of the batch. The next step is the INSERT.
    Assembled,
    /// It has sent the INSERT and waits for the answer.
    Waiting,
    /// The rows of the batch are in the table.
    Loaded,
    /// The line of the batch is in the ledger.
    LedgerWritten,
    /// These counts were read. The next step is to write them.
    Reporting(Counts),
    /// The next step is to commit the offset.
    Reported,
}

/// What a property must know about the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request wrote the status although a newer request had taken over the upload.
    OlderEpochWrote,
    /// Fewer chunks are acknowledged than before, or the upload is no longer complete.
    UploadWentBack,
    /// Fewer chunks are counted than before.
    CountsWentBack,
    /// An INSERT was started for a job that was over.
    SentAfterEnd,
    /// A chunk was sent that is only in the second file.
    SecondFileSent,
    /// Kafka deleted records.
    RecordsDeleted,
    /// A worker took a chunk of another file with a number that it knew, and continued.
    ConflictIgnored,
    /// An offset was committed while the job ran, although an earlier batch had no ledger line.
    CommittedTooEarly,
}

impl Flag for Event {
    const ALL: &'static [Self] = &[
        Self::OlderEpochWrote,
        Self::UploadWentBack,
        Self::CountsWentBack,
        Self::SentAfterEnd,
        Self::SecondFileSent,
        Self::RecordsDeleted,
        Self::ConflictIgnored,
        Self::CommittedTooEarly,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

impl Job {
    /// Returns whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state != JobState::Running
    }

    /// Returns the number of rows that the upload sent.
    #[must_use]
    pub fn rows(&self, second: SecondFile) -> u8 {
        (0..self.upload.chunks).map(|chunk| second.rows(chunk, self.upload.digest.other(chunk))).sum()
    }
}

impl State {
    /// Removes what no longer matters, so that states that differ only in that become equal: requests and the status
    /// of the upload when the job is over, and records that were consumed and committed.
    pub fn normalize(&mut self) {
        if self.job.is_over() {
            self.requests = [None; 2];
            self.requests_made = 0;
            let success = self.job.state == JobState::Success;
            let digest = if success { self.job.upload.digest } else { Contents::default() };
            self.job.upload = Upload { digest, ..Upload::default() };
        }
        for (partition, log) in self.logs.iter_mut().enumerate() {
            let Workers { owner, cut_off } = &mut self.workers[partition];
            let count = log.committed.min(owner.position);
            if count == 0 {
                continue;
            }
            log.remove_first(count);
            let requests = self.requests.iter_mut().flatten().map(|request| &mut request.ends);
            for ends in requests.chain([&mut self.job.upload.ends]) {
                ends[partition] = ends[partition].saturating_sub(count);
            }
            for worker in [owner].into_iter().chain(cut_off) {
                worker.position = worker.position.saturating_sub(count);
                worker.assigned_end = worker.assigned_end.saturating_sub(count);
            }
        }
    }
}
