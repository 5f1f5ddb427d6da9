//! What people see of a file before and after it is checked: a schema for a sample, and the rows of a block.
//!
//! * [`infer()`] proposes a schema for a sample, and [`detect`] the format of a file (`batch model infer`).
//! * [`Rendered`] shows the rows of a block as ClickHouse will (the CLI, tests).
//!
//! **Invariants:** no I/O, no clock, no async. A proposal is tried on the complete sample with the row engine before it
//! is returned. Bytes that are no block are a [`BlockError`], never a panic.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts so"))]

mod infer;
mod render;

pub use infer::{InferError, Known, Proposal, Proposed, detect, infer};
pub use render::{BlockError, Rendered};
