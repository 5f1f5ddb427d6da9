//! JSON on one line with a space after each comma and colon, as the quick start shows.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Writes `value` on one line: `{"a": 1, "b": [2, 3]}`.
pub fn spaced(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced))?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn commas_and_colons_are_followed_by_a_blank() {
        let value = serde_json::json!({"a": [1, 2], "b": {"c": "x, y: z"}});
        assert_eq!(super::spaced(&value).unwrap(), r#"{"a": [1, 2], "b": {"c": "x, y: z"}}"#);
    }
}
