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
}

impl Dictionary {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.ends.clear();
        self.numbers.clear();
        self.rows.clear();
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
        for (row, number) in self.rows.iter().enumerate() {
            let null = nulls.is_some_and(|n| n.get(row) == Some(&1));
            let number = if null { 0 } else { number + shift };
            block.extend_from_slice(&number.to_le_bytes()[..1 << kind]);
        }
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
    for word in [SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS, ADDITIONAL_KEYS_AND_UPDATE | kind, keys] {
        block.extend_from_slice(&word.to_le_bytes());
    }
}

/// A column with the same text in every row.
pub(super) fn write_same(block: &mut Vec<u8>, text: &[u8], rows: usize) {
    header(block, 0, 1);
    write_value(block, text, None);
    block.extend_from_slice(&(rows as u64).to_le_bytes());
    block.resize(block.len() + rows, 0);
}
