//! Lines of the shape of the one before, many at a time: their separators are known, so what stands between two of them
//! is compared with the template and the rest is the value. Column by column, so that no step waits for the one before.
//!
//! A line is taken only if the parser would read the same cells from it:
//! * what stands before each value, and behind the last one, is what stood there in a line that was parsed;
//! * between that and the separator is one number, word, string or array. A string begins and ends with a quote, and as many
//!   quotes that are not escaped stand in the lines as their keys, strings and arrays need: so there are none inside a string.
//!   No control character is in one, nor a backslash outside of them: [`Index`] ends before such a line.

mod values;

use super::index::Index;
use super::template::Template;
use crate::simd::Level;
use crate::split::cells::{Kind, Table};
use values::{Column, Values};

/// Most lines that are taken at once.
pub(crate) const BATCH: usize = 128;

/// The lines that are looked at.
struct Lines<'a> {
    bytes: &'a [u8],
    /// The separator before the first line, and all of the lines.
    separators: &'a [u32],
    count: usize,
    /// Bytes between the last value of a line and its line feed.
    tail: usize,
    /// How many of those are not the record's.
    line_end: usize,
}

/// Lines that were added to a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub lines: usize,
    /// The offset behind them.
    pub end: usize,
    /// Whether those were all that were looked at.
    pub all: bool,
}

impl Template {
    /// Whether lines of this shape can be taken by [`Template::lines`].
    pub(crate) fn is_flat(&self) -> bool {
        self.flat
    }

    /// Adds lines of this shape to the table, from the index's next one on, as long as they have it: at most `most`.
    /// The index is on the line behind them then.
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
        let most = known.min(most).min(table.room());
        let mut count = most;
        loop {
            let Some(lines) = self.tails(bytes, separators, count) else { return Taken::default() };
            let held = self.hold(level, &lines, index, table);
            if held == lines.count {
                let end = separators[held * values] as usize + 1;
                let backslashes = self.write(&lines, index, table);
                index.take(held * values, backslashes);
                return Taken { lines: held, end, all: held == most };
            }
            if held == 0 {
                return Taken::default();
            }
            // what was counted counted lines that are not taken
            count = held;
        }
    }

    /// The lines up to the first one that does not end like the template; `None`: it is the first of all.
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

    /// Writes the cells of the lines ahead into the table; gives how many of the lines can be taken, if not all then
    /// perhaps fewer than could be.
    fn hold(&self, level: Level, lines: &Lines<'_>, index: &Index, table: &mut Table) -> usize {
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
            let (held, theirs) = values.read(level, column);
            if held < lines.count {
                return held;
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

    /// Adds the lines, whose cells are in the table; gives how many backslashes stand in them.
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
            // mostly those of one column have escapes
            let before = value.checked_sub(1).is_none_or(|before| (separators[before] as usize) < at);
            if !before || at > separators[value] as usize {
                // all are compared, for that takes no branch
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
    /// The start of a line, and the line feed of the same line or a later one.
    #[inline(always)]
    fn span(&self, first: usize, last: usize, values: usize) -> (usize, usize) {
        let start = self.separators[first * values].wrapping_add(1) as usize;
        (start, self.separators[(last + 1) * values] as usize)
    }
}
