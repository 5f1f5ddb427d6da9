//! A complete run: namespaces with models, rounds in them, and a last check of everything that was loaded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use super::check::{self, Checked};
use super::disk;
use super::inject::kafka::PARTITIONS;
use super::load::STORED_ERRORS;
use super::plan::{Limits, MODELS, Model, Plan, Round, Target as FaultTarget, round};
use super::report::Report;
use super::round::RoundContext;
use super::system::System;
use super::undo::{Journal, Undo};
use super::watcher::Watcher;
use crate::Target;
use crate::wait::until;

/// The number of rounds in one namespace. A replay reads the records of all of them again.
const ROUNDS: usize = 5;
/// How long after the last job the workers may take to scale to zero.
const ZERO: Duration = Duration::from_secs(240);

/// Undoes everything when a run ends, also after a panic.
struct Guard(Arc<Journal>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.undo_all();
    }
}

/// Runs a plan. An error has the differences that were found.
pub fn run_plan(target: &Target, plan: &Plan) -> Result<Report> {
    let guard = begin(target, plan.fills_the_disk())?;
    let report = Report::default();
    run_rounds(target, &guard.0, &report, plan.seed, &plan.rounds)?;
    Ok(report)
}

/// Draws rounds from a seed and runs them until the time is over.
pub fn run_for(target: &Target, seed: u64, time: Duration, limits: &Limits) -> Result<Report> {
    let guard = begin(target, limits.disk)?;
    let report = Report::default();
    let end = Instant::now() + time;
    let mut number = 0;
    while Instant::now() < end {
        let rounds: Vec<Round> = (number..number + ROUNDS as u64).map(|n| round(seed, n, limits)).collect();
        number += ROUNDS as u64;
        run_rounds(target, &guard.0, &report, seed, &rounds)?;
        println!("{report}");
    }
    Ok(report)
}

/// Undoes what a killed run has left.
pub fn undo(target: &Target) -> Result<()> {
    Journal::open(target).map(drop)
}

fn begin(target: &Target, fills_the_disk: bool) -> Result<Guard> {
    ensure!(target.parts.local, "the fault suite kills the parts: it runs on the local stack only");
    let journal = Arc::new(Journal::open(target)?);
    let guard = Guard(journal);
    if fills_the_disk {
        disk::enter(&guard.0)?;
    }
    Ok(guard)
}

/// Runs rounds in one namespace.
fn run_rounds(
    target: &Target,
    journal: &Arc<Journal>,
    report: &Report,
    seed: u64,
    rounds: &[Round],
) -> Result<()> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let namespace = format!("faults-{seconds:x}-{:x}", std::process::id());
    let folder = std::env::temp_dir().join(&namespace);
    fs::create_dir_all(&folder)?;
    target.kubectl(&["create", "namespace", &namespace])?;
    let system = Arc::new(System::new(target, &namespace, folder.clone(), Arc::clone(journal))?);
    let tables = make_models(&system)?;
    let watcher = Watcher::start(Arc::clone(&system), tables.clone())?;
    let context = RoundContext { system: &system, watcher: &watcher, tables: &tables, report };
    let mut checked: Vec<Checked> = vec![];
    for (index, one) in rounds.iter().enumerate() {
        report.line(format_args!(
            "round {} of {}: {} loads, {} faults ({namespace})",
            index + 1,
            rounds.len(),
            one.jobs.len(),
            one.injections.len()
        ));
        match context.run(one)? {
            Ok(jobs) => checked.extend(jobs),
            Err(found) => return failure(seed, &rounds[..=index], &namespace, &found, report),
        }
    }
    let found = check_unchanged(&system, &watcher, &tables, &checked)?;
    if !found.is_empty() {
        return failure(seed, rounds, &namespace, &found, report);
    }
    drop(watcher);
    journal.forget(|undo| matches!(undo, Undo::Model { namespace: of, .. } if *of == namespace))?;
    target.kubectl(&["delete", "namespace", &namespace, "--wait=false"])?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// Checks at the end of the rounds that no worker is left and that nothing of any job has changed since it was
