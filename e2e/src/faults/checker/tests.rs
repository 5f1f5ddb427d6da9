//! Each difference that a test makes is found.

use super::*;
use crate::faults::history::{Counts, Receipt, Upload};

fn records() -> Vec<Record> {
    let record = |row: u64| Record {
        row,
        text: format!("{row}\u{1f}v{row}"),
        bad: if row.is_multiple_of(5) { vec!["amount", "at"] } else { vec![] },
    };
    (1..=20).map(record).collect()
}

fn good() -> (Expected, Status, Stored) {
    let mut expected = Expected { digest: "crc64nvme:1".into(), ..Expected::default() };
    for record in records() {
        expected.add(&record);
    }
    let counts = Counts { total: 20, ok: 16, errors: 4, chunks_done: 3, bad_cells: 8, stored_errors: 8 };
    let status = Status {
        state: "PARTIAL_SUCCESS".into(),
        reason: "SomeRowsRejected".into(),
        upload: Upload { complete: true, rows: 20, chunks: 3, ..Upload::default() },
        counts,
        receipt: Some(Receipt {
            rows: 20,
            ok: 16,
            rejected: 4,
            table_rows: 16,
            chunks: 3,
            digest: "crc64nvme:1".into(),
        }),
        ..Status::default()
    };
    let line = |first_chunk, chunks, ok| LedgerLine {
        first_chunk,
        chunks,
        rows: ok + 2,
        ok,
        errors: 2,
        cells: 4,
        outcome: "loaded".into(),
    };
    let stored = Stored {
        rows: 16,
        distinct_rows: 16,
        row_sum: expected.row_sum,
        rejects: 8,
        distinct_rejects: 8,
        reject_sum: expected.reject_sum,
        ledger: vec![line(0, 2, 10), line(2, 1, 6)],
        history: Some(("PARTIAL_SUCCESS".into(), 16, 4)),
    };
    (expected, status, stored)
}

fn found(change: impl FnOnce(&mut Status, &mut Stored)) -> Vec<String> {
    let (expected, mut status, mut stored) = good();
    change(&mut status, &mut stored);
    differences(&expected, &[("PARTIAL_SUCCESS", "SomeRowsRejected")], &status, &stored)
}

#[test]
fn a_correct_job_has_no_difference() {
    assert_eq!(found(|_, _| {}), Vec::<String>::new());
}

#[test]
fn a_lost_a_duplicate_and_a_changed_row_are_found_in_the_sums() {
    assert!(found(|_, stored| stored.rows = 15)[0].starts_with("rows of the table, beside counts.ok"));
    assert_eq!(
        found(|_, stored| stored.distinct_rows = 15),
        ["different _row in the table: expected 16, got 15"]
    );
    assert!(found(|_, stored| stored.row_sum += 1)[0].starts_with("the sum over the rows of the table"));
}

#[test]
fn a_missing_a_duplicate_and_a_changed_reject_are_found_in_the_sums() {
    assert!(found(|_, stored| stored.rejects = 7)[0].starts_with("different (row, column)"));
    assert!(found(|_, stored| stored.rejects = 9)[1].starts_with("rejected_rows, beside"));
    assert!(found(|_, stored| stored.reject_sum += 1)[0].starts_with("the sum over rejected_rows"));
}

#[test]
fn an_end_that_is_not_allowed_is_found() {
    let found = found(|status, _| status.reason = "ChunksLost".into());
    assert!(found[0].starts_with("ended PARTIAL_SUCCESS ChunksLost, allowed: "), "{found:?}");
}

#[test]
fn only_a_job_of_which_chunks_are_lost_may_have_rows_beyond_the_ledger_and_its_receipt_shows_them() {
    let (expected, mut status, mut stored) = good();
    (status.state, status.reason) = ("FAILED".into(), "ChunksLost".into());
    (status.counts.total, status.counts.ok, status.counts.errors) = (12, 10, 2);
    (status.counts.chunks_done, status.counts.bad_cells, status.counts.stored_errors) = (2, 4, 4);
    stored.ledger.pop();
    stored.history = Some(("FAILED".into(), 10, 2));
    let receipt = status.receipt.as_mut().unwrap();
    (receipt.rows, receipt.ok, receipt.rejected, receipt.table_rows, receipt.chunks) = (12, 10, 2, 16, 2);
    let allowed = [("FAILED", "ChunksLost"), ("FAILED", "TooManyErrors")];
    assert_eq!(differences(&expected, &allowed, &status, &stored), Vec::<String>::new());
    stored.rows = 17;
    stored.distinct_rows = 17;
    assert!(differences(&expected, &allowed, &status, &stored)[0].starts_with("the receipt"));
    (stored.rows, stored.distinct_rows) = (16, 16);
    status.reason = "TooManyErrors".into();
    assert!(differences(&expected, &allowed, &status, &stored)[0].starts_with("rows of the table"));
}

