//! The topic for records that no worker can process: `ingest.<id>.dlq`. The records are unchanged, with the reason
//! added.
//!
//! While that topic does not accept a record, its partition is held: no later offset is committed, and nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use connect::kafka::Replaced;
use rdkafka::ClientConfig;
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::{OnceCell, Semaphore};

use crate::error::Failure;
use crate::metrics::{ChunkOutcome, Metrics};
use crate::retry::Retry;
use crate::stop::Stopped;
use crate::tracker::Ticket;

/// The most records in memory. If there are so many, no more records are taken.
const MAX_IN_MEMORY: usize = 4;

/// A record, and why it cannot be processed.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    key: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    why: String,
}

/// The producer for the topic.
pub struct DeadLetters {
    config: ClientConfig,
    producer: OnceCell<Replaced<FutureProducer>>,
    topic: String,
    slots: Arc<Semaphore>,
    retry: Retry,
    metrics: Metrics,
}

impl DeadLetter {
    /// Makes a dead letter of a record from Kafka.
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

    /// Returns the number of bytes of its body.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl DeadLetters {
    /// Makes a producer for `topic`. It calls Kafka only when it is needed.
    #[must_use]
    pub fn new(mut config: ClientConfig, topic: String, retry: Retry, metrics: Metrics) -> Self {
        config
            // An idempotent producer acknowledges a record that failed together with a later one that did not, although
            // the broker may not have it. It also fails for good if the topic is deleted and made again. Instead, a
            // record may be sent twice.
            .set("enable.idempotence", "false")
            .set("acks", "all")
            .set("message.max.bytes", crds::chunk::MAX_MESSAGE_BYTES.to_string())
            // After this time a topic that does not exist is an error, and the send is tried again.
            .set("message.timeout.ms", "10000");
        let slots = Arc::new(Semaphore::new(MAX_IN_MEMORY));
        Self { config, producer: OnceCell::new(), topic, slots, retry, metrics }
    }

    /// Sends a record that is not a chunk, in the background, until the topic accepts it. Then its ticket is finished.
    /// Waits while too many records are in memory.
    pub async fn send_in_background(self: &Arc<Self>, record: DeadLetter, ticket: Ticket) {
        let (partition, offset) = ticket.position();
        tracing::error!(
            partition,
            offset,
            why = record.why,
            topic = self.topic,
            "no worker can process this record"
        );
        let Ok(permit) = self.slots.clone().acquire_owned().await else { return };
        let this = self.clone();
        tokio::spawn(async move {
            if this.send(&record).await.is_ok() {
                this.metrics.chunks(ChunkOutcome::DeadLetter, 1);
                ticket.finish();
            }
            drop(permit);
        });
    }

    /// Sends a record until the topic accepts it.
    pub async fn send(&self, record: &DeadLetter) -> Result<(), Stopped> {
        self.retry.run("dead-record", || self.send_once(record)).await
    }

    async fn send_once(&self, record: &DeadLetter) -> Result<(), Failure> {
        let make = || async { Replaced::new(&self.config, DefaultClientContext) };
        let producer: &Replaced<FutureProducer> = self.producer.get_or_try_init(make).await?;
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers = headers.insert(Header { key: "why", value: Some(&record.why) });
        let record = FutureRecord::to(&self.topic).key(&record.key).payload(&record.body).headers(headers);
        let sent = producer.get().send(record, Duration::from_secs(10)).await;
        producer.note(sent.is_ok());
        sent.map_err(|(error, _)| error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use connect::Health;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::health_tracker::HealthTracker;
    use crate::stop;

    /// Simulates a leader that was just restarted: it refuses the first record and accepts the second.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_that_is_refused_does_not_count_as_sent_with_the_next_one() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        cluster.broker_round_trip_time(1, Duration::from_millis(500)).unwrap();
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let (metrics, (_stopper, stop)) = (Metrics::register().0, stop::channel());
        let retry = Retry::new(stop, HealthTracker::new(Health::default(), &[]), metrics.clone());
        let dead_letters = DeadLetters::new(config.clone(), "t".into(), retry, metrics);
        // Two records are too large for one request.
        let record = |byte| DeadLetter {
            key: b"k".to_vec(),
            headers: vec![],
            body: vec![byte; 600_000],
            why: "a test".into(),
        };
        let (first, second) = (record(1), record(2));
        let (first, second) = tokio::join!(dead_letters.send(&first), dead_letters.send(&second));
        assert!(first.is_ok() && second.is_ok());
        let end = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.set("group.id", "g").create().unwrap();
            consumer.fetch_watermarks("t", 0, Duration::from_secs(10)).unwrap().1
        });
        assert_eq!(end.await.unwrap(), 2);
    }
}
