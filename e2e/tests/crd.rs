//! Every rule and bound of the CRDs on a real API server: the cases of `crds/tests/rules.yaml`.
#![allow(missing_docs, reason = "a test")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::Shell;
use e2e::wait::until;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    kind: String,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    old: Option<serde_json::Value>,
    new: serde_json::Value,
    #[serde(default)]
    error: Option<String>,
}

#[test]
fn the_api_server_refuses_what_a_rule_forbids_and_nothing_else() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("batch-crd-{}", std::process::id()));
    let plane = stack::ControlPlane::start(&dir)?;
    let kubectl = stack::Paths::from_env().program("kubectl");
    let shell = Shell {
        echo: false,
        env: vec![("KUBECONFIG".into(), plane.kubeconfig.to_string_lossy().into_owned())],
        path: kubectl.parent().map(Into::into).into_iter().collect(),
    };
    let crds = e2e::target::workspace().join("charts/batch-on-kafka/files/crds");
    shell.run("kubectl", &["apply", "--server-side", "-f", &crds.to_string_lossy()])?.ok()?;
    shell.run("kubectl", &["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])?.ok()?;

    let cases: Vec<Case> = serde_yaml::from_str(include_str!("../../crds/tests/rules.yaml"))?;
    // Some seconds after a new kind is established, it is served and kubectl finds it.
    until("both kinds to be served", Duration::from_secs(60), || {
        let output = shell.run("kubectl", &["get", "ingestmodels,ingestjobs"])?;
        Ok((output.code == 0).then_some(()))
    })?;
    for (index, case) in cases.iter().enumerate() {
        run(&shell, index, case).with_context(|| case.name.clone())?;
    }
    Ok(())
}

fn run(shell: &Shell, index: usize, case: &Case) -> Result<()> {
    let name = case.object.clone().unwrap_or_else(|| format!("case-{index}"));
    let apply = |spec: &serde_json::Value| {
        let object = serde_json::json!({
            "apiVersion": "ingest.batch-on-kafka.io/v1alpha1", "kind": case.kind,
            "metadata": {"name": name, "namespace": "default"}, "spec": spec,
        });
        // `replace` after `create`, so that the complete new spec is compared and not a merge.
        let verb =
            if shell.run("kubectl", &["get", &case.kind, &name])?.code == 0 { "replace" } else { "create" };
        shell.run_with("kubectl", &[verb, "-f", "-"], Some(&object.to_string()))
    };
    if let Some(old) = &case.old {
        apply(old)?.ok().context("the first version is accepted")?;
    }
    let output = apply(&case.new)?;
    match &case.error {
        None => output.ok().map(drop),
        Some(part) => {
            ensure!(output.code != 0, "accepted, expected: {part}");
            ensure!(output.stderr.contains(part.as_str()), "expected '{part}' in: {}", output.stderr);
            Ok(())
        }
    }
}
