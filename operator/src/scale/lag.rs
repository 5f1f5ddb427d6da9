//! How far the workers of a model are in each partition of its topic, and so how many chunks wait there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connect::KafkaArgs;
use connect::kafka::LastError;
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

/// The longest that one call may take: a slow answer must not delay a scale-up that does not need it.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(2);

type Client = Arc<BaseConsumer<LastError>>;

/// How far a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first offset that is not consumed: everything below was loaded, or Kafka no longer has it.
    pub consumed: i64,
    /// The offset that the next record gets.
    pub end: i64,
}

impl Position {
    /// From what the group committed, and where the partition begins and ends.
    ///
    /// Records that retention removed do not wait. A committed offset beyond the end is that of an earlier topic of this
    /// name: the workers begin at the beginning. `None` if the partition's ends are unknown.
    #[must_use]
    pub fn of(committed: Option<i64>, begin: Option<i64>, end: Option<i64>) -> Option<Self> {
        let (begin, end) = (begin?, end?);
        let consumed = committed.filter(|offset| *offset <= end).map_or(begin, |offset| offset.max(begin));
        Some(Self { consumed, end })
    }

    /// Records that wait.
    #[must_use]
    pub fn lag(&self) -> i64 {
        (self.end - self.consumed).max(0)
    }
}

/// The positions of all partitions of a topic; `None` where one is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// When they were read, or a moment earlier.
    pub at: Timestamp,
    /// By partition.
    pub partitions: Vec<Option<Position>>,
}

impl Positions {
    /// Waiting chunks by partition.
    #[must_use]
    pub fn lag(&self) -> Vec<i64> {
        self.partitions.iter().map(|position| position.map_or(0, |position| position.lag())).collect()
    }
}

/// Why the lag is unknown.
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

    /// The position of every partition; `now` is the time of the reading. The group has the topic's name.
    pub async fn read(&self, topic: &str, partitions: i32, now: Timestamp) -> Result<Positions, LagError> {
        let client = self.client(topic)?;
        let topic = topic.to_owned();
        let partitions = tokio::task::spawn_blocking(move || read(&client, &topic, partitions)).await??;
        Ok(Positions { at: now, partitions })
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

fn read(
    client: &BaseConsumer<LastError>,
    topic: &str,
    partitions: i32,
) -> Result<Vec<Option<Position>>, KafkaError> {
    let at = |offset: Offset| -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, offset)?;
        }
        Ok(list)
    };
    // The commits first: a commit that is read before the end is never beyond it.
    let committed = offsets(&client.committed_offsets(at(Offset::Invalid)?, OFFSETS_TIMEOUT)?, partitions);
    // All partitions in one request, unlike watermarks.
    let begins = offsets(&client.offsets_for_times(at(Offset::Beginning)?, OFFSETS_TIMEOUT)?, partitions);
    let ends = offsets(&client.offsets_for_times(at(Offset::End)?, OFFSETS_TIMEOUT)?, partitions);
    let all = committed.into_iter().zip(begins).zip(ends);
    Ok(all.map(|((committed, begin), end)| Position::of(committed, begin, end)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_counted_from_the_commit_or_else_from_the_beginning() {
        let lag = |committed, begin, end| Position::of(committed, Some(begin), Some(end)).unwrap().lag();
        assert_eq!(lag(Some(5), 0, 7), 2);
        assert_eq!(lag(None, 3, 10), 7);
        assert_eq!(lag(None, 0, 0), 0);
        assert_eq!(Position::of(Some(5), None, Some(7)), None);
        assert_eq!(Position::of(Some(5), Some(0), None), None);
    }

    #[test]
    fn records_that_retention_removed_do_not_wait() {
        let position = Position::of(Some(5), Some(9), Some(9)).unwrap();
        assert_eq!((position.consumed, position.lag()), (9, 0));
        assert_eq!(Position::of(Some(5), Some(7), Some(9)).unwrap().lag(), 2);
    }

    #[test]
    fn a_commit_beyond_the_end_is_that_of_an_earlier_topic() {
        let position = Position::of(Some(50), Some(0), Some(3)).unwrap();
        assert_eq!((position.consumed, position.lag()), (0, 3));
    }

    #[test]
    fn a_partition_that_cannot_be_read_has_no_lag_and_no_position() {
        let partitions = vec![Some(Position { consumed: 2, end: 5 }), None];
        let positions = Positions { at: Timestamp::UNIX_EPOCH, partitions };
        assert_eq!(positions.lag(), [3, 0]);
    }
}
