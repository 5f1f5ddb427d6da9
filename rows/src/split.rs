//! Splits bytes into records and cells.
//!
//! * [`csv`] is the definition of delimited text, byte by byte.
//! * [`scan`] finds the ends of records in a stream. [`index`] finds all separators in a run of well-formed records.
//!   Both read 64 bytes at a time; property tests check that they agree with the definition.
//! * [`dialect`] reads delimited text that goes beyond RFC 4180.
//! * [`json`] reads an object with a parser, or with a template if the object has the same shape as the one before. It
//!   reads many lines of one shape at a time with an index of its own.
//! * [`mod@array`] finds the records of a JSON array, in a stream and in a chunk.
//! * [`cells`] is the form in which columns read the cells, whichever module found them.

pub(crate) mod array;
pub(crate) mod cells;
pub(crate) mod csv;
pub(crate) mod dialect;
pub(crate) mod index;
pub(crate) mod json;
pub(crate) mod scan;
