//! The connection to Kafka: a thread of its own that takes records only while there is free memory for them, and never
//! stops polling.

pub mod config;
mod context;
mod lanes;
mod paused;

use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::kafka::{LastError, UNREACHED};
use crds::ChunkHeader;
use crds::names::SMALL_PARTITION;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rows_types::MAX_BATCH_CHUNKS;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use self::context::{Context, store};
use self::lanes::{FULL_BEFORE_PAUSE, Lanes};
use self::paused::Paused;
use crate::budget::Lane;
use crate::buffers::Buffers;
use crate::collect::Collector;
use crate::dead_letter::DeadLetter;
use crate::health_tracker::HealthTracker;
use crate::metrics::Metrics;
use crate::pipeline::{Chunk, Delivery};
use crate::reread::header_of;
use crate::stop::Stop;
use crate::tracker::{Ticket, Tracker};

/// How many chunks may be in flight or unreported: the limit of what is processed while the API server cannot be
/// reached. Chunks of open batches do not count.
pub const UNREPORTED: usize = 1000;

/// How long a poll waits while no record waits to be handed over.
const POLL: Duration = Duration::from_millis(100);
/// How long a poll waits while records wait to be handed over.
const SHORT_POLL: Duration = Duration::from_millis(10);
/// How long the worker waits at its stop for the batches in flight and their report.
const STOP_TIMEOUT: Duration = Duration::from_secs(13);

/// What the thread needs.
pub struct Consume {
    /// The topic; the group has the same name.
    pub topic: String,
    /// Settings from [`config::consumer_config`].
    pub config: ClientConfig,
    /// The tracker of the offsets.
    pub tracker: Arc<Tracker>,
    /// The first stage of the bulk lane.
    pub bulk: Sender<Delivery>,
    /// The first stage of the small lane.
    pub small: Sender<Delivery>,
    /// The buffers of the chunks.
    pub buffers: Buffers,
    /// The signal to stop.
    pub stop: Stop,
    /// Gets a heartbeat in each turn of the loop.
    pub health: HealthTracker,
    /// Gets the lag.
    pub metrics: Metrics,
    /// Shows whether open batches use much memory.
    pub collector: Arc<Collector>,
    /// The runtime of the stages.
    pub runtime: Handle,
}

/// Why no more records are taken.
enum End {
    /// The worker is stopping.
    Stopped,
    /// No broker was reached for [`UNREACHED`].
    Unreached,
}

impl Delivery {
    /// Returns the lane of the record.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Chunk(chunk) => Lane::of(&chunk.header, chunk.body.as_ref().len()),
            Self::DeadLetter(..) => Lane::Bulk,
        }
    }

    /// Returns the number of bytes of the record.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.body.as_ref().len(),
            Self::DeadLetter(record, _) => record.bytes(),
        }
    }

    /// Returns the partition of the record.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.ticket().position().0
    }

    fn ticket(&self) -> &Ticket {
        match self {
            Self::Chunk(chunk) => &chunk.ticket,
            Self::DeadLetter(_, ticket) => ticket,
        }
    }
}

impl Consume {
    /// Takes records until the signal to stop. Then it waits for those in flight and leaves the group.
    ///
    /// # Errors
    /// The fatal errors of librdkafka.
    pub fn run(self) -> Result<(), KafkaError> {
        let (consumer, result) = loop {
            let consumer = self.connect()?;
            match self.take(&consumer) {
                Ok(End::Unreached) => {
                    tracing::warn!("no broker was reached for {} s: connecting anew", UNREACHED.as_secs());
                    // The records that were taken are delivered again.
                    let mut offsets = self.tracker.offsets();
                    offsets.partitions().into_iter().for_each(|partition| offsets.remove(partition));
                }
                Ok(End::Stopped) => break (consumer, Ok(())),
                Err(error) => break (consumer, Err(error)),
            }
        };
        let Self { tracker, bulk, small, topic, .. } = self;
        drop((bulk, small));
        let partitions = tracker.offsets().partitions();
        if !tracker.drain(&partitions, STOP_TIMEOUT, |moved| store(&consumer, &topic, &moved)) {
            tracing::warn!(
                "not everything in flight could be finished and reported in time; others will do it again"
            );
        }
        // This commits what is stored and leaves the group.
        drop(consumer);
        result
    }

