//! Reads one JSON object (RFC 8259), of a line or of an array, into cells by key.
//!
//! Keys can come in any order; the order of the previous line is tried first. Two values for one column make the line
//! malformed. So does anything that is not JSON, even in values that no column takes.

mod escape;
pub(crate) mod index;
pub(crate) mod rows;
mod template;

use rows_bytes::simd::{Lanes, Level};
use rows_bytes::text::{json_number, plain_json};
use rows_types::{CellError, Column};
use serde::de::IgnoredAny;

use crate::cells::{Cell, Kind, Table};
pub use escape::{check_escapes, escapes_are_simple, unescape, unescape_simple};
use index::Index;
use rows::Taken;
use template::Template;

/// The keys that a line can have.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Each name and alias with its column.
    names: Vec<(Box<[u8]>, usize)>,
    by_name: std::collections::HashMap<Box<[u8]>, usize>,
    /// For each position in a line: the index in `names` of the key that was last there.
    predicted: Vec<usize>,
    refuse_unknown: bool,
    scratch: Vec<u8>,
    template: Template,
    /// Whether arrays are expected, because a column takes them.
    lists: bool,
}

impl Keys {
    pub(crate) fn new(columns: &[Column], refuse_unknown: bool) -> Self {
        let mut names: Vec<(Box<[u8]>, usize)> = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            for name in std::iter::once(&column.name).chain(&column.aliases) {
                names.push((Box::from(name.as_bytes()), i));
            }
        }
        let by_name = names.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect();
        let lists = columns.iter().any(|column| column.ty.is_nested());
        Self { names, by_name, refuse_unknown, lists, ..Self::default() }
    }

    /// The column of the key that the previous line had at this position, if this line has the same key here. Then the
    /// key is skipped.
    #[inline]
    fn predict(&self, line: &mut Line<'_>, place: usize) -> Option<usize> {
        let (name, column) = self.names.get(*self.predicted.get(place)?)?;
        let rest = line.bytes.get(line.at..)?;
        if rest.get(name.len()) != Some(&b'"') || !rest.starts_with(name) {
            return None;
        }
        line.at += name.len() + 1;
        Some(*column)
    }

    /// The column of the key at this position of the line. `None`: no column has the key.
    fn find(&mut self, key: &[u8], escaped: bool, place: usize) -> Result<Option<usize>, CellError> {
        let found = if escaped {
            self.scratch.clear();
            unescape(key, &mut self.scratch)?;
            self.by_name.get(self.scratch.as_slice())
        } else {
            self.by_name.get(key)
        };
        let Some(&at) = found else { return Ok(None) };
        // a name with a quote, backslash or control character is never written unescaped, so it is not predicted
        if place < self.names.len() && plain_json(&self.names[at].0) == self.names[at].0.len() {
            self.predicted.resize(self.predicted.len().max(place + 1), usize::MAX);
            self.predicted[place] = at;
        }
        Ok(Some(self.names[at].1))
    }

    /// Reads an object with the same shape as the previous one into cells by column, all missing at first. Returns the
    /// offset after the object. `None`: the parser must read it.
    #[inline(always)]
    pub(crate) fn again<L: Lanes>(
        &self,
        lanes: L,
        bytes: &[u8],
        start: usize,
        cells: &mut [Cell],
    ) -> Option<usize> {
        self.template.read(lanes, bytes, start, cells)
    }

    /// Whether the next lines may have a shape that [`Keys::lines`] can read.
    pub(crate) fn expect_lines(&self) -> bool {
        self.template.is_flat()
    }

    /// Whether arrays are expected in the next lines.
    pub(crate) fn expect_lists(&self) -> bool {
        self.lists || self.template.has_lists()
    }

    /// Adds lines with the same shape as the previous object to the table: at most `most`, from the next line of the
    /// index on.
    pub(crate) fn lines(
        &self,
        level: Level,
        bytes: &[u8],
        index: &mut Index,
        most: usize,
        table: &mut Table,
    ) -> Taken {
        self.template.lines(level, bytes, index, most, table)
    }

    /// Reads the line `bytes[start..end]` into cells by column, all missing at first.
    pub(crate) fn line(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        cells: &mut [Cell],
    ) -> Result<(), CellError> {
        let mut line = Line { bytes: &bytes[..end], at: start };
        let (mut unknown, mut behind) = (false, start);
        self.template.clear();
        line.blanks();
        line.eat(b'{')?;
        line.blanks();
        if !line.skip(b'}') {
            let mut place = 0;
            loop {
                line.blanks();
                line.eat(b'"')?;
                let mut column = self.predict(&mut line, place);
                if column.is_none() {
                    let (key, escaped) = line.string()?;
                    column = self.find(key.text(bytes), escaped, place)?;
                }
                line.blanks();
                line.eat(b':')?;
                line.blanks();
                let before = behind..line.at;
                let cell = line.value()?;
                self.template.add(&bytes[before], column, cell, bytes);
                behind = line.at;
                match column {
                    Some(column) if cells[column].kind == Kind::Missing => {
                        cells[column] = cell;
                        place += 1;
                    }
                    Some(_) => return Err(CellError::DuplicateKey),
                    None => unknown = true,
                }
                line.blanks();
                if line.skip(b'}') {
                    break;
                }
                line.eat(b',')?;
            }
        }
        line.blanks();
        if line.at != end {
            return Err(CellError::NotJson);
        }
        if unknown && self.refuse_unknown {
            return Err(CellError::UnknownKey);
        }
        self.template.finish(&bytes[behind..end], cells.len());
        Ok(())
    }
}

