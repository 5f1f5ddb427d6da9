//! Sends signals to processes: to pods by their pid on this machine, to parts of the stack by their pid file.

use std::time::Duration;

use anyhow::Result;
use stack::Fault as Signal;

use crate::faults::inject::Outcome;
use crate::faults::plan::time::keep_for;
use crate::faults::plan::{Fault, Injection, Target};
use crate::faults::system::System;
use crate::faults::undo::Undo;
use crate::wait::until;

/// Kills, pauses or terminates a process.
pub fn inject(system: &System, injection: &Injection, injected: &dyn Fn()) -> Result<Outcome> {
    let (Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target }) =
        &injection.fault
    else {
        return Ok(Outcome::Nothing("no signal".into()));
    };
    let Some(id) = system.process(*target, injection.which) else {
        return Ok(Outcome::Nothing(format!("no {} runs", target.name())));
    };
    // Another fault may have ended the process at the same time.
    let ended = || Ok(Outcome::Nothing(format!("pid {} has just ended", id.pid)));
    if !id.alive() {
        return ended();
    }
    let start = |target: &Target| Undo::Start { part: target.name().into() };
    match &injection.fault {
        Fault::Kill { target, down_ms } if target.is_part() => {
            let undo = system.journal.note(start(target))?;
            injected();
            Signal::Kill.send(id)?;
            keep_for(*down_ms);
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
                keep_for(*for_ms);
            }
            system.journal.undo(undo)?;
            if !stopped {
                return ended();
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
    let ended = || Ok((!id.alive()).then_some(()));
    // What still exists after this time is found when the part is started again.
    let _ = until("a killed process to end", Duration::from_secs(10), ended);
}
