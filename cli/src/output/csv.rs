//! Writes CSV (RFC 4180): lines end with `\n`, and a cell is quoted if it must be.

use std::io::{self, Write};

/// Writes one record.
pub fn record<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut impl Write) -> io::Result<()> {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        self::cell(cell, out)?;
    }
    out.write_all(b"\n")
}

/// Writes one cell, quoted if it must be.
pub fn cell(text: &str, out: &mut impl Write) -> io::Result<()> {
    if text.contains(['"', ',', '\n', '\r']) { quoted(text, out) } else { out.write_all(text.as_bytes()) }
}

/// Writes one cell in quotes.
pub fn quoted(text: &str, out: &mut impl Write) -> io::Result<()> {
    write!(out, "\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_only_where_they_must_be() {
        let mut out = Vec::new();
        record(["a", "", "b c", "x,y", "say \"hi\"", "two\nlines"], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a,,b c,\"x,y\",\"say \"\"hi\"\"\",\"two\nlines\"\n");
    }
}
