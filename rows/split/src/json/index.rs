//! The structural index of JSON lines: the positions of commas and line feeds outside strings, found 64 bytes at a
//! time. If arrays are expected, it contains only those outside arrays too.
//!
//! It reads every line as flat JSON and checks none of that: [`super::rows`] compares the lines with the shape of the
//! previous one. But what it reports about strings is right for every line that it covers, whatever else is wrong with
//! the line. It ends before the first line that has a backslash outside strings or a control character in a string. (If
//! a string has no end, this character can be the line feed.) Such a line is no JSON; the parser refuses it. Arrays are
//! handled in the same way: the index ends before a line with an array in an array, or with an array that does not end
//! on its line.
//! Method: Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019), sections 3.1.1 and 3.2.

use rows_bytes::simd::{BLOCK, Kernel, Lanes, Level};

/// Bytes that are indexed at once. The results are used while they are in the processor's first-level cache.
const WINDOW: usize = 32 * 1024;

/// The separators of complete lines, from some offset of a chunk on.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The position before the first line, then those of the commas and line feeds. After them comes spare capacity.
    separators: Vec<u32>,
    /// How many entries of `separators` belong to complete lines.
    len: usize,
    /// Index in `separators` of the one before the next line.
    next: usize,
    /// Offset where the window begins.
    base: usize,
    /// For each block: the mask of its quotes that are not escaped, and how many such quotes come before the block.
    quotes: Vec<(u64, u32)>,
    /// The positions of backslashes, all of them in strings. After them comes spare capacity.
    backslashes: Vec<u32>,
    /// How many entries of `backslashes` are used.
    escapes: usize,
    /// Index in `backslashes` of the first one at or after the start of the next line.
    next_backslash: usize,
}

impl Index {
    /// Drops the results, which may belong to another chunk.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.next = 0;
    }

    /// Whether no line is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.next + 1 >= self.len
    }

    /// Indexes the lines from `at`, where a line must begin, up to about `most` bytes. Finds no line if the first one
    /// is longer, has no line feed because it is the last one, or cannot be indexed.
    ///
    /// `lists`: whether there may be arrays with commas.
    pub(crate) fn build(&mut self, bytes: &[u8], at: usize, most: usize, lists: bool, level: Level) {
        let run = &bytes[at..];
        let run = &run[..run.len().min(WINDOW.min(most.next_multiple_of(BLOCK)))];
        self.separators.resize(WINDOW + 2 * BLOCK, 0);
        self.quotes.resize(WINDOW / BLOCK + 1, (0, 0));
        self.backslashes.resize(WINDOW + 2 * BLOCK, 0);
        self.separators[0] = (at as u32).wrapping_sub(1);
        self.base = at;
        let Self { separators, quotes, backslashes, .. } = self;
        let (base, out) = (at as u32, &mut separators[1..]);
        let (separators, escapes) = if lists {
            level.run(Structure::<true> { run, base, out, quotes, backslashes })
        } else {
            level.run(Structure::<false> { run, base, out, quotes, backslashes })
        };
        (self.len, self.escapes) = (1 + separators, escapes);
        while self.len > 1 && bytes.get(self.separators[self.len - 1] as usize) != Some(&b'\n') {
            self.len -= 1;
        }
        self.next = 0;
        self.next_backslash = 0;
    }

    /// Moves to the line that begins at `at`.
    pub(crate) fn skip_to(&mut self, at: usize) {
        while self.next + 1 < self.len && (self.separators[self.next + 1] as usize) < at {
            self.next += 1;
        }
        self.next_backslash += self.backslashes().iter().take_while(|b| (**b as usize) < at).count();
    }

    /// Moves past this many separators and backslashes; a line must begin there.
    pub(crate) fn take(&mut self, separators: usize, backslashes: usize) {
        self.next += separators;
        self.next_backslash += backslashes;
    }

    /// The separator before the next line, and all separators after it.
    pub(crate) fn separators(&self) -> &[u32] {
        &self.separators[self.next.min(self.len)..self.len]
    }

    /// The backslashes from the next line on.
    pub(crate) fn backslashes(&self) -> &[u32] {
        &self.backslashes[self.next_backslash..self.escapes]
    }

    /// How many quotes that are not escaped come before `at`, in the indexed bytes.
    pub(crate) fn quotes_before(&self, at: usize) -> u32 {
        let at = at - self.base;
        let (quotes, before) = self.quotes[at / BLOCK];
        before + (quotes & ((1 << (at % BLOCK)) - 1)).count_ones()
    }
}

