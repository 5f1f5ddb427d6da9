//! One plain decimal number.

use super::Lanes;
use crate::text::Text;

/// A plain decimal number: an optional `-`, then at most 16 bytes of digits, optionally with a `.` and digits after it.
#[derive(Clone, Copy)]
pub struct Number {
    /// Whether there is a minus.
    pub negative: bool,
    /// All digits without the point: less than 10^16.
    pub digits: u64,
    /// How many of them come after the point.
    pub fraction: usize,
}

/// Reads a number in JSON's grammar without an exponent. `None` also if the number without its `-` is longer than 16
/// bytes: slower code reads those.
#[inline(always)]
pub fn number<L: Lanes>(lanes: L, text: Text<'_>) -> Option<Number> {
    let negative = text.byte(0) == b'-' && text.len() > 0;
    let text = text.skip(usize::from(negative));
    let len = text.len();
    if len.wrapping_sub(1) >= 16 {
        return None;
    }
    let (digits, point) = lanes.decimal(text.front(&mut None), len)?;
    if !is_grammar(text.byte(0), point, len) {
        return None;
    }
    Some(Number { negative, digits, fraction: len.saturating_sub(1 + point) })
}

/// A leading `0` must be alone or directly before the point; a point needs digits on both sides.
#[inline(always)]
fn is_grammar(first: u8, point: usize, len: usize) -> bool {
    !(point == 0 || point + 1 == len || (first == b'0' && point > 1))
}
