//! End-to-end: the demo, the tests and the bench, on real parts only.
//!
//! Everything is done as a user would: by `kubectl`, `helm`, `curl` and `batch`. `prepare` brings the parts up and
//! installs the chart; every test file then finds them by [`Target::load`].

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
