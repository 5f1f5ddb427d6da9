//! The check of one chunk, without I/O. The input is bytes; the output is a block of good rows and the data about bad
//! cells.

use bytes::Bytes;
use crds::ChunkHeader;
use rows_check::{Checker, Outcome};

use crate::buffers::Buffers;
use crate::insert::Names;
use crate::insert::rejects::{self, RejectLimits, RejectRows};
use crate::plan::Target;
use crate::summary::{Kind, RowCounts};

/// The result of the check of a chunk.
#[derive(Debug)]
pub struct CheckedChunk {
    /// The counts of the rows.
    pub counts: RowCounts,
    /// The good rows, as a ClickHouse `Native` block; empty if there is none.
    pub block: Bytes,
    /// The bad cells to store.
    pub rejects: RejectRows,
    /// The bad cells, by column and code.
    pub summary: Vec<Kind>,
    /// The memory of block and rejects, in bytes.
    pub memory: u64,
}

/// The body has another number of records than the header specifies. Header and body are not of the same chunk, or the
/// chunk was cut by other rules than those of this worker. To load it would make the job's counts wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunk has {found} records, but its header says {expected}")]
pub struct WrongRows {
    /// The number in the header.
    pub expected: u32,
    /// The number in the body.
    pub found: u32,
}

/// Checks a chunk. Bad cells up to `limits` are kept to be stored; all are counted.
pub fn check(
    checker: &mut Checker,
    header: &ChunkHeader,
    body: &[u8],
    target: &Target,
    names: Names<'_>,
    limits: RejectLimits,
    buffers: &Buffers,
) -> Result<CheckedChunk, WrongRows> {
    let outcome = checker.check(body, header.first_row, &header.job);
    if outcome.rows() != header.rows {
        return Err(WrongRows { expected: header.rows, found: outcome.rows() });
    }
    let clean = outcome.bad_cells() == 0;
    let (block, capacity) = if outcome.ok() == 0 { (Bytes::new(), 0) } else { block(&outcome, buffers) };
    let rejects =
        if clean { RejectRows::default() } else { rejects::collect(&outcome, header, target, names, limits) };
    Ok(CheckedChunk {
        counts: RowCounts {
            rows: outcome.rows(),
            ok: outcome.ok(),
            bad_rows: outcome.bad_rows(),
            bad_cells: outcome.bad_cells(),
        },
        memory: (capacity + rejects.bytes.len()) as u64,
        block,
        rejects,
        summary: if clean { Vec::new() } else { summary(&outcome, target) },
    })
}

/// Returns the block and its memory in bytes. This is the only copy: the checker uses its memory again.
fn block(outcome: &Outcome<'_>, buffers: &Buffers) -> (Bytes, usize) {
    let len = outcome.block_parts().map(<[u8]>::len).sum();
    let block = buffers.join(len, outcome.block_parts());
    let capacity = block.capacity();
    (block.share(), capacity)
}

#[cold]
fn summary(outcome: &Outcome<'_>, target: &Target) -> Vec<Kind> {
    let known = |column: &str| target.plan.schema().column_names().any(|name| name == column);
    let kind = |s: rows_check::Summary| Kind {
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
    use rows_check::{Columns, Plan};
    use rows_types::{Column, Input, Schema, Type};

    use super::*;
    use crate::pii::Privacy;

    /// The columns are `id String` and `n UInt8`; `pii` applies to `n`.
    fn target(pii: Pii) -> Target {
        let column = |name: &str, ty| Column::new(name, Type::parse(ty).unwrap());
        let schema = Schema::new(vec![column("id", "String"), column("n", "UInt8")], None).unwrap();
        let spec = crds::model::ColumnSpec { name: "n".into(), pii, ..Default::default() };
        Target {
            plan: Arc::new(Plan::bind(Columns::compile(schema).unwrap(), Input::default(), None).unwrap()),
            insert: String::new(),
            privacy: Privacy::of(&[spec], "id"),
        }
    }

    fn checked(body: &[u8], rows: u32, cells: u64, pii: Pii) -> Result<CheckedChunk, WrongRows> {
        let target = target(pii);
        let mut checker = Checker::new(target.plan.clone());
        let mut header = crate::testing::header(3, 3, true);
        (header.first_row, header.rows) = (101, rows);
        let names = Names { model: "m", namespace: "shop" };
        let limits = RejectLimits { cells, bytes: 1 << 20 };
        check(&mut checker, &header, body, &target, names, limits, &Buffers::new(1))
    }

    #[test]
    fn every_row_is_either_in_the_block_or_counted_as_bad() {
        let chunk = checked(b"a,1\nb,x\nc,300\nd,2\n", 4, 10, Pii::None).unwrap();
        assert_eq!(chunk.counts, RowCounts { rows: 4, ok: 2, bad_rows: 2, bad_cells: 2 });
        assert!(!chunk.block.is_empty());
        assert!(chunk.memory >= (chunk.block.len() + chunk.rejects.bytes.len()) as u64);
        assert_eq!(chunk.rejects.count, 2);
        let kinds: Vec<_> = chunk.summary.iter().map(|k| (k.error, k.count, k.first_row)).collect();
        assert_eq!(kinds, [("INVALID_TYPE", 1, 102), ("OUT_OF_RANGE", 1, 103)]);
    }

    #[test]
    fn a_chunk_without_a_good_row_has_no_block_and_one_without_a_bad_row_no_rejects() {
        assert!(checked(b"a,x\n", 1, 10, Pii::None).unwrap().block.is_empty());
        assert_eq!(checked(b"a,1\n", 1, 10, Pii::None).unwrap().rejects.count, 0);
    }

    #[test]
    fn no_more_bad_cells_are_kept_than_the_limit_but_all_are_counted() {
        for (limit, kept) in [(0, 0), (2, 2), (9, 3)] {
            let chunk = checked(b"a,x\nb,y\nc,z\n", 3, limit, Pii::None).unwrap();
            assert_eq!((chunk.rejects.count, chunk.counts.bad_cells), (kept, 3));
        }
    }

    #[test]
    fn a_body_that_does_not_match_its_header_is_refused() {
        let error = checked(b"a,1\n", 2, 10, Pii::None).unwrap_err();
        assert_eq!(error, WrongRows { expected: 2, found: 1 });
    }

    #[test]
    fn a_hidden_cell_is_in_nothing_that_is_stored() {
        let stored = |pii| checked(b"a,s3cret\n", 1, 10, pii).unwrap().rejects.bytes;
        let shows = |bytes: &Bytes, text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(shows(&stored(Pii::None), "s3cret") && shows(&stored(Pii::None), "a,s3cret"));
        assert!(!shows(&stored(Pii::Mask), "s3cret") && shows(&stored(Pii::Mask), "a9aaaa"));
        assert!(!shows(&stored(Pii::Drop), "s3cret") && !shows(&stored(Pii::Drop), "a9aaaa"));
    }
}
