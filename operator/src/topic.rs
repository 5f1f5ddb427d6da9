//! The Kafka topics of a model: created, enlarged and configured as the spec says. Partitions are never removed. A
//! topic is deleted only with a model that asks for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connect::KafkaArgs;
use connect::kafka::{LastError, Replaced};
use parking_lot::Mutex;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The longest time of one call.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// More errors than one failed call leaves in the client.
const PENDING_ERRORS: usize = 16;

/// The wanted state of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic {
    /// Its name.
    pub name: String,
    /// The least number of partitions.
    pub partitions: i32,
    /// Default: that of the broker. Used only for a new topic, because changing it means moving data.
    pub replication: Option<i32>,
    /// Configuration that the topic must have. Other configuration of the topic is not changed.
    pub config: BTreeMap<&'static str, String>,
}

/// How long a topic keeps its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retention {
    /// This many days, rounded up.
    Days(u32),
    /// The topic deletes no records.
    Forever,
}

impl Retention {
    /// Reads the configuration `retention.ms`; -1 is forever.
    fn of(retention_ms: &str) -> Option<Self> {
        const DAY: i64 = 24 * 3_600_000;
        let ms: i64 = retention_ms.parse().ok()?;
        if ms < 0 {
            return Some(Self::Forever);
        }
        Some(Self::Days(u32::try_from(ms.saturating_add(DAY - 1) / DAY).unwrap_or(u32::MAX)))
    }
}

/// Why a topic does not have its wanted state.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopicError {
    /// No broker can be reached, or none answers.
    #[error("failed to reach Kafka: {0}; retrying")]
    Unavailable(String),
    /// A broker refused the request.
    #[error("failed to make the topic {topic}, Kafka answered: {why}")]
    Refused {
        /// The topic.
        topic: String,
        /// The answer of the broker.
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

/// How many times, and with what pause, to check whether a new topic exists: two seconds in all.
const APPEAR_TRIES: u32 = 100;
const APPEAR_PAUSE: Duration = Duration::from_millis(20);

/// Makes and alters topics.
pub struct Topics {
    admin: Replaced<AdminClient<LastError>>,
    /// Reads metadata. A request of a consumer never creates the topic it asks for; a request of a producer may.
    reader: Arc<Replaced<BaseConsumer<LastError>>>,
    last_error: LastError,
    /// How long each checked topic keeps its records.
    retention: Mutex<HashMap<String, Retention>>,
}

impl Topics {
    /// Connects later, and again when needed. Fails only for settings that librdkafka refuses.
    pub fn new(kafka: &KafkaArgs) -> Result<Self, KafkaError> {
        let last_error = LastError::default();
        let config = kafka.client_config("batch-operator");
        Ok(Self {
            admin: Replaced::new(&config, last_error.clone())?,
            reader: Arc::new(Replaced::new(&config, last_error.clone())?),
            last_error,
            retention: Mutex::default(),
        })
    }

    /// Returns the longest time that a topic of a model keeps its records, among those that were checked.
    #[must_use]
    pub fn longest_retention(&self) -> Retention {
        let known = self.retention.lock();
        known.values().max().copied().unwrap_or(Retention::Days(0))
    }

    /// Creates the topic or changes it to the wanted state. Returns its number of partitions.
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

    /// Deletes topics, if they exist.
    pub async fn delete(&self, names: &[&str]) -> Result<(), TopicError> {
        let results = self.noted(self.admin.get().delete_topics(names, &options()).await)?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => return Err(self.failed(&topic, code)),
            }
        }
        let mut known = self.retention.lock();
        known.retain(|topic, _| !names.contains(&topic.as_str()));
        Ok(())
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicError> {
        let (reader, name) = (Arc::clone(&self.reader), topic.to_owned());
        let read = move || {
            let client = reader.get();
            let metadata = client.fetch_metadata(Some(&name), ADMIN_TIMEOUT);
            reader.note(metadata.is_ok());
            // No record is consumed. Each call only passes one pending error of the client to `LastError`.
            (0..PENDING_ERRORS).for_each(|_| drop(client.poll(Duration::ZERO)));
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
        let results = self.noted(self.admin.get().create_topics([&topic], &options()).await)?;
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

    /// Waits until brokers report a new topic and its leaders. The answer to its creation arrives slightly earlier; an
    /// upload in between would find no topic.
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
            TopicError::Unavailable(format!("topic {topic} was made, but no broker reports it yet"));
        Err(seen.err().unwrap_or(missing))
    }

    async fn grow(&self, wanted: &WantedTopic, partitions: i32) -> Result<i32, TopicError> {
        if partitions >= wanted.partitions {
            return Ok(partitions);
        }
        let count = usize::try_from(wanted.partitions).unwrap_or(0);
        let more = NewPartitions::new(&wanted.name, count);
        let results = self.noted(self.admin.get().create_partitions([&more], &options()).await)?;
        for result in results {
            result.map_err(|(topic, code)| self.failed(&topic, code))?;
        }
        Ok(wanted.partitions)
    }

    async fn configure(&self, wanted: &WantedTopic) -> Result<(), TopicError> {
        let topic = ResourceSpecifier::Topic(&wanted.name);
        let found = self.noted(self.admin.get().describe_configs([&topic], &options()).await)?;
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
        let results = self.noted(self.admin.get().alter_configs([&alter], &options()).await)?;
        for result in results {
            result.map_err(|(_, code)| self.failed(&wanted.name, code))?;
        }
        Ok(())
    }

    fn remember(&self, topic: &str, retention_ms: Option<&str>) {
        if let Some(retention) = retention_ms.and_then(Retention::of) {
            self.retention.lock().insert(topic.to_owned(), retention);
        }
    }

    fn failed(&self, topic: &str, code: RDKafkaErrorCode) -> TopicError {
        if is_unavailable(code) {
            return self.unavailable(&KafkaError::AdminOp(code));
        }
        TopicError::Refused { topic: topic.into(), why: code.to_string() }
    }

    /// Notes whether a call of the admin client was answered.
    fn noted<T>(&self, answer: Result<T, KafkaError>) -> Result<T, TopicError> {
        self.admin.note(answer.is_ok());
        answer.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &KafkaError) -> TopicError {
        TopicError::Unavailable(self.last_error.get().unwrap_or_else(|| error.to_string()))
    }
}

/// Returns the topic's own configuration with the wanted one applied, or `None` if that changes nothing.
/// `AlterConfigs` replaces the complete configuration: what others set on the topic would be lost if it were left out.
fn merged<'a>(
    own: &HashMap<&'a str, &'a str>,
    wanted: &'a BTreeMap<&'static str, String>,
) -> Option<HashMap<&'a str, &'a str>> {
    let mut all = own.clone();
    all.extend(wanted.iter().map(|(key, value)| (*key, value.as_str())));
    (all != *own).then_some(all)
}

