//! All Kubernetes objects that a model wants. Pure: no client, no clock.

use std::collections::BTreeMap;

use crds::labels;
use crds::model::Quantities;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath,
    LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, Secret, SecretKeySelector, SecretVolumeSource, SecurityContext,
    ServiceAccount, Volume, VolumeMount,
};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

use super::validate::ValidModel;
use crate::worker_env::{CA_FOLDER, CA_KEY, Installation, WorkerEnv};

/// The port of a worker's health and metrics.
const METRICS_PORT: i32 = 9090;
/// The user and group of the image.
const NOBODY: i64 = 65532;
/// Annotation of the pods: the version of the Secret with which they started, so that a changed password restarts
/// them.
const SECRET_VERSION: &str = "ingest.batch-on-kafka.io/secret-version";

/// The objects that a worker runs with. They change rarely.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Base {
    /// Its identity at the API server.
    pub service_account: ServiceAccount,
    /// Its rights there.
    pub role_binding: RoleBinding,
    /// How it connects to Kafka and ClickHouse.
    pub secret: Secret,
}

/// Returns the objects that the workers of `model` run with.
#[must_use]
pub fn base(model: &ValidModel, installation: Installation<'_>) -> Base {
    let Installation { settings, env } = installation;
    let name = model.id.worker();
    let mut data = env.secret.clone();
    data.extend(env.ca.clone().map(|ca| (CA_KEY.to_owned(), ca)));
    Base {
        service_account: ServiceAccount {
            metadata: metadata(model, name.clone()),
            ..ServiceAccount::default()
        },
        role_binding: RoleBinding {
            metadata: metadata(model, name.clone()),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".into(),
                kind: "ClusterRole".into(),
                name: settings.worker_cluster_role.clone(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".into(),
                name: name.clone(),
                namespace: Some(model.namespace.clone()),
                ..Subject::default()
            }]),
        },
        secret: Secret {
            metadata: metadata(model, name),
            type_: Some("Opaque".into()),
            data: Some(data.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect()),
            ..Secret::default()
        },
    }
}

/// Returns the revision as an object. `number` is its place among the revisions of the model.
#[must_use]
pub fn controller_revision(model: &ValidModel, number: i64) -> ControllerRevision {
    ControllerRevision {
        metadata: metadata(model, model.revision.name.clone()),
        data: Some(RawExtension(model.revision.data.clone())),
        revision: number,
    }
}

/// Returns the Deployment of a model's workers. `secret_version` is the `resourceVersion` of the Secret of [`base`].
#[must_use]
pub fn deployment(
    model: &ValidModel,
    installation: Installation<'_>,
    replicas: i32,
    secret_version: &str,
) -> Deployment {
    let metadata = metadata(model, model.id.worker());
    let selector = BTreeMap::from([
        (labels::NAME.to_owned(), labels::WORKER.to_owned()),
        (labels::MODEL_ID.to_owned(), model.id.to_string()),
    ]);
    let annotations = BTreeMap::from([(SECRET_VERSION.to_owned(), secret_version.to_owned())]);
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: metadata.labels.clone(),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(model, installation)),
    };
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
            template,
            // A worker that cannot start is reported after one minute, not after ten.
            progress_deadline_seconds: Some(60),
            revision_history_limit: Some(2),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn pod(model: &ValidModel, installation: Installation<'_>) -> PodSpec {
    let Installation { settings, env } = installation;
    let name = model.id.worker();
    let ca = env.ca.is_some();
    PodSpec {
        service_account_name: Some(name.clone()),
        automount_service_account_token: Some(true),
        // Without this, a Service named `clickhouse` in the namespace would set CLICKHOUSE_PORT to `tcp://…`.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(30),
        node_selector: (!model.workers.node_selector.is_empty()).then(|| model.workers.node_selector.clone()),
        image_pull_secrets: settings
            .worker_image_pull_secret
            .clone()
            .map(|name| vec![LocalObjectReference { name }]),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(NOBODY),
            run_as_group: Some(NOBODY),
            fs_group: ca.then_some(NOBODY),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(model, installation)],
        volumes: ca.then(|| {
            vec![Volume {
                name: "ca".into(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(name),
                    items: Some(vec![KeyToPath { key: CA_KEY.into(), path: CA_KEY.into(), mode: None }]),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            }]
        }),
        ..PodSpec::default()
    }
}

