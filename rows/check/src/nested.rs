//! Arrays, tuples, maps and JSON: types whose cells have an inner structure.
//!
//! A cell is written as in ClickHouse (`['a', 'b']`, `(1, 'a')`, `{'k': 1}`) or as in JSON (`["a", "b"]`, `{"k": 1}`).
//! Both are one grammar here, so that CSV and JSON lines accept the same texts.
//!
//! * Blanks are allowed between tokens; a comma after the last element is not. Texts are in single or double quotes,
//!   with the escapes of that quote. A number, `true` or `false` without quotes is accepted as a text too. `null` and
//!   `NULL` without quotes are NULL if the element can be NULL. The rules for an element are those for a cell of its
//!   type.
//! * A tuple is written as all its elements in order or, if they have names, as a JSON object. In the object an absent
//!   element is NULL if it can be NULL, and an error if not; an unknown name is refused. A key occurs at most once in a
//!   map.
//! * A `JSON` column accepts one JSON object, and keeps its text. An object that ClickHouse would change or refuse is
//!   rejected: one with a path that occurs twice (`"a.b"` is the same path as `"a": {"b"…`), a whole number beyond 64
//!   bits (in an array with fractions: beyond 53), or more than 100 levels of nesting.
//!
//! Cells are read once, directly into column bytes ([`Tree`]). The bytes of a bad cell are removed at once. If another
//! column with inner structure makes the record bad later, they are removed at the end of the record batch.

mod cursor;
mod json;
mod list;
mod read;
mod tree;
mod write;

use rows_bytes::simd::{Lanes, Portable};
use rows_types::{Base, CellError, Column, Policies, SchemaError, Type};

use crate::reader::Reader;
use cursor::Cursor;
use read::Scratch;
pub(crate) use tree::Tree;

/// A type with inner structure, prepared for reading.
#[derive(Debug)]
pub(crate) enum Node {
    Leaf(Leaf),
    Array(Box<Node>),
    Tuple(Tuple),
    Map(Box<Node>, Box<Node>),
}

/// A value without inner structure.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub reader: Reader,
    /// Whether no text of the type contains a blank, colon or bracket, with or without quotes. If so, a comma or `]`
    /// ends a text without quotes.
    pub bare: bool,
    pub ty: Type,
    pub policies: Policies,
}

/// Values of several types.
#[derive(Debug)]
pub(crate) struct Tuple {
    /// Empty if the elements have no names.
    pub names: Vec<Box<[u8]>>,
    pub elements: Vec<Node>,
    pub nullable: bool,
}

/// One step from a value to a part of it. The parts are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Element(usize),
    Field(usize),
    Key(usize),
    Value(usize),
}

impl Node {
    /// Prepares the type of a column, or of a part of it.
    pub(crate) fn new(column: &Column, ty: &Type) -> Result<Self, SchemaError> {
        let boxed = |ty: &Type| Self::new(column, ty).map(Box::new);
        Ok(match &ty.base {
            Base::Array(element) => Self::Array(boxed(element)?),
            Base::Map(key, value) => Self::Map(boxed(key)?, boxed(value)?),
            Base::Tuple(elements) => Self::Tuple(Tuple {
                names: elements
                    .iter()
                    .filter_map(|(name, _)| Some(name.as_ref()?.as_bytes().into()))
                    .collect(),
                elements: elements
                    .iter()
                    .map(|(_, ty)| Self::new(column, ty))
                    .collect::<Result<_, SchemaError>>()?,
                nullable: ty.nullable,
            }),
            Base::Scalar(scalar) => {
                let format = column.format.as_deref().filter(|_| ty.is_day_or_moment());
                let bad = |problem| SchemaError::BadFormat { column: column.name.clone(), problem };
                let reader = Reader::new(scalar, format).map_err(bad)?;
                let bare =
                    scalar.names().is_empty() && !b" :()[]{}".iter().any(|byte| scalar.may_hold(*byte));
                Self::Leaf(Leaf { reader, bare, ty: ty.clone(), policies: column.policies })
            }
        })
    }

    /// A quick check, which rejects most bad texts: those that do not begin like a value. `None`: the check cannot
    /// decide.
    pub(crate) fn refuse(&self, text: &[u8]) -> Option<CellError> {
        let mut cursor = Cursor::new(text);
        cursor.blanks();
        let first = cursor.peek()?;
        match self {
            Self::Array(_) => (first != b'[').then_some(CellError::NotArray),
            Self::Map(..) => (first != b'{').then_some(CellError::NotMap),
            Self::Tuple(tuple) => {
                (!tuple.nullable && !matches!(first, b'(' | b'[' | b'{')).then_some(CellError::NotTuple)
            }
            Self::Leaf(_) => None,
        }
    }

