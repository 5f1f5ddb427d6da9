//! `batch job create` against a peer that breaks connections on purpose: what arrives in the end must be the file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

/// Bytes read of the first request before its connection is cut.
const CUT_AT: usize = 300_000;
/// What the job says it has of them: whole chunks only.
const ACKNOWLEDGED: usize = 250_000;

struct Request {
    line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn read(from: &mut impl BufRead) -> Self {
        let mut next = || {
            let mut line = String::new();
            from.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let line = next();
        let mut headers = Vec::new();
        loop {
            let header = next();
            let Some((name, value)) = header.split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Self { line, headers }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

fn answer(to: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    write!(to, "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .unwrap();
}

/// Reads a body, of known length or in HTTP chunks.
fn body(request: &Request, from: &mut impl BufRead) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(length) = request.header("content-length") {
        from.take(length.parse().unwrap()).read_to_end(&mut bytes).unwrap();
        return bytes;
    }
    loop {
        let mut size = String::new();
        from.read_line(&mut size).unwrap();
        let size = u64::from_str_radix(size.trim_end(), 16).unwrap();
        from.take(size).read_to_end(&mut bytes).unwrap();
        from.read_line(&mut String::new()).unwrap();
        if size == 0 {
            return bytes;
        }
    }
}

const JOB: &str = r#"{"metadata": {"name": "NAME"}, "spec": {"modelRef": {"name": "m"}, "source": {"upload": {}}},
    "status": {"state": "UPLOADING", "upload": {"complete": false}}}"#;

/// Serves one upload that breaks once; gives what was asked, in order, and the bytes of the second request.
fn serve_a_broken_upload(listener: &TcpListener) -> (Vec<String>, Vec<u8>) {
    let mut asked = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut from = BufReader::new(stream.try_clone().unwrap());
        let request = Request::read(&mut from);
        asked.push(request.line.clone());
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
                let rest = body(&request, &mut from);
                answer(&mut stream, "200 OK", "", JOB);
                return (asked, rest);
            }
        }
    }
}

fn batch(url: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_batch"))
        .args(["--api-url", url, "-n", "shop"])
        .args(args)
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap()
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// 20 MB that no buffer between the two holds, each line different.
fn text() -> String {
    (0..1_000_000).fold(String::new(), |text, row| text + &format!("row,{row:<15}\n"))
}

fn check_a_broken_upload(path: &Path, text: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve_a_broken_upload(&listener));
    let output =
        batch(&url, &["job", "create", "m", path.to_str().unwrap(), "--name", "e5f6a7b8", "--label", "a/b"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "job e5f6a7b8 created.\n", "{said}");
    assert_eq!(output.status.code(), Some(0));
    let (asked, rest) = server.join().unwrap();
    assert!(rest == text.as_bytes()[ACKNOWLEDGED..], "{} bytes arrived", rest.len());
    assert_eq!(
        asked,
        [
            "POST /v1/namespaces/shop/models/m/jobs?name=e5f6a7b8&label=a%2Fb HTTP/1.1",
            "GET /v1/namespaces/shop/jobs/e5f6a7b8 HTTP/1.1",
            "HEAD /v1/namespaces/shop/jobs/e5f6a7b8/data HTTP/1.1",
            "PUT /v1/namespaces/shop/jobs/e5f6a7b8/data HTTP/1.1",
        ]
    );
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let text = text();
    check_a_broken_upload(&file("broken.csv", text.as_bytes()), &text);
}

#[test]
fn a_packed_file_goes_on_unpacked() {
    let text = text();
    // Stored, not compressed: the peer must get enough bytes to break in the middle of them.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(text.as_bytes()).unwrap();
    check_a_broken_upload(&file("broken.csv.gz", &packed.finish().unwrap()), &text);
}

#[test]
fn a_file_of_utf_16_goes_on_as_utf_8() {
    let text = format!("\u{feff}{}", text());
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_a_broken_upload(&file("broken-utf16.csv", &units), &text);
}

#[test]
fn a_refusal_is_not_tried_again_and_says_what_the_api_says() {
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
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("refused.csv: ModelNotFound: there is no model m; create it\n"), "{said}");
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
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("job ") && said.contains("empty.csv: EmptyFile: the file is empty\n"), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().ends_with(" created.\n"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_api_that_is_not_there_is_said_at_once_with_what_to_do() {
    let path = file("nobody.csv", b"a\n1\n");
    let output = batch("http://127.0.0.1:9", &["job", "create", "m", path.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("failed to reach the upload API at http://127.0.0.1:9/"), "{said}");
    assert!(said.contains("BATCH_API_URL") && !said.contains("trying again"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn https_is_spoken() {
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