#[test]
fn a_batch_that_is_missing_or_overlaps_is_found() {
    let missing = found(|_, stored| drop(stored.ledger.remove(0)));
    assert!(missing.contains(&"the ledger lacks the chunks 0..2".to_owned()), "{missing:?}");
    let overlap = found(|_, stored| stored.ledger[1].first_chunk = 1);
    assert_eq!(overlap, ["the ledger has chunk 1 in two batches"]);
}

#[test]
fn a_receipt_and_a_history_with_other_values_are_found() {
    assert_eq!(found(|status, _| status.receipt = None), ["there is no status.receipt"]);
    let mut other = good().1.receipt.unwrap();
    other.table_rows = 17;
    assert!(found(|status, _| status.receipt = Some(other))[0].starts_with("the receipt"));
    let mut other = good().1.receipt.unwrap();
    other.digest = "crc64nvme:2".into();
    assert!(found(|status, _| status.receipt = Some(other))[0].starts_with("the receipt has the digest"));
    assert_eq!(found(|_, stored| stored.history = None), ["ingest_jobs has no row of the job"]);
    assert!(
        found(|_, stored| stored.history = Some(("FAILED".into(), 16, 4)))[0].starts_with("ingest_jobs says")
    );
}

#[test]
fn a_job_that_ended_early_is_compared_with_its_counts_alone() {
    let found = found(|status, stored| {
        status.state = "CANCELLED".into();
        status.reason = "Cancelled".into();
        status.counts =
            Counts { total: 12, ok: 10, errors: 2, chunks_done: 2, bad_cells: 4, stored_errors: 4 };
        let receipt = status.receipt.as_mut().unwrap();
        (receipt.rows, receipt.ok, receipt.rejected, receipt.table_rows, receipt.chunks) = (12, 10, 2, 10, 2);
        stored.ledger.pop();
        (stored.rows, stored.distinct_rows, stored.rejects, stored.distinct_rejects) = (10, 10, 4, 4);
        stored.history = Some(("CANCELLED".into(), 10, 2));
    });
    assert_eq!(found.len(), 1, "its end alone: {found:?}");
}

fn rows() -> Vec<(u64, u64)> {
    let good = records().into_iter().filter(|r| r.bad.is_empty());
    good.map(|r| (r.row, sip_hash64(r.text.as_bytes()))).collect()
}

fn compared(stored: Vec<(u64, u64)>, complete: bool) -> Option<String> {
    let mut comparison = Comparison::new("row", stored.into_iter(), complete);
    for record in records() {
        comparison.row(&record);
    }
    comparison.finish()
}

fn with(change: impl FnOnce(&mut Vec<(u64, u64)>)) -> Vec<(u64, u64)> {
    let mut rows = rows();
    change(&mut rows);
    rows
}

#[test]
fn row_by_row_a_difference_is_named() {
    assert_eq!(compared(rows(), true), None);
    let lost = compared(with(|rows| rows.retain(|(row, _)| *row != 4)), true).unwrap();
    assert!(lost.starts_with("row 4 is not stored"), "{lost}");
    let doubled = compared(with(|rows| rows.insert(3, rows[3])), true).unwrap();
    assert!(doubled.starts_with("row 4 is stored twice"), "{doubled}");
    let last_doubled = compared(with(|rows| rows.push(rows[15])), true).unwrap();
    assert!(last_doubled.starts_with("row 19 is stored twice"), "{last_doubled}");
    let changed = compared(with(|rows| rows[3].1 += 1), true).unwrap();
    assert!(changed.starts_with("row 4 is stored with other values"), "{changed}");
    let bad = compared(with(|rows| rows.insert(4, (5, 1))), true).unwrap();
    assert!(bad.starts_with("row 5 is stored twice, or is bad"), "{bad}");
    let foreign = compared(with(|rows| rows.push((21, 1))), true).unwrap();
    assert!(foreign.starts_with("row 21 is stored twice, or is not in the file"), "{foreign}");
}

#[test]
fn a_part_of_the_rows_is_allowed_for_a_job_that_ended_early_and_other_rows_are_not() {
    assert_eq!(compared(with(|rows| drop(rows.drain(2..9))), false), None);
    assert_eq!(compared(vec![], false), None);
    assert!(compared(with(|rows| rows[3].1 += 1), false).is_some());
    assert!(compared(with(|rows| rows.insert(3, rows[3])), false).is_some());
}

#[test]
fn reject_by_reject_a_difference_is_named() {
    let all: Vec<(u64, u64)> = records()
        .iter()
        .flat_map(|r| r.bad.iter().map(|column| (r.row, reject_hash(r.row, column))).collect::<Vec<_>>())
        .collect();
    let compared = |stored: Vec<(u64, u64)>| {
        let mut comparison = Comparison::new("reject", stored.into_iter(), true);
        for record in records() {
            comparison.rejects(&record);
        }
        comparison.finish()
    };
    assert_eq!(compared(all.clone()), None);
    let missing = compared(all[..7].to_vec()).unwrap();
    assert!(missing.starts_with("reject 20 is not stored; the file says \"at\""), "{missing}");
}
