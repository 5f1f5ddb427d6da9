//! End-to-end: the demo, the tests and the bench. They use only real parts.
//!
//! Everything is done as a user does it: with `kubectl`, `helm`, `curl` and `batch`. `prepare` starts the parts and
//! installs the chart. Every test file then finds them with [`Target::load`].

pub mod cells;
pub mod data;
pub mod faults;
pub mod install;
pub mod kafka;
pub mod kinds;
pub mod processes;
pub mod shell;
pub mod target;
pub mod wait;

pub use cells::Cells;
pub use shell::{Output, Shell};
pub use target::{Namespace, Target};
