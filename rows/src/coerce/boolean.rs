//! `Bool`: `true`, `false` (also `True`, `TRUE`, `False`, `FALSE`), `1`, `0`.

use super::Read;
use super::text::Text;
use super::why::Why;
use crate::simd::Lanes;

/// Reads `Bool`.
#[derive(Debug)]
pub(crate) struct Bool;

impl Read for Bool {
    type Value = u8;

    #[inline(always)]
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<u8> {
        match text.bytes() {
            b"true" | b"1" | b"True" | b"TRUE" => Some(1),
            b"false" | b"0" | b"False" | b"FALSE" => Some(0),
            _ => None,
        }
    }

    fn explain(&self, text: &[u8]) -> Why {
        if text.is_empty() { Why::MissingValue } else { Why::NotBool }
    }

    fn refuse(&self, text: &[u8]) -> Option<Why> {
        (!matches!(text.first()?, b't' | b'f' | b'T' | b'F' | b'0' | b'1')).then_some(Why::NotBool)
    }
}
