//! Makes certificates with openssl: EC P-256, two authorities, one certificate for each part. They are made once, in
//! about a second.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

use super::{NODE_IP, NODE_NAME, SERVICE_API_IP};
use crate::{paths::render, progress::output};

/// A certificate, the authority that signs it, and its names.
struct Certificate {
    name: &'static str,
    subject: String,
    usage: &'static str,
    names: String,
    authority: &'static str,
}

fn client(name: &'static str, subject: impl Into<String>) -> Certificate {
    Certificate { name, subject: subject.into(), usage: "clientAuth", names: String::new(), authority: "ca" }
}

fn server(name: &'static str, subject: impl Into<String>, names: String) -> Certificate {
    Certificate { name, subject: subject.into(), usage: "serverAuth", names, authority: "ca" }
}

/// The certificates that every API server needs, with or without a node.
fn control_plane() -> Vec<Certificate> {
    let service = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local";
    vec![
        server(
            "apiserver",
            "/CN=kube-apiserver",
            format!("{service},DNS:localhost,IP:127.0.0.1,IP:{NODE_IP},IP:{SERVICE_API_IP}"),
        ),
        client("kube-controller-manager", "/CN=system:kube-controller-manager"),
        client("admin", "/O=system:masters/CN=admin"),
    ]
}

/// The certificates that a node and the parts beside it need.
fn node() -> Vec<Certificate> {
    let subject = format!("/O=system:nodes/CN=system:node:{NODE_NAME}");
    vec![
        client("apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
        Certificate { authority: "front-proxy-ca", ..client("front-proxy-client", "/CN=front-proxy-client") },
        server("kubelet-server", &subject, format!("DNS:{NODE_NAME},IP:{NODE_IP},IP:127.0.0.1")),
        client("kubelet", &subject),
        client("kube-scheduler", "/CN=system:kube-scheduler"),
        client("kube-proxy", "/CN=system:kube-proxy"),
        client("coredns", "/CN=system:coredns"),
    ]
}

/// Makes the certificates that are missing in `dir`. A file `done` marks that none is missing.
pub fn ensure(dir: &Path, with_node: bool) -> Result<()> {
    let done = dir.join("done");
    if done.exists() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("failed to make {}", dir.display()))?;
    authority(dir, "ca")?;
    let mut certificates = control_plane();
    if with_node {
        authority(dir, "front-proxy-ca")?;
        certificates.extend(node());
    }
    output(openssl(dir).args(["genrsa", "-out", "sa.key", "2048"]))?;
    output(openssl(dir).args(["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]))?;
    for certificate in certificates {
        certify(dir, &certificate)?;
    }
    fs::write(done, "").context("failed to finish the certificates")
}

/// Writes a self-contained kubeconfig for the certificate `user`. Only its owner can read it.
pub fn kubeconfig(pki: &Path, user: &str, server: &str, file: &Path) -> Result<()> {
    let base64 = |name: &str| output(openssl(pki).args(["base64", "-A", "-in", name]));
    let text = render(
        include_str!("kubeconfig.yaml"),
        &[
            ("user", user),
            ("server", server),
            ("ca", &base64("ca.crt")?),
            ("certificate", &base64(&format!("{user}.crt"))?),
            ("key", &base64(&format!("{user}.key"))?),
        ],
    )?;
    crate::paths::write_if_changed(file, &text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).context("failed to protect a kubeconfig")
}

fn openssl(dir: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(dir);
    command
}

fn key(dir: &Path, name: &str) -> Result<()> {
    let file = format!("{name}.key");
    output(openssl(dir).args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &file]))
        .map(drop)
}

fn authority(dir: &Path, name: &str) -> Result<()> {
    key(dir, name)?;
    let (key, crt, subject) =
        (format!("{name}.key"), format!("{name}.crt"), format!("/CN=batch-on-kafka-{name}"));
    output(openssl(dir).args(["req", "-x509", "-new", "-days", "3650", "-key", &key, "-out", &crt]).args([
        "-subj",
        &subject,
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
    ]))
    .map(drop)
}

fn certify(dir: &Path, certificate: &Certificate) -> Result<()> {
    let Certificate { name, subject, usage, names, authority } = certificate;
    key(dir, name)?;
    let [key, csr, crt, ext] = ["key", "csr", "crt", "ext"].map(|end| format!("{name}.{end}"));
    let mut extensions = format!(
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage={usage}\n"
    );
    if !names.is_empty() {
        extensions.push_str("subjectAltName=");
        extensions.push_str(names);
    }
    fs::write(dir.join(&ext), extensions)?;
    let serial = format!("0x{}", output(openssl(dir).args(["rand", "-hex", "8"]))?.trim());
    output(openssl(dir).args(["req", "-new", "-key", &key, "-subj", subject, "-out", &csr]))?;
    output(
        openssl(dir)
            .args(["x509", "-req", "-in", &csr, "-days", "3650", "-set_serial", &serial])
            .args(["-CA", &format!("{authority}.crt"), "-CAkey", &format!("{authority}.key")])
            .args(["-extfile", &ext, "-out", &crt]),
    )?;
    fs::remove_file(dir.join(csr))?;
    fs::remove_file(dir.join(ext)).context("failed to clean up after a certificate")
}
