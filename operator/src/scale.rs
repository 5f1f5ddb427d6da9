//! The number of workers of a model.

pub mod decide;
pub mod lag;
