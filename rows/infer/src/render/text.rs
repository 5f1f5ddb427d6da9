//! JSON strings, escaped as ClickHouse escapes them.

use serde::de::IgnoredAny;

use super::bytes::Problem;

const NOT_UTF8: Problem = "it holds a text that is not UTF-8";

/// Appends the text in quotes.
pub(super) fn quoted(text: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    if simdutf8::basic::from_utf8(text).is_err() {
        return Err(NOT_UTF8);
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| matches!(b, 0..0x20 | b'"' | b'\\' | b'/' | 0xe2)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = escape(special, out);
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    Ok(())
}

/// Appends the first character, escaped if necessary; returns the text after it.
fn escape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    // line and paragraph separator, which end a line in JavaScript
    for (separator, escaped) in [("\u{2028}", b"\\u2028"), ("\u{2029}", b"\\u2029")] {
        if let Some(rest) = text.strip_prefix(separator.as_bytes()) {
            out.extend_from_slice(escaped);
            return rest;
        }
    }
    let Some((byte, rest)) = text.split_first() else { return text };
    let short = match byte {
        8 => b'b',
        12 => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'"' | b'\\' | b'/' => *byte,
        0..0x20 => {
            let hex = |n: u8| b"0123456789ABCDEF"[usize::from(n & 15)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(*byte)]);
            return rest;
        }
        _ => {
            out.push(*byte);
            return rest;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
    rest
}

/// Appends the text of a JSON object, without the blanks between its tokens.
pub(super) fn object(text: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let text = simdutf8::basic::from_utf8(text).map_err(|_| NOT_UTF8)?;
    if !text.starts_with('{') || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Err("it holds a text that is no JSON object");
    }
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        if quoted || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            out.push(byte);
        }
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    Ok(())
}
