//! The messages of bad records: what is wrong, and what to change.

use rows_split::{Binding, json};
use rows_types::{CellError, Format, listed};

/// The message for a record that cannot be read. `fields` is the number of its fields.
pub(super) fn message(error: CellError, binding: &Binding, record: &[u8], fields: usize) -> String {
    match error {
        CellError::Ragged => {
            format!(
                "The record has {fields} fields where {} are expected; quote cells that hold a delimiter",
                binding.fields
            )
        }
        CellError::AfterQuote => {
            "There is text after a closing quote; double the quotes inside a quoted cell".to_owned()
        }
        CellError::OpenQuote => {
            "A quoted cell is never closed; close it, or double the quotes inside it".to_owned()
        }
        CellError::OpenEscape => "Nothing follows the last escape character; double it".to_owned(),
        CellError::DuplicateKey => {
            "A key, or two names of the same column, occur twice in the object; keep one".to_owned()
        }
        CellError::UnknownKey => {
            let keys = json::keys(record);
            let unknown = keys.iter().map(String::as_str).filter(|k| binding.schema().find(k).is_none());
            format!(
                "The object has keys that are no columns: {}; add them to the model or set unknownColumns: ignore",
                listed(unknown)
            )
        }
        CellError::BadEscape | CellError::HalfCharacter | CellError::InvalidUtf8 => {
            "A key of the object holds a bad escape".to_owned()
        }
        _ if binding.input().format == Format::Json => "The element is not a JSON object".to_owned(),
        _ => "The line is not one JSON object".to_owned(),
    }
}
