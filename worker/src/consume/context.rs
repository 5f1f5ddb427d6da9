//! The callbacks of librdkafka on Kafka's thread: errors, statistics, and which partitions are assigned and revoked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::kafka::LastError;
use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use crate::health_tracker::HealthTracker;
use crate::metrics::Metrics;
use crate::tracker::Tracker;

/// How long a rebalance waits for the batches in flight.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an assignment waits for the end offsets of its partitions. Without them all records count as delivered
/// before.
const END_OFFSETS_TIMEOUT: Duration = Duration::from_secs(2);

/// The context of the consumer.
pub struct Context {
    /// The last error.
    pub last: LastError,
    /// The tracker of the offsets.
    pub tracker: Arc<Tracker>,
    /// Shows whether Kafka can be reached.
    pub health: HealthTracker,
    /// Gets the lag.
    pub metrics: Metrics,
    /// The topic.
    pub topic: String,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.last.set(&error, reason);
        self.health.failed("kafka", format!("KafkaUnavailable: {error}: {reason}"));
    }

    fn stats(&self, statistics: Statistics) {
        // A broker that is known has a number; the bootstrap brokers have -1.
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            self.health.succeeded("kafka");
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
                let ends = end_offsets(consumer, &self.topic, &ids, END_OFFSETS_TIMEOUT);
                tracing::info!(partitions = ?ids, ?ends, "assigned");
                let now = Instant::now();
                for (id, end) in ids.into_iter().zip(ends) {
                    self.tracker.offsets().assign(id, end, now);
                }
            }
            Rebalance::Revoke(list) => {
                let ids = ids(list);
                let is_lost = consumer.assignment_lost();
                tracing::info!(partitions = ?ids, lost = is_lost, "revoked");
                for id in &ids {
                    self.tracker.offsets().begin_revoke(*id);
                }
                if !is_lost {
                    self.tracker.drain(&ids, REVOKE_TIMEOUT, |moved| store(consumer, &self.topic, &moved));
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                self.health.joined();
                if list.count() > 0 {
                    self.health.succeeded("topic");
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

/// Sets the offsets that librdkafka may commit.
pub fn store<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, moved: &[(i32, i64)]) {
    if moved.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::new();
    for (partition, next) in moved {
        // Fails only if the offset is not a number.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*next));
    }
    if let Err(error) = consumer.store_offsets(&list) {
        // The partition was just revoked: the worker that has it now finds these chunks in the ledger.
        tracing::debug!(%error, ?moved, "failed to store offsets");
    }
}

/// Returns the end offset of each partition, with one call; `None` if it is not known.
fn end_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    timeout: Duration,
) -> Vec<Option<i64>> {
    let mut wanted = TopicPartitionList::new();
    for partition in partitions {
        // Never fails: the offset is valid. Kafka interprets it as the time of the last record.
        let _ = wanted.add_partition_offset(topic, *partition, Offset::End);
    }
    if partitions.is_empty() {
        return Vec::new();
    }
    let found = consumer.offsets_for_times(wanted, timeout).inspect_err(|error| {
        tracing::warn!(%error, "failed to read the ends of partitions; all counts as delivered before");
    });
    let end = |partition: &i32| {
        let element = found.as_ref().ok()?.find_partition(topic, *partition)?;
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(end)) => Some(end),
            _ => None,
        }
    };
    partitions.iter().map(end).collect()
}

fn ids(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::DefaultConsumerContext;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{FutureProducer, FutureRecord};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_end_of_each_partition_is_found() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "t");
        let producer: FutureProducer = config.create().unwrap();
        for _ in 0..3 {
            let record: FutureRecord<'_, str, str> = FutureRecord::to("t").partition(1).payload("x");
            producer.send(record, Duration::from_secs(10)).await.unwrap();
        }
        let ends = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer<DefaultConsumerContext> = config.create().unwrap();
            end_offsets(&consumer, "t", &[0, 1], Duration::from_secs(30))
        });
        assert_eq!(ends.await.unwrap(), [Some(0), Some(3)]);
    }
}
