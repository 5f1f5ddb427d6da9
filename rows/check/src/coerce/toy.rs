//! `Toy8`: `#` and an integer of 8 bits, such as `#7`.

use rows_bytes::simd::Lanes;
use rows_bytes::text::Text;
use rows_types::CellError;

use super::Read;
use super::int::Int;

/// Reads `Toy8`.
#[derive(Debug)]
pub(crate) struct Toy(pub Int<u8>);

impl Read for Toy {
    type Value = u8;

    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<u8> {
        self.0.read(lanes, Text::whole(text.bytes().strip_prefix(b"#")?))
    }

    fn explain(&self, text: &[u8]) -> CellError {
        match text.strip_prefix(b"#") {
            Some(number) if !number.is_empty() => self.0.explain(number),
            _ if text.is_empty() => CellError::MissingValue,
            _ => CellError::NotNumber,
        }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (*text.first()? != b'#').then_some(CellError::NotNumber)
    }

    fn magnitude(&self, value: u8) -> f64 {
        value.into()
    }
}
