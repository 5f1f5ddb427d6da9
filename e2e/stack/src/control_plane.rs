//! A control plane without a node, for tests of reconciling: objects are stored, owned and garbage-collected, but
//! nothing runs. It listens on loopback and on its own ports, so that several can run at the same time.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    daemon::{
        Daemon,
        etcd::{self, Etcd},
        kube_apiserver::{self, KubeApiserver},
        kube_controller_manager::{self, KubeControllerManager},
    },
    fetch,
    kubernetes::{layout::Layout, pki},
    paths::{Lock, Paths, remove},
    ports,
    process::Process,
    progress::{Progress, output},
    wait,
};

const LIMIT: Duration = Duration::from_mins(1);

/// etcd, kube-apiserver and kube-controller-manager. Dropping it stops them and removes their folder. If the program
/// that owns it ends in any other way, they are also stopped.
#[derive(Debug)]
pub struct ControlPlane {
    /// The kubeconfig of the administrator.
    pub kubeconfig: PathBuf,
    /// The URL of the API server.
    pub url: String,
    folder: PathBuf,
    /// A process that lives as long as the pipe to it is open. The kernel closes the pipe when this program ends.
    guard: Option<Child>,
}

impl ControlPlane {
    /// Starts a control plane in `folder`. What an earlier one left in this folder is stopped and removed. Builds the
    /// programs first if needed. Takes two to four seconds.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut plane = Self::start_detached(folder)?;
        plane.guard = Some(guard(&Self::processes(folder)).context("failed to start the guard")?);
        Ok(plane)
    }

    /// The same, but it runs until [`ControlPlane::stop`] or a `drop`, of this program or a later one.
    pub fn start_detached(folder: &Path) -> Result<Self> {
        let paths = Paths::from_env();
        {
            let _lock = Lock::hold(&paths.cache)?;
            fetch::go::ensure(&paths, &Progress::new())?;
        }
        let mut tries = 0;
        loop {
            Self::stop(folder)?;
            match launch(&paths, folder) {
                Ok(layout) => {
                    let kubeconfig = folder.join("admin.kubeconfig");
                    return Ok(Self {
                        kubeconfig,
                        url: layout.url(),
                        folder: folder.to_owned(),
                        guard: None,
                    });
                }
                // Another program may have taken a port before it was used here.
                Err(e) if tries < 2 && format!("{e:#}").contains("address already in use") => tries += 1,
                Err(e) => {
                    let stopped = Self::stop(folder);
                    return Err(e).context(match stopped {
                        Ok(()) => "the control plane did not come up".to_owned(),
                        Err(s) => format!("the control plane did not come up, and {s:#}"),
                    });
                }
            }
        }
    }

    /// Lets the control plane run on after this value is dropped.
    pub fn leave_running(mut self) {
        self.folder = PathBuf::new();
    }

    /// Stops what runs in `folder`, also if another program started it, and removes the folder.
    pub fn stop(folder: &Path) -> Result<()> {
        if !folder.join("pids").exists() {
            return Ok(());
        }
        for process in Self::processes(folder).iter().rev() {
            // Nothing of it is kept, so it need not end cleanly.
            process.stop(Duration::ZERO)?;
        }
        remove(folder)
    }

    /// Returns the processes of the control plane in `folder`.
    #[must_use]
    pub fn processes(folder: &Path) -> [Process; 3] {
        [&Etcd as &dyn Daemon, &KubeApiserver, &KubeControllerManager]
            .map(|daemon| Process::new(daemon.name(), &folder.join("pids"), &folder.join("logs")))
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty()
            && let Err(e) = Self::stop(&self.folder)
        {
            eprintln!("failed to stop the control plane in {}: {e:#}", self.folder.display());
        }
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

fn launch(paths: &Paths, folder: &Path) -> Result<Layout> {
    let [api_port, etcd_port, etcd_peer_port, controller_port] = ports::free()?;
    let layout = Layout {
        bin: paths.bin(),
        pki: folder.join("pki"),
        etc: folder.to_owned(),
        data: folder.to_owned(),
        address: "127.0.0.1".to_owned(),
        api_port,
        etcd_port,
        etcd_peer_port,
        controller_port,
        node: false,
    };
    pki::ensure(&layout.pki, false)?;
    for user in ["admin", "kube-controller-manager"] {
        pki::kubeconfig(&layout.pki, user, &layout.url(), &folder.join(format!("{user}.kubeconfig")))?;
    }
    let [etcd, apiserver, controllers] = ControlPlane::processes(folder);
    etcd.start(&etcd::command(&layout))?;
    apiserver.start(&kube_apiserver::command(&layout))?;
    let ask = |args: &[&str]| {
        let mut kubectl = Command::new(layout.bin.join("kubectl"));
        kubectl
            .arg("--kubeconfig")
            .arg(folder.join("admin.kubeconfig"))
            .arg("--request-timeout=3s")
            .args(args);
        output(&mut kubectl).is_ok()
    };
    let mut all = vec![etcd, apiserver];
    wait_for(&all, "the API server", || ask(&["get", "--raw=/readyz"]))?;
    controllers.start(&kube_controller_manager::command(&layout))?;
    all.push(controllers);
    wait_for(&all, "the default ServiceAccount", || {
        ask(&["get", "-n", "default", "serviceaccount", "default"])
    })?;
    Ok(layout)
}

fn wait_for(processes: &[Process], what: &str, ready: impl Fn() -> bool) -> Result<()> {
    wait::until(LIMIT, what, || {
        for process in processes {
            ensure!(process.running().is_some(), "{} died:\n{}", process.name, process.tail(10));
        }
        Ok(ready())
    })
}

/// Starts a process that waits for the end of its input, which comes when this program ends. It then stops the
/// processes that it was given as pairs of pid and start time. It is a shell, because Rust has no safe way to end a
/// child with its parent, and a `static` is never dropped.
fn guard(processes: &[Process]) -> Result<Child> {
    const SCRIPT: &str = r#"cat >/dev/null
while [ $# -gt 1 ]; do
  if [ "$(cut -d ' ' -f 22 /proc/$1/stat 2>/dev/null)" = "$2" ]; then kill -KILL "$1"; fi
  shift 2
done"#;
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", SCRIPT, "sh"]);
    for process in processes {
        let Some(id) = process.running() else { bail!("{} died at once", process.name) };
        command.arg(id.pid.to_string()).arg(id.start.to_string());
    }
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::NODE_IP;

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
        for spec in [etcd::command, kube_apiserver::command, kube_controller_manager::command]
            .map(|command| command(&layout))
        {
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