    fn connect(&self) -> Result<BaseConsumer<Context>, KafkaError> {
        let context = Context {
            last: LastError::default(),
            tracker: self.tracker.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            topic: self.topic.clone(),
        };
        let consumer: BaseConsumer<Context> = self.config.create_with_context(context)?;
        consumer.subscribe(&[&self.topic])?;
        Ok(consumer)
    }

    fn take(&self, consumer: &BaseConsumer<Context>) -> Result<End, KafkaError> {
        let connected = Instant::now();
        let mut lanes = Lanes::new(self.bulk.clone(), self.small.clone());
        let mut paused = Paused::default();
        while !self.stop.is_set() {
            self.health.heartbeat();
            let unreached = self.health.failing_since("kafka").map(|since| since.max(connected).elapsed());
            if unreached.is_some_and(|time| time >= UNREACHED) {
                return Ok(End::Unreached);
            }
            let (moved, assignments, (unfinished, in_flight), partitions) = {
                let mut offsets = self.tracker.offsets();
                (offsets.moved(), offsets.assignments(), offsets.unfinished(), offsets.partitions())
            };
            self.metrics.unfinished(unfinished);
            store(consumer, &self.topic, &moved);
            let reported = in_flight < UNREPORTED;
            if reported {
                lanes.forward();
            }
            let now = Instant::now();
            let mut pause = lanes.paused(&partitions, reported, now);
            if let Some(kept) = self.collector.crowded(now) {
                let others = |partition: &&i32| ![kept, SMALL_PARTITION].contains(*partition);
                pause.extend(partitions.iter().filter(others));
            }
            paused.set(consumer, &self.topic, &partitions, assignments, pause)?;
            if lanes.is_full() {
                self.wait_for_space(&lanes);
                continue;
            }
            match consumer.poll(if lanes.is_empty() { POLL } else { SHORT_POLL }) {
                Some(Ok(message)) => {
                    self.health.succeeded("topic");
                    if let Some(delivery) = self.delivery(&message) {
                        lanes.push(delivery, Instant::now());
                    }
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
                Some(Err(error)) => self.note(&error),
                None => {}
            }
        }
        Ok(End::Stopped)
    }

    /// Waits until a full lane can forward a record.
    fn wait_for_space(&self, lanes: &Lanes) {
        let space = async {
            tokio::select! {
                _ = lanes.bulk.next().reserve(), if lanes.bulk.is_full() => {}
                _ = lanes.small.next().reserve(), if lanes.small.is_full() => {}
                () = self.stop.wait() => {}
            }
        };
        // In either case the next turn of the loop checks what can be done.
        let _ = self.runtime.block_on(async { timeout(FULL_BEFORE_PAUSE, space).await });
    }

    fn delivery(&self, message: &BorrowedMessage<'_>) -> Option<Delivery> {
        let ticket = self.tracker.take(message.partition(), message.offset())?;
        let dead = |why: &dyn ToString, ticket| {
            Delivery::DeadLetter(DeadLetter::of_message(message, &why.to_string()), ticket)
        };
        Some(match header_of(message) {
            Ok(header) if is_too_far(&header) => {
                dead(&"the batch has more chunks than a batch can have", ticket)
            }
            Ok(header) => {
                let body = self.buffers.copy(message.payload().unwrap_or_default());
                Delivery::Chunk(Chunk { header, body, ticket })
            }
            Err(error) => dead(&error, ticket),
        })
    }

    fn note(&self, error: &KafkaError) {
        use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
        match error.rdkafka_error_code() {
            Some(UnknownTopic | UnknownTopicOrPartition | UnknownPartition) => {
                self.health.failed("topic", format!("TopicMissing: Kafka has no topic '{}'", self.topic));
                self.metrics.retried("TopicMissing");
            }
            _ => self.metrics.retried("KafkaUnavailable"),
        }
        tracing::warn!(%error, "kafka");
    }
}

/// Returns whether a chunk is so far from the first chunk of its batch that no cutter can have made it.
fn is_too_far(header: &ChunkHeader) -> bool {
    header.chunk - header.batch.first_chunk >= MAX_BATCH_CHUNKS
}
