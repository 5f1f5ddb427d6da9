//! Collects every status update of the jobs of a namespace, as a client of Kubernetes sees them, from one watch.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde_json::Value;

use super::history::{Status, wrong_step};
use super::system::System;

/// How long ClickHouse is asked for the rows of a job that has just succeeded, while it is down.
const VISIBLE: Duration = Duration::from_secs(180);

/// A job as it was seen last.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its uid.
    pub uid: String,
    /// Its status.
    pub status: Status,
    /// The number of updates so far.
    pub updates: u64,
    /// What was wrong with them.
    pub wrong: Vec<String>,
    /// Whether the count of a successful job was compared with the table.
    pub visible: bool,
    /// When it was first seen.
    pub first_seen: Option<Instant>,
    /// When its end was seen.
    pub ended: Option<Instant>,
}

/// Watches the jobs until it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    system: Arc<System>,
    /// The tables, by model.
    tables: BTreeMap<String, String>,
    jobs: Mutex<BTreeMap<String, Seen>>,
    changed: Condvar,
    stop: AtomicBool,
    child: Mutex<Option<Child>>,
    log: Mutex<File>,
}

impl Watcher {
    /// Starts the watch. `tables` has the table of each model. Every event is written to `watch.jsonl` in the run's
    /// folder.
    pub fn start(system: Arc<System>, tables: BTreeMap<String, String>) -> Result<Self> {
        let log =
            File::create(system.folder.join("watch.jsonl")).context("failed to make the watch's log")?;
        let shared = Arc::new(Shared {
            system,
            tables,
            jobs: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            child: Mutex::default(),
            log: Mutex::new(log),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || watch(&shared)
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Returns a job as it was seen last.
    #[must_use]
    pub fn seen(&self, job: &str) -> Option<Seen> {
        lock(&self.shared.jobs).get(job).cloned()
    }

    /// Returns the number of jobs that were seen and have not ended.
    #[must_use]
    pub fn under_way(&self, jobs: &[String]) -> usize {
        let seen = lock(&self.shared.jobs);
        jobs.iter().filter(|job| seen.get(*job).is_some_and(|s| !s.status.ended())).count()
    }

    /// Waits for the next update of a job, at most `limit`.
    pub fn next_update(&self, job: &str, limit: Duration) {
        let updates = |seen: Option<&Seen>| seen.map_or(0, |seen| seen.updates);
        let before = updates(self.seen(job).as_ref());
        self.wait(job, Instant::now() + limit, |seen| updates(Some(seen)) > before);
    }

    /// Waits until `ready` is true for a job, at most until `end`. Returns what was seen last.
    pub fn wait(&self, job: &str, end: Instant, ready: impl Fn(&Seen) -> bool) -> Option<Seen> {
        let mut jobs = lock(&self.shared.jobs);
        loop {
            if let Some(seen) = jobs.get(job).filter(|seen| ready(seen)) {
                return Some(seen.clone());
            }
            let left = end.checked_duration_since(Instant::now())?;
            self.shared.changed.wait_for(&mut jobs, left);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(child) = lock(&self.shared.child).as_mut() {
            let _ = child.kill();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs one watch after the other: a watch ends when the API server ends.
fn watch(shared: &Arc<Shared>) {
    let mut version = None;
    while !shared.stop.load(Ordering::Relaxed) {
        // An error comes from an API server that a fault of the run has stopped: the next try may succeed.
        let _ = one_watch(shared, &mut version);
        thread::sleep(Duration::from_millis(200));
    }
}

fn one_watch(shared: &Arc<Shared>, version: &mut Option<String>) -> Result<()> {
    let base =
        format!("/apis/ingest.batch-on-kafka.io/v1alpha1/namespaces/{}/ingestjobs", shared.system.namespace);
    let from = version.as_ref().map(|v| format!("&resourceVersion={v}")).unwrap_or_default();
    let parts = &shared.system.target.parts;
    let mut child = Command::new(&parts.kubectl)
        .env("KUBECONFIG", &parts.kubeconfig)
        .args(["get", "--raw", &format!("{base}?watch=1&timeoutSeconds=3600{from}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().context("no output of the watch")?;
    *lock(&shared.child) = Some(child);
    for line in BufReader::new(output).lines() {
        let line = line?;
        let event: Value = serde_json::from_str(&line)?;
        if event["type"] == "ERROR" {
            // The API server no longer has the version from which the watch started. The next watch starts with all
            // existing objects.
            *version = None;
            break;
        }
        if let Some(seen) = event["object"]["metadata"]["resourceVersion"].as_str() {
            *version = Some(seen.to_owned());
        }
        take(shared, &event);
    }
    let child = lock(&shared.child).take();
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(())
}

fn take(shared: &Arc<Shared>, event: &Value) {
    let object = &event["object"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, uid) = (text(&object["metadata"]["name"]), text(&object["metadata"]["uid"]));
    let line = serde_json::json!({"type": event["type"], "job": name, "version": object["metadata"]["resourceVersion"],
        "status": object["status"]});
    let _ = writeln!(lock(&shared.log), "{line}");
    if event["type"] == "DELETED" {
        return;
    }
    let mut jobs = lock(&shared.jobs);
    let seen = jobs.entry(name.clone()).or_default();
    let status = match &object["status"] {
        Value::Null => Ok(Status::default()),
        status => serde_json::from_value::<Status>(status.clone()),
    };
    match status {
        Ok(status) => {
            if seen.uid != uid {
                // The API deletes a job again if its upload could not start, and the client creates the job again.
                if seen.status.finished() || seen.status.counts.total > 0 {
                    seen.wrong.push("a job with rows was deleted and made again".into());
                }
                seen.status = Status::default();
            }
            seen.wrong.extend(wrong_step(&seen.status, &status));
            let model = text(&object["spec"]["modelRef"]["name"]);
            if status.finished() && !seen.status.finished() {
                let (shared, name, uid, ok) =
                    (Arc::clone(shared), name.clone(), uid.clone(), status.counts.ok);
                thread::spawn(move || check_visible(&shared, &name, &model, &uid, ok));
            }
            if status.ended() {
                seen.ended.get_or_insert_with(Instant::now);
            }
            seen.status = status;
        }
        Err(error) => seen.wrong.push(format!("a status that cannot be read: {error}")),
    }
    seen.first_seen.get_or_insert_with(Instant::now);
    seen.uid = uid;
    seen.updates += 1;
    drop(jobs);
    shared.changed.notify_all();
}

/// Checks that all rows are visible as soon as a job reports that they are loaded.
fn check_visible(shared: &Shared, job: &str, model: &str, uid: &str, ok: u64) {
    let Some(table) = shared.tables.get(model) else { return };
    let statement = format!("SELECT count() FROM {table} WHERE _job = '{uid}'");
    let stored = shared.system.keep_trying("to count rows", VISIBLE, || shared.system.sql(&statement));
    let mut jobs = lock(&shared.jobs);
    let seen = jobs.entry(job.to_owned()).or_default();
    match stored {
        Ok(stored) if stored == ok.to_string() => {}
        Ok(stored) => seen.wrong.push(format!("it reports {ok} loaded rows, but {stored} are visible")),
        Err(error) => seen.wrong.push(format!("its rows could not be counted: {error:#}")),
    }
    seen.visible = true;
    drop(jobs);
    shared.changed.notify_all();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
