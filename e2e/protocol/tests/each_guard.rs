//! What happens without each guard, one at a time. With the guard, the same faults are harmless.

use protocol::{Fault, Flag, Guard, Invariant, Protocol, SecondFile};

/// Without the guard the invariant does not hold in a run. With the guard it holds.
#[track_caller]
fn guards(guard: Guard, run: Protocol, invariant: Invariant) {
    let run = run.only(invariant);
    assert!(run.without(guard).explore().broken.is_some(), "{invariant:?} holds also without {guard:?}");
    let with = run.explore().broken.map(|(_, story)| story);
    assert!(with.is_none(), "{invariant:?} does not hold even with {guard:?}:\n{}", with.unwrap_or_default());
}

fn run(faults: &[Fault]) -> Protocol {
    Protocol::new().faults(faults)
}

#[test]
fn without_chunk_digests_a_job_of_two_files_whose_upload_breaks_off_goes_on() {
    let again = run(&[Fault::ApiCrash, Fault::ApiCrash]).second_file(SecondFile::SameStart);
    guards(Guard::ChunkDigest, again, Invariant::TwoFilesEnd);
}

#[test]
fn without_the_first_chunks_digest_another_file_ends_the_job_of_the_first() {
    let again = run(&[Fault::ApiCrash]).second_file(SecondFile::Different);
    guards(Guard::FirstChunkDigest, again, Invariant::ConflictOnlyIfTwoFiles);
}

#[test]
fn without_the_prefix_digest_an_upload_goes_on_with_another_file_and_succeeds() {
    let again = run(&[Fault::ApiCrash]).second_file(SecondFile::Different);
    guards(Guard::PrefixDigest, again, Invariant::SuccessIsTheFile);
}

#[test]
fn without_epochs_an_overtaken_request_takes_back_what_a_later_one_wrote() {
    guards(Guard::EpochFencing, run(&[Fault::Takeover]), Invariant::UploadOnlyGrows);
    guards(Guard::EpochFencing, run(&[Fault::Takeover]), Invariant::OlderEpochsWriteNothing);
}

#[test]
fn without_the_offsets_of_earlier_requests_chunks_that_wait_are_reported_lost() {
    guards(Guard::LastOffsetsOfAllRequests, run(&[Fault::ApiCrash]), Invariant::LostOnlyIfDeleted);
}

#[test]
fn without_the_token_a_retry_after_a_lost_answer_doubles_rows() {
    guards(Guard::Token, run(&[Fault::LostAnswer]), Invariant::NoRowTwice);
}

#[test]
fn without_the_ledger_chunks_that_are_sent_again_double_rows_once_the_token_is_forgotten() {
    guards(Guard::LedgerLookUp, run(&[Fault::ApiCrash, Fault::WornWindow]), Invariant::NoRowTwice);
}

#[test]
fn without_a_look_into_the_table_a_redelivery_doubles_rows_once_the_token_is_forgotten() {
    guards(Guard::TableLookUp, run(&[Fault::WorkerCrash, Fault::WornWindow]), Invariant::NoRowTwice);
}

#[test]
fn without_a_look_into_the_table_rows_of_a_cancelled_job_are_not_counted() {
    guards(Guard::TableLookUp, run(&[Fault::WorkerCrash]).cancelled(), Invariant::CountsAreTheTable);
}

#[test]
fn without_a_look_into_the_table_a_late_retry_doubles_rows_once_the_token_is_forgotten() {
    guards(
        Guard::TableLookUpBeforeRetry,
        run(&[Fault::LostAnswer, Fault::WornWindow]),
        Invariant::NoRowTwice,
    );
}

#[test]
fn without_a_look_at_which_rows_are_missing_a_half_stored_batch_doubles_once_the_token_is_forgotten() {
    let faults = [Fault::LostAnswer, Fault::PartialInsert, Fault::WornWindow];
    guards(Guard::InsertOnlyMissing, run(&faults), Invariant::NoRowTwice);
}

