//! Reads a cell's text into column bytes.

use rows_bytes::simd::Portable;
use rows_bytes::text::{Text, is_json_number};
use rows_types::CellError;

use super::cursor::Token;
use super::{Cursor, Leaf, Node, Step, Tree, Tuple, json};
use crate::coerce::{Native, Read};
use crate::reader::{Reader, with_reader};

/// Memory that is reused from cell to cell.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The steps to the place where the last bad text is wrong, the innermost first.
    pub trail: Vec<Step>,
    text: Vec<u8>,
    /// For each element of the tuples that are being read from objects: whether the object has it.
    seen: Vec<bool>,
    /// Where each key of a map begins and ends.
    spans: Vec<(usize, usize)>,
    json: json::Scratch,
}

/// Reads a text that is one value.
pub(super) fn whole(
    node: &Node,
    text: &[u8],
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    scratch.trail.clear();
    scratch.seen.clear();
    let mut cursor = Cursor::new(text);
    cursor.blanks();
    if let Node::Leaf(leaf) = node {
        // the only column that is a leaf is JSON, and its text is the complete cell
        return leaf_text(leaf, text, out, scratch);
    }
    value(node, &mut cursor, out, scratch)?;
    cursor.blanks();
    if cursor.at == text.len() { Ok(()) } else { Err(shape(node)) }
}

/// The error for a text that does not have the form of this type.
fn shape(node: &Node) -> CellError {
    match node {
        Node::Leaf(_) | Node::Array(_) => CellError::NotArray,
        Node::Tuple(_) => CellError::NotTuple,
        Node::Map(..) => CellError::NotMap,
    }
}

fn value(
    node: &Node,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    match node {
        Node::Leaf(leaf) => self::leaf(leaf, cursor, out, scratch),
        Node::Array(element) => array(element, cursor, out, scratch),
        Node::Tuple(tuple) => self::tuple(tuple, cursor, out, scratch),
        Node::Map(key, value) => map(key, value, cursor, out, scratch),
    }
}

/// Reads a part. If it is bad, adds the step to it to the trail.
#[inline]
fn part(
    step: Step,
    node: &Node,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    cursor.blanks();
    let read = value(node, cursor, out, scratch);
    if read.is_err() {
        scratch.trail.push(step);
    }
    read
}

fn array(
    element: &Node,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    if !cursor.skip(b'[') {
        return Err(CellError::NotArray);
    }
    let mut count = 0;
    cursor.blanks();
    while !cursor.skip(b']') {
        if count > 0 && !cursor.skip(b',') {
            return Err(CellError::NotArray);
        }
        part(Step::Element(count), element, cursor, &mut out.children[0], scratch)?;
        count += 1;
        cursor.blanks();
    }
    out.push_count(count);
    Ok(())
}

fn tuple(
    tuple: &Tuple,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    if tuple.nullable {
        let null = cursor.skip_null();
        out.nulls.push(u8::from(null));
        if null {
            out.push_placeholder_below(&tuple.elements);
            return Ok(());
        }
    }
    let close = match cursor.peek() {
        Some(b'(') => b')',
        Some(b'[') => b']',
        Some(b'{') if !tuple.names.is_empty() => return object(tuple, cursor, out, scratch),
        _ => return Err(CellError::NotTuple),
    };
    cursor.at += 1;
    for (at, (node, child)) in tuple.elements.iter().zip(&mut out.children).enumerate() {
        if at > 0 && !cursor.skip(b',') {
            return Err(if cursor.skip(close) { CellError::TupleLength } else { CellError::NotTuple });
        }
        part(Step::Field(at), node, cursor, child, scratch)?;
        cursor.blanks();
    }
    match cursor.peek() {
        Some(b) if b == close => cursor.at += 1,
        Some(b',') => return Err(CellError::TupleLength),
        _ => return Err(CellError::NotTuple),
    }
    Ok(())
}

/// Reads a tuple with names that is written as a JSON object.
fn object(
    tuple: &Tuple,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    cursor.at += 1;
    let first = scratch.seen.len();
    scratch.seen.resize(first + tuple.elements.len(), false);
    let mut comma = false;
    cursor.blanks();
    while !cursor.skip(b'}') {
        if comma && !cursor.skip(b',') {
            return Err(CellError::NotTuple);
        }
        comma = true;
        cursor.blanks();
        let key = cursor.token(&mut scratch.text)?;
        let at = tuple.names.iter().position(|name| **name == key.tail[..key.len]);
        let Some(at) = at.filter(|_| key.quoted) else { return Err(CellError::TupleName) };
        if std::mem::replace(&mut scratch.seen[first + at], true) {
            return Err(CellError::TupleName);
        }
        cursor.blanks();
        if !cursor.skip(b':') {
            return Err(CellError::NotTuple);
        }
        part(Step::Field(at), &tuple.elements[at], cursor, &mut out.children[at], scratch)?;
        cursor.blanks();
    }
    for (at, (node, child)) in tuple.elements.iter().zip(&mut out.children).enumerate() {
        if scratch.seen[first + at] {
            continue;
        }
        if !node.can_be_null() {
            scratch.trail.push(Step::Field(at));
            return Err(CellError::MissingValue);
        }
        child.push_placeholder(node);
    }
    scratch.seen.truncate(first);
    Ok(())
}

