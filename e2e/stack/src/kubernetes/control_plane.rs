//! etcd, kube-apiserver and kube-controller-manager: their commands, for the complete stack and for the control plane
//! without a node.

use std::path::PathBuf;

use super::{API_PORT, NODE_IP, SERVICE_CIDR};
use crate::{paths::Paths, process::Spec};

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
    #[must_use]
    pub fn of_stack(paths: &Paths) -> Self {
        Self {
            bin: paths.bin(),
            pki: paths.pki(),
            etc: paths.etc(),
            data: paths.data.clone(),
            address: NODE_IP.to_owned(),
            api_port: API_PORT,
            etcd_port: 2379,
            etcd_peer_port: 2380,
            controller_port: 10257,
            node: true,
        }
    }

    /// Returns the `https://…` URL of the API server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.api_port)
    }

    /// Returns the command of etcd. It has no fsync and a short election time: a single member waits for no other, and
    /// its data may be lost.
    #[must_use]
    pub fn etcd(&self) -> Spec {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
        Spec::new(
            self.bin.join("etcd"),
            [
                "--name=local".to_owned(),
                format!("--data-dir={}", self.data.join("etcd").display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=local={peer}"),
                "--unsafe-no-fsync".into(),
                "--auto-compaction-retention=1h".into(),
                "--log-level=warn".into(),
                "--heartbeat-interval=20".into(),
                "--election-timeout=200".into(),
            ],
        )
    }

    /// Returns the command of the API server. It retries etcd itself, so both may start at the same time.
    #[must_use]
    pub fn apiserver(&self) -> Spec {
        let pki = |name: &str| self.pki.join(name).display().to_string();
        let mut args = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            format!("--bind-address={}", self.address),
            format!("--secure-port={}", self.api_port),
            format!("--advertise-address={}", self.address),
            format!("--service-cluster-ip-range={SERVICE_CIDR}"),
            format!("--client-ca-file={}", pki("ca.crt")),
            format!("--tls-cert-file={}", pki("apiserver.crt")),
            format!("--tls-private-key-file={}", pki("apiserver.key")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            format!("--service-account-key-file={}", pki("sa.pub")),
            format!("--service-account-signing-key-file={}", pki("sa.key")),
            "--profiling=false".into(),
            "--shutdown-delay-duration=0s".into(),
        ];
        if self.node {
            args.extend([
                "--authorization-mode=Node,RBAC".into(),
                "--enable-admission-plugins=NodeRestriction".into(),
                "--anonymous-auth=false".into(),
                "--allow-privileged=true".into(),
                "--kubelet-preferred-address-types=InternalIP".into(),
                format!("--kubelet-certificate-authority={}", pki("ca.crt")),
                format!("--kubelet-client-certificate={}", pki("apiserver-kubelet-client.crt")),
                format!("--kubelet-client-key={}", pki("apiserver-kubelet-client.key")),
                format!("--requestheader-client-ca-file={}", pki("front-proxy-ca.crt")),
                "--requestheader-allowed-names=front-proxy-client".into(),
                "--requestheader-username-headers=X-Remote-User".into(),
                "--requestheader-group-headers=X-Remote-Group".into(),
                "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
                format!("--proxy-client-cert-file={}", pki("front-proxy-client.crt")),
                format!("--proxy-client-key-file={}", pki("front-proxy-client.key")),
            ]);
        } else {
            args.extend([
                "--authorization-mode=RBAC".into(),
                // No pod will run, so pods get no service account token, and the API server does not publish its
                // address.
                "--disable-admission-plugins=ServiceAccount".into(),
                "--endpoint-reconciler-type=none".into(),
            ]);
        }
        Spec::new(self.bin.join("kube-apiserver"), args)
    }

    /// Returns the command of the controller-manager. The default limit of 20 requests per second would delay the
    /// default service account by five seconds. Without its own credentials, the controllers have no rights in RBAC.
    #[must_use]
    pub fn controller_manager(&self) -> Spec {
        let kubeconfig = self.etc.join("kube-controller-manager.kubeconfig").display().to_string();
        let pki = |name: &str| self.pki.join(name).display().to_string();
        let mut args = vec![
            format!("--kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.controller_port),
            "--leader-elect=false".into(),
            "--use-service-account-credentials=true".into(),
            "--kube-api-qps=300".into(),
            "--kube-api-burst=600".into(),
            format!("--service-account-private-key-file={}", pki("sa.key")),
            format!("--root-ca-file={}", pki("ca.crt")),
            format!("--flex-volume-plugin-dir={}", self.data.join("kubelet-volume-plugins").display()),
            "--profiling=false".into(),
        ];
        if self.node {
            args.extend([
                format!("--authentication-kubeconfig={kubeconfig}"),
                format!("--authorization-kubeconfig={kubeconfig}"),
                format!("--cluster-signing-cert-file={}", pki("ca.crt")),
                format!("--cluster-signing-key-file={}", pki("ca.key")),
            ]);
        } else {
            args.push(format!("--controllers={}", CONTROLLERS_WITHOUT_NODE.join(",")));
        }
        Spec::new(self.bin.join("kube-controller-manager"), args)
    }
}

/// The controllers that reconcile tests need: objects are created, owned and garbage-collected, but nothing runs.
const CONTROLLERS_WITHOUT_NODE: [&str; 8] = [
    "namespace-controller",
    "serviceaccount-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "endpointslice-controller",
    "root-ca-certificate-publisher-controller",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_plane_without_a_node_listens_on_loopback_only() {
        let layout = Layout {
            address: "127.0.0.1".into(),
            api_port: 1,
            etcd_port: 2,
            etcd_peer_port: 3,
            controller_port: 4,
            node: false,
            ..Layout::of_stack(&Paths::from_env())
        };
        for spec in [layout.etcd(), layout.apiserver(), layout.controller_manager()] {
            for arg in &spec.args {
                assert!(
                    !arg.to_string_lossy().contains(NODE_IP),
                    "{} {}",
                    spec.program.display(),
                    arg.display()
                );
            }
        }
        assert_eq!(layout.url(), "https://127.0.0.1:1");
    }
}
