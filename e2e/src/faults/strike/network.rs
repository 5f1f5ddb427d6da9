//! A worker without a network: packets of connections that it made, and answers to them, are dropped on the host. What the
//! kubelet asks it goes through, as it would where the pod's node is cut off from the rest.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::faults::plan::Target;
use crate::faults::strike::Outcome;
use crate::faults::system::{System, host};
use crate::faults::undo::Undo;

/// All rules of the suite are in this table.
const TABLE: &str = "batch_faults";

/// Cuts a worker off for a time.
pub fn cut_off(system: &System, which: u32, for_ms: u64, struck: &dyn Fn()) -> Result<Outcome> {
    let Some(id) = system.process(Target::Worker, which) else {
        return Ok(Outcome::Nothing("no worker runs".into()));
    };
    let pid = id.pid;
    let address = address(pid)?;
    let undo = system.journal.note(Undo::Reconnect { address: address.clone() })?;
    struck();
    cut(&address)?;
    thread::sleep(Duration::from_millis(for_ms));
    system.journal.undo(undo)?;
    Ok(Outcome::Done(format!("pid {pid} at {address}, for {for_ms} ms")))
}

/// Lets packets of a pod through again.
pub fn reconnect(address: &str) -> Result<()> {
    if host("nft", &["list", "table", "ip", TABLE]).is_err() {
        return Ok(());
    }
    // Absent when it was never added.
    let _ = nft(&format!("delete element ip {TABLE} cut {{ {address} }}"));
    let left = host("nft", &["list", "set", "ip", TABLE, "cut"])?;
    if !left.contains("elements") {
        nft(&format!("delete table ip {TABLE}"))?;
    }
    Ok(())
}

fn cut(address: &str) -> Result<()> {
    // `add` changes nothing where it is there, but for rules: the chains are made empty first.
    nft(&format!(
        "add table ip {TABLE}; \
         add set ip {TABLE} cut {{ type ipv4_addr; }}; \
         add chain ip {TABLE} from_pod {{ type filter hook prerouting priority -150; }}; \
         add chain ip {TABLE} to_pod {{ type filter hook output priority -150; }}; \
         flush chain ip {TABLE} from_pod; \
         flush chain ip {TABLE} to_pod; \
         add rule ip {TABLE} from_pod ip saddr @cut ct direction original drop; \
         add rule ip {TABLE} to_pod ip daddr @cut ct direction reply drop; \
         add element ip {TABLE} cut {{ {address} }}"
    ))
}

fn nft(commands: &str) -> Result<()> {
    host("nft", &[commands]).map(drop)
}

/// The address of the pod that a process runs in.
fn address(pid: i32) -> Result<String> {
    let shown = host(
        "nsenter",
        &["-t", &pid.to_string(), "-n", "ip", "-4", "-o", "addr", "show", "scope", "global"],
    )?;
    let words: Vec<&str> = shown.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "inet").context("a pod without an address")?;
    let address = words.get(at + 1).and_then(|a| a.split('/').next()).context("a pod without an address")?;
    Ok(address.to_owned())
}
