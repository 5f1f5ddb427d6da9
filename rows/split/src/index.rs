//! The structural index: the positions of all separators outside quotes in a run of records, found 64 bytes at a time.
//!
//! It works for records that follow RFC 4180 and all have the same number of fields, which nearly all records do. It
//! refuses any other run; then [`crate::csv`] reads it.
//! Method: Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019), sections 3.1.1 and 3.2.

use rows_bytes::simd::{BLOCK, Kernel, Lanes, Level};
use rows_types::Dialect;

use crate::csv::Step;
use crate::scan::Quotes;

/// The position before the first record, then the positions of all separators.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Only the first `len` entries are used; the rest is spare capacity.
    positions: Vec<u32>,
    len: usize,
}

/// What was found in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// How many complete records with the requested number of fields there are, from the start of the run.
    pub records: usize,
    /// Offset past the last of them.
    pub end: usize,
    /// Whether any byte of the run is a quote.
    pub quotes: bool,
    /// Whether any byte of the run is a carriage return.
    pub returns: bool,
}

impl Index {
    /// Indexes the records of `bytes[start..end]`, each of `fields` fields. If `end == bytes.len()`, the last record
    /// needs no line end. `None`: a record is not well-formed, a line is blank, or a record has another number of
    /// fields.
    ///
    /// Finds no record if the first one ends after `end`.
    pub(crate) fn build(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        fields: usize,
        dialect: Dialect,
        level: Level,
    ) -> Option<Found> {
        let run = &bytes[start..end];
        self.positions.resize(self.positions.len().max(run.len() + 2 * BLOCK), 0);
        self.positions[0] = (start as u32).wrapping_sub(1);
        let kernel = Separators { run, base: start as u32, dialect, out: &mut self.positions[1..] };
        let all = level.run(kernel)?;
        self.len = 1 + all.count;
        let mut lines = all.lines;
        if end == bytes.len() {
            if all.inside {
                return None;
            }
            if run.last().is_some_and(|b| *b != b'\n') {
                self.positions[self.len] = end as u32;
                self.len += 1;
                lines += 1;
            }
        }
        let records = (self.len - 1) / fields;
        if lines != records {
            return None;
        }
        // there are as many line ends as records: if each record ends with one, no line end is anywhere else
        let is_end = |at: u32| bytes.get(at as usize).is_none_or(|b| *b == b'\n');
        let runs = self.positions[1..self.len].chunks_exact(fields);
        let regular = runs.fold(true, |ok, run| ok & is_end(run[fields - 1]));
        if !regular || (fields == 1 && self.has_blank_line(bytes)) {
            return None;
        }
        self.len = 1 + records * fields;
        let end =
            if records == 0 { start } else { (self.positions[self.len - 1] as usize + 1).min(bytes.len()) };
        Some(Found { records, end, quotes: all.quotes, returns: all.returns })
    }

    pub(crate) fn positions(&self) -> &[u32] {
        &self.positions[..self.len]
    }

    fn has_blank_line(&self, bytes: &[u8]) -> bool {
        self.positions().windows(2).any(|w| {
            let (start, end) = (w[0].wrapping_add(1) as usize, w[1] as usize);
            start == end || (start + 1 == end && bytes[start] == b'\r')
        })
    }
}

/// Bytes of a group of blocks. In a group without a quote, as in most files, no quotes need to be followed. To decide
/// this for each block would cost more than it saves in files where every second block has a quote.
const GROUP: usize = 4 * BLOCK;

struct Separators<'a> {
    run: &'a [u8],
    base: u32,
    dialect: Dialect,
    /// One slot for each byte, and a block of slots more.
    out: &'a mut [u32],
}

#[derive(Default)]
struct All {
    count: usize,
    lines: usize,
    quotes: bool,
    returns: bool,
    inside: bool,
}

