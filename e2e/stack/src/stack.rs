//! The complete stack: up, down, faults, images.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::process::Signal;

use crate::{
    cluster, config,
    daemon::{
        Daemon,
        clickhouse::Clickhouse,
        kafka::{Kafka, archive},
    },
    endpoints::Endpoints,
    fetch::{apt, clickhouse, go, kafka},
    image::{self, Binary},
    kubernetes::{network, pki},
    part::Part,
    paths::{Lock, Paths, remove},
    preflight,
    process::Id,
    progress::Progress,
    small_disk,
    status::{self, Health, PartStatus},
    wait,
};

/// The repository of the project's image. Its tag is a hash of its content.
const REPOSITORY: &str = "localhost/batch-on-kafka";

/// A signal that a fault test sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Ends the process without a chance to clean up.
    Kill,
    /// Pauses the process.
    Stop,
    /// Continues the process.
    Cont,
    /// Asks the process to end.
    Term,
}

impl Fault {
    /// Sends it to a process, unless the process has ended.
    pub fn send(self, id: Id) -> Result<()> {
        id.signal(match self {
            Self::Kill => Signal::KILL,
            Self::Stop => Signal::STOP,
            Self::Cont => Signal::CONT,
            Self::Term => Signal::TERM,
        })
    }
}

/// One stack of this machine. Only one can run at a time: it owns a bridge and fixed ports.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its folders.
    pub paths: Paths,
}

impl Stack {
    /// Returns the stack with the folders of the environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self { paths: Paths::from_env() }
    }

    /// Builds kubectl, Helm and the other programs, unless they exist. Starts nothing and needs no root.
    pub fn build_programs(&self, progress: &Progress) -> Result<()> {
        let _lock = Lock::hold(&self.paths.cache)?;
        go::ensure(&self.paths, progress)
    }

    /// Starts what does not run. It is safe to call at any time, also after a crash of any part.
    pub fn up(&self, progress: &Progress) -> Result<Endpoints> {
        let paths = &self.paths;
        preflight::machine(paths)?;
        let _lock = Lock::hold(&paths.data)?;
        if let Some(other) = self.other_owner() {
            bail!(
                "a stack with its data in {0} is up: `BATCH_STACK_DATA={0} stack down` ends it",
                other.display()
            );
        }
        apt::ensure(&paths.logs().join("apt.log"), progress)?;
        let stopped = Part::all().filter(|part| part.process(paths).running().is_none());
        let wanted = stopped.flat_map(|part| part.addresses().iter().map(move |a| (part.name(), *a)));
        preflight::host(&wanted.collect::<Vec<_>>())?;
        fetch(paths, progress)?;
        pki::ensure(&paths.pki(), true)?;
        config::write(paths)?;
        network::up(paths)?;
        fs::write(paths.volatile.join("owner"), paths.data.as_os_str().as_encoded_bytes())?;
        progress.say("starting Kubernetes, Kafka and ClickHouse …");
        wait::all(
            "a start",
            [
                &|| Kafka.up(paths, progress),
                &|| small_disk::mount(paths).and_then(|()| Clickhouse.up(paths, progress)),
                &|| cluster::up(paths, progress),
            ],
        )?;
        let endpoints = Endpoints::local(paths);
        endpoints.save(paths)?;
        Ok(endpoints)
    }

    /// Stops what [`up`](Self::up) started and undoes its changes of the host. The data is kept, unless `purge` is
    /// set. The cache is always kept.
    pub fn down(&self, purge: bool, progress: &Progress) -> Result<()> {
        let paths = &self.paths;
        if self.other_owner().is_some() || !(paths.data.exists() || paths.volatile.exists()) {
            // The bridge, tables and mounts of the host belong to another stack and must not be removed.
            progress.say(format_args!("no stack with its data in {} is up", paths.data.display()));
            return Ok(());
        }
        let lock = Lock::hold(&paths.data)?;
        let _ = fs::remove_file(paths.data.join("endpoints.json"));
        wait::all("a stop", [&|| Kafka.stop(paths), &|| Clickhouse.stop(paths), &|| cluster::down(paths)])?;
        progress.say("stopped Kubernetes, Kafka and ClickHouse");
        drop(lock);
        if purge {
            remove(&paths.data)?;
            progress.say(format_args!("removed {}", paths.data.display()));
        }
        Ok(())
    }

    /// Returns the data folder of another stack that owns this machine's bridge.
    fn other_owner(&self) -> Option<PathBuf> {
        let owner = PathBuf::from(fs::read_to_string(self.paths.volatile.join("owner")).ok()?);
        (owner != self.paths.data).then_some(owner)
    }

    /// Returns the folder of a [`ControlPlane`](crate::ControlPlane) that the command line started instead of the
    /// stack.
    #[must_use]
    pub fn control_plane(&self) -> PathBuf {
        self.paths.data.join("control-plane")
    }

    /// Checks each part, or only those of the control plane if only that was started.
    #[must_use]
    pub fn status(&self) -> Vec<PartStatus> {
        let parts = status::of_all(&self.paths);
        let alone = status::of_control_plane(&self.control_plane());
        let stopped = parts.iter().all(|p| p.health == Health::Stopped);
        if stopped && !alone.is_empty() { alone } else { parts }
    }

    /// Sends a signal to a part, for fault tests.
    pub fn signal(&self, part: Part, fault: Fault) -> Result<()> {
        let process = part.process(&self.paths);
        let id = process.running().with_context(|| format!("{} does not run", part.name()))?;
        fault.send(id)
    }

    /// Starts a part that died, and returns when it works. If it already runs, it only waits.
    pub fn start(&self, part: Part) -> Result<()> {
        let started = part.start(&self.paths)?;
        part.wait_healthy(&self.paths, Duration::from_mins(1))?;
        if started && part == Part::Kubelet {
            network::restore_kernel_settings(&self.paths)?;
        }
        Ok(())
    }

    /// Stops a part if it runs, and starts it again. Returns when it works.
    pub fn restart(&self, part: Part) -> Result<()> {
        let _lock = Lock::hold(&self.paths.data)?;
        part.stop(&self.paths)?;
        part.start(&self.paths)?;
        part.wait_healthy(&self.paths, Duration::from_mins(1))?;
        // kubelet sets some of them each time it starts.
        network::restore_kernel_settings(&self.paths)
    }

    /// Puts the binaries into one image in the node's containerd and returns its reference.
    pub fn import_image(&self, binaries: &[Binary]) -> Result<String> {
        image::import(&self.paths, REPOSITORY, binaries)
    }
}

/// Fetches everything that is not a Debian package, in parallel: one is limited by the processor, two by the network.
fn fetch(paths: &Paths, progress: &Progress) -> Result<()> {
    let _lock = Lock::hold(&paths.cache)?;
    wait::all(
        "a download",
        [
            &|| kafka::ensure(paths, progress).and_then(|()| archive::ensure(paths, progress)),
            &|| clickhouse::ensure(paths, progress),
            &|| go::ensure(paths, progress),
        ],
    )
}
