//! Installs the chart from the sources: release binaries, the image, `helm upgrade --install`.

use std::env;

use anyhow::{Context, Result};
use stack::{Binary, Stack};

use crate::target::{SYSTEM_NAMESPACE, Target, release_dir, workspace};

/// The Helm release.
pub const RELEASE: &str = "batch";

/// Builds the four programs in the form in which they are released.
pub fn build(target: &Target) -> Result<()> {
    let manifest = workspace().join("Cargo.toml");
    let manifest = manifest.to_string_lossy();
    let packages = ["-p", "operator", "-p", "ingest-api", "-p", "worker", "-p", "cli"];
    let args: Vec<&str> =
        ["build", "--release", "--manifest-path", &manifest].into_iter().chain(packages).collect();
    target.shell.stream("cargo", &args)
}

/// Makes the image with the binaries of [`build`], imports it into the cluster, and returns its reference.
///
/// For another cluster, `BATCH_E2E_IMAGE` names an image that was pushed for it.
pub fn image(target: &Target) -> Result<String> {
    if !target.parts.local {
        return env::var("BATCH_E2E_IMAGE")
            .context("with BATCH_E2E_KUBECONFIG set, BATCH_E2E_IMAGE is needed too");
    }
    let binary = |name: &str| Binary { name: name.to_owned(), path: release_dir().join(name) };
    Stack::from_env().import_image(&["operator", "ingest-api", "worker", "batch"].map(binary))
}

/// Installs or upgrades the chart and waits until operator and API are ready.
pub fn helm(target: &Target, image: &str) -> Result<()> {
    let (repository, tag) = image.rsplit_once(':').context("the image has no tag")?;
    let chart = workspace().join("charts/batch-on-kafka");
    let mut args =
        vec!["upgrade".to_owned(), "--install".into(), RELEASE.into(), chart.to_string_lossy().into_owned()];
    args.extend(
        ["--namespace", SYSTEM_NAMESPACE, "--create-namespace", "--wait", "--timeout", "3m"]
            .map(str::to_owned),
    );
    for (key, value) in [
        ("image.repository", repository),
        ("image.tag", tag),
        ("kafka.bootstrap", &target.parts.kafka_pods),
        ("clickhouse.host", &target.parts.clickhouse_pods),
        ("clickhouse.port", &target.parts.clickhouse_http_port.to_string()),
        ("clickhouse.user", &target.parts.clickhouse_user),
        ("clickhouse.password", &target.parts.clickhouse_password),
    ] {
        args.extend(["--set".to_owned(), format!("{key}={}", value.replace(',', "\\,"))]);
    }
    target.shell.run("helm", &args)?.ok().context("helm upgrade --install").map(drop)
}
