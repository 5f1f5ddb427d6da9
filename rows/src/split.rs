//! Bytes to records and cells.
//!
//! [`csv`] is the definition of delimited text, byte by byte; [`scan`] finds the ends of records in a stream, [`index`]
//! all separators of a run of well-formed records, both 64 bytes at a time and equal to the definition (property tests
//! hold them to it). [`json`] reads an object by a parser, one of the same shape by a template, and lines of it many at
//! a time by an index of their own. [`dialect`] reads what goes beyond RFC 4180, [`array`] the records of a JSON array,
//! in a stream and in a chunk alike.
//! [`cells`] is what the columns read from, whichever way it was made.

pub(crate) mod array;
pub(crate) mod cells;
pub(crate) mod csv;
pub(crate) mod dialect;
pub(crate) mod index;
pub(crate) mod json;
pub(crate) mod scan;
