//! Dead letters are sent to the partition that they came from: complete batches, in order, the newest copy of each
//! chunk.

#![allow(clippy::unwrap_used, reason = "a test: its helpers are not seen as one")]

mod support;

use std::time::Duration;

use crds::{ChunkHeader, ModelId};
use ingest_api::dead_letters::ParkedBatch;
use ingest_api::dead_letters::requeue::{Requeued, requeue};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use support::{World, topic};

fn header(uid: &str, chunk: u32) -> ChunkHeader {
    ChunkHeader {
        job: uid.into(),
        name: "j".into(),
        chunk,
        first_row: u64::from(chunk) + 1,
        rows: 1,
        batch: rows_types::BatchStart { number: 1, first_chunk: 2, first_row: 3 },
        ends_batch: chunk == 4,
        digest: rows_types::Digest::of(uid.as_bytes()),
        revision: "purchases-1".into(),
        input: rows_types::Input::default(),
        columns: None,
    }
}

fn batch(uid: &str, chunks: u32) -> ParkedBatch {
    ParkedBatch {
        job: "j".into(),
        uid: uid.into(),
        batch: 1,
        first_chunk: 2,
        chunks,
        first_row: 3,
        rows: 3,
        reason: "TableReadOnly".into(),
        message: String::new(),
        partition: 4,
        time: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_batches_are_requeued_unchanged_and_only_if_they_are_complete() {
    let world = World::new(1024);
    let letters = ModelId::of("shop", "purchases").dead_letter_topic();
    world.kafka.create_topic(&letters, 3, 1).unwrap();
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", world.kafka.bootstrap_servers()).create().unwrap();
    // Not in order, in several partitions, twice, and next to others.
    let written = [("u", 4, 0), ("u", 2, 1), ("u", 3, 2), ("u", 3, 2), ("other", 2, 0), ("partly", 2, 1)];
    for (copy, (uid, chunk, partition)) in written.into_iter().enumerate() {
        let header = header(uid, chunk);
        let mut headers = OwnedHeaders::new();
        for (key, value) in header.to_headers() {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        headers = headers.insert(Header { key: "why", value: Some("the table is read-only") });
        let (key, body) = (header.key(), format!("{uid} {chunk} {copy}"));
        let record =
            FutureRecord::to(&letters).partition(partition).key(&key).payload(&body).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }
    let batches = vec![batch("u", 3), batch("partly", 2)];
    let done = requeue(world.app.kafka.clone(), topic(), letters, batches).await.unwrap();
    assert_eq!(done, Requeued { sent: vec![batch("u", 3)], missing: vec![batch("partly", 2)] });
    let records = world.records(3);
    let bodies: Vec<_> = records.iter().map(|r| String::from_utf8(r.body.clone()).unwrap()).collect();
    assert_eq!(bodies, ["u 2 1", "u 3 3", "u 4 0"]);
    assert!(records.iter().all(|record| record.partition == 4));
    assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2], "in their order");
    assert_eq!(records.iter().map(|r| r.headers).collect::<Vec<_>>(), [12; 3], "without the reason");
}
