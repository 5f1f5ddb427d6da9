//! kube-apiserver: the Kubernetes API.

use anyhow::Result;

use super::Daemon;
use crate::{
    kubernetes::{SERVICE_CIDR, kubectl, layout::Layout},
    paths::Paths,
    process::Spec,
    progress::output,
};

/// The Kubernetes API.
pub struct KubeApiserver;

impl Daemon for KubeApiserver {
    fn name(&self) -> &'static str {
        "kube-apiserver"
    }

    fn addresses(&self) -> &'static [&'static str] {
        &["10.244.0.1:6443"]
    }

    fn spec(&self, paths: &Paths) -> Result<Spec> {
        Ok(command(&Layout::of_stack(paths)))
    }

    fn health(&self, paths: &Paths) -> Result<()> {
        output(kubectl(paths).args(["get", "--raw=/readyz", "--request-timeout=3s"])).map(drop)
    }
}

/// Returns the command of the API server. It retries etcd itself, so both may start at the same time.
pub fn command(layout: &Layout) -> Spec {
    let pki = |name: &str| layout.pki.join(name).display().to_string();
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", layout.etcd_port),
        format!("--bind-address={}", layout.address),
        format!("--secure-port={}", layout.api_port),
        format!("--advertise-address={}", layout.address),
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
    if layout.node {
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
    Spec::new(layout.bin.join("kube-apiserver"), args)
}
