//! What operator, API and worker have in common: the connections to Kafka and ClickHouse, the waits
//! between tries, logs, health, metrics, and stop signals.
//!
//! Each part is a clap `Args` that a program flattens into its own settings. Each flag can also be set by an
//! environment variable.

pub mod backoff;
pub mod clickhouse;
pub mod kafka;
pub mod logging;
pub mod secret;
pub mod shutdown;
pub mod status_server;

pub use clickhouse::ClickHouseArgs;
pub use kafka::KafkaArgs;
pub use logging::LogArgs;
pub use secret::Secret;
pub use status_server::{Health, Metrics};
