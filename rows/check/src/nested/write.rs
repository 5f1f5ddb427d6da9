//! Writes a tree in ClickHouse's `Native` format: first how each part is stored, then the bytes of the parts.

use super::{Node, Tree};
use crate::native::Dictionary;
use crate::reader::Reader;

/// The version for JSON that is sent as text.
const JSON_AS_STRING: u64 = 1;

/// Writes the versions of the parts that have one.
pub(super) fn prefix(block: &mut Vec<u8>, node: &Node) {
    match node {
        Node::Leaf(leaf) if leaf.ty.low_cardinality => Dictionary::write_version(block),
        Node::Leaf(leaf) if matches!(leaf.reader, Reader::Json) => {
            block.extend_from_slice(&JSON_AS_STRING.to_le_bytes());
        }
        Node::Leaf(_) => {}
        Node::Array(element) => prefix(block, element),
        Node::Tuple(tuple) => tuple.elements.iter().for_each(|node| prefix(block, node)),
        Node::Map(key, value) => {
            prefix(block, key);
            prefix(block, value);
        }
    }
}

/// Writes the bytes of `rows` rows.
pub(super) fn data(block: &mut Vec<u8>, node: &Node, tree: &mut Tree, rows: usize) {
    match node {
        Node::Leaf(leaf) if leaf.ty.low_cardinality => {
            // ClickHouse reads no dictionary if there is no row
            if rows > 0 {
                dictionary(block, node, tree, leaf.ty.nullable, leaf.reader.width(), rows);
            }
        }
        Node::Leaf(_) => {
            block.extend_from_slice(tree.nulls.as_slice());
            block.extend_from_slice(tree.data.as_slice());
        }
        Node::Tuple(tuple) => {
            block.extend_from_slice(tree.nulls.as_slice());
            for (node, child) in tuple.elements.iter().zip(&mut tree.children) {
                data(block, node, child, rows);
            }
        }
        Node::Array(element) => {
            let total = totals(block, tree);
            data(block, element, &mut tree.children[0], total);
        }
        Node::Map(key, value) => {
            let total = totals(block, tree);
            data(block, key, &mut tree.children[0], total);
            data(block, value, &mut tree.children[1], total);
        }
    }
}

/// Writes for each row the number of elements up to its end; returns the total number.
fn totals(block: &mut Vec<u8>, tree: &Tree) -> usize {
    block.extend_from_slice(tree.data.as_slice());
    tree.data.as_slice().last_chunk().map_or(0, |last| u64::from_le_bytes(*last)) as usize
}

fn dictionary(
    block: &mut Vec<u8>,
    node: &Node,
    tree: &mut Tree,
    nullable: bool,
    width: Option<usize>,
    rows: usize,
) {
    let mut dictionary = std::mem::take(&mut tree.dictionary);
    dictionary.clear();
    let bytes = tree.data.as_slice();
    let mut at = 0;
    while at < bytes.len() {
        let end = tree.end_of_value(node, at);
        let start = if width.is_some() { at } else { tree.data.start_of_text(at) };
        dictionary.push(&bytes[start..end]);
        at = end;
    }
    dictionary.write(block, width, nullable.then_some(tree.nulls.as_slice()), rows);
    tree.dictionary = dictionary;
}
