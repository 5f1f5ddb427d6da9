//! The bytes of a file to chunks, records and cells, and the names of its header to columns. Nothing here reads a cell
//! as a value of a type.
//!
//! * [`Transcoder`] converts UTF-16 to UTF-8 (the upload API, the CLI).
//! * [`Cutter`] cuts a stream of bytes into [`Chunk`]s of whole records and reports which chunks make a batch (the
//!   upload API, the CLI). [`Limits`] are the limits of a chunk.
//! * [`parse_header`] splits a header into names, and [`Binding`] maps names to columns. The upload API refuses a file
//!   with them before it stores a chunk.
//! * [`splitter`] splits a chunk into the record batches that `rows-check` reads column by column. [`cells`] is the form
//!   of their cells, whichever module found them, and [`decode`] decodes a cell's text.
//!
//! The modules below these:
//!
//! * [`csv`] is the definition of delimited text, byte by byte. Its part [`csv::dialect`] reads delimited text that goes
//!   beyond RFC 4180.
//! * `scan` finds the ends of records in a stream. `index` finds all separators in a run of well-formed records. Both
//!   read 64 bytes at a time; property tests check that they agree with the definition.
//! * [`json`] reads an object with a parser, or with a template if the object has the same shape as the one before. It
//!   reads many lines of one shape at a time with an index of its own.
//! * [`mod@array`] finds the records of a JSON array, in a stream and in a chunk. [`lists`] finds the texts of an array
//!   inside a cell.
//!
//! **Invariants:** no I/O, no clock, no async. Only [`Cutter`] and [`Transcoder`] refuse a stream, if its records cannot
//! be found. A chunk can be split whatever its bytes are. The documentation of `rows-check` specifies what is read as
//! what.
#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_lossless,
    reason = "byte, digit and offset arithmetic: widths are checked where they are decided (a chunk is < 4 GiB)"
)]
#![allow(
    clippy::inline_always,
    reason = "a loop gets the instructions of its kernel only if all of it is inlined"
)]
#![allow(clippy::must_use_candidate, reason = "nearly all functions return a value and do nothing else")]
#![cfg_attr(test, allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts so"))]

pub mod array;
mod binding;
pub mod cells;
pub mod csv;
mod cut;
pub mod decode;
mod header;
mod index;
pub mod json;
pub mod lists;
pub mod resplit;
mod scan;
pub mod splitter;
mod transcode;

pub use binding::Binding;
pub use cut::{Chunk, CutError, Cutter, Limits, Position};
pub use header::{HeaderError, parse_header};
pub use transcode::{TranscodeError, Transcoder};