fn container(model: &ValidModel, installation: Installation<'_>) -> Container {
    let Installation { settings, env } = installation;
    Container {
        name: "worker".into(),
        image: Some(settings.worker_image.clone()),
        image_pull_policy: Some(settings.worker_image_pull_policy.clone()),
        command: Some(vec!["/usr/bin/worker".into()]),
        env: Some(environment(model, env)),
        ports: Some(vec![ContainerPort {
            name: Some("metrics".into()),
            container_port: METRICS_PORT,
            ..ContainerPort::default()
        }]),
        // Every second, because jobs wait for a worker that starts from zero.
        readiness_probe: Some(probe("/readyz", 1, 3)),
        liveness_probe: Some(probe("/healthz", 10, 6)),
        resources: Some(resources(model)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: env.ca.is_some().then(|| {
            vec![VolumeMount {
                name: "ca".into(),
                mount_path: CA_FOLDER.into(),
                read_only: Some(true),
                ..VolumeMount::default()
            }]
        }),
        ..Container::default()
    }
}

fn environment(model: &ValidModel, env: &WorkerEnv) -> Vec<EnvVar> {
    let plain =
        |name: &str, value: &str| EnvVar { name: name.into(), value: Some(value.into()), value_from: None };
    let from = |name: &str, source: EnvVarSource| EnvVar {
        name: name.into(),
        value: None,
        value_from: Some(source),
    };
    let field = ObjectFieldSelector { field_path: "metadata.name".into(), api_version: Some("v1".into()) };
    let mut out = vec![
        plain("MODEL_NAME", &model.name),
        plain("MODEL_NAMESPACE", &model.namespace),
        from("POD_NAME", EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        plain("METRICS_PORT", &METRICS_PORT.to_string()),
    ];
    out.extend(env.plain.iter().map(|(name, value)| plain(name, value)));
    out.extend(env.secret.keys().map(|name| {
        let key = SecretKeySelector { name: model.id.worker(), key: name.clone(), optional: None };
        from(name, EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() })
    }));
    out
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("metrics".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(1),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

fn resources(model: &ValidModel) -> ResourceRequirements {
    let of = |quantities: &Quantities| -> BTreeMap<String, Quantity> {
        [("cpu", &quantities.cpu), ("memory", &quantities.memory)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), Quantity(value.clone()?))))
            .collect()
    };
    let resources = &model.workers.resources;
    ResourceRequirements {
        requests: Some(of(&resources.requests)),
        limits: Some(of(&resources.limits)),
        ..ResourceRequirements::default()
    }
}

