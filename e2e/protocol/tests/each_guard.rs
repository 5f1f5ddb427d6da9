//! What happens without each guard, one at a time. With the guard, the same faults are harmless.

use protocol::{Fault, Flag, Guard, Invariant, Protocol, SecondFile};

/// Without the guard the invariant does not hold in a run. With the guard it holds.
#[track_caller]
fn check(guard: Guard, run: Protocol, invariant: Invariant) {
    let run = run.only(invariant);
    assert!(run.without(guard).explore().broken.is_some(), "{invariant:?} holds also without {guard:?}");
    let with = run.explore().broken.map(|(_, trace)| trace);
    assert!(with.is_none(), "{invariant:?} does not hold even with {guard:?}:\n{}", with.unwrap_or_default());
}

fn run(faults: &[Fault]) -> Protocol {
    Protocol::new().faults(faults)
}

#[test]
fn without_chunk_digests_a_job_with_chunks_of_two_files_does_not_end() {
    let run = run(&[Fault::ApiCrash, Fault::ApiCrash]).second_file(SecondFile::SameStart);
    check(Guard::ChunkDigest, run, Invariant::TwoFilesEnd);
}

#[test]
fn without_the_first_chunks_digest_another_file_ends_the_job_of_the_first() {
    let run = run(&[Fault::ApiCrash]).second_file(SecondFile::Different);
    check(Guard::FirstChunkDigest, run, Invariant::ConflictOnlyIfTwoFiles);
}

#[test]
fn without_the_prefix_digest_an_upload_continues_with_another_file_and_succeeds() {
    let run = run(&[Fault::ApiCrash]).second_file(SecondFile::Different);
    check(Guard::PrefixDigest, run, Invariant::SuccessIsTheFile);
}

#[test]
fn without_epochs_an_older_request_overwrites_the_status_that_a_newer_one_wrote() {
    check(Guard::EpochFencing, run(&[Fault::Takeover]), Invariant::UploadOnlyGrows);
    check(Guard::EpochFencing, run(&[Fault::Takeover]), Invariant::OlderEpochsWriteNothing);
}

#[test]
fn without_the_offsets_of_earlier_requests_chunks_that_wait_are_reported_as_lost() {
    check(Guard::LastOffsetsOfAllRequests, run(&[Fault::ApiCrash]), Invariant::LostOnlyIfDeleted);
}

#[test]
fn without_the_token_a_retry_after_a_lost_answer_duplicates_rows() {
    check(Guard::Token, run(&[Fault::LostAnswer]), Invariant::NoRowTwice);
}

#[test]
fn without_the_ledger_chunks_that_are_sent_twice_duplicate_rows_once_the_token_has_expired() {
    check(Guard::LedgerLookUp, run(&[Fault::ApiCrash, Fault::ExpiredTokens]), Invariant::NoRowTwice);
}

#[test]
fn without_the_table_look_up_a_redelivery_duplicates_rows_once_the_token_has_expired() {
    check(Guard::TableLookUp, run(&[Fault::WorkerCrash, Fault::ExpiredTokens]), Invariant::NoRowTwice);
}

#[test]
fn without_the_table_look_up_rows_of_a_cancelled_job_are_not_counted() {
    check(Guard::TableLookUp, run(&[Fault::WorkerCrash]).cancelled(), Invariant::CountsAreTheTable);
}

#[test]
fn without_the_table_look_up_a_late_retry_duplicates_rows_once_the_token_has_expired() {
    check(
        Guard::TableLookUpBeforeRetry,
        run(&[Fault::LostAnswer, Fault::ExpiredTokens]),
        Invariant::NoRowTwice,
    );
}

#[test]
fn if_not_only_missing_rows_are_inserted_a_partial_insert_duplicates_rows_once_the_token_has_expired() {
    let faults = [Fault::LostAnswer, Fault::PartialInsert, Fault::ExpiredTokens];
    check(Guard::InsertOnlyMissing, run(&faults), Invariant::NoRowTwice);
}

