//! A model's Kafka topics: made, grown and set as the spec says. Never shrunk; deleted only with a model that asks for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connect::KafkaArgs;
use connect::kafka::LastError;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The longest that one call may take.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// More than a failed call leaves behind.
const PENDING_ERRORS: usize = 16;

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic {
    /// Its name.
    pub name: String,
    /// At least so many.
    pub partitions: i32,
    /// Default: the broker's. Only for a new topic: changing it means moving data.
    pub replication: Option<i32>,
    /// Configuration that the topic must have; what is not named here is left alone.
    pub config: BTreeMap<&'static str, String>,
}

/// How long a topic keeps its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retention {
    /// So many days, rounded up.
    Days(u32),
    /// It deletes none.
    Forever,
}

impl Retention {
    /// From the configuration `retention.ms`; -1 is for ever.
    fn of(retention_ms: &str) -> Option<Self> {
        const DAY: i64 = 24 * 3_600_000;
        let ms: i64 = retention_ms.parse().ok()?;
        if ms < 0 {
            return Some(Self::Forever);
        }
        Some(Self::Days(u32::try_from(ms.saturating_add(DAY - 1) / DAY).unwrap_or(u32::MAX)))
    }
}

/// Why a topic is not as it should be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopicError {
    /// No broker can be reached, or none answers.
    #[error("failed to reach Kafka: {0}; retrying")]
    Unavailable(String),
    /// A broker said no.
    #[error("failed to make the topic {topic}, Kafka answered: {why}")]
    Refused {
        /// Which.
        topic: String,
        /// What it said.
        why: String,
    },
}

impl TopicError {
    /// The reason of the condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "KafkaUnavailable",
            Self::Refused { .. } => "KafkaRefused",
        }
    }
}

/// How often, and how long between, it is asked whether a new topic is there: two seconds in all.
const APPEAR_TRIES: u32 = 100;
const APPEAR_PAUSE: Duration = Duration::from_millis(20);

/// Makes and alters topics.
pub struct Topics {
    admin: AdminClient<LastError>,
    /// Reads metadata. A consumer's request never creates the topic it asks for; a producer's may.
    reader: Arc<BaseConsumer<LastError>>,
    last_error: LastError,
    /// How long each topic that was looked at keeps its records.
    retention: Mutex<HashMap<String, Retention>>,
}

impl Topics {
    /// Connects later, and again whenever it must. Fails only on settings that librdkafka refuses.
    pub fn new(kafka: &KafkaArgs) -> Result<Self, KafkaError> {
        let last_error = LastError::default();
        let config = kafka.client_config("batch-operator");
        Ok(Self {
            admin: config.create_with_context(last_error.clone())?,
            reader: Arc::new(config.create_with_context(last_error.clone())?),
            last_error,
            retention: Mutex::default(),
        })
    }

    /// The longest time that a topic of ours keeps its records, of those that were looked at.
    #[must_use]
    pub fn longest_retention(&self) -> Retention {
        let known = self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().max().copied().unwrap_or(Retention::Days(0))
    }

    /// Makes the topic or brings it to what is wanted; returns how many partitions it has.
    pub async fn ensure(&self, wanted: &WantedTopic) -> Result<i32, TopicError> {
        match self.partitions(&wanted.name).await? {
            None => self.create(wanted).await,
            Some(partitions) => {
                let partitions = self.grow(wanted, partitions).await?;
                self.configure(wanted).await?;
                Ok(partitions)
            }
        }
    }

