//! Where records go that no worker can process: the topic `ingest.<id>.dlq`, as they came, with the reason.
//!
//! While that topic does not take a record, its partition is held: nothing behind it is committed, nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use crds::ChunkHeader;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::{OnceCell, Semaphore};

use crate::error::Failure;
use crate::metrics::{Fate, Metrics};
use crate::retry::Retry;
use crate::tracker::Ticket;

/// More records than this are not held in memory: then the worker stands still.
const HELD: usize = 4;

/// A record and why it cannot be processed.
#[derive(Clone, Debug)]
pub struct Letter {
    key: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    why: String,
}

/// The way to the topic.
pub struct DeadLetters {
    config: ClientConfig,
    producer: OnceCell<FutureProducer>,
    topic: String,
    held: Arc<Semaphore>,
    retry: Retry,
    metrics: Metrics,
}

impl Letter {
    /// A record as Kafka gave it.
    pub fn of_message(message: &impl Message, why: &impl ToString) -> Self {
        let headers = message.headers().map(|headers| {
            let pair = |h: Header<'_, &[u8]>| (h.key.to_owned(), h.value.unwrap_or_default().to_owned());
            headers.iter().map(pair).collect()
        });
        Self {
            key: message.key().unwrap_or_default().to_owned(),
            headers: headers.unwrap_or_default(),
            body: message.payload().unwrap_or_default().to_owned(),
            why: why.to_string(),
        }
    }

    /// A chunk that was read but cannot be judged.
    pub fn of_chunk(header: &ChunkHeader, body: &[u8], why: &impl ToString) -> Self {
        let headers =
            header.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
        Self {
            key: header.key().into_bytes(),
            headers: headers.collect(),
            body: body.to_owned(),
            why: why.to_string(),
        }
    }
}

impl DeadLetters {
    /// The way to `topic`; Kafka is not called before it is needed.
    #[must_use]
    pub fn new(mut config: ClientConfig, topic: String, retry: Retry, metrics: Metrics) -> Self {
        config
            .set("enable.idempotence", "true")
            .set("message.max.bytes", crds::chunk::MAX_MESSAGE_BYTES.to_string())
            // A topic that is not there is told after this, and tried again.
            .set("message.timeout.ms", "10000");
        let held = Arc::new(Semaphore::new(HELD));
        Self { config, producer: OnceCell::new(), topic, held, retry, metrics }
    }

    /// Sends a letter in the background, until it is taken; then its ticket is finished. Waits while too many are held.
    pub async fn bury(self: &Arc<Self>, letter: Letter, ticket: Ticket) {
        let (partition, offset) = ticket.position();
        tracing::error!(
            partition,
            offset,
            why = letter.why,
            topic = self.topic,
            "no worker can process this record"
        );
        let Ok(held) = self.held.clone().acquire_owned().await else { return };
        let this = self.clone();
        tokio::spawn(async move {
            if this.retry.run("dead-letter", || this.send(&letter)).await.is_ok() {
                this.metrics.chunk(Fate::DeadLetter);
                ticket.finish();
            }
            drop(held);
        });
    }

    async fn send(&self, letter: &Letter) -> Result<(), Failure> {
        let producer = self.producer.get_or_try_init(|| async { self.config.create() }).await?;
        let mut headers = OwnedHeaders::new();
        for (key, value) in &letter.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers = headers.insert(Header { key: "error", value: Some(&letter.why) });
        let record = FutureRecord::to(&self.topic).key(&letter.key).payload(&letter.body).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
        Ok(())
    }
}
