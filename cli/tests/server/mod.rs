//! A server for `batch` that implements a small part of HTTP, and `batch` itself.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn read(from: &mut impl BufRead) -> Self {
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

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

pub fn answer(to: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    write!(to, "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .unwrap();
}

/// Reads a body of known length or in HTTP chunks.
pub fn body(request: &Request, from: &mut impl BufRead) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(length) = request.header("content-length") {
        from.take(length.parse().unwrap()).read_to_end(&mut bytes).unwrap();
        return bytes;
    }
    if request.header("transfer-encoding").is_none() {
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

/// A job as the API returns it while its upload is not complete.
pub const JOB: &str = r#"{"metadata": {"name": "NAME"}, "spec": {"modelRef": {"name": "m"}, "source": {"upload": {}}},
    "status": {"state": "UPLOADING", "upload": {"complete": false}}}"#;

pub fn batch(url: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_batch"))
        .args(["--api-url", url, "-n", "shop"])
        .args(args)
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The server's answer to one request: status, headers (each with its line end) and body.
pub type Answer = (&'static str, &'static str, String);

/// A request and its body.
pub type Sent = (Request, Vec<u8>);

/// Serves one request for each answer, one after the other. Returns the requests and their bodies.
pub fn serve(answers: Vec<Answer>) -> (String, JoinHandle<Vec<Sent>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let one = |(status, headers, text): Answer| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut from = BufReader::new(stream.try_clone().unwrap());
            let request = Request::read(&mut from);
            let has_body = ["POST", "PUT"].iter().any(|method| request.line.starts_with(method));
            let sent = if has_body { body(&request, &mut from) } else { Vec::new() };
            answer(&mut stream, status, headers, &text);
            (request, sent)
        };
        answers.into_iter().map(one).collect()
    });
    (url, server)
}

/// Returns an error in the format of the API.
pub fn error(reason: &str, message: &str) -> String {
    format!(r#"{{"error": {{"reason": "{reason}", "message": "{message}"}}}}"#)
}

/// Returns the method and path of each request.
pub fn lines(requests: &[Sent]) -> Vec<&str> {
    requests.iter().map(|(request, _)| request.line.trim_end_matches(" HTTP/1.1")).collect()
}
