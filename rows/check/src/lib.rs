//! The row engine. It reads the bytes of a chunk, and returns the good rows as a ClickHouse `Native` block and one
//! reject for each bad cell.
//!
//! * [`Columns`] are the columns of a schema, ready to read. The operator and the CLI compile them to validate a model.
//! * [`Plan`] binds columns to a file: which field fills which column.
//! * [`Checker`] checks a chunk and returns an [`Outcome`]: a block, the rejects, a summary (the worker, the CLI).
//!
//! The crates below it: `rows-types` has the schema and the input settings, `rows-split` cuts a stream into chunks and
//! finds records and cells, `rows-bytes` has the operations on bytes.
//!
//! # Example
//!
//! From the bytes of a CSV file to a block and its rejects:
//!
//! ```
//! use std::sync::Arc;
//!
//! use rows_check::{Checker, Columns, Plan};
//! use rows_split::{Cutter, Limits, parse_header};
//! use rows_types::{Code, Column, Input, Schema, Type};
//!
//! let columns = vec![Column::new("id", Type::parse("UInt8")?), Column::new("name", Type::parse("String")?)];
//! let (schema, input) = (Schema::new(columns, None)?, Input::default());
//! let mut cutter = Cutter::new(&input, Limits::of(&schema, 1 << 20));
//! cutter.push(b"name,id\nAda,1\nGrace,256\n")?;
//! cutter.finish()?;
//! let header = parse_header(&input, cutter.header().unwrap_or_default())?;
//! let mut checker = Checker::new(Arc::new(Plan::bind(Columns::compile(schema)?, input, Some(&header))?));
//! let chunk = cutter.next_chunk().expect("the file has a record");
//! let outcome = checker.check(&chunk.bytes, chunk.first_row, "00000000-0000-0000-0000-000000000000");
//! assert_eq!((outcome.rows(), outcome.ok()), (2, 1));
//! // `outcome.block()` goes to ClickHouse as `FORMAT Native`.
//! let reject = outcome.rejects().next().expect("256 is no UInt8");
//! assert_eq!((reject.row, reject.column, reject.code), (2, "id", Code::OutOfRange));
//! assert_eq!(reject.observed, "256");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariants:** no I/O, no clock, no async. A [`Checker`] cannot fail on data: whatever the bytes of a chunk are,
//! every record is either in the block or has at least one [`Reject`], and `rows == ok + bad_rows`. No value is changed: a
//! cell that the column's type cannot hold exactly is rejected, unless the column's [`Policies`] allow another value.
//!
//! # What is read as what
//!
//! * **Text.** UTF-8, or UTF-16 with a byte-order mark. Any other bytes are rejected as `INVALID_UTF8`. They are
//!   repaired only if the column's policy says so ([`OnInvalidUtf8`]).
//! * **Records.** A line feed outside quotes ends a record; one carriage return before it belongs to the line end. A
//!   line with nothing on it is no record and has no number; a file of one column writes an empty value as `""`. A
//!   quote opens a cell only as the first byte of the cell. A wrong number of fields, text after a closing quote, and a
//!   quote that is never closed are `MALFORMED_ROW`.
//! * **Dialects.** With [`LineEnd::Any`] a single carriage return ends a line too. With [`Input::escape`] the byte
//!   after the escape character is data, in cells with and without quotes; doubled quotes still work. A backslash as
//!   escape character also begins `\n \t \r \b \f \v \0`, which `ClickHouse`, `PostgreSQL` and `MySQL` write; no other
//!   escape changes a letter. A cell that is exactly `\N`, without quotes, is then NULL. If the dialect has a backslash
//!   as escape character and no quote character, an empty cell is an empty text. An array, tuple or map with texts in
//!   single quotes is then read without decoding its cell first, as `ClickHouse` writes it, because the escapes belong
//!   to those texts. A file that ends with an escape character is cut off: `MALFORMED_ROW`. A line that begins with
//!   [`Input::comment`] is a blank line. A dialect with any special character besides the delimiter and quote of RFC
//!   4180 is read without the fast paths.
//! * **Nothing.** An empty cell without quotes, a text of [`Input::null_values`] without quotes (or as a JSON string)
//!   and JSON null are NULL if the column can be NULL. If it cannot, they are the column's default. If it has no
//!   default, the empty cell is the empty text in a `String` or `FixedString`, and everything else is `MISSING_VALUE`.
//!   `""` is a text for those two types, and nothing for other types. A missing column or key is the default; without a
//!   default NULL; and `MISSING_COLUMN` if the column cannot be NULL either.
//! * **Numbers** follow JSON's grammar (RFC 8259 section 6) in every format: no `+`, leading zeros, blanks, `_`, hex,
//!   NaN or infinity. Integers have no fraction and no exponent. Decimals have no exponent, and only zeros beyond their
//!   scale. A float is the nearest float; a number that would become infinite, or zero although it is not, is
//!   `OUT_OF_RANGE`.
//! * **Policies** of a column accept more: NaN and infinity ([`NonFinite`]), whole numbers written `1.0` or `1e3`
//!   ([`IntegralFloats`]), decimals that are rounded ([`OnPrecisionLoss`]), numbers that are clamped ([`OnOverflow`]),
//!   and bytes that are not UTF-8 ([`OnInvalidUtf8`]). Constraints apply to the stored value. A text that means NULL is
//!   NULL before any policy. A `default` must be a value without rounding and clamping.
//! * **Times** are ISO 8601 or seconds since 1970 UTC (nine or ten digits: fewer could be a year), or have the column's
//!   `format`. A time without offset is a local time in the column's zone; a plain `DateTime` is UTC, whatever the
//!   server's zone is. A day must exist. A local time that the zone skipped is rejected; if the zone had it twice, the
//!   first one is used. The rules of zones come from the IANA release that is compiled in; a server with other rules
//!   shows other local times.
//! * **Other types.** `Bool` is 1, 0, true or false, also `True` or `TRUE`. A `UUID` has its hyphens. An enum accepts
//!   names, not numbers. IPv4 has no leading zeros. A `FixedString` is filled up with zero bytes.
//! * **Structure.** `Array`, `Tuple`, `Map` and `JSON` are written as ClickHouse or JSON write them; the module
//!   `nested` has the rules. `Time` is `[-]HH:MM:SS`. A `BFloat16` is the first half of the nearest `Float32`.
//! * **Headers.** Blanks around a name are removed. Then names are compared exactly or in Unicode lower case
//!   ([`HeaderCase`]). With [`ColumnsBy::Position`] the header is skipped. A header with a carriage return outside
//!   quotes is refused, because the complete file may be one line.
//! * **JSON.** A number or boolean in a `String` column is kept as it is written; a string in a number column is read
//!   like a CSV cell. Keys may have any order and are compared exactly; a key that occurs twice makes the record
//!   `MALFORMED_ROW`. The records of a JSON array are its elements; an element ends at the brace that closes its first
//!   one. An element that is no object is `MALFORMED_ROW`. An array without a comma between elements or without its end
//!   stops the stream, because the start of the next record is unknown.
//!
//! [`ColumnsBy::Position`]: rows_types::ColumnsBy::Position
//! [`HeaderCase`]: rows_types::HeaderCase
//! [`Input::comment`]: rows_types::Input::comment
//! [`Input::escape`]: rows_types::Input::escape
//! [`Input::null_values`]: rows_types::Input::null_values
//! [`IntegralFloats`]: rows_types::IntegralFloats
//! [`LineEnd::Any`]: rows_types::LineEnd::Any
//! [`NonFinite`]: rows_types::NonFinite
//! [`OnInvalidUtf8`]: rows_types::OnInvalidUtf8
//! [`OnOverflow`]: rows_types::OnOverflow
//! [`OnPrecisionLoss`]: rows_types::OnPrecisionLoss
//! [`Policies`]: rows_types::Policies
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
#![cfg_attr(test, allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts so"))]

mod check;
mod coerce;
mod column;
mod faults;
mod message;
mod native;
mod nested;
mod plan;
mod reader;
mod record_batch;
mod reject;

pub use check::{Checker, Outcome};
pub use column::Columns;
pub use plan::Plan;
pub use reject::{Reject, Summary};
