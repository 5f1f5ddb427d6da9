//! Arrays, tuples, maps and JSON: types whose cells have an inner structure.
//!
//! A cell is written as ClickHouse writes it (`['a', 'b']`, `(1, 'a')`, `{'k': 1}`) or as JSON does (`["a", "b"]`,
//! `{"k": 1}`); both are one grammar here, so that CSV and JSON lines take the same texts.
//!
//! * Blanks may stand between tokens, a comma after the last element may not. Texts stand in quotes of either kind, with
//!   the escapes that belong to them; a number or `true`/`false` may be a text as it is. `null` and `NULL` without quotes
//!   are NULL where the element can be NULL. Every element is held to the same rules as a cell of its type.
//! * A tuple takes all its elements in order, or, where they have names, a JSON object of them: an absent one is NULL if
//!   it can be, an unknown one is refused. A key stands once in a map.
//! * A `JSON` column takes one JSON object, text through. What ClickHouse would change or refuse is rejected: a path
//!   that stands twice (`"a.b"` is the same path as `"a": {"b"…`), a whole number beyond 64 bits (in an array with fractions:
//!   beyond 53), nesting beyond 100.
//!
//! Cells are read once, straight into column bytes ([`Tree`]); those of bad records are dropped again at once, or taken out
//! where another column with inner structure made them bad.

mod cursor;
mod json;
mod list;
mod read;
mod tree;
mod write;

use crate::coerce::CellError;
use crate::column::Reader;
use crate::policy::Policies;
use crate::schema::{Column, SchemaError};
use crate::simd::{Lanes, Portable};
use crate::types::{Base, Type};

use cursor::Cursor;
pub(crate) use list::json_texts;
use read::Scratch;
pub(crate) use tree::Tree;

/// A type with inner structure, ready to read.
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
    pub ty: Type,
    pub policies: Policies,
}

/// Values of several types.
#[derive(Debug)]
pub(crate) struct Tuple {
    /// Empty where the elements have none.
    pub names: Vec<Box<[u8]>>,
    pub elements: Vec<Node>,
    pub nullable: bool,
}

/// One step from a type to a part of it, as a value takes it; numbers from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Element(usize),
    Field(usize),
    Key(usize),
    Value(usize),
}

impl Node {
    /// The type of a column, or of a part of it.
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
            Base::Json => {
                Self::Leaf(Leaf { reader: Reader::Json, ty: ty.clone(), policies: column.policies })
            }
            _ => {
                let mut leaf = Column::new(column.name.clone(), ty.clone());
                leaf.format = column.format.clone().filter(|_| ty.is_day_or_moment());
                Self::Leaf(Leaf { reader: Reader::new(&leaf)?, ty: ty.clone(), policies: column.policies })
            }
        })
    }

    /// What is wrong with a text that does not even begin like a value, as most bad ones do not; `None` also for what needs
    /// a closer look.
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

/// Column bytes of a type with inner structure, and what reading needs.
#[derive(Debug)]
pub(crate) struct Nested {
    tree: Tree,
    scratch: Scratch,
    /// For each record of the record batch 0 if it has a row here.
    dropped: Vec<u8>,
}

impl Nested {
    pub(crate) fn new(node: &Node) -> Self {
        Self { tree: Tree::new(node), scratch: Scratch::default(), dropped: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.tree.clear();
    }

    /// Begins a record batch, of whose rows [`Nested::end_tile`] takes some out.
    pub(crate) fn begin_batch(&mut self) {
        self.tree.begin_batch();
    }

    /// Ends the reading of a record batch: those of its records have a row that are not bad now.
    pub(crate) fn is_read(&mut self, bad: &[u8]) {
        self.dropped.clear();
        self.dropped.extend_from_slice(bad);
    }

    /// Begins the row of a record, which [`Nested::drop_row`] takes back.
    pub(crate) fn begin_row(&mut self) {
        self.tree.begin_row();
    }

    pub(crate) fn drop_row(&mut self) {
        self.tree.undo_row();
    }

    /// Reads an array of `node`'s [`Node::elements`] that is the first `len` bytes of `tail`, which is UTF-8; adds nothing
    /// and says no if it takes more than a look. `maybe_doubled`: each `"` in it may be one of two that stand for one.
    /// `keep`: it is added.
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

    /// Adds the value of a text; of a bad one, a row that means nothing.
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
            self.tree.push_nothing(node);
        }
        read
    }

    /// Adds a NULL, or a row that means nothing.
    pub(crate) fn push_nothing(&mut self, node: &Node) {
        self.tree.push_nothing(node);
    }

    /// Takes out the rows of records that another column made bad since they were read.
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

/// Where a text is wrong: the words for the place ("" for all of it), the type there, and what is wrong.
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

#[cfg(test)]
mod tests;
