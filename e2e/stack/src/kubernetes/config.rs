//! The configuration files of Kubernetes' parts, made from the templates in this folder.

use anyhow::Result;

use super::{BRIDGE, CGROUP, NODE_IP, NODE_NAME, PAUSE_IMAGE, POD_CIDR, control_plane::Layout, pki};
use crate::paths::{Paths, render, write_if_changed};

/// Writes the files whose content has changed.
pub fn write(paths: &Paths) -> Result<()> {
    let etc = paths.etc();
    for (file, text) in files(paths)? {
        write_if_changed(&etc.join(file), &text)?;
    }
    let server = Layout::of_stack(paths).url();
    for user in ["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns"] {
        pki::kubeconfig(&paths.pki(), user, &server, &etc.join(format!("{user}.kubeconfig")))?;
    }
    pki::kubeconfig(&paths.pki(), "admin", &server, &paths.kubeconfig())
}

/// Returns names and contents. The names are relative to `etc`.
fn files(paths: &Paths) -> Result<Vec<(&'static str, String)>> {
    let [data, volatile, etc, pki] =
        [&paths.data, &paths.volatile, &paths.etc(), &paths.pki()].map(|p| p.display().to_string());
    let values = [
        ("data", data.as_str()),
        ("volatile", &volatile),
        ("etc", &etc),
        ("pki", &pki),
        ("bridge", BRIDGE),
        ("cgroup", CGROUP),
        ("node_ip", NODE_IP),
        ("node_name", NODE_NAME),
        ("pause_image", PAUSE_IMAGE),
        ("pod_cidr", POD_CIDR),
    ];
    [
        ("containerd.toml", include_str!("templates/containerd.toml")),
        ("cni/10-pods.conflist", include_str!("templates/pods.conflist")),
        ("kubelet.yaml", include_str!("templates/kubelet.yaml")),
        ("kube-proxy.yaml", include_str!("templates/kube-proxy.yaml")),
        ("Corefile", include_str!("templates/Corefile")),
        ("coredns-rbac.yaml", include_str!("templates/coredns-rbac.yaml")),
        ("resolv.conf", "nameserver {{node_ip}}\n"),
    ]
    .into_iter()
    .map(|(file, template)| Ok((file, render(template, &values)?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_filled_and_names_the_folders_of_this_stack() {
        let paths = Paths { cache: "/c".into(), data: "/d".into(), volatile: "/v".into() };
        let files = files(&paths).unwrap();
        let text = |name| files.iter().find(|(n, _)| *n == name).map(|(_, t)| t.as_str()).unwrap();
        assert!(text("kubelet.yaml").contains("unix:///v/containerd.sock"));
        assert!(text("kubelet.yaml").contains("x509: {clientCAFile: /d/pki/ca.crt}"));
        assert!(text("containerd.toml").contains("root = \"/d/containerd\""));
        assert!(text("Corefile").contains("bind 10.244.0.1"));
        let cni: serde_json::Value = serde_json::from_str(text("cni/10-pods.conflist")).unwrap();
        assert_eq!(cni["plugins"][0]["bridge"], BRIDGE);
    }
}
