//! The path from the body of a request to chunks in Kafka.
//!
//! ```text
//! body --pump--> queue --decode, cut (a thread of its own)--> queue --produce--> Kafka
//!                                                                        \--progress--> status.upload
//! ```
//!
//! **Promise:** an upload holds a few chunks, whatever the size of the file before or after decompression, and all
//! uploads together hold at most the budget. Each queue is short, so a slow Kafka slows down the client.
//! `status.upload` never includes a chunk that Kafka has not acknowledged.

pub mod body;
pub mod cut;
pub mod decode;
pub mod fence;
pub mod memory;
pub mod pace;
pub mod pin;
pub mod prepare;
pub mod progress;
pub mod request;
pub mod resume;
pub mod stream;
