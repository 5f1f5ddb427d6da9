//! What to do about the rows of a batch that may be in the table already. Pure: the counts are arguments.
//!
//! The token alone does not decide: a table forgets tokens, a batch that falls into several table partitions may be there
//! in part, and a token may be remembered of rows that were deleted. So each insert of such a batch is counted.

use std::time::{Duration, Instant};

/// An INSERT of whoever had a partition before may land so long after the partition was assigned anew. Until then a batch
/// of which the table has no rows is not known to be absent.
pub const LATE_INSERT: Duration = Duration::from_secs(10);
/// How often a batch is inserted under another token before its count is taken as it is.
pub const MAX_GENERATION: u32 = 4;

/// What to do before an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeInsert {
    /// Insert.
    Insert,
    /// All rows are there: do not insert.
    Skip,
    /// More rows are there than the batch has: do not insert, and say so.
    TooMany,
}

/// What to do after an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterInsert {
    /// All rows are there.
    Stored,
    /// Insert again under the next token, after the rows that are there were deleted.
    Replace,
    /// Insert again under the next token: nothing is there.
    Again,
    /// Another number of rows is there, and it stays so: say so.
    Mismatch,
}

/// From the number of the batch's rows in the table and that of its good rows. In a table whose engine replaces rows,
/// fewer may be all of them; such a table is inserted into again under the same token.
#[must_use]
pub fn before_insert(in_table: u64, ok: u64) -> BeforeInsert {
    match in_table.cmp(&ok) {
        std::cmp::Ordering::Less => BeforeInsert::Insert,
        std::cmp::Ordering::Equal => BeforeInsert::Skip,
        std::cmp::Ordering::Greater => BeforeInsert::TooMany,
    }
}

/// The same after the INSERT number `generation` (from 1) was answered. `replaces`: the engine of the table replaces rows.
#[must_use]
pub fn after_insert(in_table: u64, ok: u64, replaces: bool, generation: u32) -> AfterInsert {
    if in_table == ok || (replaces && in_table > 0 && in_table < ok) {
        return AfterInsert::Stored;
    }
    match (generation < MAX_GENERATION, in_table) {
        (false, _) => AfterInsert::Mismatch,
        (true, 0) => AfterInsert::Again,
        (true, _) if replaces => AfterInsert::Mismatch,
        (true, _) => AfterInsert::Replace,
    }
}

/// The token of INSERT number `generation` (from 1).
#[must_use]
pub fn token(batch_token: &str, generation: u32) -> String {
    if generation <= 1 { batch_token.to_owned() } else { format!("{batch_token}/{generation}") }
}

/// How long after `now` such an INSERT may still land.
#[must_use]
pub fn late_inserts(assigned_at: Instant, now: Instant) -> Duration {
    (assigned_at + LATE_INSERT).saturating_duration_since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_all_there_are_not_inserted_again() {
        assert_eq!(before_insert(0, 10), BeforeInsert::Insert);
        assert_eq!(before_insert(4, 10), BeforeInsert::Insert, "some partitions are missing");
        assert_eq!(before_insert(10, 10), BeforeInsert::Skip);
        assert_eq!(before_insert(11, 10), BeforeInsert::TooMany);
        assert_eq!(before_insert(0, 0), BeforeInsert::Skip);
    }

    #[test]
    fn a_batch_that_the_same_token_does_not_complete_is_replaced_under_another() {
        assert_eq!(after_insert(10, 10, false, 1), AfterInsert::Stored);
        assert_eq!(after_insert(4, 10, false, 1), AfterInsert::Replace);
        assert_eq!(after_insert(14, 10, false, 2), AfterInsert::Replace);
        assert_eq!(after_insert(0, 10, false, 1), AfterInsert::Again, "a token of rows that were deleted");
        assert_eq!(after_insert(0, 10, false, MAX_GENERATION), AfterInsert::Mismatch);
        assert_eq!((token("u/4", 1).as_str(), token("u/4", 2).as_str()), ("u/4", "u/4/2"));
    }

    #[test]
    fn rows_that_an_engine_replaced_are_not_missing_and_never_deleted() {
        assert_eq!(after_insert(4, 10, true, 1), AfterInsert::Stored);
        assert_eq!(after_insert(12, 10, true, 1), AfterInsert::Mismatch);
        assert_eq!(after_insert(0, 10, true, 1), AfterInsert::Again);
    }

    #[test]
    fn inserts_of_others_may_land_for_some_seconds_after_the_assignment() {
        let start = Instant::now();
        let left = |seconds| late_inserts(start, start + Duration::from_secs(seconds)).as_secs();
        assert_eq!([0, 4, 10, 99].map(left), [10, 6, 0, 0]);
    }
}
