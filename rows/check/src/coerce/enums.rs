//! `Enum8` and `Enum16`: a name of the enum, written exactly. Its number is not accepted.

use std::collections::HashMap;

use rows_bytes::simd::Lanes;
use rows_bytes::text::Text;
use rows_types::CellError;

use super::{Native, Read};

/// The integers that hold enums.
pub(crate) trait EnumValue: Native {
    fn from_i16(n: i16) -> Self;
}

impl EnumValue for i8 {
    fn from_i16(n: i16) -> Self {
        n as i8
    }
}

impl EnumValue for i16 {
    fn from_i16(n: i16) -> Self {
        n
    }
}

/// Reads `Enum8` and `Enum16`.
#[derive(Debug)]
pub(crate) struct Enum<T> {
    /// Names of at most 8 bytes, in 64 slots without collision, and the multiplier that makes the slots; `None` if no
    /// multiplier was found. A slot has the bytes of its name, filled with zeros, and the length. A free slot has
    /// length 0xff.
    slots: Option<Box<([Slot; 64], u64)>>,
    names: HashMap<Box<[u8]>, i16>,
    marker: std::marker::PhantomData<T>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    word: u64,
    len: u8,
    value: i16,
}

const FREE: Slot = Slot { word: 0, len: 0xff, value: 0 };

#[inline(always)]
fn slot_of(word: u64, len: usize, multiplier: u64) -> usize {
    ((word ^ len as u64).wrapping_mul(multiplier) >> 58) as usize
}

/// The first `len` (0..=8) bytes of the word, the rest zero.
#[inline(always)]
fn first_bytes(word: u64, len: usize) -> u64 {
    if len >= 8 { word } else { word & ((1 << (8 * len)) - 1) }
}

impl<T> Enum<T> {
    pub(crate) fn new(names: &[(String, i16)]) -> Self {
        let map = names.iter().map(|(name, value)| (name.as_bytes().into(), *value)).collect();
        Self { slots: perfect(names).map(Box::new), names: map, marker: std::marker::PhantomData }
    }
}

/// Looks for a multiplier that gives each name a slot of its own.
fn perfect(names: &[(String, i16)]) -> Option<([Slot; 64], u64)> {
    if names.len() > 32 || names.iter().any(|(name, _)| name.len() > 8) {
        return None;
    }
    let mut multiplier = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..1000 {
        let mut slots = [FREE; 64];
        let free = names.iter().all(|(name, value)| {
            let word = Text::whole(name.as_bytes()).word(0);
            let slot = &mut slots[slot_of(word, name.len(), multiplier)];
            let free = slot.len == FREE.len;
            *slot = Slot { word, len: name.len() as u8, value: *value };
            free
        });
        if free {
            return Some((slots, multiplier));
        }
        multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95) | 1;
    }
    None
}

impl<T: EnumValue> Read for Enum<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<T> {
        let Some(table) = &self.slots else {
            return self.names.get(text.bytes()).map(|n| T::from_i16(*n));
        };
        let (slots, multiplier) = &**table;
        let word = first_bytes(text.word(0), text.len());
        let slot = &slots[slot_of(word, text.len(), *multiplier) & 63];
        (slot.word == word && usize::from(slot.len) == text.len()).then(|| T::from_i16(slot.value))
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() { CellError::MissingValue } else { CellError::NotInEnum }
    }
}