struct Structure<'a, const LISTS: bool> {
    run: &'a [u8],
    base: u32,
    /// One slot for each byte, and a block of slots more.
    out: &'a mut [u32],
    quotes: &'a mut [(u64, u32)],
    /// As many slots.
    backslashes: &'a mut [u32],
}

impl<const LISTS: bool> Kernel for Structure<'_, LISTS> {
    /// How many separators and backslashes come before the first byte that cannot be indexed. The number of backslashes
    /// may be a few too high.
    type Output = (usize, usize);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (usize, usize) {
        let Self { run, base, out, quotes, backslashes } = self;
        let mut state = State { base, ..State::default() };
        let (blocks, tail) = run.as_chunks::<BLOCK>();
        let (mut written, mut quotes) = (0, quotes.iter_mut());
        // in a file with backslashes, a branch on whether the next block has any would be hard to predict
        let (mut escapes, mut any) = (0, 0);
        for (block, quotes) in blocks.iter().zip(quotes.by_ref()) {
            let Some(slots) = out.get_mut(written..).and_then(|o| o.first_chunk_mut()) else { break };
            let found = state.block::<L, LISTS>(lanes, block, !0, slots, quotes);
            written += found.separators;
            any |= found.backslash;
            if any != 0 {
                let Some(slots) = backslashes.get_mut(escapes..).and_then(|o| o.first_chunk_mut()) else {
                    break;
                };
                lanes.positions(found.backslash, state.base - BLOCK as u32, slots);
                escapes += found.backslash.count_ones() as usize;
            }
            if !found.more {
                return (written, escapes);
            }
        }
        if let Some(quotes) = quotes.next()
            && let Some(slots) = out.get_mut(written..).and_then(|o| o.first_chunk_mut())
            && let Some(escaped) = backslashes.get_mut(escapes..).and_then(|o| o.first_chunk_mut())
        {
            let mut block = [0; BLOCK];
            block[..tail.len()].copy_from_slice(tail);
            let found = state.block::<L, LISTS>(lanes, &block, (1 << tail.len()) - 1, slots, quotes);
            lanes.positions(found.backslash, state.base - BLOCK as u32, escaped);
            written += found.separators;
            escapes += found.backslash.count_ones() as usize;
        }
        (written, escapes)
    }
}

/// What a block contains.
struct Found {
    separators: usize,
    backslash: u64,
    /// Whether the next block can be indexed.
    more: bool,
}

/// The state after the bytes before a block.
#[derive(Default)]
struct State {
    base: u32,
    /// How many quotes that are not escaped there are.
    quotes: u32,
    /// All ones in a string, else 0.
    inside: u64,
    /// All ones in an array, else 0.
    list: u64,
    /// 1 after a backslash that escapes the next byte, else 0.
    escaped: u64,
}

