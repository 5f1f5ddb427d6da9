//! Reads the dead-letter topic: where the newest copy of each chunk is, and the copy itself.
//!
//! All calls block, and have a deadline. The consumer is temporary and commits nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crds::ChunkHeader;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::error::ApiError;

/// The most time of one call to Kafka.
const CALL: Duration = Duration::from_millis(500);
/// The most time of a call for the metadata of the topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// A chunk of a job: its uid and the chunk's number.
pub type ChunkId = (String, u32);

/// Where a copy of a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// When the copy was written, in milliseconds since 1970; -1 if that is unknown.
    pub time: i64,
}

/// A chunk, as it was before it was parked.
#[derive(Debug)]
pub struct Copy {
    /// The record's key.
    pub key: Vec<u8>,
    /// The headers of the chunk, without those that were added when it was parked.
    pub headers: OwnedHeaders,
    /// The chunk's bytes.
    pub body: Vec<u8>,
}

/// A reader of one dead-letter topic.
pub struct DeadLetterTopic {
    consumer: BaseConsumer,
    topic: String,
    deadline: Instant,
}

/// Why the topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// A call to Kafka failed.
    #[error("failed to read topic '{topic}': {source}")]
    Kafka {
        /// The topic.
        topic: String,
        /// Why.
        source: rdkafka::error::KafkaError,
    },
    /// The deadline has passed.
    #[error("reading topic '{0}' took too long")]
    TooSlow(String),
}

impl From<TopicError> for ApiError {
    fn from(error: TopicError) -> Self {
        Self::KafkaUnavailable(error.to_string())
    }
}

impl DeadLetterTopic {
    /// Returns a reader of `topic`, which can be used until `deadline`. `client` has the settings of the connection to
    /// Kafka.
    pub fn open(client: &ClientConfig, topic: &str, deadline: Instant) -> Result<Self, TopicError> {
        let mut config = client.clone();
        connect::kafka::without_group(&mut config, "batch-dead-letters")
            .set("enable.partition.eof", "false")
            .set("fetch.message.max.bytes", (2 << 20).to_string())
            .set("queued.max.messages.kbytes", (4 << 10).to_string());
        let failed = |source| TopicError::Kafka { topic: topic.to_owned(), source };
        Ok(Self { consumer: config.create().map_err(failed)?, topic: topic.to_owned(), deadline })
    }

    /// Returns the place of the newest copy of each chunk that is `wanted`. It reads the topic from its beginning to
    /// the end that it has when this call begins.
    pub fn newest(&self, wanted: impl Fn(&ChunkId) -> bool) -> Result<HashMap<ChunkId, Place>, TopicError> {
        let mut ends = self.ends()?;
        let mut assignment = TopicPartitionList::new();
        for partition in ends.keys() {
            let added = assignment.add_partition_offset(&self.topic, *partition, Offset::Beginning);
            added.map_err(|e| self.failed(e))?;
        }
        self.consumer.assign(&assignment).map_err(|e| self.failed(e))?;
        let mut newest = HashMap::new();
        while !ends.is_empty() {
            let Some(message) = self.poll()? else {
                // If the end of a partition was compacted or deleted, the reader reaches it without a message.
                self.pass(&mut ends)?;
                continue;
            };
            if let Some(id) = chunk_id(&message).filter(&wanted) {
                note(&mut newest, id, place(&message));
            }
            let (partition, next) = (message.partition(), message.offset() + 1);
            if ends.get(&partition).is_some_and(|end| next >= *end) {
                ends.remove(&partition);
            }
        }
        Ok(newest)
    }

    /// Returns the copy at a place; `None` if it no longer exists.
    pub fn read(&self, place: Place) -> Result<Option<Copy>, TopicError> {
        let mut assignment = TopicPartitionList::new();
        let at = Offset::Offset(place.offset);
        assignment
            .add_partition_offset(&self.topic, place.partition, at)
            .and_then(|()| self.consumer.assign(&assignment))
            .map_err(|e| self.failed(e))?;
        loop {
            let Some(message) = self.poll()? else { continue };
            if message.partition() != place.partition || message.offset() < place.offset {
                continue;
            }
            return Ok((message.offset() == place.offset).then(|| copy(&message)));
        }
    }

