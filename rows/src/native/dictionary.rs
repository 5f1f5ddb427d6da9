//! The dictionary of a `LowCardinality` column: each value once, and for each row its number.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::write_value;

/// Version 1: keys come with the block.
const SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS: u64 = 1;
/// Flags beside the width of the numbers: keys come with the block, and there is no dictionary from before.
const ADDITIONAL_KEYS_AND_UPDATE: u64 = 0x600;

#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// The values, one behind the other, and where each ends.
    values: Vec<u8>,
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// For each row the number of its value.
    rows: Vec<u32>,
    /// Short values that were seen, where their bytes lead; empty until the first.
    seen: Vec<Seen>,
}

/// A value of at most 16 bytes, filled up with zeros, its length and its number.
#[derive(Clone, Copy, Debug)]
struct Seen {
    key: u128,
    len: u32,
    number: u32,
}

const SEEN: usize = 512;
/// No value has this length.
const NONE_SEEN: Seen = Seen { key: 0, len: u32::MAX, number: 0 };

impl Dictionary {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.ends.clear();
        self.numbers.clear();
        self.rows.clear();
        self.seen.fill(NONE_SEEN);
    }

    /// Adds a row.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        let number = match self.rows.last() {
            Some(last) if value_of(&self.values, &self.ends, *last) == value => *last,
            _ => self.number(value),
        };
        self.rows.push(number);
    }

    /// Adds a row of the value `bytes[start..start + len]`; faster where 16 bytes can be read there.
    #[inline(always)]
    pub(crate) fn push_near(&mut self, bytes: &[u8], start: usize, len: usize) {
        let Some(chunk) =
            bytes.get(start..).and_then(|b| b.first_chunk::<16>()).filter(|_| (1..=16).contains(&len))
        else {
            return self.push(&bytes[start..start + len]);
        };
        let key = u128::from_le_bytes(*chunk) & (u128::MAX >> (128 - 8 * len as u32));
        let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29) ^ len as u64;
        let slot = (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SEEN.ilog2())) as usize;
        if let Some(seen) = self.seen.get(slot)
            && seen.key == key
            && seen.len == len as u32
        {
            self.rows.push(seen.number);
            return;
        }
        let number = self.number(&bytes[start..start + len]);
        self.rows.push(number);
        self.seen.resize(SEEN, NONE_SEEN);
        self.seen[slot] = Seen { key, len: len as u32, number };
    }

    #[inline(never)]
    fn number(&mut self, value: &[u8]) -> u32 {
        let Self { values, ends, numbers, hasher, .. } = self;
        let hash = hasher.hash_one(value);
        if let Some(number) = numbers.find(hash, |n| value_of(values, ends, *n) == value) {
            return *number;
        }
        let number = ends.len() as u32;
        values.extend_from_slice(value);
        ends.push(values.len() as u32);
        numbers.insert_unique(hash, number, |n| hasher.hash_one(value_of(values, ends, *n)));
        number
    }

    /// Writes what says how the column's data is stored.
    pub(crate) fn write_version(block: &mut Vec<u8>) {
        block.extend_from_slice(&SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS.to_le_bytes());
    }

    /// Writes the column's data; with `nulls`, key 0 stands for NULL.
    pub(crate) fn write(&self, block: &mut Vec<u8>, width: Option<usize>, nulls: Option<&[u8]>, rows: usize) {
        let shift = u32::from(nulls.is_some());
        let keys = self.ends.len() as u32 + shift;
        let kind = kind_of(keys);
        header(block, kind, u64::from(keys));
        if nulls.is_some() {
            write_value(block, b"", width);
        }
        for number in 0..self.ends.len() as u32 {
            write_value(block, value_of(&self.values, &self.ends, number), width);
        }
        block.extend_from_slice(&(rows as u64).to_le_bytes());
        match nulls {
            None => numbers(block, kind, self.rows.iter().copied()),
            Some(nulls) => {
                let rows = self.rows.iter().zip(nulls);
                numbers(block, kind, rows.map(|(number, null)| if *null == 1 { 0 } else { number + 1 }));
            }
        }
    }
}

/// Writes the rows' numbers, each of `2^kind` bytes.
fn numbers(block: &mut Vec<u8>, kind: u64, rows: impl Iterator<Item = u32>) {
    match kind {
        0 => block.extend(rows.map(|n| n as u8)),
        1 => block.extend(rows.flat_map(|n| (n as u16).to_le_bytes())),
        _ => block.extend(rows.flat_map(u32::to_le_bytes)),
    }
}

fn value_of<'a>(values: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
    let at = number as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &values[start..ends[at] as usize]
}

/// Width of the numbers as a power of two.
fn kind_of(keys: u32) -> u64 {
    match keys {
        ..=0x100 => 0,
        0x101..=0x1_0000 => 1,
        _ => 2,
    }
}

fn header(block: &mut Vec<u8>, kind: u64, keys: u64) {
    for word in [ADDITIONAL_KEYS_AND_UPDATE | kind, keys] {
        block.extend_from_slice(&word.to_le_bytes());
    }
}

/// A column with the same text in every row.
pub(super) fn write_same(block: &mut Vec<u8>, text: &[u8], rows: usize) {
    Dictionary::write_version(block);
    header(block, 0, 1);
    write_value(block, text, None);
    block.extend_from_slice(&(rows as u64).to_le_bytes());
    block.resize(block.len() + rows, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_only_if_all_bytes_and_the_length_are() {
        let bytes = b"a\0a\0\0b and some more to read past the end";
        let mut dictionary = Dictionary::default();
        // twice: the second time they have been seen
        for _ in 0..2 {
            for (start, len) in [(0, 1), (0, 2), (2, 1), (2, 3), (5, 0), (5, 1), (5, 16), (5, 17)] {
                dictionary.push_near(bytes, start, len);
            }
            dictionary.push_near(bytes, bytes.len(), 0);
        }
        let once = [0, 1, 0, 2, 3, 4, 5, 6, 3];
        assert_eq!(dictionary.rows, [once, once].concat());
        dictionary.clear();
        dictionary.push_near(bytes, 5, 1);
        assert_eq!((&dictionary.rows[..], &dictionary.values[..]), (&[0][..], &b"b"[..]));
    }
}
