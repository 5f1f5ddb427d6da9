//! The metrics of the operator.

pub mod metrics;
