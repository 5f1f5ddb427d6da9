//! The local stack: Kubernetes with real pods, Kafka and ClickHouse on one Debian machine, only from package
//! registries. Nothing is simulated.
//!
//! [`Stack`] is the complete stack. [`ControlPlane`] is the Kubernetes API without a node, for tests of reconciling.

pub mod clickhouse;
pub mod endpoints;
pub mod fetch;
pub mod health;
pub mod image;
pub mod kafka;
pub mod kubernetes;
pub mod part;
pub mod paths;
pub mod ports;
pub mod preflight;
pub mod process;
pub mod progress;
pub mod small_disk;
pub mod stack;
pub mod status;
pub mod wait;

pub use endpoints::Endpoints;
pub use image::Binary;
pub use kubernetes::standalone::ControlPlane;
pub use part::Part;
pub use paths::Paths;
pub use process::Process;
pub use progress::Progress;
pub use stack::{Fault, Stack};