/// The keys of a line, for the message about unknown keys. Empty if the line cannot be parsed.
pub fn keys(record: &[u8]) -> Vec<String> {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(record)
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}

/// All keys of a line with their values, in the order of the line and not decoded.
pub fn members(bytes: &[u8], start: usize, end: usize) -> Result<Vec<(Cell, Cell)>, CellError> {
    let mut line = Line { bytes: &bytes[..end], at: start };
    let mut members = Vec::new();
    line.blanks();
    line.eat(b'{')?;
    line.blanks();
    let mut more = !line.skip(b'}');
    while more {
        line.blanks();
        line.eat(b'"')?;
        let (key, _) = line.string()?;
        line.blanks();
        line.eat(b':')?;
        line.blanks();
        members.push((key, line.value()?));
        line.blanks();
        more = !line.skip(b'}');
        if more {
            line.eat(b',')?;
        }
    }
    line.blanks();
    if line.at == end { Ok(members) } else { Err(CellError::NotJson) }
}

/// A position in a line.
pub struct Line<'a> {
    /// The chunk up to the end of the line.
    pub bytes: &'a [u8],
    /// Offset of the next byte.
    pub at: usize,
}

impl Line<'_> {
    #[inline]
    fn blanks(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Skips the byte if it is next; returns whether it was.
    #[inline]
    pub fn skip(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> Result<(), CellError> {
        if self.skip(byte) { Ok(()) } else { Err(CellError::NotJson) }
    }

    /// Reads a string from after its opening quote. Returns it, and whether it contains an escape.
    #[inline]
    pub fn string(&mut self) -> Result<(Cell, bool), CellError> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let n = plain_json(rest);
            self.at += n;
            match rest.get(n) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return Err(CellError::NotJson),
            }
        }
        let kind = if escaped { Kind::Escaped } else { Kind::Quoted };
        let cell = Cell { start: start as u32, len: (self.at - start) as u32, kind };
        self.at += 1;
        Ok((cell, escaped))
    }

    #[inline]
    pub(crate) fn value(&mut self) -> Result<Cell, CellError> {
        if self.skip(b'"') {
            return self.string().map(|(cell, _)| cell);
        }
        let start = self.at;
        if let Some(b'{' | b'[') = self.bytes.get(start) {
            return self.nested();
        }
        let rest = &self.bytes[start..];
        let len = match rest {
            [b'n', b'u', b'l', b'l', ..] => {
                self.at += 4;
                return Ok(Cell { start: start as u32, len: 0, kind: Kind::Null });
            }
            [b't', b'r', b'u', b'e', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            number => json_number(number).ok_or(CellError::NotJson)?,
        };
        // a blank, comma or brace must follow; the caller checks that
        self.at += len;
        Ok(Cell { start: start as u32, len: len as u32, kind: Kind::Plain })
    }

    /// Reads an object or array. No scalar column can take it, but it must still be JSON.
    #[cold]
    pub(crate) fn nested(&mut self) -> Result<Cell, CellError> {
        let start = self.at;
        let mut stream = serde_json::Deserializer::from_slice(&self.bytes[start..]).into_iter::<IgnoredAny>();
        match stream.next() {
            Some(Ok(_)) => {
                let len = stream.byte_offset();
                self.at += len;
                Ok(Cell { start: start as u32, len: len as u32, kind: Kind::Nested })
            }
            _ => Err(CellError::NotJson),
        }
    }
}
