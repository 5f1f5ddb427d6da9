//! The escapes of a JSON string.

use rows_bytes::simd::{BLOCK, Lanes, WIDE};
use rows_types::CellError;

/// Decodes the escapes of a JSON string.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), CellError> {
    let mut rest = text;
    while let Some(n) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..n]);
        rest = &rest[n + 1..];
        match escape(&mut rest)? {
            Escape::Byte(byte) => out.push(byte),
            Escape::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Whether [`unescape`] would succeed.
pub fn check_escapes(text: &[u8]) -> Result<(), CellError> {
    let mut rest = text;
    while let Some(n) = memchr::memchr(b'\\', rest) {
        rest = &rest[n + 1..];
        escape(&mut rest)?;
    }
    Ok(())
}

/// For each byte that forms an escape with the backslash before it: the byte that the escape means. 0 for all other
/// bytes, such as the `u` of a longer escape.
static SIMPLE: [u8; 256] = {
    let mut table = [0; 256];
    let pairs = *b"\"\"\\\\//b\x08f\x0cn\nr\rt\t";
    let mut i = 0;
    while i < pairs.len() {
        table[pairs[i] as usize] = pairs[i + 1];
        i += 2;
    }
    table
};

/// Whether every escape in the first `len` bytes of `tail` is a backslash and one byte, so that [`unescape`] succeeds.
/// False also if too few bytes follow the text.
#[inline(always)]
pub fn escapes_are_simple<L: Lanes>(lanes: L, tail: &[u8], len: usize) -> bool {
    let mut at = 0;
    while at < len {
        let (rest, from) = (len - at, tail.get(at..).and_then(|t| t.first_chunk::<BLOCK>()));
        let Some(block) = from else { return false };
        let [found] = lanes.equal(block, [b'\\']);
        let mut found = found & u64::MAX >> (BLOCK - rest.min(BLOCK));
        at += BLOCK;
        while found != 0 {
            let next = found.trailing_zeros() as usize + 1;
            if next == BLOCK && next < rest {
                // read the backslash again, together with the byte that it escapes
                at -= 1;
                break;
            }
            if next >= rest || SIMPLE[block[next % BLOCK] as usize] == 0 {
                return false;
            }
            found &= !(0b11 << (next - 1));
        }
    }
    true
}

/// The same as [`unescape`] for the first `len` bytes of `tail`; returns how many bytes it writes to `out`. `None` if
/// an escape is not a backslash and one byte, or if it cannot read and write up to 32 bytes past the end; then `out` is
/// unspecified.
#[inline(always)]
pub fn unescape_simple<L: Lanes>(lanes: L, tail: &[u8], len: usize, out: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while from < len {
        let block = tail.get(from..)?.first_chunk::<WIDE>()?;
        let slots = out.get_mut(to..)?.first_chunk_mut::<WIDE>()?;
        *slots = *block;
        let n = (lanes.any_of(block, [b'\\']).trailing_zeros() as usize).min(len - from);
        if n < WIDE && n < len - from {
            let byte = SIMPLE[*tail.get(from + n + 1)? as usize];
            // a backslash that is the last byte escapes nothing
            if byte == 0 || from + n + 1 == len {
                return None;
            }
            slots[n] = byte;
            (from, to) = (from + n + 2, to + n + 1);
        } else {
            (from, to) = (from + n, to + n);
        }
    }
    Some(to)
}

/// What an escape means.
enum Escape {
    /// An ASCII character.
    Byte(u8),
    Char(char),
}

/// Reads an escape from after its backslash.
#[inline(always)]
fn escape(rest: &mut &[u8]) -> Result<Escape, CellError> {
    let (byte, after) = rest.split_first().ok_or(CellError::BadEscape)?;
    *rest = after;
    match SIMPLE[*byte as usize] {
        0 if *byte == b'u' => unicode(rest).map(Escape::Char),
        0 => Err(CellError::BadEscape),
        byte => Ok(Escape::Byte(byte)),
    }
}

/// The character of a `\u` escape, or of two such escapes that are a surrogate pair.
fn unicode(rest: &mut &[u8]) -> Result<char, CellError> {
    let first = hex4(rest)?;
    if !(0xd800..0xe000).contains(&first) {
        return char::from_u32(first).ok_or(CellError::HalfCharacter);
    }
    *rest = rest.strip_prefix(b"\\u").ok_or(CellError::HalfCharacter)?;
    let second = hex4(rest)?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return Err(CellError::HalfCharacter);
    }
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(CellError::HalfCharacter)
}

fn hex4(rest: &mut &[u8]) -> Result<u32, CellError> {
    let (digits, after) = rest.split_at_checked(4).ok_or(CellError::BadEscape)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(CellError::BadEscape);
    }
    *rest = after;
    let text = std::str::from_utf8(digits).map_err(|_| CellError::BadEscape)?;
    u32::from_str_radix(text, 16).map_err(|_| CellError::BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rows_bytes::simd::{Kernel, Level};

    struct Both<'a>(&'a [u8], usize);
    impl Kernel for Both<'_> {
        type Output = (bool, Option<Vec<u8>>);
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            let mut out = vec![b'?'; 400];
            let len = unescape_simple(lanes, self.0, self.1, &mut out);
            (escapes_are_simple(lanes, self.0, self.1), len.map(|len| out[..len].to_vec()))
        }
    }

    proptest! {
        #[test]
        fn simple_escapes_come_to_what_all_escapes_come_to(
            text in "([ -~]{0,3}|(\\\\[\"\\\\/bfnrt]){0,40}|[a-z]{20,70}|\\\\[ -~]|\\\\u00e4|\\\\){0,3}",
            behind in prop::sample::select(vec![b'"', b'n', b'x', b'\\']),
        ) {
            let mut decoded = Vec::new();
            let right = unescape(text.as_bytes(), &mut decoded);
            prop_assert_eq!(right, check_escapes(text.as_bytes()));
            let simple = right.is_ok() && !text.replace("\\\\", "").contains("\\u");
            let tail = [text.as_bytes(), &[behind; BLOCK]].concat();
            for level in Level::all() {
                let (checked, written) = level.run(Both(&tail, text.len()));
                prop_assert_eq!(checked, simple);
                prop_assert_eq!(&written, &simple.then(|| decoded.clone()));
                // without bytes after the text, both may refuse it
                let (checked, written) = level.run(Both(text.as_bytes(), text.len()));
                prop_assert!(simple || !checked);
                prop_assert!(written.is_none_or(|written| simple && written == decoded));
            }
        }
    }

    #[test]
    fn escapes_are_judged_wherever_a_block_ends() {
        for (escape, simple) in
            [("\\n", true), ("\\\\\\n", true), ("\\x", false), ("\\u00e4", false), ("\\", false)]
        {
            for before in 0..2 * BLOCK + 2 {
                let text = "a".repeat(before) + escape;
                let tail = [text.as_bytes(), &[b'"'; BLOCK]].concat();
                for level in Level::all() {
                    let (checked, written) = level.run(Both(&tail, text.len()));
                    assert_eq!((checked, written.is_some()), (simple, simple), "{level:?} {text}");
                }
            }
        }
    }
}
