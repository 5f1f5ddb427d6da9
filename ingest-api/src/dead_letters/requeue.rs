//! Requeues parked batches: sends their chunks from the dead-letter topic to the partition that they came from.
//!
//! **Promise:** a batch is sent only if the topic still has all its chunks. They are sent in their order and unchanged.
//! It does no harm to send a batch twice: the workers know which chunks are loaded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use tokio::runtime::Handle;

use crate::dead_letters::ParkedBatch;
use crate::dead_letters::topic::{ChunkId, DeadLetterTopic, Place};
use crate::error::ApiError;
use crate::produce::{Kafka, Record, SendError};

/// The most time of one request.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The outcome of a requeue.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Requeued {
    /// The batches whose chunks Kafka has again.
    pub sent: Vec<ParkedBatch>,
    /// The batches of which the dead-letter topic no longer has all chunks.
    pub missing: Vec<ParkedBatch>,
}

/// Requeues batches. It reads the dead-letter topic in a thread of its own, with one chunk in memory.
pub async fn requeue(
    kafka: Arc<Kafka>,
    topic: String,
    dead_letter_topic: String,
    batches: Vec<ParkedBatch>,
) -> Result<Requeued, ApiError> {
    if batches.is_empty() {
        return Ok(Requeued::default());
    }
    let runtime = Handle::current();
    let work = move || {
        let reader = reader(kafka.config(), &dead_letter_topic)?;
        let wanted: HashSet<ChunkId> = batches.iter().flat_map(chunks).collect();
        let newest = reader.newest(|id| wanted.contains(id))?;
        let mut requeued = Requeued::default();
        for batch in batches {
            match places(&batch, &newest) {
                Some(places) if send(&runtime, &kafka, &topic, &reader, &batch, &places)? => {
                    requeued.sent.push(batch);
                }
                _ => requeued.missing.push(batch),
            }
        }
        Ok(requeued)
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::Internal(e.to_string()))?
}

fn reader(client: &ClientConfig, topic: &str) -> Result<DeadLetterTopic, ApiError> {
    Ok(DeadLetterTopic::open(client, topic, Instant::now() + TIMEOUT)?)
}

/// Returns the chunks of a batch, in order.
fn chunks(batch: &ParkedBatch) -> impl Iterator<Item = ChunkId> + '_ {
    (batch.first_chunk..batch.first_chunk.saturating_add(batch.chunks))
        .map(|chunk| (batch.uid.clone(), chunk))
}

/// Returns the places of the chunks of a batch, in order; `None` if the topic no longer has one of them.
fn places(batch: &ParkedBatch, newest: &HashMap<ChunkId, Place>) -> Option<Vec<Place>> {
    chunks(batch).map(|id| newest.get(&id).copied()).collect()
}

/// Sends the chunks of a batch one after the other. Returns `false` if the topic lost one of them in the meantime.
fn send(
    runtime: &Handle,
    kafka: &Arc<Kafka>,
    topic: &str,
    reader: &DeadLetterTopic,
    batch: &ParkedBatch,
    places: &[Place],
) -> Result<bool, ApiError> {
    let partition = i32::try_from(batch.partition).map_err(|e| ApiError::Internal(e.to_string()))?;
    for place in places {
        let Some(copy) = reader.read(*place)? else { return Ok(false) };
        let record = Record { topic, partition, key: &copy.key, body: &copy.body };
        let sending = async { Arc::clone(kafka).send_record(record, copy.headers, None)?.await };
        runtime.block_on(sending).map_err(|error| match error {
            SendError::Other(error) => error,
            SendError::TooLarge => ApiError::DeadLettersGone(format!(
                "a chunk of job '{}' is larger than topic '{topic}' allows; raise its max.message.bytes",
                batch.job
            )),
        })?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_chunk: u32, chunks: u32) -> ParkedBatch {
        ParkedBatch {
            job: "j".into(),
            uid: "u".into(),
            batch: 0,
            first_chunk,
            chunks,
            first_row: 1,
            rows: 0,
            reason: "TableReadOnly".into(),
            message: String::new(),
            partition: 1,
            time: String::new(),
        }
    }

    #[test]
    fn a_batch_is_sent_in_the_order_of_its_chunks_and_only_if_it_is_complete() {
        let at = |offset| Place { partition: 0, offset, time: 0 };
        let newest = HashMap::from([
            (("u".to_owned(), 5), at(9)),
            (("u".to_owned(), 6), at(2)),
            (("other".to_owned(), 7), at(3)),
        ]);
        assert_eq!(places(&batch(5, 2), &newest), Some(vec![at(9), at(2)]));
        assert_eq!(places(&batch(5, 3), &newest), None);
    }
}
