//! Chunks to Kafka: idempotent, acknowledged by all replicas, bounded in memory.

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::settings::Settings;

/// How long a question about a topic may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// How long Kafka may take for a chunk, retries included. Then the upload breaks off and can go on later.
const DELIVERY_TIMEOUT_MS: &str = "60000";

type Client = FutureProducer<LastError>;

/// A producer for all uploads, with a budget of bytes on their way.
pub struct Kafka {
    config: ClientConfig,
    client: Mutex<Client>,
    told: LastError,
    /// In KiB, so that a permit count is a u32.
    budget: Arc<Semaphore>,
    budget_kib: u32,
}

/// Kafka has a chunk, after this time; or it does not.
pub type Acknowledged = Result<Duration, ApiError>;

impl Kafka {
    /// A producer by the server's settings. Connects when it is first used.
    pub fn new(settings: &Settings) -> Result<Self, KafkaError> {
        let budget_kib = settings.kafka_buffer_mib * 1024;
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
            // The budget is what bounds the queue; librdkafka's own bound lies above it and is never met.
            .set("queue.buffering.max.kbytes", (budget_kib + 64 * 1024).to_string());
        let told = LastError::default();
        let client = Mutex::new(create(&config, &told)?);
        Ok(Self { config, client, told, budget: Arc::new(Semaphore::new(budget_kib as usize)), budget_kib })
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

    /// Hands a chunk to the producer once the budget has room for it. The future that comes back resolves when Kafka
    /// has acknowledged the chunk; chunks may be acknowledged in any order.
    pub async fn send(
        self: Arc<Self>,
        topic: &str,
        partition: i32,
        header: &ChunkHeader,
        body: &[u8],
    ) -> Result<impl Future<Output = Acknowledged> + use<>, ApiError> {
        let room = self.room(body.len()).await?;
        let key = header.key();
        let headers = header.to_headers().into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_bytes()) })
        });
        let record = FutureRecord::to(topic).partition(partition).key(&key).payload(body).headers(headers);
        let started = Instant::now();
        let delivery = self.client().send_result(record).map_err(|(e, _)| self.failed(&e))?;
        // A task of its own gives the room back: an upload that waits for room polls nothing else.
        let acknowledged = tokio::spawn(async move {
            let result = delivery.await;
            drop(room);
            match result {
                Ok(Ok(_)) => Ok(started.elapsed()),
                Ok(Err((error, _))) => Err(self.failed(&error)),
                Err(_) => Err(ApiError::KafkaUnavailable("the producer was closed".into())),
            }
        });
        Ok(acknowledged.map(|joined| joined.unwrap_or_else(|e| Err(ApiError::Internal(e.to_string())))))
    }

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.budget_kib);
        let room = Arc::clone(&self.budget).acquire_many_owned(kib).await;
        room.map_err(|_| ApiError::Internal("the producer's budget is closed".into()))
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names a failed delivery, and replaces a producer that can never deliver again: librdkafka gives up an
    /// idempotent producer for good when the broker no longer knows its sequence (a topic that was made anew).
    fn failed(&self, error: &KafkaError) -> ApiError {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((code, why)) = client.client().fatal_error() {
            tracing::warn!(%code, why, "the producer is broken for good: making another");
            match create(&self.config, &self.told) {
                Ok(new) => *client = new,
                Err(error) => tracing::error!(%error, "failed to make another producer"),
            }
        }
        self.unavailable(error)
    }

    fn unavailable(&self, error: &KafkaError) -> ApiError {
        ApiError::KafkaUnavailable(describe(error, self.told.get()))
    }
}

fn create(config: &ClientConfig, told: &LastError) -> Result<Client, KafkaError> {
    config.create_with_context(told.clone())
}

/// The failed call says little; what librdkafka told of its cause is added where the call failed for a broker's sake.
fn describe(error: &KafkaError, told: Option<String>) -> String {
    let transport = [
        RDKafkaErrorCode::BrokerTransportFailure,
        RDKafkaErrorCode::AllBrokersDown,
        RDKafkaErrorCode::MessageTimedOut,
        RDKafkaErrorCode::OperationTimedOut,
    ];
    match (error.rdkafka_error_code(), told) {
        (Some(code), Some(told)) if transport.contains(&code) => format!("{error}: {told}"),
        _ => error.to_string(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::Internal(e.to_string()))
}
