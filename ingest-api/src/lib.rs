//! The upload API: receives files over HTTP, cuts them into chunks of whole records, sends these to Kafka, and writes
//! the progress to `status.upload`. It does not read the cells.
//!
//! [`routes`] has the handlers of requests; [`upload`] does what an upload does.

pub mod admission;
pub mod budget;
pub mod clickhouse;
pub mod dead_letters;
pub mod error;
pub mod label;
pub mod listen;
pub mod metrics;
pub mod names;
pub mod new_job;
pub mod openapi;
pub mod produce;
pub mod routes;
pub mod server;
pub mod settings;
pub mod state;
pub mod upload;
pub mod watch;