#[test]
fn without_the_wait_for_late_inserts_an_insert_stored_after_the_cancellation_is_not_counted() {
    check(Guard::WaitForLateInserts, run(&[Fault::LostAnswer]).cancelled(), Invariant::CountsAreTheTable);
    check(Guard::WaitForLateInserts, run(&[Fault::WorkerCrash]).cancelled(), Invariant::CountsAreTheTable);
    check(Guard::WaitForLateInserts, run(&[Fault::Rebalance]).cancelled(), Invariant::CountsAreTheTable);
}

#[test]
fn without_the_ticket_check_a_cut_off_worker_duplicates_rows_once_the_token_has_expired() {
    check(Guard::TicketCheck, run(&[Fault::Rebalance, Fault::ExpiredTokens]), Invariant::NoRowTwice);
}

#[test]
fn without_the_job_check_rows_of_a_cancelled_job_are_still_inserted() {
    check(Guard::JobCheck, run(&[]).cancelled(), Invariant::NoInsertAfterTheEnd);
}

#[test]
fn if_the_data_is_not_written_before_the_ledger_a_job_succeeds_without_its_rows() {
    check(Guard::DataBeforeLedger, run(&[Fault::WorkerCrash]), Invariant::SuccessIsTheFile);
}

#[test]
fn if_the_offset_is_not_committed_last_a_crash_loses_chunks() {
    check(Guard::OffsetLast, run(&[Fault::WorkerCrash]), Invariant::LostOnlyIfDeleted);
    check(Guard::OffsetLast, run(&[]), Invariant::CommittedIsInLedger);
}

#[test]
fn without_counts_from_the_ledger_a_redelivery_counts_rows_twice() {
    check(Guard::CountsFromLedger, run(&[Fault::WorkerCrash]), Invariant::CountsAreTheTable);
}

#[test]
fn without_counts_that_only_increase_a_slow_report_decreases_them() {
    let slow = Protocol { reports_at_once: false, ..run(&[]) };
    check(Guard::CountsOnlyForward, slow, Invariant::CountsOnlyGrow);
    check(Guard::CountsOnlyForward, slow, Invariant::LostOnlyIfDeleted);
}

#[test]
fn without_a_ledger_line_for_each_chunk_a_job_succeeds_with_rows_of_another_file() {
    let run = run(&[Fault::ApiCrash]).second_file(SecondFile::SameStartFewerRows);
    check(Guard::EndByLines, run, Invariant::SuccessIsTheFile);
}

#[test]
fn without_a_compare_and_swap_at_the_end_chunks_that_were_just_loaded_are_reported_as_lost() {
    check(Guard::EndByCompareAndSwap, run(&[]), Invariant::LostOnlyIfDeleted);
}

#[test]
fn without_the_digest_of_the_file_at_the_end_a_job_succeeds_before_its_workers_see_the_other_file() {
    let run = run(&[Fault::ApiCrash]).second_file(SecondFile::SameStart);
    check(Guard::EndByDigest, run, Invariant::SuccessIsTheFile);
}

#[test]
fn without_giving_up_an_incomplete_batch_a_cancelled_job_keeps_its_worker_running() {
    check(Guard::GiveUpIncomplete, run(&[Fault::ApiCrash]).cancelled(), Invariant::NoLagIsLeft);
}

#[test]
fn without_pure_batches_a_chunk_is_in_two_batches() {
    check(Guard::PureBatches, run(&[Fault::ApiCrash]), Invariant::NoRowTwice);
}

#[test]
fn without_the_assumption_of_timely_inserts_a_late_insert_duplicates_rows() {
    check(Guard::StoredWithinWindow, run(&[Fault::WorkerCrash, Fault::ExpiredTokens]), Invariant::NoRowTwice);
}

#[test]
fn without_the_assumption_that_kafka_keeps_records_the_table_look_up_finds_rows_of_another_file() {
    let faults = [Fault::ApiCrash, Fault::WorkerCrash, Fault::DeletedRecords];
    let run = run(&faults).second_file(SecondFile::SameStart);
    check(Guard::RetentionOutlastsUploads, run, Invariant::SuccessIsTheFile);
}

#[test]
fn each_guard_has_a_test() {
    let tests = include_str!("each_guard.rs");
    for guard in Guard::ALL {
        assert!(
            tests.contains(&format!(" Guard::{guard:?},")) || tests.contains(&format!("(Guard::{guard:?},")),
            "{guard:?} has none"
        );
    }
}
