//! Decides what to do about the rows of a batch that may be in the table already. Pure: the counts are arguments.
//!
//! The token alone is not enough: a table forgets tokens, a batch with rows in several table partitions may be stored
//! in part, and a token may be remembered for rows that were deleted. So the rows are counted at each insert of such a
//! batch.

use std::time::{Duration, Instant};

/// How long after a new assignment of a partition an INSERT of the worker that had the partition before may still take
/// effect. Before this time has passed, a batch without rows in the table is not known to be absent.
pub const LATE_INSERT: Duration = Duration::from_secs(10);
/// How many tokens are used to insert a batch. After that its count is accepted as it is.
pub const MAX_GENERATION: u32 = 4;

/// What to do before an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeInsert {
    /// Insert the batch.
    Insert,
    /// All rows are in the table: do not insert.
    Skip,
    /// The table has more rows than the batch: do not insert, and report it.
    TooMany,
}

/// What to do after an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterInsert {
    /// All rows are in the table.
    Stored,
    /// Delete the rows that are in the table, then insert again with the next token.
    Replace,
    /// Insert again with the next token: no row is in the table.
    Retry,
    /// The table permanently has another number of rows: report it.
    Mismatch,
}

/// Decides from the number of the batch's rows in the table and the number of its good rows. If the engine of the table
/// replaces rows, fewer rows may be all of them; the batch is then inserted again with the same token.
#[must_use]
pub fn before_insert(in_table: u64, ok: u64) -> BeforeInsert {
    match in_table.cmp(&ok) {
        std::cmp::Ordering::Less => BeforeInsert::Insert,
        std::cmp::Ordering::Equal => BeforeInsert::Skip,
        std::cmp::Ordering::Greater => BeforeInsert::TooMany,
    }
}

/// Decides in the same way after INSERT number `generation` (from 1) was answered. `replaces`: the engine of the table
/// replaces rows.
#[must_use]
pub fn after_insert(in_table: u64, ok: u64, replaces: bool, generation: u32) -> AfterInsert {
    if in_table == ok || (replaces && in_table > 0 && in_table < ok) {
        return AfterInsert::Stored;
    }
    match (generation < MAX_GENERATION, in_table) {
        (false, _) => AfterInsert::Mismatch,
        (true, 0) => AfterInsert::Retry,
        (true, _) if replaces => AfterInsert::Mismatch,
        (true, _) => AfterInsert::Replace,
    }
}

/// Returns the token of INSERT number `generation` (from 1).
#[must_use]
pub fn token(batch_token: &str, generation: u32) -> String {
    if generation <= 1 { batch_token.to_owned() } else { format!("{batch_token}/{generation}") }
}

/// Returns how long after `now` such an INSERT may still take effect.
#[must_use]
pub fn late_inserts(assigned_at: Instant, now: Instant) -> Duration {
    (assigned_at + LATE_INSERT).saturating_duration_since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_all_in_the_table_are_not_inserted_twice() {
        assert_eq!(before_insert(0, 10), BeforeInsert::Insert);
        assert_eq!(before_insert(4, 10), BeforeInsert::Insert, "some partitions are missing");
        assert_eq!(before_insert(10, 10), BeforeInsert::Skip);
        assert_eq!(before_insert(11, 10), BeforeInsert::TooMany);
        assert_eq!(before_insert(0, 0), BeforeInsert::Skip);
    }

    #[test]
    fn a_batch_that_the_same_token_does_not_complete_is_replaced_with_another_token() {
        assert_eq!(after_insert(10, 10, false, 1), AfterInsert::Stored);
        assert_eq!(after_insert(4, 10, false, 1), AfterInsert::Replace);
        assert_eq!(after_insert(14, 10, false, 2), AfterInsert::Replace);
        assert_eq!(after_insert(0, 10, false, 1), AfterInsert::Retry, "a token of rows that were deleted");
        assert_eq!(after_insert(0, 10, false, MAX_GENERATION), AfterInsert::Mismatch);
        assert_eq!((token("u/4", 1).as_str(), token("u/4", 2).as_str()), ("u/4", "u/4/2"));
    }

    #[test]
    fn rows_that_an_engine_replaced_are_not_missing_and_never_deleted() {
        assert_eq!(after_insert(4, 10, true, 1), AfterInsert::Stored);
        assert_eq!(after_insert(12, 10, true, 1), AfterInsert::Mismatch);
        assert_eq!(after_insert(0, 10, true, 1), AfterInsert::Retry);
    }

    #[test]
    fn inserts_of_others_may_be_stored_for_some_seconds_after_the_assignment() {
        let start = Instant::now();
        let left = |seconds| late_inserts(start, start + Duration::from_secs(seconds)).as_secs();
        assert_eq!([0, 4, 10, 99].map(left), [10, 6, 0, 0]);
    }
}
