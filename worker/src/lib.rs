//! The worker: takes chunks of one model off Kafka, checks every row, inserts the good, explains the bad, and writes to the
//! job how far it is.
//!
//! A chunk goes through [`consume`] (Kafka's thread) → [`pipeline`] `prepare` (is it loaded? by which plan?) → `check` (a
//! thread of its own, [`check`]) → [`collect`] (its batch). A complete batch goes through [`load`] (data, rejects, ledger:
//! [`insert`]) → [`report`] (counts to the job) → the offsets of its chunks ([`offsets`]).
//!
//! **Invariants**
//! * An offset is stored only when the ledger has its batch *and* its job's status shows that, or when the chunk is of no
//!   more use (its job is gone or has ended) or lies in the dead-letter topic.
//! * A batch is inserted under one token, as one block. Where it may be in the table already, the table is asked first
//!   ([`redelivery`]).
//! * An outage is waited out. What ClickHouse refuses is parked and does not hold up others ([`refusal`]).
//! * Memory is bounded: a fixed prefetch, channels of fixed length, and a budget for the batches ([`budget`]). An open
//!   batch never stops the others.

pub mod backoff;
pub mod batch;
pub mod budget;
pub mod buffers;
pub mod check;
pub mod cluster;
pub mod collect;
pub mod consume;
pub mod dead_letter;
pub mod done;
pub mod error;
pub mod health_tracker;
pub mod insert;
pub mod job;
pub mod jobs;
pub mod ledger;
pub mod load;
pub mod metrics;
pub mod offsets;
pub mod pii;
pub mod pipeline;
pub mod plan;
pub mod redelivery;
pub mod refusal;
pub mod report;
pub mod reread;
pub mod retry;
pub mod run;
pub mod settings;
pub mod stop;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod tracker;

pub use run::run;
pub use settings::Settings;
