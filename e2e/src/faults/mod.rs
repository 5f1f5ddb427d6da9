//! The fault suite: loads of known content while parts are killed, stopped, cut off and filled up, and a checker that
//! shares no code with what it checks.
//!
//! Pure: [`plan`] (what happens when, by a seed), [`inputs`] (the files), [`expected`] (a plain reading of a file),
//! [`history`] (what a job's status may do), [`outcomes`], [`checker`]. The others do it: [`strike`], [`load`],
//! [`watcher`], [`observe`], [`check`], [`round`], [`run`].
//!
//! The checker uses neither `rows` nor `crds`: it reads the files, the tables and the status in its own words.

pub mod check;
pub mod checker;
pub mod digest;
pub mod disk;
pub mod expected;
pub mod history;
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
pub mod strike;
pub mod system;
pub mod undo;
pub mod watcher;
