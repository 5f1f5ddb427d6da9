//! The upload API: takes files over HTTP, cuts them into chunks of whole records, hands these to Kafka, and writes
//! to `status.upload` how far it is. It never looks into a cell.
//!
//! Requests come in by [`routes`]; what an upload does is in [`upload`].

pub mod admission;
pub mod clickhouse;
pub mod dead_letters;
pub mod error;
pub mod label;
pub mod listen;
pub mod metrics;
pub mod names;
pub mod new_job;
pub mod openapi;
pub mod routes;
pub mod server;
pub mod settings;
pub mod state;
pub mod upload;
