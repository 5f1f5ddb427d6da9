//! One file for each command. Each prints to the writer that it gets.

pub mod completions;
pub mod dlq;
pub mod infer;
pub mod job;
pub mod model;
pub mod validate;
pub mod verify;

/// The result of a command that could be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// The job did not succeed, rows were rejected, or what should be equal differs: exit code 1.
    NotClean,
}
