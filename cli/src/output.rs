//! How answers are printed. Pure: makes text from values.

pub mod bar;
pub mod csv;
pub mod json;
pub mod model;
pub mod table;

use std::io::Write;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::args::Output;

/// Prints an object of the API unchanged.
pub fn print_value(value: &Value, output: Output, out: &mut impl Write) -> Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
        Output::Yaml => write!(out, "{}", serde_yaml::to_string(value)?)?,
        Output::Table | Output::Csv => bail!("this cannot be printed as a table; use -o json or -o yaml"),
    }
    Ok(())
}
