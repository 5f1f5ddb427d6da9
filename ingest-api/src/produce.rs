//! Sends chunks to Kafka: idempotent, acknowledged by all replicas. The caller reserves memory for what is on its way.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::kafka::{LastError, Replaced};
use crds::ChunkHeader;
use futures::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{ApiError, FileProblem};
use crate::settings::Settings;

/// The most time of a call for the metadata of a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// The most time for Kafka to acknowledge a chunk, with retries. After it the upload is interrupted and can continue
/// later.
const DELIVERY_TIMEOUT_MS: &str = "60000";

type Client = FutureProducer<LastError>;

/// A producer that all uploads use.
pub struct Kafka {
    config: ClientConfig,
    client: Replaced<Client>,
    last_error: LastError,
}

/// The place of a record in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The time from the call to the acknowledgement.
    pub took: Duration,
}

/// The result of sending a record.
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
    /// Makes a producer from the server's settings. It connects when it is first used.
    pub fn new(settings: &Settings) -> Result<Self, KafkaError> {
        let mut config = settings.kafka.client_config("batch-ingest-api");
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", settings.kafka_compression.as_str())
            .set("message.max.bytes", crds::chunk::MAX_MESSAGE_BYTES.to_string())
            .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
            // A chunk is large enough for one request: to wait for another only delays it.
            .set("linger.ms", "0")
            .set("socket.nagle.disable", "true")
            // The memory budget limits the queue. librdkafka's own limit is higher and is never reached.
            .set("queue.buffering.max.kbytes", ((settings.memory_budget_mib + 64) * 1024).to_string());
        let last_error = LastError::default();
        let client = Replaced::new(&config, last_error.clone())?;
        Ok(Self { config, client, last_error })
    }

    /// Returns the number of partitions of a topic; `None` if the topic does not exist (yet).
    pub async fn partitions(&self, topic: &str) -> Result<Option<u32>, ApiError> {
        let (client, name) = (self.client.get(), topic.to_owned());
        let metadata =
            blocking(move || client.client().fetch_metadata(Some(&name), METADATA_TIMEOUT)).await?;
        let metadata = metadata.map_err(|e| self.unavailable(&e))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
        let partitions = found.and_then(|t| u32::try_from(t.partitions().len()).ok());
        Ok(partitions.filter(|count| *count > 0))
    }

    /// Checks whether any broker answers. Replaces the producer if none has answered for two minutes.
    pub async fn reachable(&self) -> Result<(), ApiError> {
        let client = self.client.get();
        let metadata = blocking(move || client.client().fetch_metadata(None, METADATA_TIMEOUT)).await?;
        self.client.note(metadata.is_ok());
        metadata.map(|_| ()).map_err(|e| self.unavailable(&e))
    }

    /// Hands a chunk to the producer, which copies it. The returned future resolves when Kafka has acknowledged the
    /// chunk. Chunks can be acknowledged in any order. `permit` is dropped at the acknowledgement.
    pub fn send(
        self: Arc<Self>,
        topic: &str,
        partition: i32,
        header: &ChunkHeader,
        body: &[u8],
        permit: Option<OwnedSemaphorePermit>,
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
        let sent = self.send_record(record, headers, permit).map_err(named)?;
        Ok(sent.map(move |acknowledged| acknowledged.map_err(named)))
    }

    /// Hands a record to the producer, which copies it. The returned future resolves when Kafka has acknowledged it.
    pub fn send_record(
        self: Arc<Self>,
        record: Record<'_>,
        headers: OwnedHeaders,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<impl Future<Output = Result<Delivered, SendError>> + use<>, SendError> {
        let Record { topic, partition, key, body } = record;
        let record = FutureRecord::to(topic).partition(partition).key(key).payload(body).headers(headers);
        let started = Instant::now();
        let delivery = self.client.get().send_result(record).map_err(|(e, _)| self.failed(&e))?;
        // A task of its own frees the memory, because an upload that waits for memory polls nothing else.
        let acknowledged = tokio::spawn(async move {
            let result = delivery.await;
            drop(permit);
            match result {
                // librdkafka acknowledges a record that failed together with a later one that did not; then it has no
                // offset. But a broker accepts any sequence number as the first one of a producer that it does not know
                // (KIP-360), so the record may be missing in Kafka (observed with a broker that was stopped): the chunk
                // is sent again.
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

    /// Returns the settings for a temporary consumer with the same connection.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Makes the error of a failed delivery. Replaces a producer that can never deliver again: librdkafka stops an
    /// idempotent producer for good when the broker no longer knows its sequence (the topic was deleted and made
    /// again).
    fn failed(&self, error: &KafkaError) -> SendError {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return SendError::TooLarge;
        }
        let client = self.client.get();
        if let Some((code, why)) = client.client().fatal_error() {
            tracing::warn!(%code, why, "the producer is broken for good: making another");
            self.client.replace(&client);
        }
        SendError::Other(self.unavailable(error))
    }

    /// Makes the error of a failed call, with the cause that librdkafka reported.
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

/// Makes the problem for a chunk that is larger than the topic or the broker allows. It ends the job, because the chunk
/// size of a job does not change.
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

/// Describes a failed call. The call itself returns little; if a broker was not reached, the cause that librdkafka
/// reported is added.
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
            batch: rows_split::Position::START.batch,
            ends_batch: true,
            digest: rows_types::Digest::default(),
            revision: "m-1".into(),
            input: rows_types::Input::default(),
            columns: None,
        }
    }

    /// Simulates a leader that was just restarted: it refuses the first chunk and accepts the second.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_chunk_that_is_not_in_kafka_is_not_acknowledged_together_with_the_next_chunk() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let bootstrap = format!("--kafka-bootstrap={}", cluster.bootstrap_servers());
        let kafka = Arc::new(Kafka::new(&Cli::parse_from(["ingest-api", &bootstrap]).settings).unwrap());
        kafka.partitions("t").await.unwrap();
        // Both chunks are sent before the first answer. Each has a request of its own, because both are too large for
        // one.
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
    async fn a_chunk_that_kafka_does_not_allow_is_an_error_of_the_file_with_what_to_do() {
        let settings = Cli::parse_from(["ingest-api", "--kafka-bootstrap=127.0.0.1:1"]).settings;
        let kafka = Arc::new(Kafka::new(&settings).unwrap());
        // the producer itself refuses what is larger than any message of this project
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
