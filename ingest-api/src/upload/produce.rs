//! Chunks to Kafka: idempotent, acknowledged by all replicas. What is on its way is reserved in the budget by who sends it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connect::kafka::LastError;
use crds::ChunkHeader;
use futures::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{ApiError, FileProblem};
use crate::settings::Settings;

/// How long a question about a topic may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// How long Kafka may take for a chunk, retries included. Then the upload breaks off and can go on later.
const DELIVERY_TIMEOUT_MS: &str = "60000";

type Client = FutureProducer<LastError>;

/// A producer for all uploads.
pub struct Kafka {
    config: ClientConfig,
    client: Mutex<Client>,
    last_error: LastError,
}

/// Where Kafka has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// How long it took.
    pub took: Duration,
}

/// Kafka has a record, or it does not.
pub type Acknowledged = Result<Delivered, ApiError>;

/// A record for one partition of a topic.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// Its key.
    pub key: &'a [u8],
    /// Its bytes.
    pub body: &'a [u8],
}

impl Kafka {
    /// A producer by the server's settings. Connects when it is first used.
    pub fn new(settings: &Settings) -> Result<Self, KafkaError> {
        let mut config = settings.kafka.client_config("batch-ingest-api");
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", settings.kafka_compression.as_str())
            .set("message.max.bytes", crds::chunk::MAX_MESSAGE_BYTES.to_string())
            .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
            // A chunk fills a request by itself: waiting for another only delays it.
            .set("linger.ms", "0")
            .set("socket.nagle.disable", "true")
            // The memory budget is what bounds the queue; librdkafka's own bound lies above it and is never met.
            .set("queue.buffering.max.kbytes", ((settings.memory_budget_mib + 64) * 1024).to_string());
        let last_error = LastError::default();
        let client = Mutex::new(create(&config, &last_error)?);
        Ok(Self { config, client, last_error })
    }

    /// The partitions of a topic; `None` where there is no such topic (yet).
    pub async fn partitions(&self, topic: &str) -> Result<Option<u32>, ApiError> {
        let (client, name) = (self.client(), topic.to_owned());
        let metadata =
            blocking(move || client.client().fetch_metadata(Some(&name), METADATA_TIMEOUT)).await?;
        let metadata = metadata.map_err(|e| self.unavailable(&e))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
        let partitions = found.and_then(|t| u32::try_from(t.partitions().len()).ok());
        Ok(partitions.filter(|count| *count > 0))
    }

    /// Whether any broker answers.
    pub async fn reachable(&self) -> Result<(), ApiError> {
        let client = self.client();
        let metadata = blocking(move || client.client().fetch_metadata(None, METADATA_TIMEOUT)).await?;
        metadata.map(|_| ()).map_err(|e| self.unavailable(&e))
    }

    /// Hands a chunk to the producer, which copies it. The future that comes back resolves when Kafka has acknowledged
    /// the chunk; chunks may be acknowledged in any order. `held` is given back then.
    pub fn send(
        self: Arc<Self>,
        topic: &str,
        partition: i32,
        header: &ChunkHeader,
        body: &[u8],
        held: Option<OwnedSemaphorePermit>,
    ) -> Result<impl Future<Output = Acknowledged> + use<>, ApiError> {
        let headers = header.to_headers().into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_bytes()) })
        });
        let (number, rows, bytes) = (header.chunk, header.rows, body.len());
        let named = move |error| match error {
            SendError::TooLarge => too_large(number, rows, bytes).into(),
            SendError::Other(error) => error,
        };
        let key = header.key();
        let record = Record { topic, partition, key: key.as_bytes(), body };
        let sent = self.send_record(record, headers, held).map_err(named)?;
        Ok(sent.map(move |acknowledged| acknowledged.map_err(named)))
    }

    /// Hands any record to the producer, which copies it. Resolves when Kafka has acknowledged it.
    pub fn send_record(
        self: Arc<Self>,
        record: Record<'_>,
        headers: OwnedHeaders,
        held: Option<OwnedSemaphorePermit>,
    ) -> Result<impl Future<Output = Result<Delivered, SendError>> + use<>, SendError> {
        let Record { topic, partition, key, body } = record;
        let record = FutureRecord::to(topic).partition(partition).key(key).payload(body).headers(headers);
        let started = Instant::now();
        let delivery = self.client().send_result(record).map_err(|(e, _)| self.failed(&e))?;
        // A task of its own gives the memory back: an upload that waits polls nothing else.
        let acknowledged = tokio::spawn(async move {
            let result = delivery.await;
            drop(held);
            match result {
                // librdkafka acknowledges a record that failed together with a later one that did not, and has no offset
                // then. But a broker takes any sequence number first of a producer that it does not know (KIP-360), so the
                // record need not be there (seen with a broker that was stopped): the chunk is sent again.
                Ok(Ok(at)) if at.offset < 0 => Err(SendError::Other(ApiError::KafkaUnavailable(
                    "a chunk was acknowledged without an offset".into(),
                ))),
                Ok(Ok(at)) => {
                    Ok(Delivered { partition: at.partition, offset: at.offset, took: started.elapsed() })
                }
                Ok(Err((error, _))) => Err(self.failed(&error)),
                Err(_) => Err(SendError::Other(ApiError::KafkaUnavailable("the producer was closed".into()))),
            }
        });
        let died = |e: tokio::task::JoinError| Err(SendError::Other(ApiError::Internal(e.to_string())));
        Ok(acknowledged.map(move |joined| joined.unwrap_or_else(died)))
    }

    /// The settings of a consumer beside this producer, as the throwaway member of a group.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names a failed delivery, and replaces a producer that can never deliver again: librdkafka gives up an
    /// idempotent producer for good when the broker no longer knows its sequence (a topic that was made anew).
    fn failed(&self, error: &KafkaError) -> SendError {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return SendError::TooLarge;
        }
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((code, why)) = client.client().fatal_error() {
            tracing::warn!(%code, why, "the producer is broken for good: making another");
            match create(&self.config, &self.last_error) {
                Ok(new) => *client = new,
                Err(error) => tracing::error!(%error, "failed to make another producer"),
            }
        }
        SendError::Other(self.unavailable(error))
    }

    /// An error of Kafka, with what librdkafka said of its cause.
    #[must_use]
    pub fn unavailable(&self, error: &KafkaError) -> ApiError {
        ApiError::KafkaUnavailable(describe(error, self.last_error.get()))
    }
}

