//! Numbers as ClickHouse prints them: 256-bit integers, decimals, the shortest floats.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;

/// A number of 256 bits has at most 78 digits.
const MAX_DIGITS: usize = 78;
/// The largest power of ten in 64 bits: a 1 with 19 zeros.
const TEN_19: u128 = 10_000_000_000_000_000_000;

/// Appends the value as [`Display`] formats it.
pub(super) fn shown(value: impl Display, out: &mut Vec<u8>) {
    // writing to memory cannot fail
    let _ = write!(out, "{value}");
}

/// Appends a 256-bit number, little-endian, divided by 10^scale.
pub(super) fn wide(bytes: &[u8; 32], signed: bool, scale: usize, out: &mut Vec<u8>) {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    if signed && bytes[31] >= 0x80 {
        out.push(b'-');
        let mut carry = true;
        for word in &mut words {
            (*word, carry) = (!*word).overflowing_add(u64::from(carry));
        }
    }
    let mut digits = [b'0'; MAX_DIGITS];
    let point = MAX_DIGITS - scale.min(MAX_DIGITS - 1);
    let first = write_digits(words, &mut digits).min(point - 1);
    let (whole, fraction) = (&digits[first..point], &digits[point..]);
    out.extend_from_slice(whole);
    let kept = fraction.len() - fraction.iter().rev().take_while(|b| **b == b'0').count();
    if kept > 0 {
        out.push(b'.');
        out.extend_from_slice(&fraction[..kept]);
    }
}

/// Writes the digits so that they end at the end of the buffer; returns where the first digit other than zero is.
fn write_digits(mut words: [u64; 4], digits: &mut [u8; MAX_DIGITS]) -> usize {
    let mut end = MAX_DIGITS;
    let mut first = MAX_DIGITS;
    while words != [0; 4] && end > 0 {
        let mut part = 0;
        for word in words.iter_mut().rev() {
            let n = (part << 64) | u128::from(*word);
            // the remainder is below the divisor, so the quotient has 64 bits
            *word = (n / TEN_19) as u64;
            part = n % TEN_19;
        }
        let start = end.saturating_sub(19);
        for (at, digit) in digits.iter_mut().enumerate().take(end).skip(start).rev() {
            *digit = b'0' + (part % 10) as u8;
            part /= 10;
            if *digit != b'0' {
                first = at;
            }
        }
        end = start;
    }
    first
}

/// Appends the shortest digits that read back as the same float, with an exponent from 10^21 up and below 10^-6. NaN
/// and infinity are `null`.
pub(super) fn float(value: impl Serialize + Into<f64> + Copy, out: &mut Vec<u8>) {
    if !value.into().is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    // sign, 17 digits, five zeros, point, exponent
    let mut buffer = [0; 40];
    let mut left = &mut buffer[..];
    let _ = serde_json::to_writer(&mut left, &value);
    let unused = left.len();
    let text = &buffer[..buffer.len() - unused];
    let (text, negative) = text.strip_prefix(b"-").map_or((text, false), |text| (text, true));
    if negative {
        out.push(b'-');
    }
    let (text, exponent) = split_at_byte(text, b'e');
    let exponent = std::str::from_utf8(exponent).map_or(0, |n| n.parse().unwrap_or(0));
    let (whole, fraction) = split_at_byte(text, b'.');
    let all = || whole.iter().chain(fraction).copied();
    let zeros = all().take_while(|b| *b == b'0').count();
    let count = all().count() - all().rev().take_while(|b| *b == b'0').count();
    if count == 0 {
        out.push(b'0');
        return;
    }
    let digits = || all().take(count).skip(zeros);
    let count = count - zeros;
    // digits before the point
    let point = whole.len() as i32 - zeros as i32 + exponent;
    match point {
        1..=21 => {
            let point = point as usize;
            out.extend(digits().chain(std::iter::repeat(b'0')).take(point));
            if count > point {
                out.push(b'.');
                out.extend(digits().skip(point));
            }
        }
        -5..=0 => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', -point as usize));
            out.extend(digits());
        }
        _ => {
            out.extend(digits().take(1));
            if count > 1 {
                out.push(b'.');
                out.extend(digits().skip(1));
            }
            out.push(b'e');
            shown(point - 1, out);
        }
    }
}

fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    let at = text.iter().position(|b| *b == byte);
    at.map_or((text, &[]), |at| (&text[..at], &text[at + 1..]))
}
