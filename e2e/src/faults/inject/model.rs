//! What the owner of a model or a job may do at any time: scale, cancel.

use std::time::Duration;

use anyhow::Result;

use crate::faults::inject::Outcome;
use crate::faults::plan::time::keep_for;
use crate::faults::system::System;
use crate::faults::undo::Undo;

/// How long calls to Kubernetes are retried while its API server is down.
const LIMIT: Duration = Duration::from_secs(90);
/// The patch that restores the workers of a model.
const AS_BEFORE: &str = r#"{"spec":{"workers":{"min":0,"max":4}}}"#;

/// Scales a model to four workers, then to at most one, then back to the values before.
pub fn scale(system: &System, model: &str, for_ms: u64, injected: &dyn Fn()) -> Result<Outcome> {
    let lock = system.lock(&format!("model {model}"));
    let _guard = lock.lock();
    let undo = system.journal.note(undo(system, model, AS_BEFORE))?;
    injected();
    for (min, max) in [(4, 4), (0, 1)] {
        patch(system, model, &format!(r#"{{"spec":{{"workers":{{"min":{min},"max":{max}}}}}}}"#))?;
        keep_for(for_ms);
    }
    system.keep_trying("to scale back", LIMIT, || system.journal.undo(undo))?;
    Ok(Outcome::Done(format!("{model}, each for {for_ms} ms")))
}

/// Cancels a job, if it exists.
pub fn cancel(system: &System, job: &str, injected: &dyn Fn()) -> Result<Outcome> {
    injected();
    let done = system.keep_trying("to cancel", LIMIT, || {
        let patch = r#"{"spec":{"cancel":true}}"#;
        let args = ["patch", "ingestjob", "-n", &system.namespace, job, "--type=merge", "-p", patch];
        let output = system.target.shell.run("kubectl", &args)?;
        if output.stderr.contains("NotFound") {
            return Ok(false);
        }
        output.ok().map(|_| true)
    })?;
    Ok(if done { Outcome::Done(job.to_owned()) } else { Outcome::Nothing(format!("{job} is not there")) })
}

/// Changes a model's spec.
pub fn patch(system: &System, model: &str, patch: &str) -> Result<()> {
    system.keep_trying("to patch a model", LIMIT, || {
        let args = ["patch", "ingestmodel", "-n", &system.namespace, model, "--type=merge", "-p", patch];
        system.target.kubectl(&args).map(drop)
    })
}

/// Returns the undo entry that restores a model's spec.
#[must_use]
pub fn undo(system: &System, model: &str, patch: &str) -> Undo {
    Undo::Model { namespace: system.namespace.clone(), name: model.into(), patch: patch.into() }
}
