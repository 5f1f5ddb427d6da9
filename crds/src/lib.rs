//! The custom resources of Batch on Kafka and everything that can be derived from them alone: their types and bounds,
//! the names of topics, tables and Deployments, the headers of a chunk, the columns of the tables, and the rules by
//! which a job changes state.
//!
//! **Invariant:** this crate does no I/O. It has no client, reads no file and no clock.

pub mod chunk;
pub mod job;
pub mod model;
pub mod names;
pub mod revision;
pub mod sql;
pub mod state;
pub mod status;
pub mod tables;

pub use chunk::{ChunkHeader, ChunkHeaderError};
pub use job::{IngestJob, IngestJobSpec, IngestJobStatus};
pub use model::{IngestModel, IngestModelSpec, IngestModelStatus};
pub use names::ModelId;
pub use revision::{RevisionData, SchemaProblem};
pub use sql::{Ident, TableName};

/// The API group of both kinds.
pub const GROUP: &str = "ingest.batch-on-kafka.io";
/// The served version of both kinds.
pub const VERSION: &str = "v1alpha1";

/// The three writers of a status. Each is a field manager of server-side apply and owns its own fields.
pub mod managers {
    /// State, conditions, times, and everything on the objects that the operator makes.
    pub const OPERATOR: &str = "batch-operator";
    /// `status.upload`.
    pub const API: &str = "batch-ingest-api";
    /// `status.counts`, `status.errorSummary`.
    pub const WORKER: &str = "batch-worker";
}

/// Label keys and values on the objects that the operator makes.
pub mod labels {
    /// The model's name.
    pub const MODEL: &str = "ingest.batch-on-kafka.io/model";
    /// The model's id.
    pub const MODEL_ID: &str = "ingest.batch-on-kafka.io/model-id";
    /// The program that manages the object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`].
    pub const MANAGED_BY_US: &str = "batch-on-kafka";
    /// What the object is.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The value of [`NAME`] on everything that belongs to a worker.
    pub const WORKER: &str = "batch-worker";
}