#[test]
fn without_a_wait_an_insert_that_lands_after_the_cancellation_is_not_counted() {
    guards(Guard::WaitForLateInserts, run(&[Fault::LostAnswer]).cancelled(), Invariant::CountsAreTheTable);
    guards(Guard::WaitForLateInserts, run(&[Fault::WorkerCrash]).cancelled(), Invariant::CountsAreTheTable);
    guards(Guard::WaitForLateInserts, run(&[Fault::Rebalance]).cancelled(), Invariant::CountsAreTheTable);
}

#[test]
fn without_the_ticket_check_a_worker_that_was_cut_off_doubles_rows_once_the_token_is_forgotten() {
    guards(Guard::TicketCheck, run(&[Fault::Rebalance, Fault::WornWindow]), Invariant::NoRowTwice);
}

#[test]
fn without_the_job_check_a_cancelled_job_goes_on_loading() {
    guards(Guard::JobCheck, run(&[]).cancelled(), Invariant::NoInsertAfterTheEnd);
}

#[test]
fn without_data_before_the_ledger_a_job_succeeds_without_its_rows() {
    guards(Guard::DataBeforeLedger, run(&[Fault::WorkerCrash]), Invariant::SuccessIsTheFile);
}

#[test]
fn without_the_offset_last_a_crash_loses_chunks() {
    guards(Guard::OffsetLast, run(&[Fault::WorkerCrash]), Invariant::LostOnlyIfDeleted);
    guards(Guard::OffsetLast, run(&[]), Invariant::CommittedIsLedgered);
}

#[test]
fn without_counts_from_the_ledger_a_redelivery_counts_rows_twice() {
    guards(Guard::CountsFromLedger, run(&[Fault::WorkerCrash]), Invariant::CountsAreTheTable);
}

#[test]
fn without_counts_that_only_go_forward_a_slow_report_takes_them_back() {
    let slow = Protocol { reports_at_once: false, ..run(&[]) };
    guards(Guard::CountsOnlyForward, slow, Invariant::CountsOnlyGrow);
    guards(Guard::CountsOnlyForward, slow, Invariant::LostOnlyIfDeleted);
}

#[test]
fn without_a_line_for_each_chunk_a_job_succeeds_by_the_rows_of_another_file() {
    let again = run(&[Fault::ApiCrash]).second_file(SecondFile::SameStartFewerRows);
    guards(Guard::EndByLines, again, Invariant::SuccessIsTheFile);
}

#[test]
fn without_a_compare_and_swap_at_the_end_chunks_that_were_just_loaded_are_reported_lost() {
    guards(Guard::EndByCompareAndSwap, run(&[]), Invariant::LostOnlyIfDeleted);
}

#[test]
fn without_the_files_digest_at_the_end_a_job_succeeds_before_its_workers_see_the_other_file() {
    let again = run(&[Fault::ApiCrash]).second_file(SecondFile::SameStart);
    guards(Guard::EndByDigest, again, Invariant::SuccessIsTheFile);
}

#[test]
fn without_giving_up_an_incomplete_batch_a_cancelled_job_keeps_its_worker() {
    guards(Guard::GiveUpIncomplete, run(&[Fault::ApiCrash]).cancelled(), Invariant::NoLagIsLeft);
}

#[test]
fn without_pure_batches_a_chunk_is_in_two_of_them() {
    guards(Guard::PureBatches, run(&[Fault::ApiCrash]), Invariant::NoRowTwice);
}

#[test]
fn without_the_assumption_of_a_timely_insert_a_late_one_doubles_rows() {
    guards(Guard::LandsWithinWindow, run(&[Fault::WorkerCrash, Fault::WornWindow]), Invariant::NoRowTwice);
}

#[test]
fn without_the_assumption_that_kafka_keeps_an_uploads_records_a_look_into_the_table_finds_another_file() {
    let faults = [Fault::ApiCrash, Fault::WorkerCrash, Fault::DeletedRecords];
    let again = run(&faults).second_file(SecondFile::SameStart);
    guards(Guard::RetentionOutlastsUploads, again, Invariant::SuccessIsTheFile);
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
