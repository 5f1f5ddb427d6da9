//! Uploads from the request to Kafka and to `status.upload`: one file for each job, one writer for each upload, and the
//! same chunks when a file is sent again.

#![allow(clippy::unwrap_used, reason = "a test: its helpers are not seen as one")]

mod support;

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rows_types::Digest;
use serde_json::{Value, json};
use support::{PARTITIONS, Record, World};
use tokio::sync::mpsc;

const CHUNK_BYTES: u32 = 1024;

/// A file with `rows` rows.
fn file(rows: usize) -> Vec<u8> {
    (0..rows).fold(b"id,text\n".to_vec(), |mut file, row| {
        file.extend_from_slice(format!("{row},row number {row}\n").as_bytes());
        file
    })
}

fn reason(body: &Value) -> &str {
    body["error"]["reason"].as_str().unwrap_or_default()
}

/// A body that ends regularly when the sender is dropped.
fn piped() -> (mpsc::UnboundedSender<io::Result<Bytes>>, Body) {
    let (to, mut from) = mpsc::unbounded_channel();
    (to, Body::from_stream(futures::stream::poll_fn(move |context| from.poll_recv(context))))
}

fn joined(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(|record| record.body.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_is_one_chunk_in_the_partition_for_small_jobs_and_two_writes() {
    let world = World::new(960 * 1024);
    let file = file(2);
    let post =
        Request::post("/v1/namespaces/shop/models/purchases/jobs?name=j").body(Body::from(file.clone()));
    let (status, _, job) = world.api.send(post.unwrap()).await;
    assert_eq!(status, 201, "{job}");
    assert_eq!(world.kubernetes.writes(), 2);
    let upload = world.kubernetes.upload("j");
    assert_eq!(job["status"]["upload"], upload);
    assert_eq!(
        (&upload["complete"], &upload["epoch"], &upload["rows"]),
        (&json!(true), &json!(1), &json!(2))
    );
    assert_eq!(upload["digest"], Digest::of(&file).to_string());
    assert_eq!(upload["firstChunk"], format!("{}/only", Digest::of(&file[8..])));
    assert_eq!(upload["lastOffsets"], json!([0, -1, -1, -1, -1, -1]));
    assert_eq!((&upload["partitions"], &upload["batch"]), (&json!(PARTITIONS), &Value::Null));
    let records = world.records(1);
    let header = &records[0].header;
    assert_eq!((records[0].partition, header.ends_batch, header.digest), (0, true, Digest::of(&file[8..])));
    assert_eq!(header.columns, Some(vec!["id".into(), "text".into()]));
}

/// The status that a server leaves behind if it is killed before its first acknowledgement.
fn begun_with(first_chunk: &[u8]) -> Value {
    json!({"epoch": 1, "chunkBytes": CHUNK_BYTES, "partitions": PARTITIONS, "firstChunk": Digest::of(first_chunk).to_string()})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_another_file_is_refused_also_while_the_status_has_no_chunk() {
    let world = World::new(CHUNK_BYTES);
    let file = file(500);
    let end = file[8..8 + CHUNK_BYTES as usize].iter().rposition(|b| *b == b'\n').unwrap() + 9;
    world.kubernetes.add("j", &json!({}), &begun_with(&file[8..end]));
    let others = [
        [b"id,text\n9,another\n", &file[8..]].concat(),
        file[..end].to_vec(),
        b"id,text\n".to_vec(),
        b"PK\x03\x04\0\0\0\0".to_vec(),
        b"nonsense\n1\n".to_vec(),
    ];
    for other in others {
        let (status, body) = world.api.put("j", &[], other).await;
        assert_eq!((status, reason(&body)), (409, "DifferentFile"));
    }
    assert_eq!(world.kubernetes.upload("j")["error"], Value::Null);
    world.records(0);
    let (status, body) = world.api.put("j", &[], file.clone()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(world.kubernetes.upload("j")["rows"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_continues_with_the_same_chunks_and_only_with_the_same_file() {
    let world = World::new(CHUNK_BYTES);
    let file = file(500);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let (to, body) = piped();
    to.send(Ok(Bytes::copy_from_slice(&file[..5000]))).unwrap();
    to.send(Err(io::Error::other("reset"))).unwrap();
    let (status, answer) = world.api.put("j", &[], body).await;
    assert_eq!((status, reason(&answer)), (400, "UploadInterrupted"));
    let head = Request::head("/v1/namespaces/shop/jobs/j/data").body(Body::empty()).unwrap();
    let (status, head, _) = world.api.send(head).await;
    assert_eq!(status, 204);
    let offset: usize = head.headers()["upload-offset"].to_str().unwrap().parse().unwrap();
    assert!(offset > 2000 && offset < 5000, "{offset}");
    let digest = Digest::of(&file[..offset]).to_string();
    assert_eq!(head.headers()["upload-digest"], digest);
    let from = |digest: String| [("upload-offset", offset.to_string()), ("upload-digest", digest)];
    let other = Digest::of(b"another file").to_string();
    let (status, answer) = world.api.put("j", &from(other), file[offset..].to_vec()).await;
    assert_eq!((status, reason(&answer)), (409, "DifferentFile"));
    let (status, answer) = world.api.put("j", &from(digest), file[offset..].to_vec()).await;
    assert_eq!(status, 200, "{answer}");

    let upload = world.kubernetes.upload("j");
    assert_eq!((&upload["epoch"], &upload["rows"]), (&json!(2), &json!(500)));
    assert_eq!(upload["digest"], Digest::of(&file).to_string());
    let records = world.records(usize::try_from(upload["chunks"].as_u64().unwrap()).unwrap());
    assert_eq!(joined(&records), file[8..]);
    assert!(records.iter().all(|r| r.partition == records[0].partition && r.partition > 0), "one batch");
    let ends: Vec<_> = records.iter().map(|record| record.header.ends_batch).collect();
    assert_eq!(ends.iter().filter(|ends| **ends).count(), 1);
    assert_eq!(ends.last(), Some(&true));
    let last = upload["lastOffsets"][usize::try_from(records[0].partition).unwrap()].as_u64();
    assert_eq!(last, upload["chunks"].as_u64().map(|chunks| chunks - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_takes_over_the_upload_and_the_first_can_no_longer_write() {
    let world = World::new(CHUNK_BYTES);
    let file = file(500);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let (to, body) = piped();
    let first = tokio::spawn({
        let api = world.api.clone();
        async move { api.put("j", &[], body).await }
    });
    to.send(Ok(Bytes::copy_from_slice(&file[..3000]))).unwrap();
    world.kubernetes.wait_for("j", |upload| upload["chunks"].as_u64() > Some(0)).await;
    let offset = world.kubernetes.upload("j")["offset"].as_u64().unwrap();
    let rest = file[usize::try_from(offset).unwrap()..].to_vec();
    let (status, answer) = world.api.put("j", &[("upload-offset", offset.to_string())], rest).await;
    assert_eq!(status, 200, "{answer}");
    let complete = world.kubernetes.upload("j");
    assert_eq!((&complete["complete"], &complete["epoch"]), (&json!(true), &json!(2)));
    // The first request ends too.
    to.send(Ok(Bytes::copy_from_slice(&file[3000..]))).unwrap();
    drop(to);
    let (status, answer) = first.await.unwrap();
    assert_eq!((status, reason(&answer)), (409, "UploadSuperseded"));
    assert_eq!(world.kubernetes.upload("j"), complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_waits_for_its_client_notices_a_takeover_and_the_end_of_its_job() {
    let world = World::new(CHUNK_BYTES);
    let start = |name: &'static str| {
        world.kubernetes.add(name, &json!({}), &Value::Null);
        let (to, body) = piped();
        to.send(Ok(Bytes::from_static(b"id,text\n1,a\n"))).unwrap();
        let api = world.api.clone();
        (to, tokio::spawn(async move { api.put(name, &[], body).await }))
    };
    let (_cancelled, of_cancelled) = start("cancelled");
    let (_taken, of_taken) = start("taken");
    while world.app.metrics.uploads.get() < 2 {
        tokio::task::yield_now().await;
    }
    world.kubernetes.change("cancelled", |job| job["spec"]["cancel"] = true.into());
    world.kubernetes.change("taken", |job| job["status"]["upload"] = json!({"epoch": 1}));
    let within = Duration::from_secs(30);
    let (status, answer) = tokio::time::timeout(within, of_cancelled).await.unwrap().unwrap();
    assert_eq!((status, reason(&answer)), (409, "JobEnded"));
    let (status, answer) = tokio::time::timeout(within, of_taken).await.unwrap().unwrap();
    assert_eq!((status, reason(&answer)), (409, "UploadSuperseded"));
    assert_eq!(world.kubernetes.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_the_broker_does_not_allow_ends_the_job_with_what_to_do() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    world
        .kafka
        .request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 1]);
    let (status, answer) = world.api.put("j", &[], file(1)).await;
    assert_eq!((status, reason(&answer)), (422, "RecordTooLong"), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("max.message.bytes"), "{answer}");
    assert_eq!(world.kubernetes.upload("j")["error"]["reason"], "RecordTooLong");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inline_job_accepts_repeated_uploads_of_its_text_and_its_status_does_not_go_back() {
    let world = World::new(CHUNK_BYTES);
    let text = String::from_utf8(file(200)).unwrap();
    let inline = json!({"source": {"inline": text}});
    world.kubernetes.add("j", &inline, &Value::Null);
    let (status, answer) = world.api.put("j", &[], text.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let complete = world.kubernetes.upload("j");
    // This is the state after a server was killed before it wrote that the upload is complete.
    world.kubernetes.change("j", |job| job["status"]["upload"]["complete"] = false.into());
    let (status, answer) = world.api.put("j", &[], text.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let second = world.kubernetes.upload("j");
    assert_eq!(
        (&second["chunks"], &second["rows"], &second["digest"]),
        (&complete["chunks"], &complete["rows"], &complete["digest"])
    );
    assert_eq!((&second["complete"], &second["epoch"]), (&json!(true), &json!(2)));
    let (status, answer) = world.api.put("j", &[], text.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(world.kubernetes.upload("j"), second, "a complete upload stays as it is");
    let (status, answer) = world.api.put("j", &[], "id,text\n1,other\n").await;
    assert_eq!(status, 200, "complete already: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_slots_are_released_when_uploads_have_ended() {
    let world = World::new(CHUNK_BYTES);
    let free = world.app.uploads.free();
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let (status, _) = world.api.put("j", &[], file(500)).await;
    assert_eq!(status, 200);
    world.kubernetes.add("k", &json!({}), &Value::Null);
    let (status, _) = world.api.put("k", &[("content-encoding", "xz".into())], "no xz").await;
    assert_eq!(status, 422);
    // The cutting threads hold a reservation of their own.
    let all = world.app.uploads.idle().await;
    drop(all);
    while world.app.uploads.free() != free {
        tokio::task::yield_now().await;
    }
}
