//! The registry of the daemons: each is a part that the command line, the status and the tests know by its name.

use std::ops::Deref;

use clap::ValueEnum;

use crate::daemon::{
    Daemon, clickhouse::Clickhouse, containerd::Containerd, coredns::Coredns, etcd::Etcd, kafka::Kafka,
    kube_apiserver::KubeApiserver, kube_controller_manager::KubeControllerManager, kube_proxy::KubeProxy,
    kube_scheduler::KubeScheduler, kubelet::Kubelet,
};

/// One daemon of the stack, in the order of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The store of the cluster.
    Etcd,
    /// The Kubernetes API.
    KubeApiserver,
    /// The built-in controllers.
    KubeControllerManager,
    /// Puts pods on the node.
    KubeScheduler,
    /// Runs the pods of the node.
    Kubelet,
    /// Implements the addresses of Services, with nftables.
    KubeProxy,
    /// Resolves the names of Services.
    Coredns,
    /// Runs containers and stores images.
    Containerd,
    /// The broker, which is also its own controller.
    Kafka,
    /// The database.
    Clickhouse,
}

impl Part {
    /// Returns all parts.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }
}

impl Deref for Part {
    type Target = dyn Daemon;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Etcd => &Etcd,
            Self::KubeApiserver => &KubeApiserver,
            Self::KubeControllerManager => &KubeControllerManager,
            Self::KubeScheduler => &KubeScheduler,
            Self::Kubelet => &Kubelet,
            Self::KubeProxy => &KubeProxy,
            Self::Coredns => &Coredns,
            Self::Containerd => &Containerd,
            Self::Kafka => &Kafka,
            Self::Clickhouse => &Clickhouse,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::*;
    use crate::kubernetes::NODE_IP;

    #[test]
    fn the_name_of_each_part_is_the_one_on_the_command_line_and_no_part_listens_on_an_external_interface() {
        for part in Part::all() {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.name());
            for address in part.addresses() {
                let ip = address.parse::<SocketAddrV4>().unwrap().ip().to_string();
                assert!(["127.0.0.1", NODE_IP].contains(&ip.as_str()), "{address}");
            }
        }
    }
}
