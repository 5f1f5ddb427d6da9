//! The dictionary of a `LowCardinality` column: each value once, and for each row the number of its value.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::write_value;

/// Version 1: the keys are in the block.
const SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS: u64 = 1;
/// The flags besides the width of the numbers: the keys are in the block, and no earlier dictionary is used.
const ADDITIONAL_KEYS_AND_UPDATE: u64 = 0x600;

#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// The values, one after the other.
    values: Vec<u8>,
    /// Where each value ends in `values`.
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// For each row: the number of its value.
    rows: Vec<u32>,
    /// A cache of short values, each at its [`slot_of`]; empty until the first one is added.
    seen: Vec<Seen>,
}

/// The keys of two values of at most 15 bytes, the latest first, and their numbers. Fills one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Seen {
    keys: [u128; 2],
    numbers: [u32; 2],
}

const SEEN: usize = 512;
/// No value has this key.
const NONE_SEEN: Seen = Seen { keys: [u128::MAX; 2], numbers: [0; 2] };

/// The key of the value `tail[..len]`: the value, padded with zeros, and its length. `None` if the value has more than
/// 15 bytes, or `tail` fewer than 16.
#[inline(always)]
fn key_of(tail: &[u8], len: usize) -> Option<u128> {
    let chunk = tail.first_chunk::<16>().filter(|_| len < 16)?;
    Some((u128::from_le_bytes(*chunk) & ((1 << (8 * len)) - 1)) | ((len as u128) << 120))
}

/// The slot of a key in the cache, by a hash.
#[inline(always)]
fn slot_of(key: u128) -> usize {
    let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SEEN.ilog2())) as usize
}

/// Rows of a [`Dictionary`] whose numbers are being set.
pub(crate) struct Rows<'a> {
    seen: &'a [Seen],
    rows: &'a mut [u32],
}

impl Rows<'_> {
    /// Sets the row to the number of the value `tail[..len]`. Returns `false` if the cache does not have the value.
    #[inline(always)]
    pub(crate) fn set_seen(&mut self, row: usize, tail: &[u8], len: usize) -> bool {
        let Some(key) = key_of(tail, len) else { return false };
        let (Some(seen), Some(slot)) = (self.seen.get(slot_of(key)), self.rows.get_mut(row)) else {
            return false;
        };
        *slot = seen.numbers[usize::from(seen.keys[0] != key)];
        seen.keys.contains(&key)
    }
}

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

    /// Adds `n` rows. The caller must set the value of each.
    pub(crate) fn grow(&mut self, n: usize) {
        self.rows.resize(self.rows.len() + n, 0);
    }

    /// The last `n` rows.
    #[inline(always)]
    pub(crate) fn last(&mut self, n: usize) -> Rows<'_> {
        let start = self.rows.len().saturating_sub(n);
        Rows { seen: &self.seen, rows: &mut self.rows[start..] }
    }

    /// Sets the value of one of the last `n` rows.
    #[inline(never)]
    pub(crate) fn set(&mut self, n: usize, row: usize, value: &[u8]) {
        let number = self.number(value);
        if let Some(slot) = self.last(n).rows.get_mut(row) {
            *slot = number;
        }
        let mut padded = [0; 16];
        if let Some(start) = padded.get_mut(..value.len()) {
            start.copy_from_slice(value);
        }
        if let Some(key) = key_of(&padded, value.len()) {
            self.seen.resize(SEEN, NONE_SEEN);
            let Seen { keys, numbers } = &mut self.seen[slot_of(key)];
            (keys[1], numbers[1]) = (keys[0], numbers[0]);
            (keys[0], numbers[0]) = (key, number);
        }
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

    /// Writes the version, which specifies how the column's data is stored.
    pub(crate) fn write_version(block: &mut Vec<u8>) {
        block.extend_from_slice(&SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS.to_le_bytes());
    }

    /// Writes the column's data. With `nulls`, key 0 means NULL.
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
            None => numbers(block, kind, &self.rows, |row, _| *row, &self.rows),
            Some(nulls) => {
                numbers(block, kind, &self.rows, |row, null| (row + 1) * u32::from(1 - *null), nulls);
            }
        }
    }
}