/// Returns whether a call failed because no broker can serve it now.
fn is_unavailable(code: RDKafkaErrorCode) -> bool {
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
    fn settings_of_a_topic_from_other_sources_are_kept() {
        let own = HashMap::from([("cleanup.policy", "delete"), ("max.message.bytes", "1")]);
        let wanted = BTreeMap::from([("max.message.bytes", "2".to_owned())]);
        let all = merged(&own, &wanted).unwrap();
        assert_eq!(all, HashMap::from([("cleanup.policy", "delete"), ("max.message.bytes", "2")]));
        assert_eq!(merged(&all, &wanted), None);
    }

    #[test]
    fn retention_is_rounded_up_to_days_and_minus_one_means_unlimited() {
        assert_eq!(Retention::of("604800000"), Some(Retention::Days(7)));
        assert_eq!(Retention::of("604800001"), Some(Retention::Days(8)));
        assert_eq!(Retention::of("-1"), Some(Retention::Forever));
        assert_eq!(Retention::of("x"), None);
        assert!(Retention::Forever > Retention::Days(u32::MAX));
    }

    #[test]
    fn a_refusal_is_distinguished_from_an_outage() {
        assert!(is_unavailable(RDKafkaErrorCode::AllBrokersDown));
        assert!(!is_unavailable(RDKafkaErrorCode::InvalidReplicationFactor));
        assert!(!is_unavailable(RDKafkaErrorCode::TopicAuthorizationFailed));
    }
}
