//! Reads chunks from Kafka a second time, with a consumer of its own that joins no group.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::ChunkHeader;
use crds::chunk::ChunkHeaderError;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::stop::Stopped;

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait if no consumer can be made.
const RETRY: Duration = Duration::from_secs(1);

/// The settings for reading chunks again.
#[derive(Clone, Debug)]
pub struct Reread {
    config: ClientConfig,
    topic: String,
}

/// Returns the chunk header of a Kafka record.
pub fn header_of(message: &BorrowedMessage<'_>) -> Result<ChunkHeader, ChunkHeaderError> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    ChunkHeader::parse(headers.map(|h| (h.key, h.value.unwrap_or_default())))
}

impl Reread {
    /// Makes a reader of `topic` with the settings of a connection.
    #[must_use]
    pub fn new(mut config: ClientConfig, topic: String) -> Self {
        connect::kafka::without_group(&mut config, &topic)
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "2048")
            .set("fetch.message.max.bytes", "1048576");
        Self { config, topic }
    }

    /// Passes the records at these offsets to `each`, in the order of the offsets, until it returns false. Returns how
    /// many records there were. Waits while Kafka cannot be reached, as long as `may_continue` returns true.
    pub fn read(
        &self,
        partition: i32,
        offsets: &[i64],
        may_continue: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Result<usize, Stopped> {
        let mut missing: BTreeSet<i64> = offsets.iter().copied().collect();
        let Some(first) = missing.first().copied() else { return Ok(0) };
        let mut found = 0;
        let consumer = loop {
            match self.consumer(partition, first) {
                Ok(consumer) => break consumer,
                Err(error) => tracing::error!(%error, partition, "failed to read chunks again"),
            }
            std::thread::sleep(RETRY);
            if !may_continue() {
                return Err(Stopped);
            }
        };
        while may_continue() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    // Kafka no longer has the records before this one that were not passed yet.
                    missing = missing.split_off(&message.offset());
                    if missing.remove(&message.offset()) {
                        found += 1;
                        if !each(&message) {
                            return Err(Stopped);
                        }
                    }
                    if missing.is_empty() {
                        return Ok(found);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(found),
                Some(Err(error)) => tracing::warn!(%error, partition, "reading chunks again"),
                None => {}
            }
        }
        Err(Stopped)
    }

    fn consumer(&self, partition: i32, first: i64) -> Result<BaseConsumer, KafkaError> {
        let consumer: BaseConsumer = self.config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(first))?;
        consumer.assign(&list)?;
        Ok(consumer)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{FutureProducer, FutureRecord};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_records_at_the_offsets_are_read_and_missing_ones_are_counted() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: FutureProducer = config.create().unwrap();
        for number in 0..5_u8 {
            let body = [number];
            let record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to("t").partition(0).payload(&body);
            producer.send(record, Duration::from_secs(10)).await.unwrap();
        }
        let reread = Reread::new(config, "t".into());
        let read = tokio::task::spawn_blocking(move || {
            let mut seen = vec![];
            let found = reread.read(0, &[3, 1, 77], &|| true, &mut |message| {
                seen.push(message.payload().map(<[u8]>::to_vec));
                true
            });
            let none = reread.read(0, &[1], &|| false, &mut |_| true);
            (found.unwrap(), seen, none.is_err())
        });
        assert_eq!(read.await.unwrap(), (2, vec![Some(vec![1]), Some(vec![3])], true));
    }
}
