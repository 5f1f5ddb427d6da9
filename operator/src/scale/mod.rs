//! How many workers a model has.

pub mod decide;
pub mod lag;
