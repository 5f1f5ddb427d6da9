//! What the operator counts.

pub mod metrics;
