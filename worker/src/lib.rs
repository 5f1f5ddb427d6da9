//! The worker: takes the chunks of one model from Kafka, checks every row, inserts the good rows, stores why the others
//! are rejected, and writes the progress to the job.
//!
//! The path of a chunk: [`consume`] (Kafka's thread) → [`pipeline`] `prepare` (is it loaded already? which plan?) →
//! `check` (a thread of its own, [`check`]) → [`collect`] (its batch). The path of a complete batch: [`load`] (data,
//! rejects, ledger: [`insert`]) → [`report`] (counts to the job) → the offsets of its chunks ([`offsets`]).
//!
//! **Invariants**
//! * An offset is stored only when the ledger has its batch *and* the job's status shows that, or when the chunk is not
//!   needed any more (its job was deleted or has ended) or is in the dead-letter topic.
//! * A batch is inserted with one token, as one block. If it may be in the table already, the worker queries the table
//!   first ([`redelivery`]).
//! * During an outage, calls are repeated until they succeed. What ClickHouse refuses is parked and does not delay
//!   other batches ([`refusal`]).
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
