//! The table of a model. Fields that could be SQL have a small grammar instead.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table in ClickHouse. After the model is made, only `ttl` can change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.database) ? self.database : '') == (has(oldSelf.database) ? oldSelf.database : '') \
    && (has(self.name) ? self.name : '') == (has(oldSelf.name) ? oldSelf.name : '')")
    .message("database and name of the table are fixed: make a new model for another table"))]
#[x_kube(validation = Rule::new("self.engine == oldSelf.engine").message("the engine of the table is fixed: make a new model for another table"))]
#[x_kube(validation = Rule::new("self.orderBy == oldSelf.orderBy").message("orderBy is fixed: make a new model for another table"))]
#[x_kube(validation = Rule::new("(has(self.partitionBy) ? self.partitionBy : '') == (has(oldSelf.partitionBy) ? oldSelf.partitionBy : '')")
    .message("partitionBy is fixed: make a new model for another table"))]
pub struct TableSpec {
    /// The database. It must exist. Default: that of the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub database: Option<String>,
    /// The table's name. Default: `data_<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: Option<String>,
    /// The table engine.
    #[serde(default)]
    pub engine: Engine,
    /// Names of columns. Default: `rowKey`.
    #[serde(default)]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))
    )]
    pub order_by: Vec<String>,
    /// A column, or one of ClickHouse's date functions of a column: `toYYYYMM(timestamp)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        regex(
            pattern = "^([A-Za-z_][A-Za-z0-9_]*|to(YYYYMM|YYYYMMDD|Date|Year|Monday|StartOf(Day|Hour|Week|Month|Quarter|Year))\\([A-Za-z_][A-Za-z0-9_]*\\))$"
        )
    )]
    pub partition_by: Option<String>,
    /// When rows are deleted: `timestamp + INTERVAL 90 DAY`. The column must be a Date, Date32, DateTime or DateTime64,
    /// and not nullable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        regex(
            pattern = "^[A-Za-z_][A-Za-z0-9_]* \\+ INTERVAL [0-9]{1,6} (HOUR|DAY|WEEK|MONTH|QUARTER|YEAR)$"
        )
    )]
    pub ttl: Option<String>,
    /// MergeTree settings: names and plain values. Only settings that cannot stop or repeat an INSERT are allowed, and
    /// values have bounds. The message of a refusal lists them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.]+$"}
    ))]
    pub settings: BTreeMap<String, String>,
    /// The cluster on which the table is made (`ON CLUSTER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub cluster: Option<String>,
}

/// The table engines that support insert deduplication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Engine {
    /// On one server.
    #[default]
    MergeTree,
    /// On one server; the last row of each sorting key is kept.
    ReplacingMergeTree,
    /// Replicated.
    ReplicatedMergeTree,
    /// Replicated; the last row of each sorting key is kept.
    ReplicatedReplacingMergeTree,
}
