//! What must always hold.

use crate::flags::{Flag, Flags};

/// What must always hold. *At rest* means that nothing happens without a client, a user or a fault: there is no
/// request, no INSERT, and no record to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// A job in SUCCESS has the rows of one file, each row once in the table, and all its lines in the ledger.
    SuccessIsTheFile,
    /// No row is in the table twice, whatever happens to the job.
    NoRowTwice,
    /// At rest, the counts match the table, also for a cancelled job. This does not hold if Kafka deleted records: if
    /// the INSERT of a batch was stored and its chunks are deleted, no worker can write the ledger line.
    CountsAreTheTable,
    /// `status.counts` never decreases.
    CountsOnlyGrow,
    /// `status.upload` never goes back.
    UploadOnlyGrows,
    /// A request writes nothing after a newer request has taken over the upload.
    OlderEpochsWriteNothing,
    /// No INSERT starts for a job that is over.
    NoInsertAfterTheEnd,
    /// A committed batch has its ledger line, or the job is over, or Kafka deleted records.
    CommittedIsInLedger,
    /// At rest, a job with a complete upload is over.
    CompleteUploadEnds,
    /// At rest, a job that is over leaves no records to consume, so that its workers can stop.
    NoLagIsLeft,
    /// A job ends as `ChunksLost` only if Kafka deleted records.
    LostOnlyIfDeleted,
    /// A job ends as `ChunkConflict` only if chunks of two files were sent, and only if the first chunk does not show
    /// the difference.
    ConflictOnlyIfTwoFiles,
    /// At rest, a job is over if its workers saw two files with the same chunk numbers, whatever happens to the
    /// upload.
    TwoFilesEnd,
}

impl Flag for Invariant {
    const ALL: &'static [Self] = &[
        Self::SuccessIsTheFile,
        Self::NoRowTwice,
        Self::CountsAreTheTable,
        Self::CountsOnlyGrow,
        Self::UploadOnlyGrows,
        Self::OlderEpochsWriteNothing,
        Self::NoInsertAfterTheEnd,
        Self::CommittedIsInLedger,
        Self::CompleteUploadEnds,
        Self::NoLagIsLeft,
        Self::LostOnlyIfDeleted,
        Self::ConflictOnlyIfTwoFiles,
        Self::TwoFilesEnd,
    ];

    fn index(self) -> u32 {
        self as u32
    }
}

impl Invariant {
    /// Returns whether the invariant is only about states at rest.
    pub(crate) fn is_only_at_rest(self) -> bool {
        let at_rest =
            [Self::CountsAreTheTable, Self::CompleteUploadEnds, Self::NoLagIsLeft, Self::TwoFilesEnd];
        at_rest.contains(&self)
    }

    /// Returns the set with only this invariant.
    #[must_use]
    pub fn only(self) -> Flags<Self> {
        Flags::NONE.with(self)
    }
}
