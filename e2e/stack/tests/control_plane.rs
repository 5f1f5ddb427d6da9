//! The control plane that integration tests of other crates start.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;
use stack::{ControlPlane, Paths, progress::output, wait};

const LEAK: &str = "STACK_TEST_LEAK";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn kubectl(plane: &ControlPlane, args: &[&str]) -> Result<String> {
    let kubectl = Paths::from_env().program("kubectl");
    output(Command::new(kubectl).arg("--kubeconfig").arg(&plane.kubeconfig).args(args))
}

#[test]
fn two_control_planes_run_at_once_each_with_its_own_objects_and_dropping_one_ends_only_it() {
    let (a, b) = (folder("plane-a"), folder("plane-b"));
    let first = ControlPlane::start(&a).unwrap();
    let second = ControlPlane::start(&b).unwrap();
    kubectl(&first, &["create", "deployment", "app", "--image=localhost/app:1"]).unwrap();
    wait::until(Duration::from_secs(20), "the pod of the deployment", || {
        Ok(kubectl(&first, &["get", "pods", "-o", "name"])?.contains("pod/app-"))
    })
    .unwrap();
    assert_eq!(kubectl(&second, &["get", "deployments", "-o", "name"]).unwrap(), "");

    let ids: Vec<_> = ControlPlane::processes(&a).iter().map(|p| p.running().unwrap()).collect();
    drop(first);
    assert!(ids.iter().all(|id| !id.alive()));
    assert!(!a.exists());
    assert!(ControlPlane::processes(&b).iter().all(|p| p.running().is_some()));
}

#[test]
fn a_control_plane_ends_with_a_program_that_never_drops_it() {
    if let Ok(folder) = std::env::var(LEAK) {
        // The child process. Like the owner of a `static`, it exits without a drop.
        std::mem::forget(ControlPlane::start(Path::new(&folder)).unwrap());
        std::process::exit(0);
    }
    let folder = folder("plane-leaked");
    let this = "a_control_plane_ends_with_a_program_that_never_drops_it";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this])
        .env(LEAK, &folder)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let parts = ControlPlane::processes(&folder);
    assert!(parts.iter().all(|process| process.started().is_some()), "it was up");
    wait::until(Duration::from_secs(10), "its end", || {
        Ok(parts.iter().all(|process| process.running().is_none()))
    })
    .unwrap();
    ControlPlane::stop(&folder).unwrap();
}
