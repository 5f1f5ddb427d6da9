//! The addresses of the parts: what tests and the demo need to know about this stack or another cluster.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    daemon::{clickhouse, kafka},
    kubernetes::NODE_IP,
    paths::Paths,
};

/// Addresses, credentials and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// kubectl of the cluster's version.
    pub kubectl: PathBuf,
    /// Helm.
    pub helm: PathBuf,
    /// Kafka's `host:port` for programs on this machine.
    pub kafka_host: String,
    /// Kafka's `host:port` for pods.
    pub kafka_pods: String,
    /// ClickHouse's host for programs on this machine.
    pub clickhouse_host: String,
    /// ClickHouse's host for pods.
    pub clickhouse_pods: String,
    /// ClickHouse's HTTP port, the same for both.
    pub clickhouse_http_port: u16,
    /// A user that may create tables and databases.
    pub clickhouse_user: String,
    /// Its password.
    pub clickhouse_password: String,
    /// Whether the parts are processes of this stack, so that tests may stop and restart them.
    pub local: bool,
}

impl Endpoints {
    /// Returns the endpoints of the local stack.
    #[must_use]
    pub fn local(paths: &Paths) -> Self {
        Self {
            kubeconfig: paths.kubeconfig(),
            kubectl: paths.program("kubectl"),
            helm: paths.program("helm"),
            kafka_host: kafka::HOST.to_owned(),
            kafka_pods: kafka::PODS.to_owned(),
            clickhouse_host: "127.0.0.1".to_owned(),
            clickhouse_pods: NODE_IP.to_owned(),
            clickhouse_http_port: 8123,
            clickhouse_user: clickhouse::USER.to_owned(),
            clickhouse_password: clickhouse::PASSWORD.to_owned(),
            local: true,
        }
    }

    /// Returns the endpoints of another cluster if `BATCH_E2E_KUBECONFIG` is set, otherwise those of the local stack,
    /// which must be up.
    ///
    /// Another cluster needs `BATCH_E2E_KAFKA` and `BATCH_E2E_CLICKHOUSE` (`host:port` as seen from this machine).
    /// Optional are `BATCH_E2E_KAFKA_PODS` and `BATCH_E2E_CLICKHOUSE_PODS` (`host:port`, `host`, as seen from pods;
    /// default: the same), `BATCH_E2E_CLICKHOUSE_USER` and `_PASSWORD` (default: `default` without a password).
    /// kubectl and helm come from the `PATH`.
    pub fn find(paths: &Paths) -> Result<Self> {
        match env::var_os("BATCH_E2E_KUBECONFIG").filter(|v| !v.is_empty()) {
            Some(kubeconfig) => Self::foreign(kubeconfig.into(), |name| env::var(name).ok()),
            None => Self::load(paths),
        }
    }

    fn foreign(kubeconfig: PathBuf, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let need =
            |name: &str| get(name).with_context(|| format!("BATCH_E2E_KUBECONFIG needs {name} beside it"));
        let kafka_host = need("BATCH_E2E_KAFKA")?;
        let clickhouse = need("BATCH_E2E_CLICKHOUSE")?;
        let (host, port) = clickhouse.rsplit_once(':').unwrap_or((&clickhouse, "8123"));
        Ok(Self {
            kubeconfig,
            kubectl: "kubectl".into(),
            helm: "helm".into(),
            kafka_pods: get("BATCH_E2E_KAFKA_PODS").unwrap_or_else(|| kafka_host.clone()),
            kafka_host,
            clickhouse_host: host.to_owned(),
            clickhouse_pods: get("BATCH_E2E_CLICKHOUSE_PODS").unwrap_or_else(|| host.to_owned()),
            clickhouse_http_port: port.parse().context("BATCH_E2E_CLICKHOUSE is not host:port")?,
            clickhouse_user: get("BATCH_E2E_CLICKHOUSE_USER").unwrap_or_else(|| "default".to_owned()),
            clickhouse_password: get("BATCH_E2E_CLICKHOUSE_PASSWORD").unwrap_or_default(),
            local: false,
        })
    }

    /// Reads what the last `up` wrote.
    pub fn load(paths: &Paths) -> Result<Self> {
        let file = paths.data.join("endpoints.json");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("no stack is up ({} is missing): run `stack up`", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to read {}", file.display()))
    }

    /// Writes the endpoints for `load` and for programs in other languages.
    pub fn save(&self, paths: &Paths) -> Result<()> {
        let file = paths.data.join("endpoints.json");
        fs::write(&file, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("failed to write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_ones_own_needs_kafka_and_clickhouse_and_nothing_else() {
        let get = |name: &str| match name {
            "BATCH_E2E_KAFKA" => Some("kafka:9092".to_owned()),
            "BATCH_E2E_CLICKHOUSE" => Some("ch:18123".to_owned()),
            _ => None,
        };
        let found = Endpoints::foreign("/k".into(), get).unwrap();
        assert_eq!((found.kafka_pods.as_str(), found.clickhouse_pods.as_str()), ("kafka:9092", "ch"));
        assert_eq!((found.clickhouse_http_port, found.local), (18123, false));
        let error = Endpoints::foreign("/k".into(), |_| None).unwrap_err().to_string();
        assert!(error.contains("BATCH_E2E_KAFKA"), "{error}");
    }
}
