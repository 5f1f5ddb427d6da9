//! One file a command; each prints to the writer it is given.

pub mod completions;
pub mod dlq;
pub mod infer;
pub mod job;
pub mod model;
pub mod validate;
pub mod verify;

/// How a command that could be run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// The job did not succeed, rows were rejected, or what should be equal differs: exit code 1.
    NotClean,
}