    /// Deletes topics that are there.
    pub async fn delete(&self, names: &[&str]) -> Result<(), TopicError> {
        let results = self.admin.delete_topics(names, &options()).await.map_err(|e| self.unavailable(&e))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => return Err(self.failed(&topic, code)),
            }
        }
        let mut known = self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|topic, _| !names.contains(&topic.as_str()));
        Ok(())
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicError> {
        let (reader, name) = (Arc::clone(&self.reader), topic.to_owned());
        let read = move || {
            let metadata = reader.fetch_metadata(Some(&name), ADMIN_TIMEOUT);
            // Nothing is consumed: this only hands the client's pending errors, one a call, to `LastError`.
            (0..PENDING_ERRORS).for_each(|_| drop(reader.poll(Duration::ZERO)));
            metadata
        };
        let metadata = tokio::task::spawn_blocking(read)
            .await
            .map_err(|e| TopicError::Unavailable(e.to_string()))?
            .map_err(|e| self.unavailable(&e))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(i32::try_from(found.partitions().len()).ok()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
            Some(code) => Err(self.failed(topic, code)),
        }
    }

    async fn create(&self, wanted: &WantedTopic) -> Result<i32, TopicError> {
        let replication = TopicReplication::Fixed(wanted.replication.unwrap_or(-1));
        let topic = wanted
            .config
            .iter()
            .fold(NewTopic::new(&wanted.name, wanted.partitions, replication), |topic, (key, value)| {
                topic.set(key, value)
            });
        let results =
            self.admin.create_topics([&topic], &options()).await.map_err(|e| self.unavailable(&e))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(self.failed(&topic, code)),
            }
        }
        self.remember(&wanted.name, wanted.config.get("retention.ms").map(String::as_str));
        self.appear(&wanted.name).await?;
        Ok(wanted.partitions)
    }

    /// Waits until brokers tell of a new topic and its leaders: the answer to its creation comes a moment earlier, and
    /// an upload in that moment would find none.
    async fn appear(&self, topic: &str) -> Result<(), TopicError> {
        let mut seen = self.partitions(topic).await;
        for _ in 0..APPEAR_TRIES {
            if matches!(seen, Ok(Some(1..))) {
                return Ok(());
            }
            tokio::time::sleep(APPEAR_PAUSE).await;
            seen = self.partitions(topic).await;
        }
        let missing =
            TopicError::Unavailable(format!("topic {topic} was made, but no broker tells of it yet"));
        Err(seen.err().unwrap_or(missing))
    }

    async fn grow(&self, wanted: &WantedTopic, partitions: i32) -> Result<i32, TopicError> {
        if partitions >= wanted.partitions {
            return Ok(partitions);
        }
        let count = usize::try_from(wanted.partitions).unwrap_or(0);
        let more = NewPartitions::new(&wanted.name, count);
        let results =
            self.admin.create_partitions([&more], &options()).await.map_err(|e| self.unavailable(&e))?;
        for result in results {
            result.map_err(|(topic, code)| self.failed(&topic, code))?;
        }
        Ok(wanted.partitions)
    }

    async fn configure(&self, wanted: &WantedTopic) -> Result<(), TopicError> {
        let topic = ResourceSpecifier::Topic(&wanted.name);
        let found =
            self.admin.describe_configs([&topic], &options()).await.map_err(|e| self.unavailable(&e))?;
        let Some(found) = found.into_iter().next() else { return Ok(()) };
        let found = found.map_err(|code| self.failed(&wanted.name, code))?;
        let retention = found.entries.iter().find(|entry| entry.name == "retention.ms");
        self.remember(&wanted.name, retention.and_then(|entry| entry.value.as_deref()));
        let own: HashMap<&str, &str> = found
            .entries
            .iter()
            .filter(|entry| entry.source == ConfigSource::DynamicTopic)
            .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)))
            .collect();
        let Some(config) = merged(&own, &wanted.config) else { return Ok(()) };
        self.remember(&wanted.name, config.get("retention.ms").copied());
        let alter = AlterConfig { specifier: topic, entries: config };
        let results =
            self.admin.alter_configs([&alter], &options()).await.map_err(|e| self.unavailable(&e))?;
        for result in results {
            result.map_err(|(_, code)| self.failed(&wanted.name, code))?;
        }
        Ok(())
    }

    fn remember(&self, topic: &str, retention_ms: Option<&str>) {
        if let Some(retention) = retention_ms.and_then(Retention::of) {
            self.retention.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), retention);
        }
    }

    fn failed(&self, topic: &str, code: RDKafkaErrorCode) -> TopicError {
        if is_away(code) {
            return self.unavailable(&KafkaError::AdminOp(code));
        }
        TopicError::Refused { topic: topic.into(), why: code.to_string() }
    }

    fn unavailable(&self, error: &KafkaError) -> TopicError {
        TopicError::Unavailable(self.last_error.get().unwrap_or_else(|| error.to_string()))
    }
}

/// The topic's own configuration with ours over it, or `None` if it is that already. `AlterConfigs` replaces the whole:
/// what others set on the topic would be lost if it were left out.
fn merged<'a>(
    own: &HashMap<&'a str, &'a str>,
    wanted: &'a BTreeMap<&'static str, String>,
) -> Option<HashMap<&'a str, &'a str>> {
    let mut all = own.clone();
    all.extend(wanted.iter().map(|(key, value)| (*key, value.as_str())));
    (all != *own).then_some(all)
}

/// Whether a call failed because no broker could serve it now.
fn is_away(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::Authentication
            | Code::LeaderNotAvailable
            | Code::NotController
            | Code::BrokerNotAvailable
            | Code::NetworkException
    )
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_set_on_a_topic_survives_our_change() {
        let own = HashMap::from([("cleanup.policy", "delete"), ("max.message.bytes", "1")]);
        let wanted = BTreeMap::from([("max.message.bytes", "2".to_owned())]);
        let all = merged(&own, &wanted).unwrap();
        assert_eq!(all, HashMap::from([("cleanup.policy", "delete"), ("max.message.bytes", "2")]));
        assert_eq!(merged(&all, &wanted), None);
    }

    #[test]
    fn retention_is_rounded_up_to_days_and_minus_one_is_for_ever() {
        assert_eq!(Retention::of("604800000"), Some(Retention::Days(7)));
        assert_eq!(Retention::of("604800001"), Some(Retention::Days(8)));
        assert_eq!(Retention::of("-1"), Some(Retention::Forever));
        assert_eq!(Retention::of("x"), None);
        assert!(Retention::Forever > Retention::Days(u32::MAX));
    }

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        assert!(is_away(RDKafkaErrorCode::AllBrokersDown));
        assert!(!is_away(RDKafkaErrorCode::InvalidReplicationFactor));
        assert!(!is_away(RDKafkaErrorCode::TopicAuthorizationFailed));
    }
}
