//! The connection to Kafka.

use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::secret::Secret;

mod replaced;

pub use replaced::{Replaced, UNREACHED};

/// The address of Kafka and the user that connects.
#[derive(Args, Clone, Debug)]
pub struct KafkaArgs {
    /// The brokers for the first connection: `host:port`, separated by commas
    #[arg(long, env = "KAFKA_BOOTSTRAP", default_value = "localhost:9092")]
    pub kafka_bootstrap: String,
    /// PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
    #[arg(long, env = "KAFKA_SECURITY_PROTOCOL", default_value = "PLAINTEXT")]
    pub kafka_security_protocol: String,
    /// SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN; for the SASL protocols
    #[arg(long, env = "KAFKA_SASL_MECHANISM")]
    pub kafka_sasl_mechanism: Option<String>,
    /// The user; for the SASL protocols
    #[arg(long, env = "KAFKA_SASL_USERNAME")]
    pub kafka_sasl_username: Option<String>,
    /// The user's password; for the SASL protocols
    #[arg(long, env = "KAFKA_SASL_PASSWORD", hide_env_values = true)]
    pub kafka_sasl_password: Option<Secret>,
    /// A file with the CA certificates (PEM) of the brokers; default: those of the system
    #[arg(long, env = "KAFKA_SSL_CA")]
    pub kafka_ssl_ca: Option<String>,
}

impl KafkaArgs {
    /// Returns the settings that all clients have in common. `client_id` shows in the broker's logs and quotas.
    #[must_use]
    pub fn client_config(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka_bootstrap)
            .set("client.id", client_id)
            .set("security.protocol", &self.kafka_security_protocol)
            // A client notices within 1 s that a broker is back. With the default it can take 10 s.
            .set("reconnect.backoff.max.ms", "1000")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        let optional = [
            ("sasl.mechanisms", self.kafka_sasl_mechanism.as_deref()),
            ("sasl.username", self.kafka_sasl_username.as_deref()),
            ("sasl.password", self.kafka_sasl_password.as_ref().map(Secret::expose)),
            ("ssl.ca.location", self.kafka_ssl_ca.as_deref()),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                config.set(key, value);
            }
        }
        config
    }
}

/// The pause in fetching when librdkafka's queue is full, in milliseconds. The default of librdkafka is 1,000.
pub const FETCH_BACKOFF_MS: &str = "10";

/// Makes `config` the configuration of a consumer that reads partitions by their numbers: it joins no group and commits
/// nothing. `name` is the group name that librdkafka requires of every consumer.
pub fn without_group<'a>(config: &'a mut ClientConfig, name: &str) -> &'a mut ClientConfig {
    config
        .set("group.id", name)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.queue.backoff.ms", FETCH_BACKOFF_MS)
}

/// Keeps the last error that librdkafka reported. A failed call returns only "broker transport failure"; its cause (a
/// wrong password, an unknown certificate) is reported only here.
#[derive(Clone, Debug, Default)]
pub struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    /// Returns the last cause, if librdkafka reported one.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }

    /// Stores an error. Call this from the `error` method of a client context.
    pub fn set(&self, error: &KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
        let mut last = self.0.lock();
        // "All brokers are down" follows after the cause; the cause is more useful.
        if last.is_none() || error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *last = Some(format!("{error}: {reason}"));
        }
    }
}

impl ClientContext for LastError {
    fn error(&self, error: KafkaError, reason: &str) {
        self.set(&error, reason);
    }
}

impl ConsumerContext for LastError {}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    #[test]
    fn sasl_settings_are_passed_to_librdkafka_and_absent_ones_are_not() {
        let args = [
            "x",
            "--kafka-sasl-mechanism=SCRAM-SHA-256",
            "--kafka-sasl-username=u",
            "--kafka-sasl-password=p",
        ];
        let config = Cli::parse_from(args).kafka.client_config("test");
        assert_eq!(config.get("sasl.mechanisms"), Some("SCRAM-SHA-256"));
        assert_eq!(config.get("sasl.password"), Some("p"));
        assert_eq!(Cli::parse_from(["x"]).kafka.client_config("test").get("sasl.username"), None);
    }
}
