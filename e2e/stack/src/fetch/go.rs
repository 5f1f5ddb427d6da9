//! Kubernetes, etcd, `CoreDNS` and Helm from their Go modules, pinned in `kubernetes/go.mod` and `go.sum`.
//!
//! All of them are in one module, so they share the compiled packages. The first build needs about ten minutes of
//! processor time; a build after a change of only the project's own code needs ten seconds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Stamp;
use crate::{
    paths::Paths,
    preflight,
    progress::{Progress, output},
};

/// Kubernetes' version, which the programs also report.
pub const KUBERNETES: &str = "1.34.4";
/// etcd's version.
pub const ETCD: &str = "3.6.5";
/// `CoreDNS`' version.
pub const COREDNS: &str = "1.13.1";
/// Helm's version, which it also reports.
pub const HELM: &str = "3.19.5";

/// `kube` is one program with seven names.
const LINKS: [&str; 7] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "etcd",
];

/// Builds the programs into `bin`, unless they exist and were built from the same sources.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    let bin = paths.bin();
    fs::create_dir_all(&bin).with_context(|| format!("failed to make {}", bin.display()))?;
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes");
    let flags = linker_flags();
    let sources = ["go.mod", "go.sum", "kube/main.go", "kube/cri.go", "coredns/main.go"]
        .map(|file| fs::read(module.join(file)).with_context(|| format!("failed to read {file}")))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let mut made_from: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
    made_from.push(flags.as_bytes());
    let file = bin.join(".stamp");
    let stamp = Stamp::new(&file, &made_from);
    if stamp.matches() {
        return Ok(());
    }
    preflight::tools(&["go", "gcc"])?;
    build(&module, &bin, &flags, &paths.cache.join("go-build.log"), progress)?;
    for name in LINKS {
        let link = bin.join(name);
        if fs::read_link(&link).is_err() {
            std::os::unix::fs::symlink("kube", &link)
                .with_context(|| format!("failed to link {}", link.display()))?;
        }
    }
    build_pause(&module, &bin)?;
    stamp.set()
}

/// Builds static programs without debug information. They have the same version strings as the official builds.
fn build(module: &Path, bin: &Path, flags: &str, log: &Path, progress: &Progress) -> Result<()> {
    progress.run(
        "building Kubernetes, CoreDNS and Helm (about 3,000 packages: 5 to 15 minutes the first time)",
        log,
        Command::new("go")
            .current_dir(module)
            .env("GOFLAGS", "-buildvcs=false")
            .env("CGO_ENABLED", "0")
            // The compiler may use more memory instead of collecting garbage.
            .env("GOGC", "400")
            .args(["build", "-v", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", flags, "-o"])
            .arg(format!("{}/", bin.display()))
            .args(["./kube", "./coredns", "helm.sh/helm/v3/cmd/helm"]),
    )
}

fn linker_flags() -> String {
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/client-go/pkg/version", "k8s.io/component-base/version"] {
        for (name, value) in [
            ("gitVersion", format!("v{KUBERNETES}")),
            ("gitMajor", "1".to_owned()),
            ("gitMinor", "34".to_owned()),
            ("gitTreeState", "clean".to_owned()),
        ] {
            flags.extend([" -X ", package, ".", name, "=", &value]);
        }
    }
    // Without a cluster, Helm checks charts against these versions. By default it assumes Kubernetes 1.20.
    for package in ["chartutil", "lint/rules"] {
        for (name, value) in [("k8sVersionMajor", "1"), ("k8sVersionMinor", "34")] {
            flags.extend([" -X helm.sh/helm/v3/pkg/", package, ".", name, "=", value]);
        }
    }
    flags + &format!(" -X helm.sh/helm/v3/internal/version.version=v{HELM}")
}

/// Builds the pause program, which is one C file in the Kubernetes module.
fn build_pause(module: &Path, bin: &Path) -> Result<()> {
    let query = ["list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"];
    let folder =
        output(Command::new("go").current_dir(module).env("GOFLAGS", "-buildvcs=false").args(query))?;
    let source = PathBuf::from(folder.trim()).join("build/pause/linux/pause.c");
    output(
        Command::new("gcc")
            .args(["-Os", "-static", "-DVERSION=3.10", "-o"])
            .arg(bin.join("pause"))
            .arg(source),
    )
    .map(drop)
    .context("gcc failed to build the pause program (its libc needs libc6-dev)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_shown_are_the_ones_go_mod_pins() {
        let module = include_str!("../../kubernetes/go.mod");
        for (path, version) in [
            ("k8s.io/kubernetes", KUBERNETES),
            ("go.etcd.io/etcd/server/v3", ETCD),
            ("github.com/coredns/coredns", COREDNS),
            ("helm.sh/helm/v3", HELM),
        ] {
            assert!(module.contains(&format!("{path} v{version}")), "{path} is not at v{version}");
        }
    }
}
