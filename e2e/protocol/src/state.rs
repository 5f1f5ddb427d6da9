//! What all parts together look like at one moment.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::clickhouse::ClickHouse;
use crate::file::{Batch, Contents, File, PARTITIONS, Record, SecondFile};
use crate::flags::{Flag, Flags};

/// The most records that a partition can come to hold: three requests, three chunks each.
const RECORDS: usize = 9;
/// The most INSERTs that are under way and that nobody waits for.
pub const IN_FLIGHT: usize = 4;

/// One moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// The `IngestJob` in Kubernetes.
    pub job: Job,
    /// What the API pods are at, the older request first.
    pub requests: [Option<Request>; 2],
    /// How many requests the client has made.
    pub requests_made: u8,
    /// Kafka, by partition.
    pub logs: [Log; PARTITIONS],
    /// The workers, by partition.
    pub workers: [Workers; PARTITIONS],
    /// The tables.
    pub clickhouse: ClickHouse,
    /// The late INSERTs: under way, and nobody waits for them any more. In order.
    pub in_flight: [Option<Batch>; IN_FLIGHT],
    /// How many more faults may strike.
    pub faults_left: u8,
    /// What happened at any time before, for the properties.
    pub events: Flags<Event>,
}

/// The job's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Job {
    /// By the operator.
    pub state: JobState,
    /// By the API.
    pub upload: Upload,
    /// By the workers.
    pub counts: Counts,
    /// What the counts were before; only kept where a guard is off.
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
    /// Chunks of two files came under the same numbers.
    ChunkConflict,
    /// Chunks vanished before they were loaded.
    ChunksLost,
    /// Stopped by its owner.
    Cancelled,
}

/// `status.upload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Upload {
    /// Grows with each request.
    pub epoch: u8,
    /// The content of the first chunk, fixed before it is sent.
    pub first_chunk: Option<bool>,
    /// How many chunks are acknowledged.
    pub chunks: u8,
    /// The digest of the acknowledged chunks.
    pub digest: Contents,
    /// Whether these are all.
    pub complete: bool,
    /// The offset after the job's last chunk in each partition, known once the upload is complete.
    pub ends: [u8; PARTITIONS],
}

/// `status.counts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Counts {
    /// Chunks with a ledger line.
    pub chunks: u8,
    /// Their rows, all of them good.
    pub rows: u8,
    /// The digest of these chunks.
    pub digest: Contents,
}

/// An upload request in an API pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The epoch it took.
    pub epoch: u8,
    /// What the client sends.
    pub file: File,
    /// The chunk it began with.
    pub from: u8,
    /// The next chunk to send.
    pub next: u8,
    /// How many acknowledged chunks it has written to the status.
    pub written: u8,
    /// Whether the first chunk's digest is fixed.
    pub first_chunk_fixed: bool,
    /// The digest of the chunks up to `next`.
    pub digest: Contents,
    /// The offset after its own last chunk in each partition; only kept where a guard is off.
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
    /// The record at an offset, whether or not it was deleted.
    #[must_use]
    pub fn at(&self, offset: u8) -> Record {
        self.records[usize::from(offset)]
    }

    /// Adds a record.
    pub fn push(&mut self, record: Record) {
        self.records[usize::from(self.end)] = record;
        self.end += 1;
    }

    /// The records from one offset to before another.
    pub fn range(&self, from: u8, to: u8) -> impl Iterator<Item = Record> {
        self.records[usize::from(from)..usize::from(to)].iter().copied()
    }

    /// Forgets the first records and counts offsets from there on.
    fn forget(&mut self, count: u8) {
        self.records.copy_within(usize::from(count).., 0);
        self.records[RECORDS - usize::from(count)..].fill(Record::default());
        for offset in [&mut self.end, &mut self.start, &mut self.committed] {
            *offset = offset.saturating_sub(count);
        }
    }
}

/// As two numbers: a field at a time costs a third of a run.
impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let packed = |all: u64, record: &Record| {
            all << 4 | u64::from(record.chunk) << 2 | u64::from(record.other) << 1 | u64::from(record.recut)
        };
        self.records.iter().fold(0, packed).hash(state);
        u32::from_le_bytes([self.end, self.start, self.committed, 0]).hash(state);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: Vec<Record> = self.range(0, self.end).collect();
        write!(f, "Log {{ {records:?}, start: {}, committed: {} }}", self.start, self.committed)
    }
}

/// Who takes a partition's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Workers {
    /// The worker whose partition it is.
    pub owner: Worker,
    /// One whose partition it was, and that does not know yet.
    pub cut_off: Option<Worker>,
}

/// One worker's work on one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Worker {
    /// The next offset to take.
    pub position: u8,
    /// The end of the partition when it was assigned; 0 once the worker is past it.
    pub assigned_end: u8,
    /// The batches that have a ledger line, by bit of the first chunk, once read.
    pub known: Option<u8>,
    /// The batch it holds.
    pub held: Option<Batch>,
    /// Whether an attempt to insert it went without an answer.
    pub attempted: bool,
    /// How far it is with it.
    pub step: Step,
}

/// How far a worker is with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// Takes its chunks.
    #[default]
    Taking,
    /// Has all its chunks, and is to insert it.
    Assembled,
    /// Sent the INSERT and waits for the answer.
    Waiting,
    /// Its rows are in the table.
    Loaded,
    /// Its line is in the ledger.
    Ledgered,
    /// These counts were read and are to be written.
    Reporting(Counts),
    /// The offset is to be committed.
    Reported,
}

/// What a property must know of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request wrote the status although a later one had taken the upload up.
    OlderEpochWrote,
    /// Fewer chunks acknowledged than before, or no longer complete.
    UploadWentBack,
    /// Fewer chunks counted than before.
    CountsWentBack,
    /// An INSERT was begun for a job that was over.
    SentAfterEnd,
    /// A chunk was sent that only the second file has.
    SecondFileSent,
    /// Kafka deleted records.
    RecordsDeleted,
    /// A worker took a chunk of another file under a number that it knew, and went on.
    ConflictPassedOver,
    /// An offset was committed although a batch before it had no ledger line and the job ran.
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
        Self::ConflictPassedOver,
        Self::CommittedTooEarly,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

impl Job {
    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state != JobState::Running
    }

    /// The rows that the upload sent.
    #[must_use]
    pub fn rows(&self, second: SecondFile) -> u8 {
        (0..self.upload.chunks).map(|chunk| second.rows(chunk, self.upload.digest.other(chunk))).sum()
    }
}

impl State {
    /// Forgets what no longer matters, so that states that differ only in that are one: requests and the status of the
    /// upload once the job is over, and records that were consumed and committed.
    pub fn forget(&mut self) {
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
            log.forget(count);
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
