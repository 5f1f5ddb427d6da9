//! The local stack: Kubernetes with real pods, Kafka and ClickHouse on one Debian machine, only from package
//! registries. Nothing is simulated.
//!
//! [`Stack`] is the complete stack. [`ControlPlane`] is the Kubernetes API without a node, for tests of reconciling.
//!
//! A module imports modules of its own line and of the lines above it. There is no circle:
//!
//! - `wait`, `ports`, `process`, `progress`, `paths`, `health`, `preflight`: files and processes of any program
//! - `kubernetes`, `fetch`: what the daemons need from the host, and their programs
//! - `daemon`: the trait, and each daemon in its own file
//! - `image`, `small_disk`, `cluster`, `control_plane`, `endpoints`: several daemons together
//! - `part`, `config`, `status`: all daemons
//! - `stack`: the complete stack

mod cluster;
mod config;
mod control_plane;
mod daemon;
mod endpoints;
mod fetch;
mod health;
mod image;
mod kubernetes;
mod part;
mod paths;
mod ports;
mod preflight;
pub mod process;
pub mod progress;
pub mod small_disk;
mod stack;
pub mod status;
pub mod wait;

pub use control_plane::ControlPlane;
pub use endpoints::Endpoints;
pub use image::Binary;
pub use part::Part;
pub use paths::Paths;
pub use progress::Progress;
pub use stack::{Fault, Stack};
