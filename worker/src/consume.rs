//! The edge to Kafka: a thread of its own that takes records only when there is a place for them, and never stops
//! polling.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use connect::kafka::LastError;
use crds::ChunkHeader;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Statistics};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{OwnedPermit, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::buffers::Buffers;
use crate::dead_letter::Letter;
use crate::metrics::Metrics;
use crate::pipeline::{Chunk, Delivery};
use crate::stop::Stop;
use crate::tracker::Tracker;
use crate::vitals::Vitals;

/// How many chunks may be done or under way without being reported: what goes on while the API server is away.
pub const UNREPORTED: usize = 1000;

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How long the thread waits for a place without polling. Longer than an insert takes, for a pause throws away what was
/// fetched ahead; much shorter than `max.poll.interval.ms`.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a rebalance waits for the chunks in hand.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a stop waits for the chunks in hand and their report.
const STOP_PATIENCE: Duration = Duration::from_secs(13);

/// What the thread needs.
pub struct Consume {
    /// The topic; the group has the same name.
    pub topic: String,
    /// Settings from [`consumer_config`].
    pub config: ClientConfig,
    /// Who keeps the offsets.
    pub tracker: Arc<Tracker>,
    /// The first stage. Records wait here only one at a time.
    pub next: Sender<Delivery>,
    /// Where chunks live.
    pub buffers: Buffers,
    /// The order to stop.
    pub stop: Stop,
    /// Told of each turn.
    pub vitals: Vitals,
    /// Told of the lag.
    pub metrics: Metrics,
    /// The runtime of the stages.
    pub runtime: Handle,
}

/// A place for one record: with the unreported, and in the first stage.
type Place = (OwnedSemaphorePermit, OwnedPermit<Delivery>);

/// The settings of a consumer, on top of the connection's.
#[must_use]
pub fn consumer_config(mut config: ClientConfig, group: &str, prefetch_kib: u32) -> ClientConfig {
    let prefetch = prefetch_kib.to_string();
    let fetch = (u64::from(prefetch_kib) * 1024).clamp(1 << 20, 32 << 20).to_string();
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        // We say what is stored, librdkafka sends it in the background, when partitions leave and at the end.
        .set("enable.auto.offset.store", "false")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "500")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "500")
        // With a partition that is empty a fetch waits this long, half a second by default.
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", &prefetch)
        .set("fetch.message.max.bytes", "4194304")
        .set("fetch.max.bytes", &fetch)
        .set("statistics.interval.ms", "5000")
        // A topic that the operator is about to make is noticed soon.
        .set("topic.metadata.refresh.interval.ms", "10000");
    config
}

impl Consume {
    /// Takes records until told to stop, then waits for those in hand and leaves the group.
    ///
    /// # Errors
    /// What librdkafka says is fatal.
    pub fn run(self) -> Result<(), KafkaError> {
        let context = Context {
            last: LastError::default(),
            tracker: self.tracker.clone(),
            vitals: self.vitals.clone(),
            metrics: self.metrics.clone(),
            topic: self.topic.clone(),
        };
        let consumer: BaseConsumer<Context> = self.config.create_with_context(context)?;
        consumer.subscribe(&[&self.topic])?;
        let result = self.take(&consumer);
        let Self { tracker, next, topic, .. } = self;
        drop(next);
        let partitions = tracker.offsets().partitions();
        if !tracker.drain(&partitions, STOP_PATIENCE, |moved| store(&consumer, &topic, &moved)) {
            tracing::warn!(
                "not everything in hand could be finished and reported in time; others will do it again"
            );
        }
        // Commits what is stored and leaves the group.
        drop(consumer);
        result
    }

