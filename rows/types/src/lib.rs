//! What the row engine and its users agree on. It has no reader, no splitter and no CPU-specific code.
//!
//! * [`Type`] is a ClickHouse type, [`Column`] a column with its settings, [`Schema`] the columns of a model.
//! * [`SCALARS`] is the table of types without parts.
//! * [`FORMATS`] is the table of formats. [`Input`] is the format and dialect of a file. [`Dialect`] is its structural bytes.
//! * [`CellError`] is what is wrong with a cell, and [`Code`] the stable code of it that users see.
//! * [`Digest`] identifies the bytes of a file. [`mask()`] shows the shape of a value without the value.
//! * [`BatchStart`] and the constants beside it are the limits of records, chunks and batches.
//!
//! The resources, the operator, the upload API, the worker and the CLI use these types, and so do the other crates of
//! the row engine.
//!
//! **Invariants:** no I/O, no clock, no async. A [`Schema`] has at least one column and no name twice, and its row key
//! is one of its columns. Whether defaults, formats and constraints can be used is not checked here: `rows-check`
//! compiles them.
#![forbid(unsafe_code)]

mod batch;
mod cell_error;
mod code;
mod digest;
mod format;
mod input;
mod mask;
mod names;
mod policy;
mod schema;
mod types;
mod zone;

pub use batch::{
    BATCH_ROWS, BATCH_WEIGHT, BatchStart, CHUNK_WEIGHT, LOCAL_CHUNK_BYTES, MAX_BATCH_CHUNKS, MAX_BATCH_ROWS,
    MAX_CHUNK_ROWS, MAX_RECORD_BYTES,
};
pub use cell_error::CellError;
pub use code::Code;
pub use digest::{Digest, DigestError};
pub use format::{FORMATS, Format, FormatInfo};
pub use input::{Choice, ColumnsBy, Dialect, HeaderCase, Input, LineEnd, UnknownColumns};
pub use mask::mask;
pub use names::listed;
pub use policy::{IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss, Policies};
pub use schema::{Column, Constraints, Schema, SchemaError};
pub use types::{Base, Family, SCALARS, Scalar, ScalarInfo, Type, TypeError};
pub use zone::zone;
