//! A single-node Kubernetes of real parts, all of them processes of the host.
//!
//! One bridge is at once the pods' gateway, the node's address, the API server's and kubelet's address, the
//! cluster's DNS and "the host" as pods see it. Nothing listens on an outside interface.

pub mod config;
pub mod control_plane;
pub mod network;
pub mod node;
pub mod pki;
pub mod standalone;
pub mod teardown;

/// The bridge; kept short, an interface name has 15 characters at most.
pub const BRIDGE: &str = "batch0";
/// The bridge's address: the node, the API server, DNS, and the host as pods see it.
pub const NODE_IP: &str = "10.244.0.1";
/// Pods get addresses of this network.
pub const POD_CIDR: &str = "10.244.0.0/24";
/// Services get addresses of this one …
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// … and the API server its first.
pub const SERVICE_API_IP: &str = "10.96.0.1";
/// The API server's port.
pub const API_PORT: u16 = 6443;
/// The node's name.
pub const NODE_NAME: &str = "local";
/// The cgroup that holds every pod.
pub const CGROUP: &str = "batch-on-kafka";
/// What holds a pod's namespaces open.
pub const PAUSE_IMAGE: &str = "localhost/pause:3.10";