impl Kernel for Separators<'_> {
    /// `None`: a quote is where RFC 4180 does not allow one.
    type Output = Option<All>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<All> {
        let Self { run, dialect, .. } = self;
        let mut found = Walk::new(self.out, self.base, dialect);
        let (groups, rest) = run.as_chunks::<GROUP>();
        for group in groups {
            found.group(lanes, group)?;
        }
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        let mut last_block = [0; BLOCK];
        last_block[..tail.len()].copy_from_slice(tail);
        let last = (!tail.is_empty()).then_some((&last_block, (1u64 << tail.len()) - 1));
        for (block, valid) in blocks.iter().map(|b| (b, !0)).chain(last) {
            found.block(lanes, block, valid)?;
        }
        (found.bad == 0).then_some(All {
            count: found.written,
            lines: found.ended,
            quotes: found.any_quote != 0,
            returns: found.any_return != 0,
            inside: found.quotes.inside(),
        })
    }
}

/// The state between two blocks of a run.
struct Walk<'a> {
    out: &'a mut [u32],
    base: u32,
    dialect: Dialect,
    quotes: Quotes,
    /// Bit 0 is set if the last byte is a quote that closes a cell or, in `after_close_return`, a carriage return after
    /// such a quote.
    after_close: u64,
    after_close_return: u64,
    written: usize,
    ended: usize,
    bad: u64,
    any_quote: u64,
    any_return: u64,
}

impl<'a> Walk<'a> {
    #[inline(always)]
    fn new(out: &'a mut [u32], base: u32, dialect: Dialect) -> Self {
        Self {
            out,
            base,
            dialect,
            quotes: Quotes::new(Step::Start, dialect),
            after_close: 0,
            after_close_return: 0,
            written: 0,
            ended: 0,
            bad: 0,
            any_quote: 0,
            any_return: 0,
        }
    }

    /// Reads four blocks. `None`: `out` is full.
    #[inline(always)]
    fn group<L: Lanes>(&mut self, lanes: L, group: &[u8; GROUP]) -> Option<()> {
        let Dialect { quote, delimiter, .. } = self.dialect;
        let (blocks, _) = group.as_chunks::<BLOCK>();
        let mut any = self.quotes.pending() | self.after_close | self.after_close_return;
        if quote != 0 {
            for block in blocks {
                let [quote] = lanes.equal(block, [quote]);
                any |= quote;
            }
        }
        if any != 0 {
            return blocks.iter().try_for_each(|block| self.block(lanes, block, !0));
        }
        for block in blocks {
            let [delimiter, newline, cr] = lanes.equal(block, [delimiter, b'\n', b'\r']);
            self.any_return |= cr;
            self.write(lanes, delimiter | newline, newline)?;
        }
        let last = group[GROUP - 1];
        self.quotes.pass(last == delimiter || last == b'\n');
        Some(())
    }

    #[inline(always)]
    fn block<L: Lanes>(&mut self, lanes: L, block: &[u8; BLOCK], valid: u64) -> Option<()> {
        let Dialect { quote, delimiter, .. } = self.dialect;
        let [quote, delimiter, newline, cr] = lanes.equal(block, [quote, delimiter, b'\n', b'\r']);
        let (quote, delimiter, newline, cr) = (quote & valid, delimiter & valid, newline & valid, cr & valid);
        let inside = self.quotes.block(lanes, quote, delimiter, newline);
        self.bad |= self.quotes.misplaced(valid, cr);
        // a carriage return after a closing quote must be part of the line end
        let closing = self.quotes.closes();
        let returns = ((closing << 1) | self.after_close) & cr;
        self.bad |= ((returns << 1) | self.after_close_return) & valid & !newline;
        self.after_close_return = returns >> 63;
        self.after_close = closing >> 63;
        self.any_quote |= if self.dialect.quote == 0 { 0 } else { quote };
        self.any_return |= cr;
        let ends = newline & !inside;
        self.write(lanes, (delimiter & !inside) | ends, ends)
    }

