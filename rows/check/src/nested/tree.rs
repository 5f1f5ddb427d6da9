//! The bytes of a column with inner structure, while its chunk is checked.

use super::{Leaf, Node};
use crate::native::{Dictionary, GrowBuffer, Selection};
use crate::reader::Reader;

/// The bytes of one part of the type. Those of its own parts are in `children`.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The values. For an array or map: for each row, the number of elements up to its end, in 64 bits. For a tuple:
    /// empty.
    pub data: GrowBuffer,
    /// For each row: 1 if it is NULL. Empty if no row can be NULL.
    pub nulls: GrowBuffer,
    /// For an array: its elements. For a tuple: each element. For a map: keys and values.
    pub children: Vec<Tree>,
    /// Used to write a part with a `LowCardinality` type.
    pub dictionary: Dictionary,
    batch: Mark,
    row: Mark,
}

/// The lengths of `data` and `nulls` at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    data: usize,
    nulls: usize,
}

impl Tree {
    pub(super) fn new(node: &Node) -> Self {
        let children = match node {
            Node::Leaf(_) => Vec::new(),
            Node::Array(element) => vec![Self::new(element)],
            Node::Map(key, value) => vec![Self::new(key), Self::new(value)],
            Node::Tuple(tuple) => tuple.elements.iter().map(Self::new).collect(),
        };
        Self { children, ..Self::default() }
    }

    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.nulls.clear();
        self.children.iter_mut().for_each(Self::clear);
    }

    fn mark(&self) -> Mark {
        Mark { data: self.data.len(), nulls: self.nulls.len() }
    }

    pub(super) fn begin_batch(&mut self) {
        self.batch = self.mark();
        self.children.iter_mut().for_each(Self::begin_batch);
    }

    #[inline]
    pub(super) fn begin_row(&mut self) {
        self.row = self.mark();
        self.children.iter_mut().for_each(Self::begin_row);
    }

    /// Removes the bytes that were added since [`Tree::begin_row`].
    #[cold]
    pub(super) fn undo_row(&mut self) {
        self.data.truncate(self.row.data);
        self.nulls.truncate(self.row.nulls);
        self.children.iter_mut().for_each(Self::undo_row);
    }

    /// Adds a row of `count` elements to an array or map.
    #[inline]
    pub(super) fn push_count(&mut self, count: usize) {
        let total = self.total() + count as u64;
        self.data.extend_from_slice(&total.to_le_bytes());
    }

    /// The number of elements of an array or map so far.
    fn total(&self) -> u64 {
        self.data.as_slice().last_chunk().map_or(0, |last| u64::from_le_bytes(*last))
    }

    /// Adds the text `bytes[start..start + len]`; for a `FixedString`, padded with zeros to its width.
    #[inline]
    pub(super) fn push_text(&mut self, leaf: &Leaf, bytes: &[u8], start: usize, len: usize) {
        match leaf.reader.width() {
            None => self.data.push_text(bytes, start, len),
            Some(width) => {
                let (value, zeros) = self.data.grow(width).split_at_mut(len);
                value.copy_from_slice(&bytes[start..start + len]);
                zeros.fill(0);
            }
        }
        if leaf.ty.nullable {
            self.nulls.push(0);
        }
    }

    pub(super) fn push_null(&mut self, leaf: &Leaf) {
        match (&leaf.reader, leaf.reader.width()) {
            // ClickHouse also reads the text of a NULL
            (Reader::Json, _) => self.data.push_text(b"{}", 0, 2),
            (_, None) => self.data.push_text(b"", 0, 0),
            (_, Some(width)) => self.data.grow(width).fill(0),
        }
        if leaf.ty.nullable {
            self.nulls.push(1);
        }
    }

    /// Adds a row without a value: NULL if the type can be NULL. If it cannot, a placeholder: zeros, or an empty text,
    /// object, array or map.
    pub(super) fn push_placeholder(&mut self, node: &Node) {
        match node {
            Node::Leaf(leaf) => self.push_null(leaf),
            Node::Array(_) | Node::Map(..) => self.push_count(0),
            Node::Tuple(tuple) => {
                if tuple.nullable {
                    self.nulls.push(1);
                }
                self.push_placeholder_below(&tuple.elements);
            }
        }
    }

    pub(super) fn push_placeholder_below(&mut self, nodes: &[Node]) {
        for (node, child) in nodes.iter().zip(&mut self.children) {
            child.push_placeholder(node);
        }
    }

    /// Where the value that begins at byte `at` ends.
    pub(super) fn end_of_value(&self, node: &Node, at: usize) -> usize {
        match node {
            Node::Leaf(leaf) => {
                leaf.reader.width().map_or_else(|| self.data.end_of_text(at), |width| at + width)
            }
            _ => at + 8,
        }
    }

    /// Removes the bad rows from the last `bad.len()` rows, which are those of the record batch.
    #[cold]
    pub(super) fn compact(&mut self, node: &Node, bad: &[u8]) {
        let good = Selection::of(bad);
        if self.nulls.len() > self.batch.nulls {
            good.compact(&mut self.nulls, 1);
        }
        match node {
            Node::Leaf(leaf) => match leaf.reader.width() {
                Some(width) => good.compact(&mut self.data, width),
                None => self.data.compact_texts(self.batch.data, bad),
            },
            Node::Tuple(tuple) => {
                for (node, child) in tuple.elements.iter().zip(&mut self.children) {
                    child.compact(node, bad);
                }
            }
            Node::Array(element) => {
                let below = self.compact_counts(bad, &good);
                self.children[0].compact(element, &below);
            }
            Node::Map(key, value) => {
                let below = self.compact_counts(bad, &good);
                self.children[0].compact(key, &below);
                self.children[1].compact(value, &below);
            }
        }
    }

    /// Removes the bad rows of an array or map. Returns for each element of the record batch whether it is removed too.
    fn compact_counts(&mut self, bad: &[u8], good: &Selection) -> Vec<u8> {
        let before = self.data.as_slice()[..self.batch.data].last_chunk();
        let mut last = before.map_or(0, |last| u64::from_le_bytes(*last));
        let mut kept = last;
        let mut below = Vec::new();
        let (totals, _) = self.data.since(self.batch.data).as_chunks_mut::<8>();
        for (total, bad) in totals.iter_mut().zip(bad) {
            let count = u64::from_le_bytes(*total) - last;
            last += count;
            below.resize(below.len() + count as usize, *bad);
            kept += if *bad == 0 { count } else { 0 };
            *total = kept.to_le_bytes();
        }
        good.compact(&mut self.data, 8);
        below
    }
}
