//! Why a text is no number.

use rows_types::CellError;

/// [`not_a_number`] for a text that contains a byte of no number, as most bad cells do. `None` if the slower check must
/// decide.
pub(crate) fn no_number(text: &[u8]) -> Option<CellError> {
    /// 0 for the bytes of a number. For the others, whether a slower check is needed.
    const KIND: [u8; 256] = {
        let mut kind = [OTHER; 256];
        let mut byte = 0;
        while byte < 256 {
            let b = byte as u8;
            if b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'e' | b'E') {
                kind[byte] = 0;
            } else if !b.is_ascii() || b.is_ascii_whitespace() || b == b'+' {
                kind[byte] = OTHER | HARD;
            }
            byte += 1;
        }
        kind
    };
    const OTHER: u8 = 1;
    const HARD: u8 = 2;
    // a longer text justifies the slower check
    if text.len() > 32 || text.iter().fold(0, |kinds, b| kinds | KIND[usize::from(*b)]) != OTHER {
        return None;
    }
    if is_float_word(text) { None } else { Some(CellError::NotNumber) }
}

/// Whether the text is a word for NaN or infinity.
#[inline]
fn is_float_word(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    match unsigned.len() {
        3 => unsigned.eq_ignore_ascii_case(b"nan") || unsigned.eq_ignore_ascii_case(b"inf"),
        8 => unsigned.eq_ignore_ascii_case(b"infinity"),
        _ => false,
    }
}

/// Why a text is no number in JSON's grammar. Only for texts that are none.
pub(crate) fn not_a_number(text: &[u8]) -> CellError {
    if text.is_empty() {
        return CellError::MissingValue;
    }
    if std::str::from_utf8(text).is_err() {
        return CellError::InvalidUtf8;
    }
    let trimmed = text.trim_ascii();
    if trimmed.len() != text.len() {
        return CellError::Blanks;
    }
    if let Some(rest) = text.strip_prefix(b"+") {
        return if rest.first().is_some_and(u8::is_ascii_digit) {
            CellError::PlusSign
        } else {
            CellError::NotNumber
        };
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if is_float_word(text) {
        return CellError::NotFinite;
    }
    let number_like = unsigned.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if number_like && memchr::memchr_iter(b'.', unsigned).count() <= 1 && unsigned != b"." {
        if unsigned.starts_with(b".") || unsigned.ends_with(b".") {
            return CellError::BarePoint;
        }
        if unsigned.len() > 1 && unsigned[0] == b'0' && unsigned[1] != b'.' {
            return CellError::LeadingZeros;
        }
    }
    CellError::NotNumber
}
