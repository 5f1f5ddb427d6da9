//! The folders and addresses of a control plane: that of the complete stack, or one without a node.

use std::path::PathBuf;

use super::NODE_IP;
use crate::paths::Paths;

/// The folders and addresses of one control plane.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The built programs.
    pub bin: PathBuf,
    /// Certificates.
    pub pki: PathBuf,
    /// Kubeconfigs, `<user>.kubeconfig`.
    pub etc: PathBuf,
    /// The folder of etcd, and temporary files of the others.
    pub data: PathBuf,
    /// The API server's address.
    pub address: String,
    /// The API server's port.
    pub api_port: u16,
    /// The port of etcd for clients, on loopback.
    pub etcd_port: u16,
    /// The port of etcd for its peers. There are no peers.
    pub etcd_peer_port: u16,
    /// The port of the controller-manager, on loopback.
    pub controller_port: u16,
    /// Whether a kubelet will register.
    pub node: bool,
}

impl Layout {
    /// Returns the layout of the complete stack.
    pub fn of_stack(paths: &Paths) -> Self {
        Self {
            bin: paths.bin(),
            pki: paths.pki(),
            etc: paths.etc(),
            data: paths.data.clone(),
            address: NODE_IP.to_owned(),
            api_port: 6443,
            etcd_port: 2379,
            etcd_peer_port: 2380,
            controller_port: 10257,
            node: true,
        }
    }

    /// Returns the `https://…` URL of the API server.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.api_port)
    }
}
