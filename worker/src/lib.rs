//! The worker: takes chunks of one model off Kafka, checks every row, inserts the good, explains the bad, and tells the
//! job how far it is.
//!
//! One chunk goes through [`consume`] (Kafka's thread) → [`pipeline`] `prepare` (is it done? by which plan?) →
//! `check` (its own thread, [`judge`]) → `insert` (data, rejects, ledger: [`insert`]) → [`report`] (counts to the job)
//! → its offset ([`offsets`]).
//!
//! **Invariants**
//! * An offset is stored only when the chunk's fate is in the ledger *and* in its job's status, or when the chunk is
//!   of no more use (its job is gone or has ended) or lies in the dead letter topic.
//! * A retry sends the same rows under the same token. Nothing that fails is ever counted, rejected or passed over.
//! * Memory is bounded: a few chunks in channels of fixed length, a fixed prefetch, a fixed number of unreported chunks.

pub mod backoff;
pub mod buffers;
pub mod cluster;
pub mod consume;
pub mod dead_letter;
pub mod done;
pub mod error;
pub mod insert;
pub mod jobs;
pub mod judge;
pub mod ledger;
pub mod metrics;
pub mod offsets;
pub mod pii;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod retry;
pub mod run;
pub mod settings;
pub mod stop;
pub mod tracker;
pub mod vitals;

pub use run::run;
pub use settings::Settings;
