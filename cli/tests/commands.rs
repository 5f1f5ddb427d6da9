//! `batch dlq` and `batch job verify` against a server that answers like the API.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod server;

use server::{batch, lines, serve};

const DEAD_LETTERS: &str = r#"{"items": [{"job": "aa", "uid": "u1", "firstChunk": 4, "chunks": 3,
    "reason": "ClickHouseRefused", "message": "code 252", "time": "2026-01-01T00:00:00Z"}]}"#;

/// Runs `batch` with one answer of the API. Returns the exit code, the output, the error output and the request.
fn run(answer: &str, args: &[&str]) -> (Option<i32>, String, String, String) {
    let (url, server) = serve(vec![("200 OK", "", answer.to_owned())]);
    let output = batch(&url, args);
    let requests = server.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr), lines(&requests)[0].to_owned())
}

#[test]
fn dead_letters_are_listed_and_one_is_shown_by_any_of_its_chunks() {
    let (code, printed, stderr, request) = run(DEAD_LETTERS, &["dlq", "list", "m"]);
    assert_eq!(request, "GET /v1/namespaces/shop/models/m/dead-letters");
    assert!(printed.contains("aa   4            3       ClickHouseRefused"), "{printed}{stderr}");
    assert_eq!(code, Some(0));
    let (code, printed, stderr, request) = run(DEAD_LETTERS, &["dlq", "show", "m", "aa", "6"]);
    assert_eq!(request, "GET /v1/namespaces/shop/models/m/dead-letters?job=aa");
    assert!(printed.contains("MESSAGE      code 252\n"), "{printed}{stderr}");
    assert_eq!(code, Some(0));
    let (code, _, stderr, _) = run(DEAD_LETTERS, &["dlq", "show", "m", "aa", "7"]);
    assert!(stderr.contains("`batch dlq list m`"), "{stderr}");
    assert_eq!(code, Some(2));
}

#[test]
fn all_or_selected_dead_letters_are_requeued() {
    let answer = DEAD_LETTERS.replace(r#"{"items""#, r#"{"gone": [], "requeued""#);
    let (code, printed, stderr, request) = run(&answer, &["dlq", "requeue", "m"]);
    assert_eq!(request, "POST /v1/namespaces/shop/models/m/dead-letters/requeue");
    assert_eq!((code, printed.as_str()), (Some(0), "1 batch requeued.\n"), "{stderr}");
    let chosen = ["dlq", "requeue", "m", "--job", "aa", "--chunk", "4", "-o", "json"];
    let (code, printed, stderr, request) = run(&answer, &chosen);
    assert_eq!(request, "POST /v1/namespaces/shop/models/m/dead-letters/requeue?job=aa&first_chunk=4");
    assert!(code == Some(0) && printed.contains(r#""firstChunk": 4"#), "{printed}{stderr}");
}

#[test]
fn dead_letters_that_the_topic_no_longer_has_are_named_with_exit_code_1() {
    let answer = DEAD_LETTERS.replace(r#"{"items""#, r#"{"requeued": [], "gone""#);
    let (code, printed, stderr, _) = run(&answer, &["dlq", "requeue", "m"]);
    assert_eq!((code, printed.as_str()), (Some(1), "0 batches requeued.\n"), "{stderr}");
    assert!(
        stderr.contains("1 batch; drop them") && stderr.contains("job aa, from chunk 4, 3 in all"),
        "{stderr}"
    );
}

#[test]
fn nothing_is_dropped_without_a_confirmation() {
    let output = batch("http://127.0.0.1:9", &["dlq", "drop", "m"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("--yes") && !stderr.contains("failed to reach"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
    let answer = DEAD_LETTERS.replace("items", "dropped");
    let (code, printed, stderr, request) = run(&answer, &["dlq", "drop", "m", "--job", "aa", "--yes"]);
    assert_eq!(request, "POST /v1/namespaces/shop/models/m/dead-letters/drop?job=aa");
    assert_eq!((code, printed.as_str()), (Some(0), "1 batch dropped.\n"), "{stderr}");
}

#[test]
fn a_chunk_is_selected_only_together_with_its_job() {
    let output = batch("http://127.0.0.1:9", &["dlq", "requeue", "m", "--chunk", "4"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--job"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_receipt_that_differs_from_the_table_is_exit_code_1() {
    let answer = |now: u32, differences: &str| {
        format!(
            r#"{{"job": "aa", "uid": "u", "differences": [{differences}],
            "receipt": {{"rows": 9, "ok": 9, "rejected": 0, "tableRows": 9, "chunks": 1, "checkedTime": "2026-01-01T00:00:00Z"}},
            "now": {{"rows": 9, "ok": 9, "rejected": 0, "tableRows": {now}, "chunks": 1}}}}"#
        )
    };
    let (code, printed, stderr, request) = run(&answer(9, ""), &["job", "verify", "aa"]);
    assert_eq!(request, "POST /v1/namespaces/shop/jobs/aa/verify");
    assert!(printed.ends_with("\nequal\n"), "{printed}{stderr}");
    assert_eq!(code, Some(0));
    let differs = answer(8, r#""one row is missing", "and so on""#);
    let (code, printed, _, _) = run(&differs, &["job", "verify", "aa"]);
    assert!(printed.ends_with("differs: one row is missing\ndiffers: and so on\n"), "{printed}");
    assert_eq!(code, Some(1));
    let (code, printed, _, _) = run(&differs, &["job", "verify", "aa", "-o", "json"]);
    assert!(printed.contains("\"and so on\""), "{printed}");
    assert_eq!(code, Some(1));
}
