//! The tables in ClickHouse: what they should be (pure), how they differ (pure), and the statements that are run
//! (I/O).
//!
//! **Invariant:** a table of another shape is never touched, and no column is ever dropped or narrowed. Only
//! [`crds::sql`] turns identifiers into SQL; values are sent as query parameters.

pub mod changes;
pub mod run;
pub mod settings;
pub mod shared;
pub mod table;
