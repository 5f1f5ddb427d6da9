//! What can be switched on and off: the rules of the protocol, and the faults that strike it.

use crate::file::Record;
use crate::flags::{Flag, Flags};
use crate::properties::Invariant;

/// A rule of the protocol. All hold by default; a test for each shows what happens without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A worker compares the digest of a chunk with that of the same number in the batch it holds and in the ledger.
    /// Otherwise it goes by the number alone.
    ChunkDigest,
    /// The first chunk's digest is fixed in the status before it is sent; another one is refused.
    FirstChunkDigest,
    /// A client that goes on proves that it has the same bytes before that point.
    PrefixDigest,
    /// A write of `status.upload` of an older epoch is refused.
    EpochFencing,
    /// `status.upload.lastOffsets` covers what all requests sent. Otherwise only what the last request sent itself.
    LastOffsetsOfAllRequests,
    /// ClickHouse stores nothing twice under a token that it remembers.
    Token,
    /// A worker reads the ledger at the first batch of a job in an assignment, and skips what has a line.
    LedgerLookUp,
    /// A batch that may have been sent before is looked up in the table first.
    TableLookUp,
    /// Also before the same worker sends it again, after an attempt without an answer. Otherwise only when the partition
    /// changed hands.
    TableLookUpBeforeRetry,
    /// Where a part of a batch is in the table, only the rest is inserted.
    InsertOnlyMissing,
    /// The look-up of a batch of a job that is over waits until no earlier INSERT of it can land any more.
    WaitForLateInserts,
    /// Before each attempt of an INSERT: is the partition still its own?
    TicketCheck,
    /// Before each attempt of an INSERT: does the job still run?
    JobCheck,
    /// Data first, then the ledger.
    DataBeforeLedger,
    /// The offset is committed after the ledger and the report.
    OffsetLast,
    /// Counts are sums over the ledger. Otherwise a worker adds what it loaded to the counts it finds.
    CountsFromLedger,
    /// A worker writes counts only if they are further than those in the status.
    CountsOnlyForward,
    /// A job succeeds when each chunk has its line and the rows add up exactly. Otherwise when the rows suffice.
    EndByLines,
    /// The operator ends a job by a write with the resource version it read. Otherwise it may act on counts that are older
    /// than the offsets it read.
    EndByCompareAndSwap,
    /// And when the digests in the ledger are those of the file that was uploaded.
    EndByDigest,
    /// A worker gives up an incomplete batch once the rest of it cannot come any more.
    GiveUpIncomplete,
    /// Which batch a chunk belongs to depends on the file alone. Otherwise a request that goes on begins a new batch.
    PureBatches,
    /// The assumption about ClickHouse and the network: from a worker's check before an attempt until its INSERT lands, if
    /// it does, less than a token window of other inserts goes by.
    LandsWithinWindow,
    /// The assumption about the topic: Kafka keeps records until the upload is complete or the job over, and no request
    /// sends any more.
    RetentionOutlastsUploads,
}

impl Flag for Guard {
    const ALL: &'static [Self] = &[
        Self::ChunkDigest,
        Self::FirstChunkDigest,
        Self::PrefixDigest,
        Self::EpochFencing,
        Self::LastOffsetsOfAllRequests,
        Self::Token,
        Self::LedgerLookUp,
        Self::TableLookUp,
        Self::TableLookUpBeforeRetry,
        Self::InsertOnlyMissing,
        Self::WaitForLateInserts,
        Self::TicketCheck,
        Self::JobCheck,
        Self::DataBeforeLedger,
        Self::OffsetLast,
        Self::CountsFromLedger,
        Self::CountsOnlyForward,
        Self::EndByLines,
        Self::EndByCompareAndSwap,
        Self::EndByDigest,
        Self::GiveUpIncomplete,
        Self::PureBatches,
        Self::LandsWithinWindow,
        Self::RetentionOutlastsUploads,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

/// What may go wrong, at any moment. Each one that strikes takes one from the number of faults of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An API pod dies in the middle of a request.
    ApiCrash,
    /// The client's connection breaks: it opens another request while an API pod goes on with the one before.
    Takeover,
    /// A worker dies; its partition is assigned anew.
    WorkerCrash,
    /// A partition goes to the other worker, and the first one does not know yet.
    Rebalance,
    /// A worker gets no answer to its INSERT, which may land later or never.
    LostAnswer,
    /// A late INSERT lands in one of its two table partitions only.
    PartialInsert,
    /// Other inserts: ClickHouse forgets all tokens.
    WornWindow,
    /// Kafka deletes the records of a partition.
    DeletedRecords,
}

impl Flag for Fault {
    const ALL: &'static [Self] = &[
        Self::ApiCrash,
        Self::Takeover,
        Self::WorkerCrash,
        Self::Rebalance,
        Self::LostAnswer,
        Self::PartialInsert,
        Self::WornWindow,
        Self::DeletedRecords,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

/// What a run of the checker explores.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The rules that hold.
    pub guards: Flags<Guard>,
    /// The faults that may strike.
    pub faults: Flags<Fault>,
    /// How many strike in all, at most.
    pub max_faults: u8,
    /// How many requests the client makes, at most.
    pub max_requests: u8,
    /// What the client may send instead of the first file from its second request on.
    pub second_file: crate::SecondFile,
    /// How many partitions the two batches are in: 1 or 2.
    pub partitions: usize,
    /// Whether a worker's report is one step. Otherwise others may write between its reading and its writing.
    pub reports_at_once: bool,
    /// Whether the user may cancel the job, at any moment.
    pub cancel: bool,
    /// The invariants it looks at.
    pub invariants: Flags<Invariant>,
    /// Whether it looks for what has to be possible, too.
    pub looks_for_possible: bool,
}

impl Protocol {
    pub(crate) fn holds(&self, guard: Guard) -> bool {
        self.guards.has(guard)
    }

    /// The partition of a chunk.
    pub(crate) fn partition(&self, record: Record) -> usize {
        usize::from(record.first() != 0) % self.partitions
    }
}