    /// Returns the end of each partition that has a record.
    fn ends(&self) -> Result<HashMap<i32, i64>, TopicError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), METADATA_TIMEOUT);
        let metadata = metadata.map_err(|e| self.failed(e))?;
        let mut ends = HashMap::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let marks = self.consumer.fetch_watermarks(&self.topic, partition.id(), METADATA_TIMEOUT);
            let (low, high) = marks.map_err(|e| self.failed(e))?;
            if low < high {
                ends.insert(partition.id(), high);
            }
        }
        Ok(ends)
    }

    /// Removes the partitions that are read to their end.
    fn pass(&self, ends: &mut HashMap<i32, i64>) -> Result<(), TopicError> {
        let positions = self.consumer.position().map_err(|e| self.failed(e))?;
        ends.retain(|partition, end| {
            let at = positions.find_partition(&self.topic, *partition).map(|at| at.offset());
            !matches!(at, Some(Offset::Offset(at)) if at >= *end)
        });
        Ok(())
    }

    fn poll(&self) -> Result<Option<BorrowedMessage<'_>>, TopicError> {
        if Instant::now() >= self.deadline {
            return Err(TopicError::TooSlow(self.topic.clone()));
        }
        self.consumer.poll(CALL).transpose().map_err(|e| self.failed(e))
    }

    fn failed(&self, source: rdkafka::error::KafkaError) -> TopicError {
        TopicError::Kafka { topic: self.topic.clone(), source }
    }
}

fn place(message: &BorrowedMessage<'_>) -> Place {
    let time = message.timestamp().to_millis().unwrap_or(-1);
    Place { partition: message.partition(), offset: message.offset(), time }
}

/// Keeps the newest copy. Copies of one chunk have the same key, so they are mostly in the same partition.
fn note(newest: &mut HashMap<ChunkId, Place>, id: ChunkId, place: Place) {
    let kept = newest.entry(id).or_insert(place);
    if (place.time, place.offset) > (kept.time, kept.offset) {
        *kept = place;
    }
}

fn pairs<'a>(message: &'a BorrowedMessage<'_>) -> Vec<(&'a str, &'a [u8])> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key, header.value.unwrap_or_default())).collect()
}

fn chunk_id(message: &BorrowedMessage<'_>) -> Option<ChunkId> {
    ChunkHeader::parse(pairs(message)).ok().map(|header| (header.job, header.chunk))
}

fn copy(message: &BorrowedMessage<'_>) -> Copy {
    Copy {
        key: message.key().unwrap_or_default().to_owned(),
        headers: chunk_headers(pairs(message)),
        body: message.payload().unwrap_or_default().to_owned(),
    }
}

/// Returns the original headers of a chunk, without the reason that was added when it was parked.
fn chunk_headers(pairs: Vec<(&str, &[u8])>) -> OwnedHeaders {
    let names: Vec<_> = ChunkHeader::parse(pairs.iter().copied())
        .map(|header| header.to_headers().into_iter().map(|(name, _)| name).collect())
        .unwrap_or_default();
    let of_a_chunk = pairs.into_iter().filter(|(name, _)| names.contains(name));
    of_a_chunk
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_copy_of_a_chunk_is_used() {
        let mut newest = HashMap::new();
        let id = || ("u".to_owned(), 3);
        let at = |partition, offset, time| Place { partition, offset, time };
        note(&mut newest, id(), at(0, 5, 100));
        note(&mut newest, id(), at(0, 9, 200));
        note(&mut newest, id(), at(1, 2, 150));
        assert_eq!(newest[&id()], at(0, 9, 200));
        note(&mut newest, id(), at(0, 10, 200));
        assert_eq!(newest[&id()].offset, 10);
    }

    #[test]
    fn a_chunk_is_requeued_with_its_own_headers_and_without_the_reason() {
        let header = ChunkHeader {
            job: "u".into(),
            name: "j".into(),
            chunk: 3,
            first_row: 1,
            rows: 1,
            batch: rows_types::BatchStart { number: 0, first_chunk: 0, first_row: 1 },
            ends_batch: true,
            digest: rows_types::Digest::default(),
            revision: "m-1".into(),
            input: rows_types::Input::default(),
            columns: None,
        };
        let own = header.to_headers();
        let mut pairs: Vec<_> = own.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        pairs.push(("error", b"because"));
        pairs.push(("reason", b"TableReadOnly"));
        let kept = chunk_headers(pairs);
        let kept: Vec<_> = kept.iter().map(|h| (h.key, h.value.unwrap_or_default())).collect();
        assert_eq!(ChunkHeader::parse(kept.iter().copied()).unwrap(), header);
        assert_eq!(kept.len(), own.len());
    }
}
