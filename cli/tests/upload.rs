//! `batch job create` against a server that breaks connections on purpose: the bytes that arrive must be the file.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod server;

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use server::{JOB, Request, answer, batch, body, error, file, lines, serve};

/// How many bytes of the first request are read before its connection is closed.
const CUT_AT: usize = 300_000;
/// How many of them the job reports: whole chunks only.
const ACKNOWLEDGED: usize = 250_000;

/// Serves one upload that breaks once. Returns the requests in order, and the digest and bytes of the second upload.
fn serve_broken_upload(listener: &TcpListener) -> (Vec<String>, String, Vec<u8>) {
    let mut requests = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut from = BufReader::new(stream.try_clone().unwrap());
        let request = Request::read(&mut from);
        requests.push(request.line.clone());
        let method = request.line.split(' ').next().unwrap();
        match method {
            "POST" => {
                let mut some = vec![0; CUT_AT];
                from.read_exact(&mut some).unwrap();
            }
            "GET" => answer(&mut stream, "200 OK", "", JOB),
            "HEAD" => answer(&mut stream, "200 OK", &format!("upload-offset: {ACKNOWLEDGED}\r\n"), ""),
            _ => {
                assert_eq!(request.header("upload-offset"), Some(ACKNOWLEDGED.to_string().as_str()));
                assert_eq!(request.header("content-encoding"), None);
                let digest = request.header("upload-digest").unwrap().to_owned();
                let rest = body(&request, &mut from);
                answer(&mut stream, "200 OK", "", JOB);
                return (requests, digest, rest);
            }
        }
    }
}

/// 20 MB, which is more than any buffer between the two holds. Each line is different.
fn text() -> String {
    (0..1_000_000).fold(String::new(), |text, row| text + &format!("row,{row:<15}\n"))
}

fn check_broken_upload(path: &Path, text: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve_broken_upload(&listener));
    let output =
        batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "e5f6a7b8", "--label", "a/b"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "job e5f6a7b8 created.\n", "{stderr}");
    assert_eq!(output.status.code(), Some(0));
    let (requests, digest, rest) = server.join().unwrap();
    assert_eq!(digest, rows_types::Digest::of(&text.as_bytes()[..ACKNOWLEDGED]).to_string());
    assert!(rest == text.as_bytes()[ACKNOWLEDGED..], "{} bytes arrived", rest.len());
    assert_eq!(
        requests,
        [
            "POST /v1/namespaces/shop/models/m/jobs?name=e5f6a7b8&label=a%2Fb HTTP/1.1",
            "GET /v1/namespaces/shop/jobs/e5f6a7b8 HTTP/1.1",
            "HEAD /v1/namespaces/shop/jobs/e5f6a7b8/data HTTP/1.1",
            "PUT /v1/namespaces/shop/jobs/e5f6a7b8/data HTTP/1.1",
        ]
    );
}

#[test]
fn a_broken_upload_continues_after_the_last_acknowledged_byte() {
    let text = text();
    check_broken_upload(&file("broken.csv", text.as_bytes()), &text);
}

#[test]
fn the_upload_of_a_compressed_file_continues_uncompressed() {
    let text = text();
    // Stored without compression: the server must get enough bytes to break the connection in the middle of them.
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    compressed.write_all(text.as_bytes()).unwrap();
    check_broken_upload(&file("broken.csv.gz", &compressed.finish().unwrap()), &text);
}

#[test]
fn the_upload_of_a_utf_16_file_continues_as_utf_8() {
    let text = format!("\u{feff}{}", text());
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_broken_upload(&file("broken-utf16.csv", &units), &text);
}

#[test]
fn a_refusal_is_not_retried_and_shows_the_message_of_the_api() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut from = BufReader::new(stream.try_clone().unwrap());
        let request = Request::read(&mut from);
        let sent = body(&request, &mut from);
        let error = r#"{"error": {"reason": "ModelNotFound", "message": "there is no model m; create it"}}"#;
        answer(&mut stream, "404 Not Found", "", error);
        (request.line, sent)
    });
    let path = file("refused.csv", b"a,b\n1,2\n");
    let flags = ["--format", "csv", "--no-header", "--name", "aa"];
    let output = batch(&url, &[&["job", "create", "m", path.to_str().unwrap()], &flags[..]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.ends_with("refused.csv: ModelNotFound: there is no model m; create it\n"), "{stderr}");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    let (line, sent) = server.join().unwrap();
    let input = "%7B%22format%22%3A%22CSV%22%2C%22header%22%3Afalse%7D";
    assert_eq!(line, format!("POST /v1/namespaces/shop/models/m/jobs?name=aa&input={input} HTTP/1.1"));
    assert_eq!(sent, b"a,b\n1,2\n");
}