impl State {
    /// Takes the next block. Only the bytes in the mask `valid` count.
    #[inline(always)]
    fn block<L: Lanes, const LISTS: bool>(
        &mut self,
        lanes: L,
        block: &[u8; BLOCK],
        valid: u64,
        out: &mut [u32; BLOCK],
        quotes: &mut (u64, u32),
    ) -> Found {
        let [quote, backslash, comma, newline] = lanes.equal(block, [b'"', b'\\', b',', b'\n']);
        let quote = quote & !escaped(backslash, &mut self.escaped);
        *quotes = (quote, self.quotes);
        self.quotes += quote.count_ones();
        let inside = lanes.parity(quote) ^ self.inside;
        self.inside = (inside.cast_signed() >> 63).cast_unsigned();
        let mut bad = ((backslash & !inside) | (lanes.controls(block) & inside)) & valid;
        let mut separators = (comma | newline) & !inside;
        if LISTS {
            // without arrays in arrays, every second bracket opens one
            let [open, close] = lanes.equal(block, [b'[', b']']);
            let (open, close) = (open & !inside, close & !inside);
            let list = lanes.parity(open | close) ^ self.list;
            self.list = (list.cast_signed() >> 63).cast_unsigned();
            bad |= ((open & !list) | (close & list) | (newline & list & !inside)) & valid;
            separators &= !list;
        }
        // keep those before the first bad byte
        separators &= (bad & bad.wrapping_neg()).wrapping_sub(1);
        lanes.positions(separators, self.base, out);
        self.base += BLOCK as u32;
        Found { separators: separators.count_ones() as usize, backslash, more: bad == 0 }
    }
}

/// Which bytes follow an odd number of backslashes, and so are escaped. `before` is 1 if the previous block escapes the
/// first byte; it is then set for the next block.
///
/// Method: the newer one of simdjson (John Keiser, 2023). A subtraction removes the runs of backslashes: it starts at
/// the first bit of each run and flips every second bit of it.
#[inline(always)]
fn escaped(backslash: u64, before: &mut u64) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let first = backslash & !*before;
    let codes = (((first << 1) | ODD).wrapping_sub(first)) ^ ODD;
    let escaped = codes ^ (backslash | *before);
    *before = (codes & backslash) >> 63;
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Separators of complete lines, quotes that are not escaped, and backslashes, by the definition.
    fn by_definition(bytes: &[u8], lists: bool) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let (mut separators, mut quotes, mut backslashes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut inside, mut escaped, mut list) = (false, false, false);
        let mut lines = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let bad = if inside {
                *byte < 0x20
            } else {
                let wrong = if list { b"[\n" } else { b"]]" };
                *byte == b'\\' || (lists && wrong.contains(byte))
            };
            if bad {
                break;
            }
            match byte {
                b'\\' => backslashes.push(at as u32),
                b'"' if !escaped => {
                    quotes.push(at as u32);
                    inside = !inside;
                }
                b'[' | b']' if !inside => list = lists && *byte == b'[',
                b',' | b'\n' if !inside && !list => {
                    separators.push(at as u32);
                    if *byte == b'\n' {
                        lines = separators.len();
                    }
                }
                _ => {}
            }
            escaped = *byte == b'\\' && !escaped;
        }
        separators.truncate(lines);
        let end = separators.last().map_or(0, |last| last + 1);
        quotes.retain(|at| *at < end);
        backslashes.retain(|at| *at < end);
        (separators, quotes, backslashes)
    }

    proptest! {
        #[test]
        fn the_index_finds_what_the_definition_says(
            pieces in prop::collection::vec(prop::sample::select(vec!["\"", "\"", "\\\"", "\\\\", "\\", ",", "\n", "[", "]", "[1,\"]\"]", "[1\n,2]\n", "a", " ", ":", "\t", "é", "\"ab,c\"", "{\"k\":1,", "a long text without anything in it", "}\n"]), 0..120),
            lists: bool,
        ) {
            let bytes = pieces.concat().into_bytes();
            let (separators, quotes, backslashes) = by_definition(&bytes, lists);
            let end = separators.last().map_or(0, |last| *last as usize + 1);
            for level in Level::all() {
                let mut index = Index::default();
                index.build(&bytes, 0, bytes.len(), lists, level);
                prop_assert_eq!(&index.separators()[1..], &separators);
                prop_assert_eq!(index.separators()[0], u32::MAX);
                let found: Vec<u32> = index.backslashes().iter().copied().filter(|at| (*at as usize) < end).collect();
                prop_assert_eq!(&found, &backslashes);
                for at in 0..end {
                    let before = quotes.iter().filter(|q| (**q as usize) < at).count();
                    prop_assert_eq!(index.quotes_before(at) as usize, before);
                }
            }
        }
    }
}
