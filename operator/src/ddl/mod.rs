//! The tables in ClickHouse: what they should be (pure), how they differ (pure), and making them so (I/O).
//!
//! **Invariant:** a table of another shape is never touched, and no column is ever dropped or narrowed. Identifiers
//! become SQL only through [`crds::sql`]; values travel as query parameters.

pub mod changes;
pub mod run;
pub mod settings;
pub mod shared;
pub mod table;
