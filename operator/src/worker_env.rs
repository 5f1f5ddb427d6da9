//! What a worker needs to connect to Kafka and ClickHouse: the operator's own settings, split into what may be visible
//! in a Deployment and what belongs in a Secret.

use std::collections::BTreeMap;
use std::path::Path;

use connect::{LogArgs, logging::LogFormat};

use crate::settings::Settings;

/// The key of the Secret that holds the CA certificates of the brokers.
pub const CA_KEY: &str = "kafka-ca.pem";
/// Where the Secret is mounted if it holds certificates.
pub const CA_FOLDER: &str = "/etc/batch-on-kafka";

/// The environment of a worker, the same for all models.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WorkerEnv {
    /// Variables that anyone may see.
    pub plain: BTreeMap<String, String>,
    /// Variables that only the worker may see.
    pub secret: BTreeMap<String, String>,
    /// Certificates (PEM) to be mounted as a file.
    pub ca: Option<String>,
}

/// The settings of an installation: the same for the workers of all models.
#[derive(Clone, Copy)]
pub struct Installation<'a> {
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The environment of every worker.
    pub env: &'a WorkerEnv,
}

impl WorkerEnv {
    /// Makes it from the operator's own settings. `ca` is the content of the file that `KAFKA_SSL_CA` names.
    #[must_use]
    pub fn new(settings: &Settings, log: &LogArgs, ca: Option<String>) -> Self {
        let (kafka, clickhouse) = (&settings.kafka, &settings.clickhouse);
        let format = match log.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let mut plain = vec![
            ("KAFKA_BOOTSTRAP", kafka.kafka_bootstrap.clone()),
            ("KAFKA_SECURITY_PROTOCOL", kafka.kafka_security_protocol.clone()),
            ("CLICKHOUSE_HOST", clickhouse.clickhouse_host.clone()),
            ("CLICKHOUSE_PORT", clickhouse.clickhouse_port.to_string()),
            ("CLICKHOUSE_DATABASE", clickhouse.clickhouse_database.clone()),
            ("CLICKHOUSE_USER", clickhouse.clickhouse_user.clone()),
            ("CLICKHOUSE_SECURE", clickhouse.clickhouse_secure.to_string()),
            ("LOG_FORMAT", format.to_owned()),
            // Chunks are allocated and freed hundreds of times a second, so the allocator keeps some MiB for the next
            // ones.
            ("MALLOC_MMAP_THRESHOLD_", (8 << 20).to_string()),
            ("MALLOC_TRIM_THRESHOLD_", (32 << 20).to_string()),
        ];
        plain.extend(kafka.kafka_sasl_mechanism.clone().map(|v| ("KAFKA_SASL_MECHANISM", v)));
        plain.extend(settings.worker_log.clone().map(|v| ("RUST_LOG", v)));
        plain.extend(settings.worker_batch_mib.map(|v| ("WORKER_BATCH_MIB", v.to_string())));
        if ca.is_some() {
            plain.push(("KAFKA_SSL_CA", Path::new(CA_FOLDER).join(CA_KEY).display().to_string()));
        }
        let mut secret = vec![("CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.expose().to_owned())];
        secret.extend(kafka.kafka_sasl_username.clone().map(|v| ("KAFKA_SASL_USERNAME", v)));
        secret.extend(
            kafka.kafka_sasl_password.as_ref().map(|v| ("KAFKA_SASL_PASSWORD", v.expose().to_owned())),
        );
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Self {
            plain: plain.into_iter().map(owned).collect(),
            secret: secret.into_iter().map(owned).collect(),
            ca,
        }
    }
}
