//! Sends signals to processes: to pods by their pid on this machine, to parts of the stack by their pid file.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use stack::Fault as Signal;

use crate::faults::inject::Outcome;
use crate::faults::plan::{Fault, Injection, Target};
use crate::faults::system::System;
use crate::faults::undo::Undo;

/// Kills, pauses or terminates a process.
pub fn inject(system: &System, inject: &Injection, injected: &dyn Fn()) -> Result<Outcome> {
    let (Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target }) =
        &inject.fault
    else {
        return Ok(Outcome::Nothing("no signal".into()));
    };
    let Some(id) = system.process(*target, inject.which) else {
        return Ok(Outcome::Nothing(format!("no {} runs", target.name())));
    };
    // Another fault may have ended the process at the same time.
    let gone = || Ok(Outcome::Nothing(format!("pid {} has just ended", id.pid)));
    if !id.alive() {
        return gone();
    }
    let start = |target: &Target| Undo::Start { part: target.name().into() };
    match &inject.fault {
        Fault::Kill { target, down_ms } if target.is_part() => {
            let undo = system.journal.note(start(target))?;
            injected();
            Signal::Kill.send(id)?;
            thread::sleep(Duration::from_millis(*down_ms));
            wait_ended(id);
            system.keep_trying("to start it again", Duration::from_secs(90), || system.journal.undo(undo))?;
            Ok(Outcome::Done(format!("pid {}, down for {down_ms} ms", id.pid)))
        }
        Fault::Kill { .. } => {
            injected();
            Signal::Kill.send(id)?;
            Ok(Outcome::Done(format!("pid {}", id.pid)))
        }
        Fault::Pause { for_ms, .. } => {
            let undo = system.journal.note(Undo::Continue { pid: id.pid, start: id.start })?;
            injected();
            Signal::Stop.send(id)?;
            let stopped = id.alive();
            if stopped {
                thread::sleep(Duration::from_millis(*for_ms));
            }
            system.journal.undo(undo)?;
            if !stopped {
                return gone();
            }
            Ok(Outcome::Done(format!("pid {}, for {for_ms} ms", id.pid)))
        }
        _ => {
            injected();
            Signal::Term.send(id)?;
            Ok(Outcome::Done(format!("pid {}", id.pid)))
        }
    }
}

/// Waits until a killed process has ended: it exists until the kernel has freed its memory.
fn wait_ended(id: stack::process::Id) {
    for _ in 0..200 {
        if !id.alive() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
