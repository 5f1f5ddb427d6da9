//! The edge to Kafka: a thread of its own that takes records only while there is space for them, and never stops polling.

pub mod config;
mod context;
mod lanes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::kafka::LastError;
use crds::ChunkHeader;
use crds::names::SMALL_PARTITION;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use rows::MAX_BATCH_CHUNKS;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use self::context::{Context, store};
use self::lanes::{FULL_BEFORE_PAUSE, Lanes};
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

/// How many chunks may be in flight or unreported: what goes on while the API server is away. Chunks of open batches do
/// not count.
pub const UNREPORTED: usize = 1000;

/// How long a poll waits,
const POLL: Duration = Duration::from_millis(100);
/// and how long while records wait to be handed over.
const SHORT_POLL: Duration = Duration::from_millis(10);
/// A consumer that reaches no broker for so long is replaced: librdkafka 2.12 was seen to try no more, minutes after the
/// broker was back.
const UNREACHED: Duration = Duration::from_mins(2);
/// How long a stop waits for the batches in flight and their report.
const STOP_TIMEOUT: Duration = Duration::from_secs(13);

/// What the thread needs.
pub struct Consume {
    /// The topic; the group has the same name.
    pub topic: String,
    /// Settings from [`config::consumer_config`].
    pub config: ClientConfig,
    /// Who keeps the offsets.
    pub tracker: Arc<Tracker>,
    /// The first stage of most chunks.
    pub bulk: Sender<Delivery>,
    /// That of small ones.
    pub small: Sender<Delivery>,
    /// Where chunks live.
    pub buffers: Buffers,
    /// The order to stop.
    pub stop: Stop,
    /// Notes each turn.
    pub health: HealthTracker,
    /// Notes the lag.
    pub metrics: Metrics,
    /// Whether open batches take much memory.
    pub collector: Arc<Collector>,
    /// The runtime of the stages.
    pub runtime: Handle,
}

/// Why no more is taken.
enum End {
    /// By the order to stop.
    Stopped,
    /// No broker was reached for [`UNREACHED`].
    Unreached,
}

impl Delivery {
    /// The way that it takes.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Chunk(chunk) => Lane::of(&chunk.header, chunk.body.as_ref().len()),
            Self::DeadLetter(..) => Lane::Bulk,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.body.as_ref().len(),
            Self::DeadLetter(record, _) => record.bytes(),
        }
    }

    /// Its partition.
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
    /// Takes records until the order to stop, then waits for those in flight and leaves the group.
    ///
    /// # Errors
    /// What librdkafka says is fatal.
    pub fn run(self) -> Result<(), KafkaError> {
        let (consumer, result) = loop {
            let consumer = self.connect()?;
            match self.take(&consumer) {
                Ok(End::Unreached) => {
                    tracing::warn!("no broker was reached for {} s: connecting anew", UNREACHED.as_secs());
                    // What was taken comes again.
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
        // Commits what is stored and leaves the group.
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
        // Which partitions are paused, and since which assignment.
        let mut paused: (BTreeSet<i32>, u64) = (BTreeSet::new(), 0);
        while !self.stop.is_set() {
            self.health.beat();
            let unreached = self.health.troubled_since("kafka").map(|since| since.max(connected).elapsed());
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
                lanes.hand_over();
            }
            let now = Instant::now();
            let mut pause = lanes.paused(&partitions, reported, now);
            if let Some(kept) = self.collector.crowded(now) {
                let others = |partition: &&i32| ![kept, SMALL_PARTITION].contains(*partition);
                pause.extend(partitions.iter().filter(others));
            }
            if (&pause, assignments) != (&paused.0, paused.1) {
                self.pause(consumer, &paused.0, &pause)?;
                paused = (pause, assignments);
            }
            if lanes.is_full() {
                self.wait_for_place(&lanes);
                continue;
            }
            match consumer.poll(if lanes.is_empty() { POLL } else { SHORT_POLL }) {
                Some(Ok(message)) => {
                    self.health.fine("topic");
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

    /// Pauses the partitions `new`, and lets those go on that were paused before.
    fn pause(
        &self,
        consumer: &BaseConsumer<Context>,
        old: &BTreeSet<i32>,
        new: &BTreeSet<i32>,
    ) -> Result<(), KafkaError> {
        let ours: BTreeSet<i32> = self.tracker.offsets().partitions().into_iter().collect();
        let list = |partitions: &mut dyn Iterator<Item = &i32>| {
            let mut list = TopicPartitionList::new();
            for partition in partitions.filter(|partition| ours.contains(partition)) {
                list.add_partition(&self.topic, *partition);
            }
            list
        };
        let resume = list(&mut old.difference(new));
        let pause = list(&mut new.iter());
        if resume.count() > 0 {
            tracing::debug!(partitions = ?old.difference(new), "going on");
            consumer.resume(&resume)?;
        }
        if pause.count() > 0 {
            tracing::debug!(partitions = ?new, "no space for more chunks: pausing");
            consumer.pause(&pause)?;
        }
        Ok(())
    }

    /// Waits for a place in a lane that is full.
    fn wait_for_place(&self, lanes: &Lanes) {
        let place = async {
            tokio::select! {
                _ = lanes.bulk.next().reserve(), if lanes.bulk.is_full() => {}
                _ = lanes.small.next().reserve(), if lanes.small.is_full() => {}
                () = self.stop.wait() => {}
            }
        };
        // In either case the next turn looks what can be done.
        let _ = self.runtime.block_on(async { timeout(FULL_BEFORE_PAUSE, place).await });
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
                self.health.trouble("topic", format!("TopicMissing: Kafka has no topic '{}'", self.topic));
                self.metrics.retried("TopicMissing");
            }
            _ => self.metrics.retried("KafkaUnavailable"),
        }
        tracing::warn!(%error, "kafka");
    }
}

/// Whether a chunk is so far from the first of its batch that no cutter can have made it.
fn is_too_far(header: &ChunkHeader) -> bool {
    header.chunk - header.batch.first_chunk >= MAX_BATCH_CHUNKS
}
