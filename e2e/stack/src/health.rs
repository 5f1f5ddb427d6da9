//! Asks a part whether it answers, with the part's own protocol. HTTPS is sent by curl.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::output;

const LIMIT: Duration = Duration::from_secs(3);

fn connect(address: &str) -> Result<TcpStream> {
    let address: SocketAddr = address.parse().with_context(|| format!("not an address: {address}"))?;
    let stream = TcpStream::connect_timeout(&address, LIMIT)
        .with_context(|| format!("failed to connect to {address}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Sends one request and returns the body of an answer with status 200.
fn http(address: &str, head: &str, body: &str) -> Result<String> {
    let mut stream = connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .with_context(|| format!("no answer from {address} within {} s", LIMIT.as_secs()))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let status = head.split(' ').nth(1).unwrap_or("?");
    ensure!(status == "200", "{address} answered {status}: {}", body.trim());
    Ok(body.to_owned())
}

/// Sends a GET over plain HTTP.
pub fn get(address: &str, path: &str) -> Result<String> {
    http(address, &format!("GET {path}"), "")
}

/// Sends a GET over TLS to a part with a self-signed certificate.
pub fn https(url: &str) -> Result<()> {
    let args = ["--insecure", "--silent", "--show-error", "--fail", "--max-time", "3", url];
    output(Command::new("curl").args(args)).map(drop)
}

/// Runs one fixed statement as ClickHouse's user without a password on loopback.
pub fn clickhouse(address: &str, statement: &str) -> Result<String> {
    Ok(http(address, "POST /", statement)?.trim().to_owned())
}

/// Returns the advertised `host:port` of each live broker, with a Metadata v4 request without topics.
pub fn kafka(address: &str) -> Result<Vec<String>> {
    const REQUEST: &[u8] = b"\0\x03\0\x04\0\0\0\x07\0\x05probe\0\0\0\0\0";
    let mut stream = connect(address)?;
    stream.write_all(&u32::try_from(REQUEST.len())?.to_be_bytes())?;
    stream.write_all(REQUEST)?;
    let mut size = [0; 4];
    stream
        .read_exact(&mut size)
        .with_context(|| format!("no answer from {address} within {} s", LIMIT.as_secs()))?;
    let size = usize::try_from(u32::from_be_bytes(size))?;
    ensure!(size < 1 << 20, "{address} is not a Kafka broker");
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    let brokers = parse_brokers(&answer).context("an answer that is no Kafka metadata")?;
    if brokers.is_empty() {
        bail!("{address} knows no live broker yet");
    }
    Ok(brokers)
}

/// Reads the brokers from the body of a Metadata v4 answer: correlation id, throttle time, then the array.
fn parse_brokers(mut bytes: &[u8]) -> Option<Vec<String>> {
    bytes = bytes.get(8..)?;
    let count = i32::from_be_bytes(*take(&mut bytes)?);
    let mut brokers = Vec::new();
    for _ in 0..count {
        let _node: &[u8; 4] = take(&mut bytes)?;
        let length = usize::try_from(i16::from_be_bytes(*take(&mut bytes)?)).ok()?;
        let host = std::str::from_utf8(bytes.get(..length)?).ok()?.to_owned();
        bytes = &bytes[length..];
        let port = i32::from_be_bytes(*take(&mut bytes)?);
        let rack = usize::try_from(i16::from_be_bytes(*take(&mut bytes)?)).unwrap_or(0);
        bytes = bytes.get(rack..)?;
        brokers.push(format!("{host}:{port}"));
    }
    Some(brokers)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_from_metadata_and_a_cut_answer_is_none() {
        let mut answer = vec![0; 8];
        answer.extend(2_i32.to_be_bytes());
        for (host, rack) in [("127.0.0.1", None), ("b", Some("r1"))] {
            answer.extend(1_i32.to_be_bytes());
            answer.extend(i16::try_from(host.len()).unwrap().to_be_bytes());
            answer.extend(host.as_bytes());
            answer.extend(9092_i32.to_be_bytes());
            answer.extend(rack.map_or(-1, |r: &str| i16::try_from(r.len()).unwrap()).to_be_bytes());
            answer.extend(rack.unwrap_or_default().as_bytes());
        }
        assert_eq!(parse_brokers(&answer).unwrap(), ["127.0.0.1:9092", "b:9092"]);
        assert_eq!(parse_brokers(&answer[..answer.len() - 1]), None);
    }
}
