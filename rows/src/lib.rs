//! The row engine: the bytes of a file in, good rows as a ClickHouse `Native` block and one reject per bad cell out.
//!
//! * [`Transcoder`] makes UTF-8 of UTF-16 (the upload API, the CLI).
//! * [`Cutter`] cuts a stream of bytes into [`Chunk`]s of whole records and says which make a batch (the upload API);
//!   [`Limits`] say where, and [`Digest`] what came.
//! * [`Schema`] says what the columns are, [`Input`] how the text is written, [`Plan`] which cell goes to which column.
//! * [`Checker`] takes a chunk and gives an [`Outcome`]: a block, the rejects, a summary (worker, CLI).
//! * [`infer()`] proposes a schema for a sample (`batch model infer`).
//! * [`Rendered`] shows the rows of a block as ClickHouse will (CLI, tests).
//!
//! **Invariants:** no I/O, no clock, no async. A [`Checker`] cannot fail on data: whatever the bytes of a chunk are,
//! every record is either in the block or has at least one [`Reject`], and `rows == ok + bad_rows`. Only [`Cutter`] and
//! [`Transcoder`] refuse a stream, where nobody can say what its records are. No value is changed on its way: a cell
//! that the column's type cannot hold exactly is rejected, unless the column's [`Policies`] say otherwise.
//!
//! # What is read as what
//!
//! * **Text.** UTF-8, or UTF-16 with a byte-order mark. What is not is rejected as `INVALID_UTF8`, and repaired only
//!   where the column asks for it ([`OnInvalidUtf8`]).
//! * **Records.** A line feed outside quotes ends a record, one carriage return before it belongs to the line end.
//!   Lines with nothing on them are no records and have no number; a file of one column writes an empty value as `""`.
//!   A quote opens a cell only as its first byte. A wrong number of fields, text after a closing quote, and a quote
//!   that is never closed are `MALFORMED_ROW`.
//! * **Dialects.** With [`LineEnd::Any`] a lone carriage return ends a line too. With [`Input::escape`] the byte after
//!   the escape character is data, in cells with quotes and without; doubled quotes go on to work. A backslash also
//!   knows `\n \t \r \b \f \v \0`, which are what `ClickHouse`, `PostgreSQL` and `MySQL` write; of no other escape does
//!   a letter become something else. A cell that is just `\N`, without quotes, then is NULL, and where nothing can be
//!   quoted an empty cell is an empty text; an array, tuple or map whose texts are in single quotes is then read as it
//!   stands, as `ClickHouse` writes it: the escapes in it belong to those texts. A file that ends with an escape
//!   character is cut off: `MALFORMED_ROW`. A line that begins with [`Input::comment`] is a blank one. All but the two
//!   characters of RFC 4180 costs the fast paths.
//! * **Nothing.** An empty cell without quotes, a text of [`Input::null_values`] without quotes (or as a JSON string)
//!   and JSON null are NULL where the column can be NULL; else the column's default; else the empty cell is the empty
//!   text in a `String` or `FixedString`, and everything else is `MISSING_VALUE`. `""` is a text for those two, and
//!   nothing for other types. A column or key that is not there is the default, else NULL, else `MISSING_COLUMN`.
//! * **Numbers** keep to JSON's grammar (RFC 8259 section 6) in every format: no `+`, leading zeros, blanks, `_`, hex,
//!   NaN or infinity. Integers take no fraction and no exponent, decimals no exponent and no digit beyond their scale
//!   but zeros. Floats are the nearest ones; those that would be infinite, or zero though written otherwise, are
//!   `OUT_OF_RANGE`.
//! * **Policies** of a column let in more: NaN and infinity ([`NonFinite`]), whole numbers written `1.0` or `1e3`
//!   ([`IntegralFloats`]), decimals to be rounded ([`OnPrecisionLoss`]) or clamped ([`OnOverflow`]), bytes that are not
//!   UTF-8 ([`OnInvalidUtf8`]). Constraints hold for what is stored. A text that means NULL is NULL first. A `default`
//!   must be a value without rounding and clamping.
//! * **Times** are ISO 8601 or seconds since 1970 UTC (nine or ten digits: fewer could be a year), or as the column's
//!   `format` says. A time without offset is on the clock of the column's zone; a plain `DateTime` is UTC, whatever the
//!   server's zone is. Days are real ones; a time that the zone's clock skipped is rejected, of one that it showed
//!   twice the first is taken. The rules of zones are those of the IANA release compiled in; a server with other rules
//!   shows another clock.
//! * **Other types.** `Bool` is 1, 0, true or false, also `True` or `TRUE`; a `UUID` has its hyphens; an enum takes
//!   names, not numbers; IPv4 has no leading zeros; a `FixedString` is filled up with zero bytes.
//! * **Structure.** `Array`, `Tuple`, `Map` and `JSON` are written as ClickHouse or JSON write them; the module
//!   `nested` has the rules. `Time` is `[-]HH:MM:SS`. A `BFloat16` is the first half of the nearest `Float32`.
//! * **Headers.** Names are compared after blanks around them are removed, exactly or in Unicode lower case
//!   ([`HeaderCase`]); with [`ColumnsBy::Position`] the header is skipped. A carriage return outside quotes in a header
//!   is refused, for the whole file may be one line.
//! * **JSON.** A number or boolean in a `String` column is kept as it is written; a string in a number column is read
//!   like a CSV cell. Keys come in any order and are compared exactly; one that stands twice makes the record
//!   `MALFORMED_ROW`. The records of a JSON array are its elements, each to the brace that closes as many as it opened;
//!   one that is no object is `MALFORMED_ROW`. An array that lacks a comma or its end stops the stream, for nobody
//!   knows where the next record begins.
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
mod cut;
mod digest;
mod infer;
mod input;
mod mask;
mod native;
mod nested;
mod plan;
mod policy;
mod reject;
mod render;
mod schema;
mod simd;
mod split;
mod transcode;
mod types;
mod words;

pub use check::{Checker, Outcome};
pub use cut::{
    BATCH_ROWS, BATCH_WEIGHT, BatchStart, CHUNK_WEIGHT, Chunk, CutError, Cutter, LOCAL_CHUNK_BYTES, Limits,
    MAX_BATCH_CHUNKS, MAX_BATCH_ROWS, MAX_CHUNK_ROWS, MAX_RECORD_BYTES, Position,
};
pub use digest::{Digest, DigestError};
pub use infer::{InferError, Known, Proposal, Proposed, detect, infer};
pub use input::{ColumnsBy, Format, HeaderCase, Input, LineEnd, UnknownColumns};
pub use mask::mask;
pub use plan::{HeaderError, Plan, parse_header};
pub use policy::{IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss, Policies};
pub use reject::{Code, Reject, Summary};
pub use render::{BlockError, Rendered};
pub use schema::{Column, Constraints, Schema, SchemaError};
pub use transcode::{TranscodeError, Transcoder};
pub use types::{Type, TypeError};
