use expect_test::expect;

use super::*;

fn job(yaml: &str) -> IngestJob {
    serde_yaml::from_str(yaml).unwrap()
}

fn success() -> IngestJob {
    job("metadata: {name: abcd1234}
spec: {modelRef: {name: purchases}, source: {upload: {}}}
status: {state: SUCCESS, counts: {total: 2, ok: 2, errors: 0, chunksDone: 1}, progress: 100%, waiting: '00:00', processing: '00:02'}")
}

fn partial() -> IngestJob {
    job("metadata: {name: b7c8d9e0}
spec: {modelRef: {name: purchases-of-the-whole-shop}, source: {upload: {}}}
status:
  state: PARTIAL_SUCCESS
  counts: {total: 1000000, ok: 999999, errors: 1, chunksDone: 1}
  progress: 100%
  waiting: '00:01'
  processing: '01:40'
  errorSummary: [{column: timestamp, error: INVALID_TYPE, count: 1, firstRow: 7, sample: \"aaa\\n\"}]")
}

fn text(print: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
    let mut out = Vec::new();
    print(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_status_is_printed_as_the_quick_start_shows() {
    let seed = "\
JOB      MODEL       STATE           TOTAL   OK      ERRORS  PROGRESS      WAITING  PROCESSING
abcd1234 purchases   SUCCESS               2       2       0 [#################] 100%   00:00        00:02
";
    assert_eq!(text(|out| print_jobs(&[success()], Output::Table, out)), seed);
    assert_eq!(text(|out| print_why(&success(), out)), "");
}

#[test]
fn long_names_widen_their_column_for_all_lines() {
    expect![[r"
        JOB      MODEL                       STATE           TOTAL   OK      ERRORS  PROGRESS      WAITING  PROCESSING
        abcd1234 purchases                   SUCCESS               2       2       0 [#################] 100%   00:00        00:02
        b7c8d9e0 purchases-of-the-whole-shop PARTIAL_SUCCESS 1000000  999999       1 [#################] 100%   00:01        01:40
    "]]
    .assert_eq(&text(|out| print_jobs(&[success(), partial()], Output::Table, out)));
}

#[test]
fn jobs_can_be_csv() {
    expect![[r"
        JOB,MODEL,STATE,TOTAL,OK,ERRORS,PROGRESS,WAITING,PROCESSING
        abcd1234,purchases,SUCCESS,2,2,0,100%,00:00,00:02
    "]]
    .assert_eq(&text(|out| print_jobs(&[success()], Output::Csv, out)));
}

#[test]
fn rejected_rows_are_summarized_with_the_command_that_lists_them() {
    expect![[r"

        COLUMN     ERROR         COUNT  FIRST ROW  SAMPLE
        timestamp  INVALID_TYPE  1      7          aaa\n

        Every bad cell: batch job rejected b7c8d9e0
    "]]
    .assert_eq(&text(|out| print_why(&partial(), out)));
}

#[test]
fn a_job_that_waits_or_failed_shows_the_reason() {
    let pending = job("metadata: {name: aa}
spec: {modelRef: {name: m}, source: {upload: {}}}
status: {state: PENDING, reason: ModelNotFound, message: 'there is no model m; create it'}");
    expect![[r"

        ModelNotFound: there is no model m; create it
    "]]
    .assert_eq(&text(|out| print_why(&pending, out)));
    let unseen = job("metadata: {name: aa}\nspec: {modelRef: {name: m}, source: {upload: {}}}");
    expect![[r"
        JOB      MODEL       STATE           TOTAL   OK      ERRORS  PROGRESS      WAITING  PROCESSING
        aa       m           PENDING               0       0       0 [                 ]   0%   00:00        00:00
    "]]
    .assert_eq(&text(|out| print_jobs(&[unseen], Output::Table, out)));
}

#[test]
fn a_blocked_job_shows_the_reason_and_what_to_do() {
    let blocked = job("metadata: {name: aa}
spec: {modelRef: {name: m}, source: {upload: {}}}
status: {state: BLOCKED, reason: ChunksParked, message: 'ClickHouse refuses 1 chunk of 3: see batch dlq list m'}");
    expect![[r"

        ChunksParked: ClickHouse refuses 1 chunk of 3: see batch dlq list m
    "]]
    .assert_eq(&text(|out| print_why(&blocked, out)));
    assert!(
        text(|out| print_jobs(&[blocked], Output::Table, out)).contains("aa       m           BLOCKED   ")
    );
}

#[test]
fn a_job_whose_load_is_retried_shows_the_reason() {
    let job = |state: &str| {
        job(&format!(
            "metadata: {{name: aa}}
spec: {{modelRef: {{name: m}}, source: {{upload: {{}}}}}}
status: {{state: {state}, reason: R, message: r, loadProblem: {{reason: ClickHouseRefused, message: code 252}}}}"
        ))
    };
    assert_eq!(text(|out| print_why(&job("PROCESSING"), out)), "\nClickHouseRefused: code 252\n");
    assert_eq!(text(|out| print_why(&job("FAILED"), out)), "\nR: r\n");
    assert_eq!(text(|out| print_why(&job("SUCCESS"), out)), "");
}
