//! The server's settings: flags, which can also be set by environment variables.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use connect::{ClickHouseArgs, KafkaArgs, LogArgs};

/// Receives files over HTTP, cuts them into chunks and sends these to Kafka.
#[derive(Debug, Parser)]
#[command(name = "ingest-api", version)]
pub struct Cli {
    /// The command to run instead of the server
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The server's settings
    #[command(flatten)]
    pub settings: Settings,
    /// The settings of the log
    #[command(flatten)]
    pub log: LogArgs,
}

/// The other commands of the program.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Print the OpenAPI document and exit
    Openapi,
}

/// The server's settings.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The address to listen on
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8000")]
    pub listen: SocketAddr,
    /// The connection to Kafka
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// The connection to `ClickHouse`, to read rejected rows, ledger and history
    #[command(flatten)]
    pub clickhouse: ClickHouseArgs,
    /// Uploads at the same time, without those of inline jobs; others wait some seconds and are then refused with 429
    #[arg(long, env = "MAX_UPLOADS", default_value_t = 64)]
    pub max_uploads: usize,
    /// Bytes of one file, both compressed and decompressed; 0: no limit
    #[arg(long, env = "MAX_UPLOAD_BYTES", default_value_t = 0)]
    pub max_upload_bytes: u64,
    /// How chunks are compressed on their way to Kafka; worth the CPU time only if network traffic is expensive
    #[arg(long, env = "KAFKA_COMPRESSION", value_enum, default_value_t = Compression::None)]
    pub kafka_compression: Compression,
    /// Mebibytes that all uploads together may use: chunks, decoders, and what is on its way to Kafka
    #[arg(long, env = "MEMORY_BUDGET_MIB", default_value_t = 96, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    pub memory_budget_mib: u32,
    /// Bytes per second that a client must send while the server waits for it, measured over 30 s; 0: no limit
    #[arg(long, env = "MIN_UPLOAD_RATE", default_value_t = 1024)]
    pub min_upload_rate: u64,
    /// Seconds that an upload waits until the operator has pinned its job
    #[arg(long, env = "PIN_TIMEOUT_SECONDS", default_value_t = 10)]
    pub pin_timeout_seconds: u64,
    /// Seconds without a byte after which the server regards a client as disconnected
    #[arg(long, env = "IDLE_TIMEOUT_SECONDS", default_value_t = 120)]
    pub idle_timeout_seconds: u64,
    /// Seconds that uploads may continue after a signal to stop
    #[arg(long, env = "SHUTDOWN_GRACE_SECONDS", default_value_t = 20)]
    pub shutdown_grace_seconds: u64,
}

/// How chunks are compressed on their way to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// No compression.
    None,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
}

impl Compression {
    /// Returns the name that librdkafka uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

impl Settings {
    /// Returns the limit of a file in bytes, if there is one.
    #[must_use]
    pub fn upload_limit(&self) -> Option<u64> {
        (self.max_upload_bytes > 0).then_some(self.max_upload_bytes)
    }

    /// Returns the memory of all uploads, in bytes.
    #[must_use]
    pub fn memory_budget(&self) -> u64 {
        u64::from(self.memory_budget_mib) << 20
    }

    /// See [`Settings::pin_timeout_seconds`].
    #[must_use]
    pub fn pin_timeout(&self) -> Duration {
        Duration::from_secs(self.pin_timeout_seconds)
    }

    /// See [`Settings::idle_timeout_seconds`].
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }

    /// See [`Settings::shutdown_grace_seconds`].
    #[must_use]
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }
}