    #[inline(always)]
    fn write<L: Lanes>(&mut self, lanes: L, separators: u64, ends: u64) -> Option<()> {
        let slots = self.out.get_mut(self.written..).and_then(|o| o.first_chunk_mut::<BLOCK>())?;
        lanes.positions(separators, self.base, slots);
        self.written += separators.count_ones() as usize;
        self.ended += ends.count_ones() as usize;
        self.base = self.base.wrapping_add(BLOCK as u32);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::{Regular, Source};
    use crate::csv;
    use proptest::prelude::*;

    const CSV: Dialect = Dialect::rfc(b',', b'"');

    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "a",
            ",",
            ",",
            "\n",
            "\r\n",
            "\"",
            "\"\"",
            "\r",
            ",\"x,\n\"",
            "a,b\n",
            "\"c\",\"\"\"d\"\"\"\r\n",
        ]);
        prop::collection::vec(piece, 0..80).prop_map(|p| p.concat().into_bytes())
    }

    fn well_formed() -> impl Strategy<Value = Vec<u8>> {
        let cell = prop::sample::select(vec![
            "a",
            "",
            "\"\"",
            "\"x,y\"",
            "\"\n\"\"\r\n\"",
            "a longer cell with blanks",
            "\r",
        ]);
        let record = (cell.clone(), cell, prop::bool::ANY);
        let line = record.prop_map(|(a, b, cr)| format!("{a},{b}{}", if cr { "\r\n" } else { "\n" }));
        prop::collection::vec(line, 0..40).prop_map(|p| p.concat().into_bytes())
    }

    /// Start and length of each cell of each record.
    type Cells = Vec<Vec<(usize, usize)>>;

    fn by_definition(bytes: &[u8], end: usize) -> Cells {
        let (mut at, mut records) = (0, Vec::new());
        while at < end {
            let mut cells = Vec::new();
            at = csv::record(bytes, at, CSV, |f| cells.push((f.start, f.end - f.start))).next;
            records.push(cells);
        }
        records
    }

    fn by_index(bytes: &[u8], fields: usize, level: Level) -> Option<(usize, Cells)> {
        let mut index = Index::default();
        let found = index.build(bytes, 0, bytes.len(), fields, CSV, level)?;
        let source = Regular::<true> {
            bytes,
            positions: index.positions(),
            fields,
            quote: CSV.quote,
            returns: found.returns,
        };
        assert_eq!(source.records(), found.records);
        let record = |r: usize| (0..fields).map(|f| source.span(r, f)).collect();
        Some((found.end, (0..found.records).map(record).collect()))
    }

    proptest! {
        #[test]
        fn what_the_index_takes_it_reads_by_the_definition(bytes in soup(), fields in 1usize..4) {
            for level in Level::all() {
                if let Some((end, records)) = by_index(&bytes, fields, level) {
                    prop_assert_eq!(records, by_definition(&bytes, end));
                    prop_assert_eq!(end, bytes.len());
                }
            }
        }

        #[test]
        fn the_index_takes_every_run_of_well_formed_records(bytes in well_formed()) {
            for level in Level::all() {
                let found = by_index(&bytes, 2, level);
                prop_assert_eq!(found.map(|f| f.1), Some(by_definition(&bytes, bytes.len())));
            }
        }
    }

    #[test]
    fn the_index_refuses_text_after_a_closing_quote_wherever_it_is() {
        for at in 0..2 * BLOCK {
            for wrong in ["\"a\"x,b\n", "\"a\"\r,b\n", "\"a\"\rx,b\n", "x\"a\",b\n"] {
                let bytes = format!("{},b\n{wrong}{}", "a".repeat(at), "c,d\n".repeat(BLOCK));
                for level in Level::all() {
                    assert!(by_index(bytes.as_bytes(), 2, level).is_none(), "{at} {wrong:?}");
                }
            }
        }
    }
}
