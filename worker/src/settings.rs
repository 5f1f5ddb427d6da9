//! The settings of the worker: flags, which can also be set by environment variables.

use clap::{Parser, ValueEnum};
use connect::{ClickHouseArgs, KafkaArgs, LogArgs};
use crds::ModelId;

/// Takes chunks from Kafka, checks every row, inserts the good rows and stores why the others are rejected.
#[derive(Parser, Clone, Debug)]
#[command(version, about)]
pub struct Settings {
    /// The model whose chunks are taken
    #[arg(long, env = "MODEL_NAME")]
    pub model_name: String,
    /// Its namespace
    #[arg(long, env = "MODEL_NAMESPACE")]
    pub model_namespace: String,
    /// The name of this worker in Kafka and in the ledger
    #[arg(long, env = "POD_NAME", default_value = "worker")]
    pub pod_name: String,
    /// The port of /healthz, /readyz and /metrics
    #[arg(long, env = "METRICS_PORT", default_value_t = 9090)]
    pub metrics_port: u16,
    /// How many INSERTs are in flight at once
    #[arg(long, env = "WORKER_INSERTS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub worker_inserts: u32,
    /// How many KiB of chunks are fetched ahead
    #[arg(long, env = "WORKER_PREFETCH_KIB", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1024..=1_048_576))]
    pub worker_prefetch_kib: u32,
    /// How many MiB of checked chunks are kept until their batches are inserted
    #[arg(long, env = "WORKER_BATCH_MIB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(96..=65_536))]
    pub worker_batch_mib: u32,
    /// How INSERTs are compressed; worth the CPU time only if network traffic is expensive
    #[arg(long, env = "CLICKHOUSE_COMPRESSION", value_enum, default_value_t = Compression::None)]
    pub clickhouse_compression: Compression,
    /// The connection to Kafka
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// The connection to ClickHouse
    #[command(flatten)]
    pub clickhouse: ClickHouseArgs,
    /// The settings of the log
    #[command(flatten)]
    pub log: LogArgs,
}

/// How an INSERT's body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// No compression.
    None,
    /// LZ4, in the frame format of ClickHouse.
    Lz4,
}

impl Settings {
    /// Returns the id of the model, which the names of topic and group contain.
    #[must_use]
    pub fn model_id(&self) -> ModelId {
        ModelId::of(&self.model_namespace, &self.model_name)
    }

    /// Returns the ClickHouse client of this worker.
    #[must_use]
    pub fn clickhouse_client(&self) -> clickhouse::Client {
        self.clickhouse
            .client()
            .with_product_info("batch-worker", env!("CARGO_PKG_VERSION"))
            .with_compression(match self.clickhouse_compression {
                Compression::None => clickhouse::Compression::None,
                Compression::Lz4 => clickhouse::Compression::Lz4,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_is_required_and_bounds_are_enforced() {
        use clap::CommandFactory;
        Settings::command().debug_assert();
        let args = ["worker", "--model-name=purchases", "--model-namespace=shop"];
        assert_eq!(Settings::parse_from(args).model_id().topic(), "ingest.5231e672");
        assert!(Settings::try_parse_from(args.into_iter().chain(["--worker-inserts=0"])).is_err());
        assert!(Settings::try_parse_from(args.into_iter().chain(["--worker-batch-mib=95"])).is_err());
    }
}
