//! Where records go that no worker can process: the topic `ingest.<id>.dlq`, as they came, with the reason.
//!
//! While that topic does not take a record, its partition is held: nothing behind it is committed, nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::{OnceCell, Semaphore};

use crate::error::Failure;
use crate::metrics::{ChunkOutcome, Metrics};
use crate::retry::Retry;
use crate::stop::Stopped;
use crate::tracker::Ticket;

/// More records than this are not held in memory: then no more is taken.
const HELD: usize = 4;

/// A record and why it cannot be processed.
#[derive(Clone, Debug)]
pub struct DeadLetter {
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

impl DeadLetter {
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

    /// The bytes of its body.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl DeadLetters {
    /// The way to `topic`; Kafka is not called before it is needed.
    #[must_use]
    pub fn new(mut config: ClientConfig, topic: String, retry: Retry, metrics: Metrics) -> Self {
        config
            // An idempotent producer acknowledges a record that failed together with a later one that did not, although a
            // broker need not have it; and a topic that is made anew breaks it for good. A record may come twice instead.
            .set("enable.idempotence", "false")
            .set("acks", "all")
            .set("message.max.bytes", crds::chunk::MAX_MESSAGE_BYTES.to_string())
            // A topic that is not there is an error after this, and tried again.
            .set("message.timeout.ms", "10000");
        let held = Arc::new(Semaphore::new(HELD));
        Self { config, producer: OnceCell::new(), topic, held, retry, metrics }
    }

    /// Sends a record that is no chunk, in the background, until it is taken; then its ticket is finished. Waits while too
    /// many are held.
    pub async fn send_in_background(self: &Arc<Self>, record: DeadLetter, ticket: Ticket) {
        let (partition, offset) = ticket.position();
        tracing::error!(
            partition,
            offset,
            why = record.why,
            topic = self.topic,
            "no worker can process this record"
        );
        let Ok(held) = self.held.clone().acquire_owned().await else { return };
        let this = self.clone();
        tokio::spawn(async move {
            if this.send(&record).await.is_ok() {
                this.metrics.chunks(ChunkOutcome::DeadLetter, 1);
                ticket.finish();
            }
            drop(held);
        });
    }

    /// Sends a record until it is taken.
    pub async fn send(&self, record: &DeadLetter) -> Result<(), Stopped> {
        self.retry.run("dead-record", || self.send_once(record)).await
    }

    async fn send_once(&self, record: &DeadLetter) -> Result<(), Failure> {
        let producer = self.producer.get_or_try_init(|| async { self.config.create() }).await?;
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers = headers.insert(Header { key: "why", value: Some(&record.why) });
        let record = FutureRecord::to(&self.topic).key(&record.key).payload(&record.body).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
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

    /// A leader that has just come back refuses the first record and takes the second.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_that_is_refused_is_not_taken_for_sent_with_the_one_behind_it() {
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
        // Too large for one request.
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
