//! Reads many lines at a time if they have the same shape as the previous line. Their separators are known: between two
//! separators, the text of the template is compared, and the rest is the value. It reads column by column, so that no
//! step waits for the result of the previous one.
//!
//! A line is taken only if the parser would read the same cells from it:
//! * The text before each value, and the text after the last one, are the same as in a line that was parsed.
//! * Between that text and the separator is one number, word, string or array. A string begins and ends with a quote.
//!   The lines have exactly as many quotes that are not escaped as their keys, strings and arrays need, so there are
//!   none inside a string. No string has a control character, and there is no backslash outside strings, because
//!   [`Index`] ends before such a line.

mod values;

use rows_bytes::simd::Level;

use super::index::Index;
use super::template::Template;
use crate::cells::{Kind, Table};
use values::{Column, Values};

/// The most lines that are taken at once.
pub(crate) const BATCH: usize = 128;

/// The lines that are compared with the template.
struct Lines<'a> {
    bytes: &'a [u8],
    /// The separator before the first line, then all separators of the lines.
    separators: &'a [u32],
    count: usize,
    /// Bytes between the last value of a line and its line feed.
    tail: usize,
    /// How many of those bytes do not belong to the record: 1 for a carriage return, else 0.
    line_end: usize,
}

/// The lines that were added to a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub lines: usize,
    /// The offset after them.
    pub end: usize,
    /// Whether these were all lines that were compared.
    pub all: bool,
}

impl Template {
    /// Whether [`Template::lines`] can take lines of this shape.
    pub(crate) fn is_flat(&self) -> bool {
        self.flat
    }

    /// Adds lines to the table, from the next line of the index on, until one has another shape: at most `most` lines.
    /// Then the index is at the line after them.
    pub(crate) fn lines(
        &self,
        level: Level,
        bytes: &[u8],
        index: &mut Index,
        most: usize,
        table: &mut Table,
    ) -> Taken {
        let values = self.places.len();
        let separators = index.separators();
        let known = separators.len().saturating_sub(1) / values.max(1);
        let most = known.min(most).min(table.remaining());
        let mut count = most;
        loop {
            let Some(lines) = self.tails(bytes, separators, count) else { return Taken::default() };
            let matching = self.match_lines(level, &lines, index, table);
            if matching == lines.count {
                let end = separators[matching * values] as usize + 1;
                let backslashes = self.write(&lines, index, table);
                index.take(matching * values, backslashes);
                return Taken { lines: matching, end, all: matching == most };
            }
            if matching == 0 {
                return Taken::default();
            }
            // the quotes were counted over all lines: count again over those that are left
            count = matching;
        }
    }

    /// The lines before the first one that does not end like the template. `None`: there are none.
    #[inline(always)]
    fn tails<'a>(&self, bytes: &'a [u8], separators: &'a [u32], count: usize) -> Option<Lines<'a>> {
        let values = self.places.len();
        if count == 0 || values == 0 {
            return None;
        }
        let returns = bytes.get((separators[values] as usize).wrapping_sub(1)) == Some(&b'\r');
        let tail = self.ends[usize::from(returns)];
        let is_same = |line: &usize| tail.is_before(bytes, separators[line * values] as usize + 1);
        let same = (1..=count).take_while(is_same).count();
        let line_end = usize::from(returns);
        let lines = Lines {
            bytes,
            separators: &separators[..=same * values],
            count: same,
            tail: self.tail_len + line_end,
            line_end,
        };
        (same > 0).then_some(lines)
    }

    /// Writes the cells of the lines into the table, after its records. Returns how many of the lines can be taken. If
    /// not all can, the result is the next number of lines to try, which may be lower than possible.
    fn match_lines(&self, level: Level, lines: &Lines<'_>, index: &Index, table: &mut Table) -> usize {
        let values = self.places.len();
        let mut quotes = self.quotes as u32 * lines.count as u32;
        for (at, place) in self.places.iter().enumerate() {
            let (spans, kinds, seen) = table.ahead(place.column, lines.count);
            let column = Column { spans, kinds, seen };
            let values = Values {
                text: &self.text,
                place,
                bytes: lines.bytes,
                separators: &lines.separators[at..],
                step: values,
                skip: u32::from(at == 0),
                behind: if at + 1 == values { lines.tail } else { 0 },
            };
            let (matching, theirs) = values.read(level, column);
            if matching < lines.count {
                return matching;
            }
            quotes += theirs;
        }
        let (start, end) = lines.span(0, lines.count - 1, values);
        if index.quotes_before(end) - index.quotes_before(start) == quotes {
            lines.count
        } else {
            usize::from(lines.count > 1)
        }
    }

    /// Adds the lines, whose cells are already in the table. Returns how many backslashes they have.
    fn write(&self, lines: &Lines<'_>, index: &Index, table: &mut Table) -> usize {
        let values = self.places.len();
        for column in &self.absent {
            let (spans, kinds, seen) = table.ahead(Some(*column), lines.count);
            spans.fill((0, 0));
            kinds.fill(Kind::Missing);
            seen.add(Kind::Missing);
        }
        let backslashes = index.backslashes();
        let (mut line, mut passed, mut value) = (0, 0, 0_usize);
        while let Some(at) = backslashes.get(passed).map(|at| *at as usize) {
            while line < lines.count && lines.span(line, line, values).1 < at {
                line += 1;
            }
            if line == lines.count {
                break;
            }
            let separators = &lines.separators[line * values + 1..][..values];
            // in most files only the values of one column have escapes
            let before = value.checked_sub(1).is_none_or(|before| (separators[before] as usize) < at);
            if !before || at > separators[value] as usize {
                // all separators are compared, because that needs no branch
                value = separators.iter().filter(|end| (**end as usize) < at).count();
            }
            let end = separators[value];
            passed += backslashes[passed..].iter().take_while(|at| **at < end).count();
            if let Some(column) = self.places[value].column {
                let (_, kinds, seen) = table.ahead(Some(column), lines.count);
                if kinds[line] != Kind::Nested {
                    kinds[line] = Kind::Escaped;
                    seen.add(Kind::Escaped);
                }
            }
        }
        table.extend((0..lines.count).map(|line| {
            let (start, end) = lines.span(line, line, values);
            (start as u32, (end - lines.line_end) as u32)
        }));
        passed
    }
}

impl Lines<'_> {
    /// The start of line `first`, and the line feed of line `last`.
    #[inline(always)]
    fn span(&self, first: usize, last: usize, values: usize) -> (usize, usize) {
        let start = self.separators[first * values].wrapping_add(1) as usize;
        (start, self.separators[(last + 1) * values] as usize)
    }
}