    fn take(&self, consumer: &BaseConsumer<Context>) -> Result<(), KafkaError> {
        let unreported = Arc::new(Semaphore::new(UNREPORTED));
        let mut place: Option<Place> = None;
        let mut waiting: VecDeque<Delivery> = VecDeque::new();
        // The assignment whose partitions are paused.
        let mut paused: Option<u64> = None;
        while !self.stop.is_set() {
            self.vitals.beat();
            let (moved, assignments, unfinished) = {
                let mut offsets = self.tracker.offsets();
                (offsets.moved(), offsets.assignments(), offsets.unfinished())
            };
            self.metrics.unfinished(unfinished);
            store(consumer, &self.topic, &moved);
            if place.is_none() {
                place = self.place(&unreported, if paused.is_some() { POLL } else { PATIENCE });
            }
            if place.is_none() && paused != Some(assignments) {
                tracing::info!("no place for another chunk: pausing");
                consumer.pause(&consumer.assignment()?)?;
                paused = Some(assignments);
            } else if place.is_some() && waiting.is_empty() && paused.take().is_some() {
                tracing::info!("going on");
                consumer.resume(&consumer.assignment()?)?;
            }
            if let (Some(_), Some(_)) = (&place, waiting.front()) {
                hand_over(&mut place, &mut waiting);
                continue;
            }
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    self.vitals.fine("topic");
                    waiting.extend(self.delivery(&message));
                    hand_over(&mut place, &mut waiting);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
                Some(Err(error)) => self.told(&error),
                None => {}
            }
        }
        Ok(())
    }

    fn place(&self, unreported: &Arc<Semaphore>, patience: Duration) -> Option<Place> {
        let both = async {
            let unreported = unreported.clone().acquire_owned().await.ok()?;
            Some((unreported, self.next.clone().reserve_owned().await.ok()?))
        };
        let unless_stopped = async {
            tokio::select! {
                place = both => place,
                () = self.stop.wait() => None,
            }
        };
        self.runtime.block_on(async { timeout(patience, unless_stopped).await.ok().flatten() })
    }

    fn delivery(&self, message: &BorrowedMessage<'_>) -> Option<Delivery> {
        let ticket = self.tracker.take(message.partition(), message.offset())?;
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let header = ChunkHeader::parse(headers.map(|h| (h.key, h.value.unwrap_or_default())));
        Some(match header {
            Ok(header) => {
                let body = self.buffers.copy(message.payload().unwrap_or_default());
                Delivery::Chunk(Chunk { header, body, ticket })
            }
            Err(error) => Delivery::Letter(Letter::of_message(message, &error), ticket),
        })
    }

    fn told(&self, error: &KafkaError) {
        use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
        match error.rdkafka_error_code() {
            Some(UnknownTopic | UnknownTopicOrPartition | UnknownPartition) => {
                self.vitals.trouble("topic", format!("TopicMissing: Kafka has no topic '{}'", self.topic));
                self.metrics.retried("TopicMissing");
            }
            _ => self.metrics.retried("KafkaUnavailable"),
        }
        tracing::warn!(%error, "kafka");
    }
}

/// Puts the first that waits in the place, if there are both.
fn hand_over(place: &mut Option<Place>, waiting: &mut VecDeque<Delivery>) {
    let Some((unreported, stage)) = place.take_if(|_| !waiting.is_empty()) else { return };
    let Some(mut delivery) = waiting.pop_front() else { return };
    match &mut delivery {
        Delivery::Chunk(chunk) => chunk.ticket.place = Some(unreported),
        Delivery::Letter(_, ticket) => ticket.place = Some(unreported),
    }
    stage.send(delivery);
}

/// Tells librdkafka which offsets may be committed.
fn store<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, moved: &[(i32, i64)]) {
    if moved.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::new();
    for (partition, next) in moved {
        // Fails only for an offset that is no number.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*next));
    }
    if let Err(error) = consumer.store_offsets(&list) {
        // The partition has just left: whoever has it now finds these chunks in the ledger.
        tracing::debug!(%error, ?moved, "failed to store offsets");
    }
}

/// What librdkafka tells us, on this thread.
struct Context {
    last: LastError,
    tracker: Arc<Tracker>,
    vitals: Vitals,
    metrics: Metrics,
    topic: String,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.last.set(&error, reason);
        self.vitals.trouble("kafka", format!("KafkaUnavailable: {error}: {reason}"));
    }

    fn stats(&self, statistics: Statistics) {
        // Numbers are given to brokers that are known, -1 to those we start from.
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            self.vitals.fine("kafka");
        }
        let partitions = statistics.topics.get(&self.topic).map(|topic| topic.partitions.values());
        let lag = partitions.into_iter().flatten().map(|partition| partition.consumer_lag.max(0)).sum();
        self.metrics.lag(lag);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let ids = ids(list);
                tracing::info!(partitions = ?ids, "assigned");
                for id in ids {
                    self.tracker.offsets().assign(id);
                }
            }
            Rebalance::Revoke(list) => {
                let ids = ids(list);
                let gone = consumer.assignment_lost();
                tracing::info!(partitions = ?ids, lost = gone, "revoked");
                for id in &ids {
                    self.tracker.offsets().leave(*id);
                }
                if !gone {
                    self.tracker.drain(&ids, REVOKE_PATIENCE, |moved| store(consumer, &self.topic, &moved));
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                self.vitals.joined();
                if list.count() > 0 {
                    self.vitals.fine("topic");
                }
            }
            Rebalance::Revoke(list) => ids(list).iter().for_each(|id| self.tracker.offsets().remove(*id)),
            Rebalance::Error(_) => {}
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Err(error) if error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset) => {
                tracing::warn!(%error, "failed to commit offsets; they go with the next commit");
            }
            _ => {}
        }
    }
}

fn ids(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_takes_every_setting() {
        let config = consumer_config(ClientConfig::new(), "g", 16_384);
        assert!(config.create::<BaseConsumer>().is_ok());
    }
}
