//! The configuration files of the parts, made from their templates.

use anyhow::{Context, Result};

use crate::{
    kubernetes::{BRIDGE, CGROUP, NODE_IP, NODE_NAME, PAUSE_IMAGE, POD_CIDR, layout::Layout, pki},
    part::Part,
    paths::{Paths, render, write_if_changed},
};

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
    let [data, volatile, etc, pki, logs] =
        [&paths.data, &paths.volatile, &paths.etc(), &paths.pki(), &paths.logs()]
            .map(|p| p.display().to_string());
    let values = [
        ("data", data.as_str()),
        ("volatile", &volatile),
        ("etc", &etc),
        ("pki", &pki),
        ("logs", &logs),
        ("bridge", BRIDGE),
        ("cgroup", CGROUP),
        ("node_ip", NODE_IP),
        ("node_name", NODE_NAME),
        ("pause_image", PAUSE_IMAGE),
        ("pod_cidr", POD_CIDR),
    ];
    Part::all()
        .flat_map(|part| part.files())
        .map(|(file, template)| Ok((*file, render(template, &values).context(*file)?)))
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
