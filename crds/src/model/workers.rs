//! The topic of a model, in which chunks wait, and the workers that process them.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Kafka topic of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicSpec {
    /// The number of partitions. This is also the most workers that can run at the same time. It can only grow.
    #[serde(default = "default_partitions")]
    #[schemars(range(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self >= oldSelf").message("partitions can only grow: Kafka cannot take one away"))]
    pub partitions: i32,
    /// The copies of each partition. Default: that of the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub replication_factor: Option<i32>,
    /// Hours that chunks are kept, whether loaded or not. Default: that of the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8760))]
    pub retention_hours: Option<i32>,
}

fn default_partitions() -> i32 {
    6
}

impl Default for TopicSpec {
    fn default() -> Self {
        Self { partitions: default_partitions(), replication_factor: None, retention_hours: None }
    }
}

/// The workers of a model: how many there are, and what each may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("workers.min must not be greater than workers.max"))]
pub struct WorkersSpec {
    /// The number of workers when there is nothing to do.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub min: i32,
    /// The most workers.
    #[serde(default = "default_max_workers")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// The number of waiting chunks for which one more worker is started.
    #[serde(default = "default_chunks_per_worker")]
    #[schemars(range(min = 1, max = 100_000))]
    pub chunks_per_worker: i32,
    /// Seconds without work until the number of workers returns to `min`.
    #[serde(default = "default_cooldown_seconds")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_seconds: i32,
    /// CPU and memory of one worker.
    #[serde(default)]
    pub resources: Resources,
    /// Labels of the nodes that workers may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), inner(length(max = 63)))]
    pub node_selector: BTreeMap<String, String>,
}

fn default_max_workers() -> i32 {
    4
}

fn default_chunks_per_worker() -> i32 {
    64
}

fn default_cooldown_seconds() -> i32 {
    60
}

impl Default for WorkersSpec {
    fn default() -> Self {
        Self {
            min: 0,
            max: default_max_workers(),
            chunks_per_worker: default_chunks_per_worker(),
            cooldown_seconds: default_cooldown_seconds(),
            resources: Resources::default(),
            node_selector: BTreeMap::new(),
        }
    }
}

/// CPU and memory, as Kubernetes quantities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// The reserved amounts.
    #[serde(default = "default_requests")]
    pub requests: Quantities,
    /// The most that a worker may use.
    #[serde(default = "default_limits")]
    pub limits: Quantities,
}

fn default_requests() -> Quantities {
    Quantities { cpu: Some("100m".into()), memory: Some("128Mi".into()) }
}

fn default_limits() -> Quantities {
    Quantities { cpu: None, memory: Some("512Mi".into()) }
}

impl Default for Resources {
    fn default() -> Self {
        Self { requests: default_requests(), limits: default_limits() }
    }
}

/// Amounts of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quantities {
    /// Cores: `500m`, `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[0-9]+(\\.[0-9]+)?m?$"))]
    pub cpu: Option<String>,
    /// Bytes: `512Mi`, `2Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[0-9]+(\\.[0-9]+)?([kMGTP]|[KMGTP]i)?$"))]
    pub memory: Option<String>,
}
