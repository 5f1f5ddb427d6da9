//! The tokens of a cell with inner structure.

use rows_split::json;
use rows_types::CellError;

/// A position in a cell's text.
pub(super) struct Cursor<'a> {
    pub text: &'a [u8],
    pub at: usize,
}

/// The text of a value, without quotes.
pub(super) struct Token<'a> {
    /// The text, followed by the cell's bytes after it, unless the text was unescaped.
    pub tail: &'a [u8],
    pub len: usize,
    pub quoted: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    pub(super) fn blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips `null` or `NULL`, unless a longer word begins with it. Returns whether it skipped it.
    #[inline]
    pub(super) fn skip_null(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let found = (rest.starts_with(b"null") || rest.starts_with(b"NULL"))
            && rest.get(4).is_none_or(|b| ends_word(*b));
        self.at += if found { 4 } else { 0 };
        found
    }

    /// Reads the next value without inner structure. Its text is decoded into `scratch` if it contains escapes.
    #[inline]
    pub(super) fn token<'t>(&mut self, scratch: &'t mut Vec<u8>) -> Result<Token<'t>, CellError>
    where
        'a: 't,
    {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else {
            let tail = &self.text[self.at..];
            let len = tail.iter().position(|b| ends_word(*b)).unwrap_or(tail.len());
            self.at += len;
            return Ok(Token { tail, len, quoted: false });
        };
        let tail = &self.text[self.at + 1..];
        let (len, escaped) = quoted(tail, quote)?;
        self.at += len + 2;
        if !escaped {
            return Ok(Token { tail, len, quoted: true });
        }
        scratch.clear();
        match quote {
            b'"' => json::unescape(&tail[..len], scratch)?,
            _ => unescape(&tail[..len], scratch)?,
        }
        std::str::from_utf8(scratch).map_err(|_| CellError::InvalidUtf8)?;
        Ok(Token { tail: scratch, len: scratch.len(), quoted: true })
    }
}

/// Whether a word without quotes ends before this byte.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b')' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n')
}

/// The length of the text before its closing quote, and whether anything in it is escaped.
fn quoted(tail: &[u8], quote: u8) -> Result<(usize, bool), CellError> {
    let (mut at, mut escaped) = (0, false);
    loop {
        at += memchr::memchr2(quote, b'\\', &tail[at..]).ok_or(CellError::OpenText)?;
        match (tail[at], tail.get(at + 1)) {
            // an escape, or a doubled quote as in SQL
            (b'\\', Some(_)) | (b'\'', Some(b'\'')) => at += 2,
            (b'\\', None) => return Err(CellError::OpenText),
            _ => return Ok((at, escaped)),
        }
        escaped = true;
    }
}

/// Decodes the escapes of a ClickHouse string literal.
///
/// Source: <https://clickhouse.com/docs/sql-reference/syntax#string>.
fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), CellError> {
    let mut rest = text;
    while let Some(n) = memchr::memchr2(b'\\', b'\'', rest) {
        out.extend_from_slice(&rest[..n]);
        let (byte, after) = rest[n + 1..].split_first().ok_or(CellError::BadEscape)?;
        let literal = rest[n] == b'\'';
        rest = after;
        out.push(match byte {
            b'\'' if literal => b'\'',
            b'\'' | b'"' | b'\\' | b'/' | b'`' | b'=' => *byte,
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0' => 0,
            b'x' => {
                let (digits, after) = rest.split_at_checked(2).ok_or(CellError::BadEscape)?;
                rest = after;
                hex(digits).ok_or(CellError::BadEscape)?
            }
            _ => return Err(CellError::BadEscape),
        });
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}
