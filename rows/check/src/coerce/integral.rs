//! Whole numbers that are written with a fraction or an exponent: `1.0`, `1e3`, `-2.50e1`.

use rows_bytes::text::is_json_number;
use rows_types::CellError;

use super::not_a_number::not_a_number;

/// More digits than an integer of any type has: 2^256 has 78.
const MOST: usize = 79;

/// A whole number in the form of an integer.
pub(super) struct Digits {
    bytes: [u8; 1 + MOST],
    len: usize,
}

impl Digits {
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

/// The number of a text in JSON's grammar, written as an integer. The conversion is exact: it uses no float. It fails
/// if the number is not whole.
///
/// A number that no type can hold may become another number that no type can hold.
pub(super) fn digits(text: &[u8]) -> Result<Digits, CellError> {
    if !is_json_number(text) {
        return Err(not_a_number(text));
    }
    let mut digits = Digits { bytes: [0; 1 + MOST], len: 0 };
    let unsigned = match text.strip_prefix(b"-") {
        Some(rest) => {
            digits.push(b'-');
            rest
        }
        None => text,
    };
    let end = unsigned.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(unsigned.len());
    let (mantissa, exponent) = (&unsigned[..end], exponent(unsigned.get(end + 1..).unwrap_or_default()));
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    // digits before the point, after the exponent has moved it
    let whole = exponent.saturating_add(point as i64);
    let written = mantissa.iter().filter(|b| **b != b'.').zip(0i64..);
    for (byte, place) in written.clone() {
        if place >= whole && *byte != b'0' {
            return Err(CellError::NotInteger);
        }
    }
    let first = digits.len;
    let mut count = 0;
    for (byte, _) in written.take_while(|(_, place)| *place < whole) {
        count += 1;
        if *byte == b'0' && digits.len == first {
            continue;
        }
        if digits.len - first == MOST {
            return Ok(digits);
        }
        digits.push(*byte);
    }
    if digits.len == first {
        digits.push(b'0');
    } else {
        for _ in 0..whole.saturating_sub(count).min((MOST - (digits.len - first)) as i64) {
            digits.push(b'0');
        }
    }
    Ok(digits)
}

/// The number after `e`. If it does not fit 64 bits, it is the largest number that does, with its sign.
fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |d| (true, d));
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    let size = digits.iter().fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    if negative { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::digits;
    use proptest::prelude::*;
    use rows_types::CellError;

    #[test]
    fn whole_numbers_are_written_out() {
        for (text, expected) in [
            ("7", "7"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("-2.50e1", "-25"),
            ("1000e-3", "1"),
            ("12.34e2", "1234"),
            ("0.0001e4", "1"),
            ("0e999999999999999999999", "0"),
            ("-0.000e-5", "-0"),
            ("0.00e99", "0"),
        ] {
            assert_eq!(digits(text.as_bytes()).map(|d| d.text().to_vec()), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_not_whole_are_refused() {
        for text in ["1.5", "1e-1", "0.1e0", "1e-99999999999999999999", "12.34e1"] {
            assert_eq!(
                digits(text.as_bytes()).map(|d| d.text().to_vec()),
                Err(CellError::NotInteger),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_that_no_type_holds_stays_one() {
        for text in ["1e79", "1e999999999999999999999", &format!("{}.0", "9".repeat(200))] {
            assert_eq!(digits(text.as_bytes()).map(|d| d.text().len()), Ok(79), "{text}");
        }
    }

    proptest! {
        #[test]
        fn moving_the_point_and_saying_so_changes_nothing(number in "-?(0|[1-9][0-9]{0,40})", zeros in 0usize..5, shift in 0usize..45) {
            let (sign, magnitude) = number.strip_prefix('-').map_or(("", number.as_str()), |m| ("-", m));
            let padded = format!("{}{magnitude}", "0".repeat(shift.saturating_sub(magnitude.len()) + 1));
            let (whole, fraction) = padded.split_at(padded.len() - shift);
            let whole = whole.trim_start_matches('0');
            let whole = if whole.is_empty() { "0" } else { whole };
            let text = format!("{sign}{whole}.{fraction}{}e{shift}", "0".repeat(zeros + usize::from(shift == 0)));
            let read = digits(text.as_bytes()).map(|d| String::from_utf8_lossy(d.text()).into_owned());
            prop_assert_eq!(read, Ok(number), "{}", text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in "[-0-9.eE+]{0,100}") {
            let _ = digits(text.as_bytes()).map(|d| d.text().len());
        }
    }
}
