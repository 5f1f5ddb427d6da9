//! Which partitions of the consumer are paused.
//!
//! librdkafka keeps a partition paused when its assignment is lost and it is assigned again: nobody but the caller resumes
//! it. So each new assignment resumes what is not to be paused.

use std::collections::BTreeSet;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

/// The partitions that are paused, as of an assignment.
#[derive(Debug, Default)]
pub struct Paused {
    partitions: BTreeSet<i32>,
    assignments: u64,
}

impl Paused {
    /// Pauses the partitions `wanted`, and resumes the other assigned ones. Does nothing if neither `wanted` nor the number
    /// of assignments has changed since the last call.
    ///
    /// # Errors
    /// If librdkafka does not know a partition.
    pub fn set<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        assigned: &[i32],
        assignments: u64,
        wanted: BTreeSet<i32>,
    ) -> Result<(), KafkaError> {
        if (&self.partitions, self.assignments) == (&wanted, assignments) {
            return Ok(());
        }
        let (pause, resume): (Vec<i32>, Vec<i32>) = assigned.iter().partition(|id| wanted.contains(id));
        tracing::debug!(?pause, ?resume, "partitions are paused and resumed");
        if !resume.is_empty() {
            consumer.resume(&list(topic, &resume))?;
        }
        if !pause.is_empty() {
            consumer.pause(&list(topic, &pause))?;
        }
        *self = Self { partitions: wanted, assignments };
        Ok(())
    }
}

fn list(topic: &str, partitions: &[i32]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rdkafka::ClientConfig;
    use rdkafka::message::Message as _;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{FutureProducer, FutureRecord};

    use super::*;

    /// More than any step takes.
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test(flavor = "multi_thread")]
    async fn a_partition_that_was_paused_in_an_earlier_assignment_is_read_in_the_next_one() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: FutureProducer = config.create().unwrap();
        config.set("group.id", "g").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().unwrap();
        let (all, mut paused) = (list("t", &[0]), Paused::default());

        consumer.assign(&all).unwrap();
        paused.set(&consumer, "t", &[0], 1, BTreeSet::from([0])).unwrap();
        let record: FutureRecord<'_, str, str> = FutureRecord::to("t").partition(0).payload("x");
        producer.send(record, LONG).await.unwrap();
        // The assignment is lost while the partition is paused. Then there is nothing to pause.
        consumer.unassign().unwrap();
        paused.set(&consumer, "t", &[], 1, BTreeSet::new()).unwrap();
        consumer.assign(&all).unwrap();
        paused.set(&consumer, "t", &[0], 2, BTreeSet::new()).unwrap();

        let start = Instant::now();
        let message = loop {
            assert!(start.elapsed() < LONG, "the record is not delivered");
            // A poll also returns when it has served something else.
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                break message.unwrap();
            }
        };
        assert_eq!(message.payload(), Some(&b"x"[..]));
    }
}
