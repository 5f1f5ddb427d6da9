//! `Bool`: `true`, `false` (also `True`, `TRUE`, `False`, `FALSE`), `1`, `0`.

use rows_bytes::simd::Lanes;
use rows_bytes::text::Text;
use rows_types::CellError;

use super::Read;

const WORDS: [(&[u8], bool); 8] = [
    (b"true", true),
    (b"True", true),
    (b"TRUE", true),
    (b"1", true),
    (b"false", false),
    (b"False", false),
    (b"FALSE", false),
    (b"0", false),
];

/// Gives each word a slot of its own; found by trial.
const MULTIPLIER: u64 = 0x91b7_584a_2265_b1f5;

/// For each slot: the key of its word, or a key that no word has.
static SLOTS: [u64; 16] = {
    let mut slots = [u64::MAX; 16];
    let mut i = 0;
    while i < WORDS.len() {
        let key = key_of(WORDS[i].0);
        assert!(slots[slot(key)] == u64::MAX, "two words have one slot");
        slots[slot(key)] = key;
        i += 1;
    }
    slots
};

/// The slots of the words that mean true, as bits.
const TRUE: u32 = {
    let mut slots = 0;
    let mut i = 0;
    while i < WORDS.len() {
        slots |= (WORDS[i].1 as u32) << slot(key_of(WORDS[i].0));
        i += 1;
    }
    slots
};

const fn key_of(word: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let mut i = 0;
    while i < word.len() {
        bytes[i] = word[i];
        i += 1;
    }
    key(u64::from_le_bytes(bytes), word.len())
}

/// The first `len` bytes of the word, and their number, because a text may contain zero bytes.
#[inline(always)]
const fn key(word: u64, len: usize) -> u64 {
    if len > 5 { 0 } else { (word & ((1 << (8 * len)) - 1)) | ((len as u64) << 56) }
}

#[inline(always)]
const fn slot(key: u64) -> usize {
    (key.wrapping_mul(MULTIPLIER) >> 60) as usize
}

/// Reads `Bool`.
#[derive(Debug)]
pub(crate) struct Bool;

impl Read for Bool {
    type Value = u8;

    #[inline(always)]
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<u8> {
        let key = key(text.word(0), text.len());
        let slot = slot(key);
        (SLOTS[slot] == key).then_some((TRUE >> slot & 1) as u8)
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() { CellError::MissingValue } else { CellError::NotBool }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (!matches!(text.first()?, b't' | b'f' | b'T' | b'F' | b'0' | b'1')).then_some(CellError::NotBool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::read;
    use proptest::prelude::*;
    use rows_bytes::spoil::{SUSPECTS, spoiled};

    fn plain(text: &[u8]) -> Option<Vec<u8>> {
        WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| vec![u8::from(*value)])
    }

    proptest! {
        #[test]
        fn the_words_and_nothing_else_are_read(
            text in "(true|false|True|TRUE|False|FALSE|tRUE|0|1|10|)(\u{0}|\u{0}\u{0}\u{0}|e|[a-z]{6})?",
            at in 0usize..12, byte in prop::sample::select(SUSPECTS),
        ) {
            for text in [text.clone().into_bytes(), spoiled(text.clone().into_bytes(), at, byte)] {
                prop_assert_eq!(read(&Bool, &text), plain(&text));
            }
        }
    }
}
