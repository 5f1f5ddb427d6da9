//! `UUID`: 8-4-4-4-12 hexadecimal digits in upper or lower case (RFC 9562), without braces or blanks around them.

use rows_bytes::simd::Lanes;
use rows_bytes::text::Text;
use rows_types::CellError;

use super::{Native, Read};

/// A UUID as ClickHouse stores it: two 64-bit halves, each little-endian, the first half first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halves(u64, u64);

impl Native for Halves {
    const WIDTH: usize = 16;
    #[inline(always)]
    fn put(self, slot: &mut [u8]) {
        slot[..8].copy_from_slice(&self.0.to_le_bytes());
        slot[8..].copy_from_slice(&self.1.to_le_bytes());
    }
    fn get(slot: &[u8]) -> Self {
        Self(u64::get(&slot[..8]), u64::get(&slot[8..]))
    }
}

/// Reads `UUID`.
#[derive(Debug)]
pub(crate) struct Uuid;

impl Read for Uuid {
    type Value = Halves;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<Halves> {
        if text.len() != 36 {
            return None;
        }
        lanes.uuid(text.head()?).map(|[first, second]| Halves(first, second))
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() { CellError::MissingValue } else { CellError::NotUuid }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (!text.is_empty() && text.len() != 36).then_some(CellError::NotUuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::read;
    use proptest::prelude::*;
    use rows_bytes::spoil::{SUSPECTS, spoiled};

    fn plain(text: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(text).ok()?;
        let hyphens = text.match_indices('-').map(|(at, _)| at).eq([8, 13, 18, 23]);
        let digits = text.replace('-', "");
        let hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u128::from_str_radix(&digits, 16).ok().filter(|_| hyphens && hex)?;
        Some([((value >> 64) as u64).to_le_bytes(), (value as u64).to_le_bytes()].concat())
    }

    proptest! {
        #[test]
        fn a_uuid_is_its_digits(
            text in "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-fA-F]{12}",
            at in 0usize..72, byte in prop::sample::select(SUSPECTS), cut in 0usize..37,
        ) {
            prop_assert!(plain(text.as_bytes()).is_some());
            for text in [text.clone().into_bytes(), spoiled(text.clone().into_bytes(), at, byte), text.as_bytes()[..cut.min(36)].to_vec()] {
                prop_assert_eq!(read(&Uuid, &text), plain(&text));
            }
        }
    }
}