    fn can_be_null(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.ty.nullable,
            Self::Tuple(tuple) => tuple.nullable,
            Self::Array(_) | Self::Map(..) => false,
        }
    }
}

/// Column bytes of a type with inner structure, and the buffers for reading.
#[derive(Debug)]
pub(crate) struct Nested {
    tree: Tree,
    scratch: Scratch,
    /// For each record of the record batch: 0 if it has a row here.
    dropped: Vec<u8>,
}

impl Nested {
    pub(crate) fn new(node: &Node) -> Self {
        Self { tree: Tree::new(node), scratch: Scratch::default(), dropped: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.tree.clear();
    }

    /// Begins a record batch. [`Nested::end_batch`] removes the rows of its bad records.
    pub(crate) fn begin_batch(&mut self) {
        self.tree.begin_batch();
    }

    /// Ends the reading of a record batch. The records with a 0 in `bad` have a row here.
    pub(crate) fn is_read(&mut self, bad: &[u8]) {
        self.dropped.clear();
        self.dropped.extend_from_slice(bad);
    }

    /// Begins the row of a record. [`Nested::drop_row`] removes it.
    pub(crate) fn begin_row(&mut self) {
        self.tree.begin_row();
    }

    pub(crate) fn drop_row(&mut self) {
        self.tree.undo_row();
    }

    /// Reads an array of a node's [`Node::elements`]: the first `len` bytes of `tail`, which is UTF-8. If the fast path
    /// cannot read it, adds nothing and returns `false`. `maybe_doubled`: each `"` in it may be half of a doubled
    /// quote. `keep`: whether the array is added.
    #[inline(always)]
    pub(crate) fn push_list<L: Lanes>(
        &mut self,
        lanes: L,
        elements: &Leaf,
        tail: &[u8],
        len: usize,
        maybe_doubled: bool,
        keep: bool,
    ) -> bool {
        list::push(lanes, elements, tail, len, maybe_doubled, keep, &mut self.tree)
    }

    /// Adds the value of a text; for a bad text, the same row as [`Nested::push_placeholder`].
    pub(crate) fn push(&mut self, node: &Node, text: &[u8]) -> Result<(), CellError> {
        if let Some(elements) = node.elements()
            && self.push_list(Portable, elements, text, text.len(), false, true)
        {
            return Ok(());
        }
        self.tree.begin_row();
        let read = read::whole(node, text, &mut self.tree, &mut self.scratch);
        if read.is_err() {
            self.tree.undo_row();
            self.tree.push_placeholder(node);
        }
        read
    }

    /// Adds a row without a value: NULL if the type can be NULL, and a placeholder if not.
    pub(crate) fn push_placeholder(&mut self, node: &Node) {
        self.tree.push_placeholder(node);
    }

    /// Removes the rows of records that another column made bad after they were read.
    pub(crate) fn end_batch(&mut self, node: &Node, bad: &[u8]) {
        if self.dropped == bad {
            return;
        }
        let rows = self.dropped.iter().zip(bad).filter(|(dropped, _)| **dropped == 0);
        let bad: Vec<u8> = rows.map(|(_, bad)| *bad).collect();
        self.tree.compact(node, &bad);
    }

    /// Writes the column's data.
    pub(crate) fn write(&mut self, block: &mut Vec<u8>, node: &Node, rows: usize) {
        write::prefix(block, node);
        write::data(block, node, &mut self.tree, rows);
    }
}

/// Where a text is wrong: the place in words ("" for the complete text), the type there, and what is wrong.
pub(crate) fn explain<'t>(node: &Node, ty: &'t Type, text: &[u8]) -> Option<(String, &'t Type, CellError)> {
    let mut scratch = Scratch::default();
    let error = read::whole(node, text, &mut Tree::new(node), &mut scratch).err()?;
    let (mut place, mut ty) = (String::new(), ty);
    for step in scratch.trail.iter().rev() {
        let (words, part) = match (&ty.base, step) {
            (Base::Array(element), Step::Element(at)) => (format!("element {}", at + 1), &**element),
            (Base::Map(key, _), Step::Key(at)) => (format!("key {}", at + 1), &**key),
            (Base::Map(_, value), Step::Value(at)) => (format!("value {}", at + 1), &**value),
            (Base::Tuple(elements), Step::Field(at)) => match &elements[*at] {
                (Some(name), ty) => (format!("element '{name}'"), ty),
                (None, ty) => (format!("element {}", at + 1), ty),
            },
            _ => break,
        };
        place = if place.is_empty() { words } else { format!("{words} of {place}") };
        ty = part;
    }
    Some((place, ty, error))
}