fn metadata(model: &ValidModel, name: String) -> ObjectMeta {
    let labels = [
        (labels::NAME, labels::WORKER),
        (labels::MANAGED_BY, labels::MANAGED_BY_US),
        (labels::MODEL, &model.name),
        (labels::MODEL_ID, model.id.as_str()),
    ];
    ObjectMeta {
        name: Some(name),
        namespace: Some(model.namespace.clone()),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        owner_references: Some(vec![model.owner.clone()]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::validate::tests::{PURCHASES, valid};
    use super::*;
    use crate::settings::Settings;
    use clap::Parser;
    use connect::LogArgs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        log: LogArgs,
    }

    pub(crate) fn settings() -> (Settings, WorkerEnv) {
        let cli = Cli::parse_from([
            "operator",
            "--worker-image=batch:1",
            "--clickhouse-password=hunter2",
            "--kafka-sasl-username=alice",
            "--kafka-sasl-password=s3cret",
            "--clickhouse-host=ch.db",
        ]);
        let env = WorkerEnv::new(&cli.settings, &cli.log, Some("PEM".into()));
        (cli.settings, env)
    }

    #[test]
    fn a_worker_pod_may_do_nothing_that_it_need_not() {
        let (settings, env) = settings();
        let installation = Installation { settings: &settings, env: &env };
        let deployment = deployment(&valid(PURCHASES), installation, 2, "77");
        let spec = deployment.spec.unwrap();
        assert_eq!(spec.replicas, Some(2));
        let template = spec.template;
        let metadata = template.metadata.unwrap();
        assert_eq!(metadata.annotations.unwrap()[SECRET_VERSION], "77");
        let labels = metadata.labels.unwrap();
        for (key, value) in spec.selector.match_labels.unwrap() {
            assert_eq!(labels.get(&key), Some(&value));
        }
        let pod = template.spec.unwrap();
        let security = serde_json::to_value(pod.security_context.as_ref().unwrap()).unwrap();
        assert_eq!(
            security,
            serde_json::json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"}})
        );
        let container = &pod.containers[0];
        assert_eq!(
            serde_json::to_value(container.security_context.as_ref().unwrap()).unwrap(),
            serde_json::json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]}})
        );
        assert_eq!(pod.enable_service_links, Some(false));
        assert_eq!(container.image.as_deref(), Some("batch:1"));
    }

    #[test]
    fn no_secret_is_written_into_the_deployment() {
        let (settings, env) = settings();
        let installation = Installation { settings: &settings, env: &env };
        let model = valid(PURCHASES);
        let text = serde_json::to_string(&deployment(&model, installation, 1, "1")).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("s3cret") && !text.contains("alice"), "{text}");
        assert!(text.contains("ch.db"), "{text}");
        let data = base(&model, installation).secret.data.unwrap();
        assert_eq!(data["CLICKHOUSE_PASSWORD"].0, b"hunter2");
        assert_eq!(data["KAFKA_SASL_PASSWORD"].0, b"s3cret");
        assert_eq!(data["kafka-ca.pem"].0, b"PEM");
        assert!(text.contains(r#""name":"CLICKHOUSE_PASSWORD","valueFrom":{"secretKeyRef":{"key":"CLICKHOUSE_PASSWORD","name":"batch-worker-5231e672"}}"#), "{text}");
    }

    #[test]
    fn everything_that_is_made_belongs_to_the_model() {
        let (settings, env) = settings();
        let installation = Installation { settings: &settings, env: &env };
        let model = valid(PURCHASES);
        let base = base(&model, installation);
        let revision = controller_revision(&model, 4);
        let deployment = deployment(&model, installation, 0, "1");
        let all = [
            &base.service_account.metadata,
            &base.role_binding.metadata,
            &base.secret.metadata,
            &revision.metadata,
            &deployment.metadata,
        ];
        for metadata in all {
            let owner = &metadata.owner_references.as_ref().unwrap()[0];
            assert_eq!(
                (owner.kind.as_str(), owner.name.as_str(), owner.controller),
                ("IngestModel", "purchases", Some(true))
            );
            assert_eq!(metadata.namespace.as_deref(), Some("shop"));
            assert_eq!(metadata.labels.as_ref().unwrap()[labels::MODEL_ID], "5231e672");
        }
        assert_eq!(base.role_binding.role_ref.name, "batch-worker");
        assert_eq!(base.role_binding.subjects.unwrap()[0].name, "batch-worker-5231e672");
        assert_eq!((revision.revision, revision.data.unwrap().0), (4, model.revision.data));
    }

    #[test]
    fn resources_and_nodes_come_from_the_spec() {
        let (settings, env) = settings();
        let installation = Installation { settings: &settings, env: &env };
        let model = valid(&format!(
            "{PURCHASES}\n          workers: {{resources: {{requests: {{cpu: 250m}}, limits: {{memory: 1Gi}}}}, nodeSelector: {{disk: fast}}}}"
        ));
        let pod = deployment(&model, installation, 0, "1").spec.unwrap().template.spec.unwrap();
        assert_eq!(
            serde_json::to_value(pod.containers[0].resources.as_ref().unwrap()).unwrap(),
            serde_json::json!({"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}})
        );
        assert_eq!(pod.node_selector.unwrap()["disk"], "fast");
    }
}