#[test]
fn a_file_that_cannot_be_loaded_fails_its_own_job_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let error = r#"{"error": {"reason": "EmptyFile", "message": "the file is empty"}}"#;
        for (status, text) in [("422 Unprocessable Entity", error), ("201 Created", JOB)] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut from = BufReader::new(stream.try_clone().unwrap());
            let request = Request::read(&mut from);
            body(&request, &mut from);
            answer(&mut stream, status, "", text);
        }
    });
    let (bad, good) = (file("empty.csv", b""), file("good.csv", b"a\n1\n"));
    let output = batch(&url, &["job", "create", "m", bad.to_str().unwrap(), good.to_str().unwrap()]);
    server.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("job ") && stderr.contains("empty.csv: EmptyFile: the file is empty\n"),
        "{stderr}"
    );
    assert!(String::from_utf8(output.stdout).unwrap().ends_with(" created.\n"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_unreachable_api_is_reported_at_once_with_what_to_do() {
    let path = file("nobody.csv", b"a\n1\n");
    let output = batch("http://127.0.0.1:9", &["job", "create", "m", path.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("failed to reach the upload API at http://127.0.0.1:9/"), "{stderr}");
    assert!(stderr.contains("BATCH_API_URL") && !stderr.contains("trying again"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_https_url_starts_a_tls_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 1];
        stream.read_exact(&mut hello).unwrap();
        hello[0]
    });
    let output = batch(&url, &["job", "list"]);
    // 22 is the content type of a TLS handshake record (RFC 8446, 5.1).
    assert_eq!(server.join().unwrap(), 22);
    assert_eq!(output.status.code(), Some(2));
}

const CREATED: (&str, &str) = ("201 Created", "");
const REFUSED: (&str, &str) = ("409 Conflict", "");
const BUSY: (&str, &str) = ("429 Too Many Requests", "retry-after: 0\r\n");

fn with((status, headers): (&'static str, &'static str), text: &str) -> server::Answer {
    (status, headers, text.to_owned())
}

#[test]
fn an_upload_waits_for_a_server_that_accepts_no_more_uploads() {
    let busy = || with(BUSY, &error("TooManyUploads", "16 uploads are running"));
    // More answers than the attempts that an unavailable server gets.
    let mut answers: Vec<_> = (0..20).map(|_| busy()).collect();
    answers.push(with(CREATED, JOB));
    let (url, server) = serve(answers);
    let path = file("busy.csv", b"a\n1\n");
    let output = batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "aa"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "job aa created.\n", "{stderr}");
    assert_eq!(stderr.matches("waiting for a free upload slot").count(), 1, "{stderr}");
    let requests = server.join().unwrap();
    assert!(lines(&requests).iter().all(|line| *line == "POST /v1/namespaces/shop/models/m/jobs?name=aa"));
    assert!(requests.iter().all(|(_, sent)| sent == b"a\n1\n"));
}

#[test]
fn an_upload_that_waits_after_its_job_was_made_starts_compressed() {
    let made = "retry-after: 0\r\nlocation: /v1/namespaces/shop/jobs/aa\r\n";
    let (url, server) = serve(vec![
        ("429 Too Many Requests", made, error("TooManyUploads", "no memory is free")),
        ("200 OK", "", JOB.to_owned()),
        ("204 No Content", "upload-offset: 0\r\n", String::new()),
        ("200 OK", "", JOB.to_owned()),
    ]);
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    compressed.write_all(b"a\n1\n").unwrap();
    let compressed = compressed.finish().unwrap();
    let path = file("busy.csv.gz", &compressed);
    let output = batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "aa"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let requests = server.join().unwrap();
    let (put, sent) = &requests[3];
    assert_eq!(put.line, "PUT /v1/namespaces/shop/jobs/aa/data HTTP/1.1");
    assert_eq!((put.header("upload-offset"), put.header("content-encoding")), (Some("0"), Some("gzip")));
    assert_eq!(*sent, compressed);
}

#[test]
fn an_upload_of_another_client_or_another_file_is_not_continued() {
    let cases =
        [("DifferentFile", "`batch job cancel aa`"), ("UploadSuperseded", "`batch job status aa --watch`")];
    for (reason, advice) in cases {
        let (url, server) = serve(vec![
            (
                "503 Service Unavailable",
                "retry-after: 0\r\nlocation: /aa\r\n",
                error("KafkaUnavailable", "away"),
            ),
            ("200 OK", "", JOB.to_owned()),
            ("204 No Content", "upload-offset: 2\r\n", String::new()),
            with(REFUSED, &error(reason, "no")),
        ]);
        let path = file(&format!("{reason}.csv"), b"a\n1\n");
        let output = batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "aa"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.ends_with(&format!("{reason}: no\n")) && stderr.contains(advice), "{stderr}");
        assert_eq!(output.status.code(), Some(2));
        let requests = server.join().unwrap();
        assert_eq!(requests[3].1, b"1\n");
        assert_eq!(requests[3].0.header("upload-digest"), Some(&*rows_types::Digest::of(b"a\n").to_string()));
    }
}

#[test]
fn a_job_of_another_client_is_not_continued() {
    let (url, server) = serve(vec![
        ("503 Service Unavailable", "retry-after: 0\r\n", error("LabelBusy", "try again")),
        with(REFUSED, &error("JobExists", "there is a job aa")),
    ]);
    let path = file("theirs.csv", b"a\n1\n");
    let output = batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "aa"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.ends_with("JobExists: there is a job aa\n"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
    let requests = server.join().unwrap();
    assert!(lines(&requests).iter().all(|line| line.starts_with("POST ")), "{:?}", lines(&requests));
}

#[test]
fn a_blocked_job_is_not_watched_any_further() {
    let blocked =
        JOB.replace("UPLOADING", r#"BLOCKED", "reason": "ChunksParked", "message": "see batch dlq list m"#);
    let (url, server) =
        serve(vec![with(CREATED, JOB), with(("200 OK", ""), JOB), with(("200 OK", ""), &blocked)]);
    let path = file("blocked.csv", b"a\n1\n");
    let output = batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "aa", "--wait"]);
    let (printed, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(server.join().unwrap().len(), 3);
    assert!(printed.contains("\nChunksParked: see batch dlq list m\n"), "{printed}{stderr}");
    assert_eq!(output.status.code(), Some(1));
}
