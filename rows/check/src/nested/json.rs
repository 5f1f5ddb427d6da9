//! Checks whether ClickHouse's `JSON` type keeps a text unchanged, as a JSON object.

use rows_bytes::text::json_number;
use rows_split::json::{Line, unescape};
use rows_types::CellError;

/// The maximum number of levels of nesting.
const MAX_DEPTH: usize = 100;

/// Memory that is reused from cell to cell.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    key: Vec<u8>,
    /// The hashes of the paths that were read. At the end they are those of one object, without the objects inside
    /// arrays.
    paths: Vec<u128>,
}

/// Reads the object that begins at `start`; returns the offset after it.
pub(super) fn object(text: &[u8], start: usize, scratch: &mut Scratch) -> Result<usize, CellError> {
    scratch.paths.clear();
    let mut reader = Reader { line: Line { bytes: text, at: start }, scratch };
    if !reader.line.skip(b'{') {
        return Err(if text.get(start).is_none() {
            CellError::MissingValue
        } else {
            CellError::NotJsonObject
        });
    }
    reader.members(EMPTY_PATH, 1)?;
    reader.no_path_twice(0)?;
    Ok(reader.line.at)
}

struct Reader<'a> {
    line: Line<'a>,
    scratch: &'a mut Scratch,
}

/// The hash of an empty path: FNV-1a of 128 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>. The hash of a path
/// continues the hash of its first part, so `a.b` has the same hash as `b` in `a`.
const EMPTY_PATH: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

fn path(front: u128, key: &[u8]) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    key.iter().fold(front, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

impl Reader<'_> {
    /// Reads the members of an object after its opening brace.
    fn members(&mut self, front: u128, depth: usize) -> Result<(), CellError> {
        self.blanks();
        if self.line.skip(b'}') {
            return Ok(());
        }
        loop {
            self.blanks();
            self.eat(b'"')?;
            let (key, escaped) = self.string()?;
            let key = if escaped {
                self.scratch.key.clear();
                unescape(&self.line.bytes[key], &mut self.scratch.key)?;
                self.scratch.key.as_slice()
            } else {
                &self.line.bytes[key]
            };
            let path = path(front, key);
            self.scratch.paths.push(path);
            self.blanks();
            self.eat(b':')?;
            self.blanks();
            self.value(self::path(path, b"."), depth, None)?;
            self.blanks();
            if self.line.skip(b'}') {
                return Ok(());
            }
            self.eat(b',')?;
        }
    }

    /// Reads the elements of an array after its opening bracket.
    fn elements(&mut self, depth: usize, numbers: &mut Numbers) -> Result<(), CellError> {
        self.blanks();
        if self.line.skip(b']') {
            return Ok(());
        }
        loop {
            // an object in an array has paths of its own
            let first = self.scratch.paths.len();
            self.blanks();
            self.value(EMPTY_PATH, depth, Some(&mut *numbers))?;
            self.no_path_twice(first)?;
            self.blanks();
            if self.line.skip(b']') {
                return Ok(());
            }
            self.eat(b',')?;
        }
    }

    /// Reads any value. `numbers` are those of the array that contains it.
    fn value(&mut self, front: u128, depth: usize, numbers: Option<&mut Numbers>) -> Result<(), CellError> {
        let rest = &self.line.bytes[self.line.at..];
        let len = match rest {
            [b'{' | b'[', ..] if depth == MAX_DEPTH => return Err(CellError::TooDeep),
            [b'{', ..] => {
                self.line.at += 1;
                return self.members(front, depth + 1);
            }
            [b'[', ..] => {
                self.line.at += 1;
                return self.elements(depth + 1, numbers.unwrap_or(&mut Numbers::default()));
            }
            [b'"', ..] => {
                self.line.at += 1;
                let (text, escaped) = self.string()?;
                if escaped {
                    self.scratch.key.clear();
                    unescape(&self.line.bytes[text], &mut self.scratch.key)?;
                }
                return Ok(());
            }
            [b'n', b'u', b'l', b'l', ..] | [b't', b'r', b'u', b'e', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            rest => {
                let len = json_number(rest).ok_or(CellError::NotJsonObject)?;
                numbers.unwrap_or(&mut Numbers::default()).add(&rest[..len])?;
                len
            }
        };
        self.line.at += len;
        Ok(())
    }

    /// Reads a string after its opening quote; returns where its text is, and whether it contains escapes.
    fn string(&mut self) -> Result<(std::ops::Range<usize>, bool), CellError> {
        let (cell, escaped) = self.line.string().map_err(|_| CellError::NotJsonObject)?;
        Ok((cell.start as usize..(cell.start + cell.len) as usize, escaped))
    }

    fn eat(&mut self, byte: u8) -> Result<(), CellError> {
        if self.line.skip(byte) { Ok(()) } else { Err(CellError::NotJsonObject) }
    }

    fn blanks(&mut self) {
        while matches!(self.line.bytes.get(self.line.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.line.at += 1;
        }
    }

    /// Removes the paths from `first` on. Fails if two of them are the same.
    fn no_path_twice(&mut self, first: usize) -> Result<(), CellError> {
        let paths = &mut self.scratch.paths[first..];
        paths.sort_unstable();
        let twice = paths.windows(2).any(|pair| pair[0] == pair[1]);
        self.scratch.paths.truncate(first);
        if twice { Err(CellError::SameKey) } else { Ok(()) }
    }
}

/// Which numbers an array contains. ClickHouse gives all elements of an array one type: `Float64` if one of them is a
/// fraction.
#[derive(Debug, Default)]
struct Numbers {
    fraction: bool,
    beyond_float: bool,
}

impl Numbers {
    /// Adds a number, if ClickHouse keeps it: a whole number in 64 bits, any other number as the nearest float.
    fn add(&mut self, number: &[u8]) -> Result<(), CellError> {
        /// A `Float64` holds every whole number up to this one exactly.
        const WHOLE: u64 = 1 << 53;
        let text = std::str::from_utf8(number).map_err(|_| CellError::NotJsonObject)?;
        if number.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) {
            let mut digits = number.iter().take_while(|b| !matches!(b, b'e' | b'E'));
            let zero = digits.all(|b| matches!(b, b'0' | b'.' | b'-'));
            let kept = text.parse::<f64>().is_ok_and(|value| value.is_finite() && (zero || value != 0.0));
            if !kept {
                return Err(CellError::JsonNumber);
            }
            self.fraction = true;
        } else {
            let signed = text.parse::<i64>().map(i64::unsigned_abs);
            let size = signed.or_else(|_| text.parse()).map_err(|_| CellError::JsonNumber)?;
            self.beyond_float |= size > WHOLE;
        }
        if self.fraction && self.beyond_float { Err(CellError::JsonNumber) } else { Ok(()) }
    }
}
