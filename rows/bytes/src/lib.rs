//! Operations on bytes that the row engine is made of. They know no record, no column and no type.
//!
//! * [`simd`] has the operations of a CPU on many bytes at once. An algorithm that uses them is generic over
//!   [`simd::Lanes`] and returns the same result on every [`simd::Level`].
//! * [`date`], [`moment`] and the private modules `ip`, `uuid` and `words` are the portable definitions that the
//!   operations must agree with.
//! * [`text`] has the text of a cell, with the bytes after it, and JSON's grammar of numbers.
//! * [`leb128`] has lengths as ClickHouse writes them.
//!
//! `rows-split` finds records and cells with them, `rows-check` reads cells with them.
//!
//! **Invariants:** no allocation, no I/O. Only [`simd`] has `unsafe` code. What a function returns does not depend on
//! the bytes after a text.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_lossless,
    reason = "byte and digit arithmetic: widths are checked where they are decided"
)]
#![allow(
    clippy::inline_always,
    reason = "a loop gets the instructions of its kernel only if all of it is inlined"
)]
#![allow(clippy::must_use_candidate, reason = "nearly all functions return a value and do nothing else")]

pub mod date;
mod ip;
pub mod leb128;
pub mod moment;
pub mod simd;
pub mod spoil;
pub mod text;
mod uuid;
mod words;
