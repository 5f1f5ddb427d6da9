//! A worker without a network: the host drops packets of connections that the worker made, and the answers to them.
//! The probes of the kubelet still pass, as they would if the pod's node were cut off from the other nodes.

use anyhow::{Context, Result};

use crate::faults::inject::Outcome;
use crate::faults::plan::Target;
use crate::faults::plan::time::keep_for;
use crate::faults::system::{System, host};
use crate::faults::undo::Undo;

/// The nftables table with all rules of the suite.
const TABLE: &str = "batch_faults";

/// Cuts a worker off from the network for a time.
pub fn cut_off(system: &System, which: u32, for_ms: u64, injected: &dyn Fn()) -> Result<Outcome> {
    let Some(id) = system.process(Target::Worker, which) else {
        return Ok(Outcome::Nothing("no worker runs".into()));
    };
    let pid = id.pid;
    let address = address(pid)?;
    let undo = system.journal.note(Undo::Reconnect { address: address.clone() })?;
    injected();
    cut(&address)?;
    keep_for(for_ms);
    system.journal.undo(undo)?;
    Ok(Outcome::Done(format!("pid {pid} at {address}, for {for_ms} ms")))
}

/// Allows the packets of a pod again.
pub fn reconnect(address: &str) -> Result<()> {
    if host("nft", &["list", "table", "ip", TABLE]).is_err() {
        return Ok(());
    }
    // The element does not exist if it was never added.
    let _ = nft(&format!("delete element ip {TABLE} cut {{ {address} }}"));
    let left = host("nft", &["list", "set", "ip", TABLE, "cut"])?;
    if !left.contains("elements") {
        nft(&format!("delete table ip {TABLE}"))?;
    }
    Ok(())
}

fn cut(address: &str) -> Result<()> {
    // `add` changes nothing if the object exists, except that it adds rules again. So the chains are flushed first.
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

/// Returns the address of the pod in which a process runs.
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
