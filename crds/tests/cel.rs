//! The CEL rules of both kinds, run without a cluster. `e2e/tests/crd.rs` runs the same cases on a real API server.
#![allow(missing_docs, clippy::panic, reason = "a test")]

use crds::{IngestJob, IngestModel};
use kube::CustomResourceExt;
use kube::core::cel::{validate_cel, validate_cel_update};
use serde::{Serialize, de::DeserializeOwned};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    kind: String,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    bound: bool,
    #[serde(default)]
    server: bool,
    #[serde(default)]
    old: Option<serde_json::Value>,
    new: serde_json::Value,
    #[serde(default)]
    error: Option<String>,
}

#[test]
fn every_rule_refuses_what_it_forbids_and_nothing_else() {
    let cases: Vec<Case> = serde_yaml::from_str(include_str!("rules.yaml")).unwrap();
    for case in cases.iter().filter(|c| !c.bound) {
        match case.kind.as_str() {
            "IngestModel" => check::<IngestModel>(case),
            "IngestJob" => check::<IngestJob>(case),
            other => panic!("unknown kind {other}"),
        }
    }
}

#[test]
fn every_rule_of_the_crds_has_a_case() {
    let cases = include_str!("rules.yaml");
    for crd in [IngestModel::crd(), IngestJob::crd()] {
        let mut messages = vec![];
        collect_messages(&serde_json::to_value(crd).unwrap(), &mut messages);
        assert!(messages.len() >= 5, "{messages:?}");
        for message in messages {
            let tested =
                cases.lines().filter_map(|l| l.trim().strip_prefix("error: ")).any(|e| message.contains(e));
            assert!(tested, "no case in rules.yaml for: {message}");
        }
    }
}

fn check<T: CustomResourceExt + Serialize + DeserializeOwned>(case: &Case) {
    let object = |spec: &serde_json::Value| -> T {
        let name = case.object.as_deref().unwrap_or("x");
        let object = serde_json::json!({
            "apiVersion": format!("{}/{}", crds::GROUP, crds::VERSION),
            "kind": case.kind, "metadata": {"name": name}, "spec": spec,
        });
        serde_json::from_value(object).unwrap_or_else(|e| panic!("{}: {e}", case.name))
    };
    let new = object(&case.new);
    let result = match &case.old {
        None => validate_cel(&new),
        Some(old) => validate_cel_update(&new, &object(old)),
    };
    let refusals = result.err().map(|e| e.to_string()).unwrap_or_default();
    // The first line contains the number of the others. `kube-cel` has no two-variable comprehensions yet and reports
    // each rule that uses them; only the real API server checks those.
    let refusals: Vec<&str> = refusals.lines().skip(1).filter(|l| !l.contains("does not support")).collect();
    match &case.error {
        None => assert!(refusals.is_empty(), "{}: refused: {refusals:?}", case.name),
        Some(_) if case.server => {}
        Some(part) => {
            assert!(refusals.iter().any(|r| r.contains(part.as_str())), "{}: {refusals:?}", case.name);
        }
    }
}

fn collect_messages(value: &serde_json::Value, into: &mut Vec<String>) {
    if let Some(rules) = value.get("x-kubernetes-validations").and_then(|v| v.as_array()) {
        into.extend(rules.iter().filter_map(|r| r["message"].as_str()).map(str::to_owned));
    }
    match value {
        serde_json::Value::Object(map) => map.values().for_each(|v| collect_messages(v, into)),
        serde_json::Value::Array(list) => list.iter().for_each(|v| collect_messages(v, into)),
        _ => {}
    }
}
