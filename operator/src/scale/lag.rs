//! How many chunks of a model wait in Kafka, by partition: end offsets less committed offsets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connect::KafkaArgs;
use connect::kafka::LastError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

/// The longest that one call may take: a slow answer must not delay a scale-up that does not need it.
const PATIENCE: Duration = Duration::from_secs(2);

type Client = Arc<BaseConsumer<LastError>>;

/// Why the lag cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum LagError {
    /// Kafka.
    #[error("failed to read the lag: {0}")]
    Kafka(#[from] KafkaError),
    /// The runtime is stopping.
    #[error("failed to read the lag: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Reads the lag of consumer groups. One client a group, kept while the group is of interest: it asks, it never joins.
pub struct LagReader {
    kafka: KafkaArgs,
    clients: Mutex<HashMap<String, Client>>,
}

impl LagReader {
    /// Connects when it is first asked.
    #[must_use]
    pub fn new(kafka: KafkaArgs) -> Self {
        Self { kafka, clients: Mutex::default() }
    }

    /// Waiting chunks by partition. The group has the topic's name.
    pub async fn read(&self, topic: &str, partitions: i32) -> Result<Vec<i64>, LagError> {
        let client = self.client(topic)?;
        let topic = topic.to_owned();
        Ok(tokio::task::spawn_blocking(move || read(&client, &topic, partitions)).await??)
    }

    /// Closes the group's client.
    pub fn forget(&self, topic: &str) {
        let client = self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
        // Its destructor waits for librdkafka's threads.
        drop(tokio::task::spawn_blocking(move || drop(client)));
    }

    fn client(&self, group: &str) -> Result<Client, KafkaError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(group) {
            return Ok(Arc::clone(client));
        }
        let mut config = self.kafka.client_config("batch-operator-lag");
        config.set("group.id", group).set("enable.auto.commit", "false");
        let client: Client = Arc::new(config.create_with_context(LastError::default())?);
        clients.insert(group.to_owned(), Arc::clone(&client));
        Ok(client)
    }
}

fn read(client: &BaseConsumer<LastError>, topic: &str, partitions: i32) -> Result<Vec<i64>, KafkaError> {
    let at = |offset: Offset| -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, offset)?;
        }
        Ok(list)
    };
    let committed = offsets(&client.committed_offsets(at(Offset::Invalid)?, PATIENCE)?, partitions);
    // All partitions in one request, unlike watermarks.
    let ends = offsets(&client.offsets_for_times(at(Offset::End)?, PATIENCE)?, partitions);
    let begins = if committed.contains(&None) {
        offsets(&client.offsets_for_times(at(Offset::Beginning)?, PATIENCE)?, partitions)
    } else {
        vec![None; committed.len()]
    };
    Ok(lag(&committed, &begins, &ends))
}

fn offsets(list: &TopicPartitionList, partitions: i32) -> Vec<Option<i64>> {
    let mut out: Vec<Option<i64>> = (0..partitions).map(|_| None).collect();
    for element in list.elements() {
        let slot = usize::try_from(element.partition()).ok().and_then(|at| out.get_mut(at));
        if let (Some(slot), Offset::Offset(offset)) = (slot, element.offset()) {
            *slot = Some(offset);
        }
    }
    out
}

/// A partition without a committed offset is read from its beginning.
fn lag(committed: &[Option<i64>], begins: &[Option<i64>], ends: &[Option<i64>]) -> Vec<i64> {
    committed
        .iter()
        .zip(begins)
        .zip(ends)
        .map(|((committed, begin), end)| (end.unwrap_or(0) - committed.or(*begin).unwrap_or(0)).max(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_counted_from_the_commit_or_else_from_the_beginning() {
        let committed = [Some(5), None, None, Some(9)];
        let begins = [None, Some(3), Some(0), None];
        let ends = [Some(7), Some(10), Some(0), Some(8)];
        assert_eq!(lag(&committed, &begins, &ends), [2, 7, 0, 0]);
    }
}