fn map(
    key: &Node,
    value: &Node,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    if !cursor.skip(b'{') {
        return Err(CellError::NotMap);
    }
    let first_key = out.children[0].data.len();
    let mut count = 0;
    cursor.blanks();
    while !cursor.skip(b'}') {
        if count > 0 && !cursor.skip(b',') {
            return Err(CellError::NotMap);
        }
        part(Step::Key(count), key, cursor, &mut out.children[0], scratch)?;
        cursor.blanks();
        if !cursor.skip(b':') {
            return Err(CellError::NotMap);
        }
        part(Step::Value(count), value, cursor, &mut out.children[1], scratch)?;
        count += 1;
        cursor.blanks();
    }
    out.push_count(count);
    if count > 1 && has_same_keys(key, &out.children[0], first_key, &mut scratch.spans) {
        return Err(CellError::SameKey);
    }
    Ok(())
}

/// Whether two of the keys from byte `first` on are the same.
fn has_same_keys(key: &Node, keys: &Tree, first: usize, spans: &mut Vec<(usize, usize)>) -> bool {
    let bytes = keys.data.as_slice();
    spans.clear();
    let mut at = first;
    while at < bytes.len() {
        let end = keys.end_of_value(key, at);
        spans.push((at, end));
        at = end;
    }
    spans.sort_unstable_by(|a, b| bytes[a.0..a.1].cmp(&bytes[b.0..b.1]));
    spans.windows(2).any(|pair| bytes[pair[0].0..pair[0].1] == bytes[pair[1].0..pair[1].1])
}

fn leaf(
    leaf: &Leaf,
    cursor: &mut Cursor<'_>,
    out: &mut Tree,
    scratch: &mut Scratch,
) -> Result<(), CellError> {
    if cursor.skip_null() {
        if !leaf.ty.nullable {
            return Err(CellError::MissingValue);
        }
        out.push_null(leaf);
        return Ok(());
    }
    if matches!(leaf.reader, Reader::Json) && !matches!(cursor.peek(), Some(b'\'' | b'"')) {
        let start = cursor.at;
        cursor.at = json::object(cursor.text, start, &mut scratch.json)?;
        out.push_text(leaf, cursor.text, start, cursor.at - start);
        return Ok(());
    }
    let mut text = std::mem::take(&mut scratch.text);
    let read = cursor.token(&mut text).and_then(|token| self::token(leaf, &token, out, scratch));
    scratch.text = text;
    read
}

fn token(leaf: &Leaf, token: &Token<'_>, out: &mut Tree, scratch: &mut Scratch) -> Result<(), CellError> {
    /// Adds the value. `None`: the text is no value.
    #[inline(always)]
    fn push<R: Read>(reader: &R, text: Text<'_>, out: &mut Tree) -> Option<()> {
        push_value(reader.read(Portable, text)?, out);
        Some(())
    }
    #[inline(always)]
    fn push_value<V: Native>(value: V, out: &mut Tree) {
        value.put(out.data.grow(V::WIDTH));
    }
    let text = &token.tail[..token.len];
    if matches!(leaf.reader, Reader::Json) {
        return leaf_text(leaf, text, out, scratch);
    }
    with_reader!(&leaf.reader,
        reader => if push(reader, Text::new(token.tail, token.len), out).is_none() {
            if !text.is_empty() {
                let value = reader.lenient(text, leaf.policies)?;
                push_value(value, out);
            } else if leaf.ty.nullable && token.quoted {
                out.push_null(leaf);
                return Ok(());
            } else {
                // between commas NULL must be written out: an empty element is probably a mistake
                return Err(CellError::MissingValue);
            }
        },
        texts => {
            if !token.quoted && !is_json_number(text) && !matches!(text, b"true" | b"false") {
                return Err(if text.is_empty() { CellError::MissingValue } else { CellError::NotQuoted });
            }
            if leaf.reader.width().is_some_and(|width| text.len() > width) {
                return Err(CellError::TooLong);
            }
            out.push_text(leaf, token.tail, 0, token.len);
            return Ok(());
        }
    );
    if leaf.ty.nullable {
        out.nulls.push(0);
    }
    Ok(())
}

/// Reads a text that is one JSON object.
fn leaf_text(leaf: &Leaf, text: &[u8], out: &mut Tree, scratch: &mut Scratch) -> Result<(), CellError> {
    let trimmed = text.trim_ascii();
    if leaf.ty.nullable && trimmed == b"null" {
        out.push_null(leaf);
        return Ok(());
    }
    if json::object(trimmed, 0, &mut scratch.json)? != trimmed.len() {
        return Err(CellError::NotJsonObject);
    }
    out.push_text(leaf, trimmed, 0, trimmed.len());
    Ok(())
}
