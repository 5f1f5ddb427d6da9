//! The operator's settings: flags, each also with an environment variable.

use clap::Args;
use connect::{ClickHouseArgs, KafkaArgs};

/// All settings of the operator.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// How the operator and its workers connect to Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// How the operator and its workers connect to ClickHouse.
    #[command(flatten)]
    pub clickhouse: ClickHouseArgs,
    /// The URL of the upload API, for jobs with an inline file
    #[arg(long, env = "API_URL", default_value = "http://batch-ingest-api:8000")]
    pub api_url: String,
    /// The image of the workers
    #[arg(long, env = "WORKER_IMAGE", default_value = "batch-on-kafka:latest")]
    pub worker_image: String,
    /// When a node pulls the image of the workers: Always, `IfNotPresent` or Never
    #[arg(long, env = "WORKER_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub worker_image_pull_policy: String,
    /// The Secret in the model's namespace with which the image is pulled; default: none
    #[arg(long, env = "WORKER_IMAGE_PULL_SECRET")]
    pub worker_image_pull_secret: Option<String>,
    /// The `ClusterRole` that each model's workers are bound to in its namespace
    #[arg(long, env = "WORKER_CLUSTER_ROLE", default_value = "batch-worker")]
    pub worker_cluster_role: String,
    /// The `RUST_LOG` of the workers; default: the default of the worker
    #[arg(long, env = "WORKER_LOG")]
    pub worker_log: Option<String>,
    /// Days that the ledger keeps a line; 0: forever. Never fewer than a topic keeps its records
    #[arg(long, env = "LEDGER_TTL_DAYS", default_value_t = 90, value_parser = days())]
    pub ledger_ttl_days: u32,
    /// Days that `rejected_rows` keeps a bad cell; 0: forever. Never fewer than a topic keeps its records
    #[arg(long, env = "REJECTS_TTL_DAYS", default_value_t = 90, value_parser = days())]
    pub rejects_ttl_days: u32,
    /// Days that the history keeps a job, and so its label; 0: forever. Never fewer than a topic keeps its records
    #[arg(long, env = "HISTORY_TTL_DAYS", default_value_t = 400, value_parser = days())]
    pub history_ttl_days: u32,
    /// Mebibytes of checked chunks that a worker holds until their batches are inserted; default: the default of the
    /// worker
    #[arg(long, env = "WORKER_BATCH_MIB")]
    pub worker_batch_mib: Option<u32>,
    /// The port of the health routes and the metrics
    #[arg(long, env = "METRICS_PORT", default_value_t = 9090)]
    pub metrics_port: u16,
    /// The name under which the operator reports Events; in a pod, the name of the pod
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// How many objects of a kind are reconciled at the same time
    #[arg(long, env = "CONCURRENCY", default_value_t = 16)]
    pub concurrency: u16,
}

/// A number of days that ClickHouse can add to a time.
fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=20_000)
}
