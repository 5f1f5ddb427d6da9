//! Texts with a wrong byte. For tests: the readers of `rows-check` are tested with them too.

/// The text with one byte replaced.
pub fn spoiled(mut text: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    let at = at % (2 * text.len().max(1));
    if let Some(slot) = text.get_mut(at) {
        *slot = byte;
    }
    text
}

/// Bytes that are next to digits, letters and separators in ASCII, or far from them.
pub const SUSPECTS: &[u8] = b"/:@`gGfFaA09.,-+ TtzZ{\0\x7f\x80\xb0\xb1\xff";