/// checked.
fn check_unchanged(
    system: &System,
    watcher: &Watcher,
    tables: &BTreeMap<String, String>,
    checked: &[Checked],
) -> Result<Vec<String>> {
    let mut found = vec![];
    let stopped = until("the workers to end", ZERO, || {
        Ok(system.processes(FaultTarget::Worker).is_empty().then_some(()))
    });
    if stopped.is_err() {
        let models = system.target.kubectl(&["get", "ingestmodels,pods", "-n", &system.namespace])?;
        found.push(format!("workers are left {} s after the last job\n{models}", ZERO.as_secs()));
    }
    for job in checked {
        let table = tables.get(&job.model).context("a model of the run")?;
        found.extend(check::unchanged(system, table, job)?);
        let seen = watcher.seen(&job.job).unwrap_or_default();
        found.extend(seen.wrong.iter().map(|wrong| format!("{}: a status update: {wrong}", job.job)));
    }
    Ok(found)
}

/// Returns an error with what a person needs to repeat the rounds, and with the first difference.
fn failure(seed: u64, rounds: &[Round], namespace: &str, found: &[String], report: &Report) -> Result<()> {
    let plan = Plan { seed, about: String::new(), rounds: rounds.to_vec() };
    let mut text = format!(
        "\n{report}\n\nseed {seed}, namespace {namespace} (kept). The plan:\n---\n{}---\n",
        plan.to_yaml()?
    );
    for what in found {
        let _ = writeln!(text, "difference: {what}");
    }
    bail!(
        "{text}\nfirst difference: {}",
        found.first().and_then(|what| what.lines().next()).unwrap_or("none")
    )
}

/// Creates every model and waits until it is ready. Returns their tables.
fn make_models(system: &System) -> Result<BTreeMap<String, String>> {
    for model in MODELS {
        let yaml = manifest(model);
        system.target.apply(&system.namespace, &yaml)?.ok().with_context(|| yaml.clone())?;
    }
    let mut tables = BTreeMap::new();
    for model in MODELS {
        let status = system.target.model_ready(&system.namespace, model.name)?;
        let table = status["table"].as_str().context("a table")?;
        tables.insert(model.name.to_owned(), table.to_owned());
    }
    Ok(tables)
}

fn manifest(model: Model) -> String {
    let chunk_bytes = match model.chunk_bytes {
        0 => String::new(),
        bytes => format!("  chunkBytes: {bytes}\n"),
    };
    let table = match model.shape {
        super::shape::Shape::Partitioned => "  table: {orderBy: [id], partitionBy: day}\n",
        _ => "",
    };
    format!(
        "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: {}}}\nspec:\n\
         {chunk_bytes}{table}  topic: {{partitions: {PARTITIONS}}}\n  \
         workers: {{min: 0, max: 4, chunksPerWorker: 16, cooldownSeconds: 10}}\n  \
         errorPolicy: {{maxStoredErrors: {STORED_ERRORS}}}\n  deletionPolicy: Delete\n  columns:{}\n",
        model.name,
        model.shape.columns_yaml()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_of_each_model_is_yaml_with_its_columns() {
        for model in MODELS {
            let text = manifest(model);
            let yaml: serde_yaml::Value =
                serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let columns = yaml["spec"]["columns"].as_sequence().unwrap().len();
            assert_eq!(columns, model.shape.columns().len(), "{text}");
        }
    }

    #[test]
    fn a_failure_shows_a_plan_that_can_be_repeated() {
        let rounds = [round(4, 0, &Limits::default())];
        let error =
            failure(4, &rounds, "ns", &["row 4 is not stored".into()], &Report::default()).unwrap_err();
        let text = error.to_string();
        let yaml = text.split("---\n").nth(1).unwrap();
        assert_eq!(Plan::parse(yaml).unwrap().rounds, rounds);
        assert!(text.ends_with("first difference: row 4 is not stored"), "{text}");
    }
}
