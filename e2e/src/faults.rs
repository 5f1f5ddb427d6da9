//! The fault suite. It loads files of known content while parts are killed, stopped, cut off from the network, or out
//! of disk space. Its checker shares no code with what it checks.
//!
//! Pure: [`plan`] (what happens when, from a seed), [`inputs`] (the files), [`expected`] (a plain reading of a file),
//! [`history`] (the allowed changes of a job's status), [`outcomes`], [`checker`]. The others do I/O: [`inject`],
//! [`load`], [`watcher`], [`observe`], [`check`], [`round`], [`run`].
//!
//! The checker uses neither `rows` nor `crds`: it has its own code to read the files, the tables and the status.

pub mod check;
pub mod checker;
pub mod digest;
pub mod disk;
pub mod expected;
pub mod history;
pub mod inject;
pub mod inputs;
pub mod load;
pub mod observe;
pub mod outcomes;
pub mod plan;
pub mod reader;
pub mod report;
pub mod round;
pub mod run;
pub mod shape;
pub mod system;
pub mod undo;
pub mod watcher;
