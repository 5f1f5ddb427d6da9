//! With all guards on, no fault breaks an invariant. Each run checks the least number of its states, so that a model
//! in which little can happen does not pass.

use protocol::{Fault, Flags, POSSIBLE, Protocol, SecondFile};

#[track_caller]
fn check(protocol: Protocol, at_least: usize) {
    let outcome = protocol.explore();
    let broken = outcome.broken.map(|(invariant, trace)| format!("{invariant:?} does not hold:\n{trace}"));
    assert!(broken.is_none(), "{}", broken.unwrap_or_default());
    println!("{} states", outcome.states);
    assert!(outcome.states >= at_least, "only {} states: less can happen than before", outcome.states);
}

#[test]
fn any_two_faults_are_harmless_also_if_a_later_request_sends_another_file() {
    check(Protocol::new().any_faults(2).second_file(SecondFile::SameStart), 2_700_000);
}

#[test]
fn any_fault_is_harmless_whichever_file_a_later_request_sends() {
    check(Protocol::new().any_faults(1).second_file(SecondFile::Different), 45_000);
    check(Protocol::new().any_faults(1).second_file(SecondFile::SameStartFewerRows), 80_000);
}

#[test]
fn any_fault_is_harmless_while_others_write_between_reading_and_writing_counts() {
    check(Protocol { reports_at_once: false, ..Protocol::new().any_faults(1) }, 80_000);
}

#[test]
fn any_three_faults_are_harmless_where_both_batches_share_a_partition() {
    check(Protocol { partitions: 1, ..Protocol::new().any_faults(3) }, 1_300_000);
}

#[test]
fn any_three_faults_are_harmless_where_the_upload_does_not_break() {
    check(Protocol { max_requests: 1, ..Protocol::new().any_faults(3) }, 1_700_000);
}

#[test]
fn an_upload_may_be_taken_over_twice() {
    let twice = Protocol { max_requests: 3, ..Protocol::new().faults(&[Fault::Takeover, Fault::Takeover]) };
    check(twice.second_file(SecondFile::SameStart), 1_000_000);
}

#[test]
fn every_outcome_that_must_be_possible_is_reached() {
    let protocol = Protocol::new().any_faults(1).second_file(SecondFile::SameStart);
    let faults = Flags::of(&[Fault::ApiCrash, Fault::WorkerCrash]);
    let outcome = Protocol { faults, checks_possible: true, ..protocol }.explore();
    for possible in POSSIBLE {
        assert!(outcome.possible.contains(&possible), "not possible: {possible}");
    }
}
