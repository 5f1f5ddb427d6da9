//! The bytes of a column with inner structure, while its chunk is checked.

use super::{Leaf, Node};
use crate::column::Reader;
use crate::column::fixed::compact;
use crate::native::{Dictionary, GrowBuffer};

/// The bytes of one part of the type, those of its parts below it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Values; of an array or map, for each row the number of elements so far, in 64 bits; of a tuple nothing.
    pub data: GrowBuffer,
    /// For each row 1 if it is NULL; empty where nothing can be.
    pub nulls: GrowBuffer,
    /// Of an array its elements, of a tuple each element, of a map keys and values.
    pub children: Vec<Tree>,
    /// Used when a part of `LowCardinality` is written.
    pub dictionary: Dictionary,
    batch: Mark,
    row: Mark,
}

/// How long `data` and `nulls` were.
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

    /// Takes away what came since [`Tree::begin_row`].
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

    /// Elements of an array or map so far.
    fn total(&self) -> u64 {
        self.data.as_slice().last_chunk().map_or(0, |last| u64::from_le_bytes(*last))
    }

    /// Adds the text `bytes[start..start + len]`; of a `FixedString`, zeros up to its width.
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
            // ClickHouse reads the text behind a NULL too
            (Reader::Json, _) => self.data.push_text(b"{}", 0, 2),
            (_, None) => self.data.push_text(b"", 0, 0),
            (_, Some(width)) => self.data.grow(width).fill(0),
        }
        if leaf.ty.nullable {
            self.nulls.push(1);
        }
    }

    /// Adds a row that is NULL where the type has one, and otherwise means nothing.
    pub(super) fn push_nothing(&mut self, node: &Node) {
        match node {
            Node::Leaf(leaf) => self.push_null(leaf),
            Node::Array(_) | Node::Map(..) => self.push_count(0),
            Node::Tuple(tuple) => {
                if tuple.nullable {
                    self.nulls.push(1);
                }
                self.push_nothing_below(&tuple.elements);
            }
        }
    }

    pub(super) fn push_nothing_below(&mut self, nodes: &[Node]) {
        for (node, child) in nodes.iter().zip(&mut self.children) {
            child.push_nothing(node);
        }
    }

    /// Where the value of a leaf that begins at byte `at` ends.
    pub(super) fn end_of_value(&self, node: &Node, at: usize) -> usize {
        match node {
            Node::Leaf(leaf) => {
                leaf.reader.width().map_or_else(|| self.data.end_of_text(at), |width| at + width)
            }
            _ => at + 8,
        }
    }

    /// Takes the bad ones out of the last `bad.len()` rows, which are those of the record batch.
    #[cold]
    pub(super) fn compact(&mut self, node: &Node, bad: &[u8]) {
        if self.nulls.len() > self.batch.nulls {
            compact(&mut self.nulls, 1, bad);
        }
        match node {
            Node::Leaf(leaf) => match leaf.reader.width() {
                Some(width) => compact(&mut self.data, width, bad),
                None => self.data.compact_texts(self.batch.data, bad),
            },
            Node::Tuple(tuple) => {
                for (node, child) in tuple.elements.iter().zip(&mut self.children) {
                    child.compact(node, bad);
                }
            }
            Node::Array(element) => {
                let below = self.compact_counts(bad);
                self.children[0].compact(element, &below);
            }
            Node::Map(key, value) => {
                let below = self.compact_counts(bad);
                self.children[0].compact(key, &below);
                self.children[1].compact(value, &below);
            }
        }
    }

    /// Takes the bad rows out of an array or map; gives for each of the record batch's elements whether it goes.
    fn compact_counts(&mut self, bad: &[u8]) -> Vec<u8> {
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
        compact(&mut self.data, 8, bad);
        below
    }
}
