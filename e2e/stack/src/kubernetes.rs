//! A Kubernetes cluster with a single node. Its parts are real, and all of them are processes of the host.
//!
//! The address of one bridge is the gateway of the pods, the node's address, the address of the API server and the
//! kubelet, the cluster's DNS, and the host as pods see it. Nothing listens on an external interface.

pub mod layout;
pub mod network;
pub mod pki;

use std::process::Command;

use crate::paths::Paths;

/// The name of the bridge. An interface name has at most 15 characters.
pub const BRIDGE: &str = "batch0";
/// The address of the bridge: the node, the API server, DNS, and the host as pods see it.
pub const NODE_IP: &str = "10.244.0.1";
/// The network of the pods' addresses.
pub const POD_CIDR: &str = "10.244.0.0/24";
/// The network of the Services' addresses.
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// The first address of this network: that of the API server.
pub const SERVICE_API_IP: &str = "10.96.0.1";
/// The node's name.
pub const NODE_NAME: &str = "local";
/// The cgroup that holds every pod.
pub const CGROUP: &str = "batch-on-kafka";
/// The image of the container that keeps the namespaces of a pod open.
pub const PAUSE_IMAGE: &str = "localhost/pause:3.10";

/// Returns kubectl as the administrator of this stack.
pub fn kubectl(paths: &Paths) -> Command {
    let mut command = Command::new(paths.program("kubectl"));
    command.env("KUBECONFIG", paths.kubeconfig());
    command
}
