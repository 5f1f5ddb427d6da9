//! How Kafka is reached.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::secret::Secret;

/// Where Kafka is, and as whom we speak to it.
#[derive(Args, Clone, Debug)]
pub struct KafkaArgs {
    /// Brokers to start from: `host:port`, several with commas
    #[arg(long, env = "KAFKA_BOOTSTRAP", default_value = "localhost:9092")]
    pub kafka_bootstrap: String,
    /// PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
    #[arg(long, env = "KAFKA_SECURITY_PROTOCOL", default_value = "PLAINTEXT")]
    pub kafka_security_protocol: String,
    /// SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN; with a SASL protocol
    #[arg(long, env = "KAFKA_SASL_MECHANISM")]
    pub kafka_sasl_mechanism: Option<String>,
    /// The user; with a SASL protocol
    #[arg(long, env = "KAFKA_SASL_USERNAME")]
    pub kafka_sasl_username: Option<String>,
    /// The user's password; with a SASL protocol
    #[arg(long, env = "KAFKA_SASL_PASSWORD", hide_env_values = true)]
    pub kafka_sasl_password: Option<Secret>,
    /// A file with the certificates (PEM) that sign the brokers'; default: the system's
    #[arg(long, env = "KAFKA_SSL_CA")]
    pub kafka_ssl_ca: Option<String>,
}

impl KafkaArgs {
    /// What every client of ours starts from; `client_id` shows in the broker's logs and quotas.
    #[must_use]
    pub fn client_config(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka_bootstrap)
            .set("client.id", client_id)
            .set("security.protocol", &self.kafka_security_protocol)
            // A broker that comes back is noticed within a second, not within ten.
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

/// Fetching rests for so many milliseconds when librdkafka's queue is full; by default for a second.
pub const FETCH_BACKOFF_MS: &str = "10";

/// Makes `config` that of a consumer which reads partitions by their numbers: it joins no group and commits nothing. `name`
/// is a group's name, which librdkafka wants from every consumer.
pub fn without_group<'a>(config: &'a mut ClientConfig, name: &str) -> &'a mut ClientConfig {
    config
        .set("group.id", name)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.queue.backoff.ms", FETCH_BACKOFF_MS)
}

/// Remembers what librdkafka last said was wrong: a failed call itself says no more than "broker transport failure",
/// the cause (a wrong password, an unknown certificate) is told only here.
#[derive(Clone, Debug, Default)]
pub struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    /// The last cause, if any was told.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// To be called from a context's `error`.
    pub fn set(&self, error: &KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows on why: the cause told before is worth more.
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
    fn sasl_settings_reach_librdkafka_and_absent_ones_do_not() {
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
