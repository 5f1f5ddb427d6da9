//! What can be switched on and off: the rules of the protocol, and the faults of a run.

use crate::file::{Record, SecondFile};
use crate::flags::{Flag, Flags};
use crate::invariants::Invariant;

/// A rule of the protocol. By default all rules are on. For each rule there is a test that shows what happens without
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A worker compares the digest of a chunk with the digest of the same chunk number in its batch and in the
    /// ledger. Without this rule, it compares only the number.
    ChunkDigest,
    /// The digest of the first chunk is written to the status before the chunk is sent. A different digest is refused.
    FirstChunkDigest,
    /// A client that continues an upload proves that it has the same bytes before the offset.
    PrefixDigest,
    /// A write of `status.upload` of an older epoch is refused.
    EpochFencing,
    /// `status.upload.lastOffsets` covers the records of all requests. Without this rule, it covers only those of the
    /// last request.
    LastOffsetsOfAllRequests,
    /// ClickHouse stores no second block with a token that it remembers.
    Token,
    /// A worker reads the ledger at the first batch of a job in an assignment, and skips batches that have a line.
    LedgerLookUp,
    /// A batch that may have been sent before is first looked up in the table.
    TableLookUp,
    /// The same before the same worker sends the batch again, after an attempt without an answer. Without this rule,
    /// it is looked up only after the partition was assigned to another worker.
    TableLookUpBeforeRetry,
    /// If a part of a batch is in the table, only the rest is inserted.
    InsertOnlyMissing,
    /// The look-up of a batch whose job is over waits until no earlier INSERT of the batch can be stored any more.
    WaitForLateInserts,
    /// Before each attempt of an INSERT, the worker checks that the partition is still assigned to it.
    TicketCheck,
    /// Before each attempt of an INSERT, the worker checks that the job still runs.
    JobCheck,
    /// The data is written before the ledger.
    DataBeforeLedger,
    /// The offset is committed after the ledger and the report.
    OffsetLast,
    /// Counts are sums over the ledger. Without this rule, a worker adds what it loaded to the counts in the status.
    CountsFromLedger,
    /// A worker writes counts only if they are further than those in the status.
    CountsOnlyForward,
    /// A job succeeds if each chunk has its line and the sum of the rows is exact. Without this rule, it succeeds if
    /// there are enough rows.
    EndByLines,
    /// The operator ends a job by a write with the resource version that it read. Without this rule, it may use counts
    /// that are older than the offsets that it read.
    EndByCompareAndSwap,
    /// A job also succeeds only if the digests in the ledger are those of the uploaded file.
    EndByDigest,
    /// A worker gives up an incomplete batch when its other chunks cannot arrive any more.
    GiveUpIncomplete,
    /// The batch of a chunk depends only on the file. Without this rule, a request that continues an upload starts a
    /// new batch.
    PureBatches,
    /// The assumption about ClickHouse and the network: from a worker's check before an attempt until its INSERT is
    /// stored (if it is), there are fewer other inserts than the token window holds.
    StoredWithinWindow,
    /// The assumption about the topic: Kafka keeps records until the upload is complete or the job is over, and no
    /// request sends any more.
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
        Self::StoredWithinWindow,
        Self::RetentionOutlastsUploads,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

/// What can go wrong, at any time. Each fault that occurs uses up one of the faults of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An API pod dies in the middle of a request.
    ApiCrash,
    /// The client's connection breaks: it starts another request while an API pod continues the previous one.
    Takeover,
    /// A worker dies. Its partition is assigned again.
    WorkerCrash,
    /// A partition is assigned to the other worker, and the first one does not know it yet.
    Rebalance,
    /// A worker gets no answer to its INSERT. The INSERT may be stored later or never.
    LostAnswer,
    /// A late INSERT is stored only in one of its two table partitions.
    PartialInsert,
    /// Other inserts: ClickHouse forgets all tokens.
    ExpiredTokens,
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
        Self::ExpiredTokens,
        Self::DeletedRecords,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

/// What a run of the checker explores.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The rules that are on.
    pub guards: Flags<Guard>,
    /// The faults that can occur.
    pub faults: Flags<Fault>,
    /// The most faults in a run.
    pub max_faults: u8,
    /// The most requests that the client makes.
    pub max_requests: u8,
    /// The file that the client may send instead of the first file, from its second request on.
    pub second_file: SecondFile,
    /// The number of partitions that have the two batches: 1 or 2.
    pub partitions: usize,
    /// Whether a worker's report is one step. If not, others may write between its read and its write.
    pub reports_at_once: bool,
    /// Whether the user may cancel the job, at any time.
    pub cancel: bool,
    /// The invariants that are checked.
    pub invariants: Flags<Invariant>,
    /// Whether the run also checks what must be possible.
    pub checks_possible: bool,
}

impl Protocol {
    pub(crate) fn is_on(&self, guard: Guard) -> bool {
        self.guards.has(guard)
    }

    /// Returns the partition of a chunk.
    pub(crate) fn partition(&self, record: Record) -> usize {
        usize::from(record.first() != 0) % self.partitions
    }
}
