//! One chunk judged: the pure middle of the worker. Bytes in, a block of good rows and what is to be told of the bad out.

use bytes::Bytes;
use crds::ChunkHeader;
use rows::{Checker, Outcome};

use crate::buffers::Buffers;
use crate::insert::rejects::{self, RejectRows};
use crate::plan::Target;

/// What became of a chunk's rows.
#[derive(Debug)]
pub struct Verdict {
    /// Rows of the chunk.
    pub rows: u32,
    /// Rows in `block`.
    pub ok: u32,
    /// Rows with a bad cell.
    pub bad_rows: u32,
    /// Bad cells.
    pub bad_cells: u64,
    /// The good rows, as a ClickHouse `Native` block; empty if there is none.
    pub block: Bytes,
    /// The bad cells that are to be stored.
    pub rejects: RejectRows,
    /// The bad cells by column and code.
    pub summary: Vec<Kind>,
}

/// Bad cells of one kind, as the ledger keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The column.
    pub column: String,
    /// The code.
    pub error: &'static str,
    /// How many.
    pub count: u64,
    /// The first row with one.
    pub first_row: u64,
    /// Its text, masked.
    pub sample: String,
}

/// The body holds another number of records than the header says: header and body are not of one chunk, or were cut by
/// other rules than these. Loading it would make the job's counts wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunk has {found} records, its header says {told}")]
pub struct WrongRows {
    /// What the header says.
    pub told: u32,
    /// What is there.
    pub found: u32,
}

/// Judges a chunk. At most `room` bad cells are kept to be stored; all are counted.
pub fn judge(
    checker: &mut Checker,
    header: &ChunkHeader,
    body: &[u8],
    target: &Target,
    model: &str,
    room: u64,
    buffers: &Buffers,
) -> Result<Verdict, WrongRows> {
    let outcome = checker.check(body, header.first_row, &header.job);
    if outcome.rows() != header.rows {
        return Err(WrongRows { told: header.rows, found: outcome.rows() });
    }
    let clean = outcome.bad_cells() == 0;
    Ok(Verdict {
        rows: outcome.rows(),
        ok: outcome.ok(),
        bad_rows: outcome.bad_rows(),
        bad_cells: outcome.bad_cells(),
        block: if outcome.ok() == 0 { Bytes::new() } else { buffers.join(outcome.block_parts()).share() },
        rejects: if clean {
            RejectRows::default()
        } else {
            rejects::collect(&outcome, header, target, model, room)
        },
        summary: if clean { Vec::new() } else { summary(&outcome, target) },
    })
}

#[cold]
fn summary(outcome: &Outcome<'_>, target: &Target) -> Vec<Kind> {
    let known = |column: &str| target.plan.schema().column_names().any(|name| name == column);
    let kind = |s: rows::Summary| Kind {
        sample: target.privacy.sample(&s.column, known(&s.column), &s.sample).to_owned(),
        column: s.column,
        error: s.error.as_str(),
        count: s.count,
        first_row: s.first_row,
    };
    outcome.summary().into_iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crds::model::Pii;
    use rows::{Column, Input, Plan, Schema, Type};

    use super::*;
    use crate::pii::Privacy;

    fn header(rows: u32) -> ChunkHeader {
        ChunkHeader {
            job: "uid-1".into(),
            name: "job".into(),
            chunk: 3,
            first_row: 101,
            rows,
            revision: "m-1".into(),
            input: Input::default(),
            columns: None,
        }
    }

    /// Columns `id String` and `n UInt8`; `pii` is of `n`.
    fn target(pii: Pii) -> Target {
        let column = |name: &str, ty| Column::new(name, Type::parse(ty).unwrap());
        let schema = Schema::new(vec![column("id", "String"), column("n", "UInt8")], None).unwrap();
        let spec = crds::model::ColumnSpec { name: "n".into(), pii, ..Default::default() };
        Target {
            plan: Arc::new(Plan::bind(schema, Input::default(), None).unwrap()),
            insert: String::new(),
            privacy: Privacy::of(&[spec], "id"),
        }
    }

    fn judged(body: &[u8], rows: u32, room: u64, pii: Pii) -> Result<Verdict, WrongRows> {
        let target = target(pii);
        let mut checker = Checker::new(target.plan.clone());
        judge(&mut checker, &header(rows), body, &target, "m", room, &Buffers::new(1))
    }

    #[test]
    fn every_row_is_either_in_the_block_or_counted_as_bad() {
        let verdict = judged(b"a,1\nb,x\nc,300\nd,2\n", 4, 10, Pii::None).unwrap();
        assert_eq!((verdict.rows, verdict.ok, verdict.bad_rows, verdict.bad_cells), (4, 2, 2, 2));
        assert!(!verdict.block.is_empty());
        assert_eq!(verdict.rejects.count, 2);
        let kinds: Vec<_> = verdict.summary.iter().map(|k| (k.error, k.count, k.first_row)).collect();
        assert_eq!(kinds, [("INVALID_TYPE", 1, 102), ("OUT_OF_RANGE", 1, 103)]);
    }

    #[test]
    fn a_chunk_without_a_good_row_has_no_block_and_one_without_a_bad_row_no_rejects() {
        assert!(judged(b"a,x\n", 1, 10, Pii::None).unwrap().block.is_empty());
        assert_eq!(judged(b"a,1\n", 1, 10, Pii::None).unwrap().rejects.count, 0);
    }

    #[test]
    fn no_more_bad_cells_are_kept_than_there_is_room_for_but_all_are_counted() {
        for (room, kept) in [(0, 0), (2, 2), (9, 3)] {
            let verdict = judged(b"a,x\nb,y\nc,z\n", 3, room, Pii::None).unwrap();
            assert_eq!((verdict.rejects.count, verdict.bad_cells), (kept, 3));
        }
    }

    #[test]
    fn a_body_that_is_not_what_its_header_says_is_not_judged() {
        assert_eq!(judged(b"a,1\n", 2, 10, Pii::None).unwrap_err(), WrongRows { told: 2, found: 1 });
    }

    #[test]
    fn a_hidden_cell_is_nowhere_in_what_is_stored() {
        let stored = |pii| judged(b"a,s3cret\n", 1, 10, pii).unwrap().rejects.into_bytes();
        let shows = |bytes: &Bytes, text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(shows(&stored(Pii::None), "s3cret") && shows(&stored(Pii::None), "a,s3cret"));
        assert!(!shows(&stored(Pii::Mask), "s3cret") && shows(&stored(Pii::Mask), "a9aaaa"));
        assert!(!shows(&stored(Pii::Drop), "s3cret") && !shows(&stored(Pii::Drop), "a9aaaa"));
    }
}