/// Why a record is not in Kafka.
#[derive(Debug)]
pub enum SendError {
    /// It is larger than the topic or the broker allows.
    TooLarge,
    /// Anything else.
    Other(ApiError),
}

/// A chunk that is larger than the topic or the broker allows ends its job: a job is cut alike to its end.
fn too_large(chunk: u32, rows: u32, bytes: usize) -> FileProblem {
    let allow = "raise max.message.bytes of the topic (message.max.bytes of the broker)";
    if rows == 1 {
        let message = format!(
            "the record in chunk {chunk} has {bytes} bytes, more than the topic or the broker allows; {allow}, or shorten the record, and make a new job"
        );
        return FileProblem { reason: "RecordTooLong", message };
    }
    let message = format!(
        "chunk {chunk} has {bytes} bytes, more than the topic or the broker allows; {allow}, or lower spec.chunkBytes of the model, and make a new job"
    );
    FileProblem { reason: "ChunkTooLarge", message }
}

fn create(config: &ClientConfig, last_error: &LastError) -> Result<Client, KafkaError> {
    config.create_with_context(last_error.clone())
}

/// The failed call says little; what librdkafka said of its cause is added where a broker was not reached.
fn describe(error: &KafkaError, cause: Option<String>) -> String {
    let transport = [
        RDKafkaErrorCode::BrokerTransportFailure,
        RDKafkaErrorCode::AllBrokersDown,
        RDKafkaErrorCode::MessageTimedOut,
        RDKafkaErrorCode::OperationTimedOut,
    ];
    match (error.rdkafka_error_code(), cause) {
        (Some(code), Some(cause)) if transport.contains(&code) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::Internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::settings::Cli;

    fn header(rows: u32) -> ChunkHeader {
        ChunkHeader {
            job: "u".into(),
            name: "j".into(),
            chunk: 7,
            first_row: 1,
            rows,
            batch: rows::Position::START.batch,
            ends_batch: true,
            digest: rows::Digest::default(),
            revision: "m-1".into(),
            input: rows::Input::default(),
            columns: None,
        }
    }

    /// As a leader does that has just come back: it refuses the first chunk and takes the second.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_chunk_that_is_not_in_kafka_is_not_acknowledged_together_with_the_one_behind_it() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let bootstrap = format!("--kafka-bootstrap={}", cluster.bootstrap_servers());
        let kafka = Arc::new(Kafka::new(&Cli::parse_from(["ingest-api", &bootstrap]).settings).unwrap());
        kafka.partitions("t").await.unwrap();
        // Both are on their way before the first answer; each is a request by itself, for both are too large for one.
        cluster.broker_round_trip_time(1, Duration::from_millis(500)).unwrap();
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
        let body = vec![b'x'; 600_000];
        let send = || Arc::clone(&kafka).send("t", 0, &header(1), &body, None).unwrap();
        let (first, second) = (send(), send());
        let (first, second) = tokio::join!(first, second);
        assert!(second.unwrap().offset >= 0);
        match first {
            Ok(there) => assert!(there.offset >= 0, "{there:?}"),
            Err(error) => assert_eq!(error.reason(), "KafkaUnavailable"),
        }
    }

    #[tokio::test]
    async fn a_chunk_that_kafka_does_not_allow_is_an_error_of_the_file_that_says_what_to_do() {
        let settings = Cli::parse_from(["ingest-api", "--kafka-bootstrap=127.0.0.1:1"]).settings;
        let kafka = Arc::new(Kafka::new(&settings).unwrap());
        // the producer itself refuses what is larger than any message of ours
        let body = vec![b'x'; crds::chunk::MAX_MESSAGE_BYTES as usize];
        for (rows, reason) in [(1, "RecordTooLong"), (2, "ChunkTooLarge")] {
            let sent = Arc::clone(&kafka).send("t", 0, &header(rows), &body, None);
            let error = match sent {
                Err(error) => error,
                Ok(sent) => sent.await.unwrap_err(),
            };
            assert_eq!(error.reason(), reason);
            assert!(error.to_string().contains("message.max.bytes"), "{error}");
        }
    }
}
