//! The metrics of the operator. Every label has a bounded number of values: kinds, results and reasons are fixed in
//! the code, and models are objects of the API server.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelLabels {
    namespace: String,
    model: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// Counts, durations and gauges.
#[derive(Clone, Debug)]
pub struct OperatorMetrics {
    durations: Family<KindLabels, Histogram>,
    errors: Family<ReasonLabels, Counter>,
    workers: Family<ModelLabels, Gauge>,
    lag: Family<ModelLabels, Gauge>,
    ended: Family<StateLabels, Counter>,
}

impl OperatorMetrics {
    /// Registers the metrics in `registry` under `batch_operator_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let durations: Family<KindLabels, Histogram> = Family::new_with_constructor(|| {
            Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
        });
        let metrics = Self {
            durations,
            errors: Family::default(),
            workers: Family::default(),
            lag: Family::default(),
            ended: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("batch_operator");
        registry.register_with_unit(
            "reconcile",
            "How long one reconcile took, by kind",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register("errors", "What went wrong, by kind and reason", metrics.errors.clone());
        registry.register("workers_wanted", "Workers that a model should have", metrics.workers.clone());
        registry.register("lag_chunks", "Chunks of a model that wait in Kafka", metrics.lag.clone());
        registry.register("jobs_ended", "Jobs that ended, by their end state", metrics.ended.clone());
        metrics
    }

    /// Records that one reconcile of an object of `kind` took `took`.
    pub fn reconciled(&self, kind: &'static str, took: Duration) {
        self.durations.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    /// Counts an error.
    pub fn error(&self, kind: &'static str, reason: &'static str) {
        self.errors.get_or_create(&ReasonLabels { kind, reason }).inc();
    }

    /// Records how many workers a model should have, and how many chunks wait for it if that is known.
    pub fn scaled(&self, namespace: &str, model: &str, workers: i32, lag: Option<i64>) {
        let labels = labels(namespace, model);
        self.workers.get_or_create(&labels).set(workers.into());
        if let Some(lag) = lag {
            self.lag.get_or_create(&labels).set(lag);
        }
    }

    /// Removes the metrics of a deleted model.
    pub fn forget(&self, namespace: &str, model: &str) {
        let labels = labels(namespace, model);
        self.workers.remove(&labels);
        self.lag.remove(&labels);
    }

    /// Counts a job that ended.
    pub fn ended(&self, state: &'static str) {
        self.ended.get_or_create(&StateLabels { state }).inc();
    }
}

fn labels(namespace: &str, model: &str) -> ModelLabels {
    ModelLabels { namespace: namespace.into(), model: model.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_deleted_model_has_no_metrics() {
        let mut registry = Registry::default();
        let metrics = OperatorMetrics::register(&mut registry);
        metrics.scaled("shop", "purchases", 3, Some(17));
        metrics.error("IngestModel", "KafkaUnavailable");
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(
            text.contains(r#"batch_operator_lag_chunks{namespace="shop",model="purchases"} 17"#),
            "{text}"
        );
        assert!(
            text.contains(r#"batch_operator_errors_total{kind="IngestModel",reason="KafkaUnavailable"} 1"#),
            "{text}"
        );
        metrics.forget("shop", "purchases");
        text.clear();
        encode(&mut text, &registry).unwrap();
        assert!(!text.contains("purchases"), "{text}");
    }
}
