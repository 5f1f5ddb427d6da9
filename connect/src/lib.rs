//! What operator, API and worker share at their edges: how Kafka and ClickHouse are reached, how a program logs, shows
//! its health and metrics, and is told to stop.
//!
//! Each part is a clap `Args` to flatten into a program's own settings; each flag has the environment as its other
//! spelling.

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
