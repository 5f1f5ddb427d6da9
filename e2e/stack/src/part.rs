//! The parts: how each is started, its addresses, and how to check that it works.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::{
    clickhouse, fetch, health, kafka,
    kubernetes::{NODE_IP, control_plane::Layout, node},
    paths::Paths,
    process::{Process, Spec},
    progress::output,
    wait,
};

/// One daemon of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
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
    /// All parts, in the order of `status`.
    pub const ALL: [Self; 10] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubelet,
        Self::KubeProxy,
        Self::Coredns,
        Self::Containerd,
        Self::Kafka,
        Self::Clickhouse,
    ];

    /// Returns the name on the command line, in pid files and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Coredns => "coredns",
            Self::Containerd => "containerd",
            Self::Kafka => "kafka",
            Self::Clickhouse => "clickhouse",
        }
    }

    /// Returns the addresses on which it listens, as `address:port`.
    #[must_use]
    pub fn addresses(self) -> Vec<String> {
        let on = |ip: &str, ports: &[u16]| ports.iter().map(|p| format!("{ip}:{p}")).collect();
        let local = |ports| on("127.0.0.1", ports);
        match self {
            Self::Etcd => local(&[2379, 2380]),
            Self::KubeApiserver => on(NODE_IP, &[6443]),
            Self::KubeControllerManager => local(&[10257]),
            Self::KubeScheduler => local(&[10259]),
            Self::Kubelet => [on(NODE_IP, &[10250]), local(&[10248])].concat(),
            Self::KubeProxy => local(&[10256, 10249]),
            Self::Coredns => [on(NODE_IP, &[53]), local(&[18181])].concat(),
            Self::Containerd => Vec::new(),
            Self::Kafka => [local(&[9092, 9093]), on(NODE_IP, &[9094])].concat(),
            Self::Clickhouse => [local(&[8123, 9000]), on(NODE_IP, &[8123, 9000])].concat(),
        }
    }

    /// Returns its process.
    #[must_use]
    pub fn process(self, paths: &Paths) -> Process {
        Process::new(self.name(), &paths.pids(), &paths.logs())
    }

    fn spec(self, paths: &Paths) -> Result<Spec> {
        let etc = |name: &str| paths.etc().join(name).display().to_string();
        let layout = Layout::of_stack(paths);
        let spec = match self {
            Self::Etcd => layout.etcd(),
            Self::KubeApiserver => layout.apiserver(),
            Self::KubeControllerManager => layout.controller_manager(),
            Self::KubeScheduler => node::scheduler(paths),
            Self::Kubelet => node::kubelet(paths)?,
            Self::KubeProxy => {
                Spec::new(paths.program("kube-proxy"), [format!("--config={}", etc("kube-proxy.yaml"))])
            }
            Self::Coredns => Spec::new(paths.program("coredns"), ["-conf".to_owned(), etc("Corefile")]),
            Self::Containerd => {
                Spec::new("/usr/bin/containerd", ["--config".to_owned(), etc("containerd.toml")])
            }
            Self::Kafka => kafka::spec(paths)?,
            Self::Clickhouse => clickhouse::spec(paths),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(spec.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin:{path}", paths.bin().display())))
    }

    /// Starts it, unless it runs.
    pub fn start(self, paths: &Paths) -> Result<bool> {
        self.process(paths).start(&self.spec(paths)?)
    }

    /// Stops it. If it does not end in time, it is killed. This is no error, because nothing here needs a clean end.
    pub fn stop(self, paths: &Paths) -> Result<()> {
        let limit = Duration::from_secs(if matches!(self, Self::Clickhouse | Self::Kafka) { 40 } else { 20 });
        if self.process(paths).stop(limit)? {
            eprintln!("{} did not stop within {} s and was killed", self.name(), limit.as_secs());
        }
        Ok(())
    }

    /// Waits until it works. If it dies, this fails at once, with the end of its log.
    pub fn wait_healthy(self, paths: &Paths, limit: Duration) -> Result<()> {
        let process = self.process(paths);
        let mut last = None;
        wait::until(limit, self.name(), || {
            ensure!(
                process.running().is_some(),
                "{} died. The end of {}:\n{}",
                self.name(),
                process.log().display(),
                process.tail(20)
            );
            last = self.health(paths).err();
            Ok(last.is_none())
        })
        .with_context(|| match &last {
            Some(e) => format!("{} does not work: {e:#}", self.name()),
            None => format!("{} does not work", self.name()),
        })
    }

    /// Checks with the part's own protocol that it works.
    pub fn health(self, paths: &Paths) -> Result<()> {
        match self {
            Self::Etcd => health::get("127.0.0.1:2379", "/health").map(drop),
            Self::KubeApiserver => {
                let mut kubectl = node::kubectl(paths);
                output(kubectl.args(["get", "--raw=/readyz", "--request-timeout=3s"])).map(drop)
            }
            Self::KubeControllerManager => https("https://127.0.0.1:10257/healthz"),
            Self::KubeScheduler => https("https://127.0.0.1:10259/healthz"),
            Self::Kubelet => {
                health::get("127.0.0.1:10248", "/healthz")?;
                node::node_ready(paths)
            }
            Self::KubeProxy => health::get("127.0.0.1:10256", "/healthz").map(drop),
            Self::Coredns => health::get("127.0.0.1:18181", "/ready").map(drop),
            Self::Containerd => ctr(paths, &["version"]).map(drop),
            Self::Kafka => {
                for address in [kafka::HOST, kafka::PODS] {
                    let brokers = health::kafka(address)?;
                    ensure!(brokers == [address], "{address} names the brokers {brokers:?}");
                }
                Ok(())
            }
            Self::Clickhouse => {
                for address in [clickhouse::HOST, clickhouse::PODS] {
                    let answer = health::get(address, "/ping")?;
                    ensure!(answer.trim() == "Ok.", "{address} answered {answer:?}");
                }
                Ok(())
            }
        }
    }

    /// Returns its version: the pinned version, or that of the Debian package.
    #[must_use]
    pub fn version(self) -> String {
        match self {
            Self::Etcd => fetch::go::ETCD.to_owned(),
            Self::Coredns => fetch::go::COREDNS.to_owned(),
            Self::Kafka => fetch::kafka::VERSION.to_owned(),
            Self::Clickhouse => fetch::clickhouse::VERSION.to_owned(),
            Self::Containerd => output(Command::new("containerd").arg("--version"))
                .ok()
                .and_then(|line| line.split_whitespace().nth(2).map(|v| v.trim_start_matches('v').to_owned()))
                .unwrap_or_else(|| "?".to_owned()),
            _ => fetch::go::KUBERNETES.to_owned(),
        }
    }
}

/// Sends a GET over TLS to a part with a self-signed certificate.
fn https(url: &str) -> Result<()> {
    output(Command::new("curl").args([
        "--insecure",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "3",
        url,
    ]))
    .map(drop)
}

/// Runs the client of containerd on the containerd of this stack, in the namespace that kubelet uses.
pub fn ctr(paths: &Paths, args: &[&str]) -> Result<String> {
    let socket = paths.containerd_socket();
    if !Path::new(&socket).exists() {
        bail!("no containerd at {}", socket.display());
    }
    output(Command::new("ctr").arg("--address").arg(socket).args(["--namespace", "k8s.io"]).args(args))
}
