//! How far the workers of a model have consumed each partition of its topic, and so how many chunks wait there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connect::KafkaArgs;
use connect::kafka::{LastError, Replaced};
use jiff::Timestamp;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

/// The longest time of one call. A slow answer must not delay a scale-up that does not need it.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(2);

type Client = Arc<Replaced<BaseConsumer<LastError>>>;

/// How far a partition is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first offset that is not consumed: all records before it are loaded, or Kafka no longer has them.
    pub consumed: i64,
    /// The offset that the next record gets.
    pub end: i64,
}

impl Position {
    /// Makes the position from the committed offset of the group, and the begin and end of the partition.
    ///
    /// Records that retention removed do not wait. A committed offset beyond the end is from an earlier topic of this
    /// name: the workers start at the beginning. `None` if the begin or end of the partition is unknown.
    #[must_use]
    pub fn of(committed: Option<i64>, begin: Option<i64>, end: Option<i64>) -> Option<Self> {
        let (begin, end) = (begin?, end?);
        let consumed = committed.filter(|offset| *offset <= end).map_or(begin, |offset| offset.max(begin));
        Some(Self { consumed, end })
    }

    /// Returns the number of records that wait.
    #[must_use]
    pub fn lag(&self) -> i64 {
        (self.end - self.consumed).max(0)
    }
}

/// The positions of all partitions of a topic; `None` where one is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// When they were read, or shortly before.
    pub at: Timestamp,
    /// The positions, by partition.
    pub partitions: Vec<Option<Position>>,
}

impl Positions {
    /// Returns the number of waiting chunks, by partition.
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

/// Reads the lag of consumer groups. It has one client for each group, as long as the group is needed. The client only
/// queries; it never joins the group.
pub struct LagReader {
    kafka: KafkaArgs,
    clients: Mutex<HashMap<String, Client>>,
}

impl LagReader {
    /// Makes a reader. It connects at the first query.
    #[must_use]
    pub fn new(kafka: KafkaArgs) -> Self {
        Self { kafka, clients: Mutex::default() }
    }

    /// Reads the position of every partition. `now` is the time of the reading. The group has the name of the topic.
    pub async fn read(&self, topic: &str, partitions: i32, now: Timestamp) -> Result<Positions, LagError> {
        let client = self.client(topic)?;
        let topic = topic.to_owned();
        let read = move || {
            let read = read(&client.get(), &topic, partitions);
            client.note(read.is_ok());
            read
        };
        let partitions = tokio::task::spawn_blocking(read).await??;
        Ok(Positions { at: now, partitions })
    }

    /// Closes the group's client.
    pub fn forget(&self, topic: &str) {
        let client = self.clients.lock().remove(topic);
        // The destructor waits for the threads of librdkafka.
        drop(tokio::task::spawn_blocking(move || drop(client)));
    }

    fn client(&self, group: &str) -> Result<Client, KafkaError> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(group) {
            return Ok(Arc::clone(client));
        }
        let mut config = self.kafka.client_config("batch-operator-lag");
        config.set("group.id", group).set("enable.auto.commit", "false");
        let client: Client = Arc::new(Replaced::new(&config, LastError::default())?);
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
    // The commits are read first: a commit that is read before the end is never beyond it.
    let committed = offsets(&client.committed_offsets(at(Offset::Invalid)?, OFFSETS_TIMEOUT)?, partitions);
    // These calls read all partitions in one request. Queries for watermarks read one partition each.
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
