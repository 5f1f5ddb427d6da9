//! Signals to processes: pods by their pid on this machine, parts of the stack by their pid file.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use stack::Fault as Signal;

use crate::faults::plan::{Fault, Strike, Target};
use crate::faults::strike::Outcome;
use crate::faults::system::System;
use crate::faults::undo::Undo;

/// Kills, pauses or terminates a process.
pub fn strike(system: &System, strike: &Strike, struck: &dyn Fn()) -> Result<Outcome> {
    let (Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target }) =
        &strike.fault
    else {
        return Ok(Outcome::Nothing("no signal".into()));
    };
    let Some(id) = system.process(*target, strike.which) else {
        return Ok(Outcome::Nothing(format!("no {} runs", target.name())));
    };
    // Another fault may have ended it at the same time.
    let gone = || Ok(Outcome::Nothing(format!("pid {} has just ended", id.pid)));
    if !id.alive() {
        return gone();
    }
    let start = |target: &Target| Undo::Start { part: target.name().into() };
    match &strike.fault {
        Fault::Kill { target, down_ms } if target.is_part() => {
            let undo = system.journal.note(start(target))?;
            struck();
            Signal::Kill.send(id)?;
            thread::sleep(Duration::from_millis(*down_ms));
            wait_gone(id);
            system.keep_trying("to start it again", Duration::from_secs(90), || system.journal.undo(undo))?;
            Ok(Outcome::Done(format!("pid {}, down for {down_ms} ms", id.pid)))
        }
        Fault::Kill { .. } => {
            struck();
            Signal::Kill.send(id)?;
            Ok(Outcome::Done(format!("pid {}", id.pid)))
        }
        Fault::Pause { for_ms, .. } => {
            let undo = system.journal.note(Undo::Continue { pid: id.pid, start: id.start })?;
            struck();
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
            struck();
            Signal::Term.send(id)?;
            Ok(Outcome::Done(format!("pid {}", id.pid)))
        }
    }
}

/// A killed process lives until the kernel has taken its memory back.
fn wait_gone(id: stack::process::Id) {
    for _ in 0..200 {
        if !id.alive() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
