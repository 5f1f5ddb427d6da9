//! From the body of a request to chunks on Kafka.
//!
//! ```text
//! body --pump--> queue --decode, cut (a thread of its own)--> queue --produce--> Kafka
//!                                                                        \--progress--> status.upload
//! ```
//!
//! **Promise:** an upload holds a few chunks, whatever the file's size and whatever it unpacks to, and all uploads together
//! hold what the budget allows. Each queue is short, so a slow Kafka slows the client down. `status.upload` never speaks
//! of a chunk that Kafka has not acknowledged.

pub mod body;
pub mod budget;
pub mod cut;
pub mod decode;
pub mod fence;
pub mod pace;
pub mod pin;
pub mod prepare;
pub mod produce;
pub mod progress;
pub mod request;
pub mod resume;
pub mod stream;