/// Writes a number for each row, each of `2^kind` bytes.
fn numbers<T>(block: &mut Vec<u8>, kind: u64, rows: &[u32], number: impl Fn(&u32, &T) -> u32, with: &[T]) {
    /// Writes the numbers with `N` bytes each.
    fn of<const N: usize>(block: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u32>) {
        let start = block.len();
        block.resize(start + N * numbers.len(), 0);
        let (slots, _) = block[start..].as_chunks_mut::<N>();
        for (slot, number) in slots.iter_mut().zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes()[..N]);
        }
    }
    let numbers = rows.iter().zip(with).map(|(row, with)| number(row, with));
    match kind {
        0 => of::<1>(block, numbers),
        1 => of::<2>(block, numbers),
        _ => of::<4>(block, numbers),
    }
}

fn value_of<'a>(values: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
    let at = number as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &values[start..ends[at] as usize]
}

/// The exponent of the width of the numbers: they have `2^kind` bytes.
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

/// Writes a column with the same text in every row.
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

    /// Adds a row, as the loop over a column does.
    fn push(dictionary: &mut Dictionary, bytes: &[u8], start: usize, len: usize) {
        dictionary.grow(1);
        if !dictionary.last(1).set_seen(0, &bytes[start..], len) {
            dictionary.set(1, 0, &bytes[start..start + len]);
        }
    }

    #[test]
    fn values_are_the_same_only_if_all_bytes_and_the_length_are() {
        let bytes = b"a\0a\0\0b and some more to read past the end";
        let mut dictionary = Dictionary::default();
        // twice: the second time, the values are in the cache
        for _ in 0..2 {
            for (start, len) in [(0, 1), (0, 2), (2, 1), (2, 3), (5, 0), (5, 1), (5, 15), (5, 16), (5, 17)] {
                push(&mut dictionary, bytes, start, len);
            }
            push(&mut dictionary, bytes, bytes.len(), 0);
        }
        let once = [0, 1, 0, 2, 3, 4, 5, 6, 7, 3];
        assert_eq!(dictionary.rows, [once, once].concat());
        dictionary.clear();
        push(&mut dictionary, bytes, 5, 1);
        assert_eq!((&dictionary.rows[..], &dictionary.values[..]), (&[0][..], &b"b"[..]));
    }

    #[test]
    fn values_that_lead_to_one_place_keep_their_numbers() {
        let names: Vec<String> =
            (0..5_000u32).map(|i| format!("value {:04}, padded to read on", i * 7 % 3_000)).collect();
        let mut dictionary = Dictionary::default();
        let mut plain = Dictionary::default();
        for name in &names {
            push(&mut dictionary, name.as_bytes(), 0, 10);
            plain.push(&name.as_bytes()[..10]);
        }
        assert_eq!((&dictionary.rows, &dictionary.values), (&plain.rows, &plain.values));
    }

    #[test]
    fn numbers_are_as_wide_as_the_count_of_keys_asks() {
        for (values, width) in [(255, 1), (256, 1), (257, 2), (65_537, 4)] {
            let mut dictionary = Dictionary::default();
            for i in 0..values {
                dictionary.push(format!("{i}").as_bytes());
            }
            let mut block = Vec::new();
            dictionary.write(&mut block, None, None, values);
            let rows = &block[block.len() - width * values..];
            let read: Vec<u32> = rows
                .chunks(width)
                .map(|row| row.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
                .collect();
            assert_eq!(read, (0..values as u32).collect::<Vec<_>>());
        }
        let mut dictionary = Dictionary::default();
        for value in ["a", "b", "", "a"] {
            dictionary.push(value.as_bytes());
        }
        let mut block = Vec::new();
        dictionary.write(&mut block, None, Some(&[0, 0, 1, 0]), 4);
        assert_eq!(block[block.len() - 4..], [1, 2, 0, 1]);
    }
}
