//! Cutting a stream of bytes into chunks of whole records.
//!
//! **Promise:** where a chunk ends is a function of the bytes of the stream and `chunk_bytes` alone, never of how the
//! bytes were pushed; all chunks joined, and the header before them, are the stream, but for a byte-order mark, for blank
//! lines and comments around the header or with no record after them, and for what follows the last record of a JSON
//! array. Those belong to no chunk; each record is in exactly one.

mod buffer;
mod error;

use std::collections::VecDeque;

use self::buffer::Buffer;
pub use self::error::CutError;
use crate::input::Input;
use crate::simd::Level;
use crate::split::array::{Broken, Place};
use crate::split::csv::{self, Step};
use crate::split::scan::{Edge, Line, Scanner, State};

/// Longest record, line end included.
pub const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Most records in a chunk: one insert of at most 1,048,449 rows is one ClickHouse block, and so atomic.
pub const MAX_CHUNK_ROWS: u32 = 1_000_000;
/// Bytes of a chunk that is checked right where it is cut: it, its index and its block stay in the processor's cache.
pub const LOCAL_CHUNK_BYTES: usize = 256 * 1024;

/// Cuts a stream of bytes into chunks of whole records.
///
/// A chunk ends at the first line end at or after `chunk_bytes` bytes, or after [`MAX_CHUNK_ROWS`] records. What a record
/// is, blank lines and quotes, is the rule of the row engine: a line end outside quotes ends it, and lines with nothing
/// on them are none. A quote that is never closed is no error of the stream: the rest is one record, which the worker
/// rejects (but see [`MAX_RECORD_BYTES`]).
///
/// Of a JSON array the records are its elements: a chunk ends after one, and the comma behind it begins the next chunk.
/// An array that breaks is an error of the stream, for what follows cannot be told apart; an element that is no object
/// is one that the worker rejects.
///
/// After an error the cutter is done for.
pub struct Cutter {
    scanner: Scanner,
    chunk_bytes: usize,
    from_start: bool,
    want_header: bool,
    /// Nothing but the first bytes of the stream can hold a byte-order mark, and they tell text from binary.
    at_start: bool,
    header: Option<Vec<u8>>,
    /// Bytes since the end of the last chunk.
    buffer: Buffer,
    /// How many of them were scanned, the last line end in them, and the records that end there.
    scanned: usize,
    edge: usize,
    rows: u32,
    done: VecDeque<(Chunk, Position)>,
    /// Memory of earlier chunks.
    spare: Vec<Vec<u8>>,
    /// At the start of `buffer`, and after the last chunk handed out.
    next: Position,
    given: Position,
}

/// A run of whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// From 0.
    pub number: u32,
    /// Number of its first record in the file, from 1; the header line is not counted.
    pub first_row: u64,
    /// How many records.
    pub rows: u32,
    /// The records as they stand in the file, line ends included.
    pub bytes: Vec<u8>,
}

/// Where a stream can be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes of the decoded stream before this point.
    pub offset: u64,
    /// Number of the next chunk.
    pub next_chunk: u32,
    /// Number of the next record.
    pub next_row: u64,
}

/// Read at once: few calls, and the bytes are still in the processor's cache when they are scanned.
const READ: usize = 128 * 1024;
/// Read beyond a chunk's size at first: the record that ends the chunk nearly always ends in these, and what is behind
/// it has to be moved to the next chunk.
const SLACK: usize = 4 * 1024;
/// The most that is read at once.
const ROOM: usize = READ + SLACK;
/// Scanned at once, and again, byte by byte, where a quote stands out of place.
const PIECE: usize = 16 * 1024;
/// Buffers that wait for their next use.
const SPARE: usize = 2;
/// A NUL in this many first bytes makes a file binary.
const BINARY_PROBE: u64 = 8192;
const BOM: &[u8] = b"\xef\xbb\xbf";

impl Cutter {
    /// Cuts a stream from its first byte.
    #[must_use]
    pub fn new(input: &Input, chunk_bytes: usize) -> Self {
        let start = Position { offset: 0, next_chunk: 0, next_row: 1 };
        let mut cutter = Self::resume(input, chunk_bytes, start);
        cutter.want_header = input.has_header();
        cutter.at_start = true;
        cutter.from_start = true;
        cutter
    }

    /// Takes up a stream at a position that an earlier cutter gave; its header has been seen.
    #[must_use]
    pub fn resume(input: &Input, chunk_bytes: usize, at: Position) -> Self {
        Self {
            scanner: Scanner::new(input, at.next_chunk == 0),
            chunk_bytes: chunk_bytes.max(1),
            from_start: false,
            want_header: false,
            at_start: false,
            header: None,
            buffer: Buffer::default(),
            scanned: 0,
            edge: 0,
            rows: 0,
            done: VecDeque::new(),
            spare: Vec::new(),
            next: at,
            given: at,
        }
    }

    /// As [`Cutter::new`], for each instruction set that this CPU has, the portable one first. All give the same chunks:
    /// for tests and benches.
    #[must_use]
    pub fn on_every_level(input: &Input, chunk_bytes: usize) -> Vec<Self> {
        let at_level = |level| {
            let mut cutter = Self::new(input, chunk_bytes);
            cutter.scanner = cutter.scanner.on(level);
            cutter
        };
        Level::all().into_iter().map(at_level).collect()
    }

    /// Takes the next bytes of the stream; then drain [`Cutter::next_chunk`].
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), CutError> {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(self.room_len()));
            self.room_of(part.len()).copy_from_slice(part);
            self.filled(part.len())?;
            bytes = rest;
        }
        Ok(())
    }

    /// Memory for the next bytes of the stream, never empty: what a file or decoder writes here is not copied again.
    /// Say how many bytes came by [`Cutter::filled`].
    ///
    /// It is long enough that the call that fills it costs little, and short enough that the bytes are still in the
    /// processor's cache when they are scanned.
    pub fn room(&mut self) -> &mut [u8] {
        self.room_of(self.room_len())
    }

    /// Takes the first `len` bytes of [`Cutter::room`], which the caller wrote there, as the next ones of the stream; then
    /// drain [`Cutter::next_chunk`]. Not more than there is room for.
    pub fn filled(&mut self, len: usize) -> Result<(), CutError> {
        let before = self.buffer.len();
        self.buffer.grow(len);
        self.probe(before)?;
        if !self.at_start || self.drop_bom(false) {
            self.scan()?;
        }
        Ok(())
    }

    /// The next chunk that is complete.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        let (chunk, end) = self.done.pop_front()?;
        self.given = end;
        Some(chunk)
    }

    /// Gives the memory of a chunk back, for a later one: fresh memory costs more than cutting. What is in it does not
    /// matter, but leave its length as it is, for that much need not be set to zeros again.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < SPARE && bytes.capacity() > ROOM {
            self.spare.push(bytes);
        }
    }

    /// Ends the stream: the last chunk, `None` when no record is left. Drain [`Cutter::next_chunk`] first.
    ///
    /// A file of nothing but blank lines is [`CutError::EmptyFile`]; a header alone is not.
    pub fn finish(&mut self) -> Result<Option<Chunk>, CutError> {
        if self.at_start {
            self.drop_bom(true);
            self.scan()?;
        }
        if let Some(array) = self.scanner.array {
            return match array.place {
                Place::Start => Err(CutError::EmptyFile),
                Place::End => Ok(self.last_of_array()),
                _ => Err(CutError::UnterminatedArray),
            };
        }
        let open = self.scanner.state.line == Line::Text;
        if self.want_header {
            if !open {
                return Err(CutError::EmptyFile);
            }
            if self.scanner.state.step == Step::Quoted {
                return Err(CutError::UnterminatedQuote);
            }
            self.take_header(self.buffer.len());
        } else if open {
            self.check_length(self.buffer.len())?;
            self.edge = self.buffer.len();
            self.rows += 1;
        } else {
            self.edge = self.buffer.len();
        }
        self.scanner.state = State::START;
        let empty = self.header.is_none() && self.next.next_chunk == 0 && self.rows == 0;
        if self.from_start && empty {
            return Err(CutError::EmptyFile);
        }
        self.end_chunk();
        Ok(self.next_chunk())
    }

    /// The last records of an array, without what follows them.
    fn last_of_array(&mut self) -> Option<Chunk> {
        if self.rows == 0 {
            self.edge = self.buffer.len();
        }
        self.end_chunk();
        self.next_chunk()
    }

    /// The header record without its line end and byte-order mark, once it has been seen.
    #[must_use]
    pub fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Where the stream can be taken up after the last chunk that was handed out.
    #[must_use]
    pub fn position(&self) -> Position {
        self.given
    }

    /// How much is read at once: up to a little behind the chunk's size, and no sliver before it.
    fn room_len(&self) -> usize {
        match self.chunk_bytes.saturating_add(SLACK).saturating_sub(self.buffer.len()) {
            left @ 1..=ROOM => left,
            _ => READ,
        }
    }

    fn room_of(&mut self, len: usize) -> &mut [u8] {
        // once more than this has come, the buffer gets room for a whole chunk, so that no byte is moved again
        let whole = if self.buffer.len() + len > ROOM { self.chunk_bytes.saturating_add(ROOM) } else { 0 };
        self.buffer.room(len, whole)
    }

    /// Looks for a NUL in the bytes from this one on.
    fn probe(&self, from: usize) -> Result<(), CutError> {
        let before = self.next.offset + from as u64;
        let bytes = &self.buffer.bytes()[from..];
        let left = BINARY_PROBE.saturating_sub(before).min(bytes.len() as u64) as usize;
        match memchr::memchr(0, &bytes[..left]) {
            Some(at) => Err(CutError::Binary { offset: before + at as u64 }),
            None => Ok(()),
        }
    }

    /// Drops a byte-order mark; `false` while it cannot be told from other bytes.
    fn drop_bom(&mut self, last: bool) -> bool {
        let bytes = self.buffer.bytes();
        if !last && bytes.len() < BOM.len() && BOM.starts_with(bytes) {
            return false;
        }
        self.at_start = false;
        if bytes.starts_with(BOM) {
            self.buffer.forget(BOM.len());
            self.next.offset += BOM.len() as u64;
        }
        true
    }

    fn scan(&mut self) -> Result<(), CutError> {
        while self.scanned < self.buffer.len() {
            let piece = self.fast_piece();
            if self.want_header || piece == 0 {
                self.step()?;
                continue;
            }
            let found = self.scanner.piece(&self.buffer.bytes()[self.scanned..][..piece]);
            let tally = found.map_err(|(tally, at, broken)| {
                self.rows += tally.records;
                self.broken(broken, self.scanned + at)
            })?;
            if let Some(last) = tally.last_edge {
                self.edge = self.scanned + last;
            }
            self.rows += tally.records;
            self.scanned += piece;
        }
        Ok(())
    }

    /// How many bytes can be scanned without passing any limit.
    fn fast_piece(&self) -> usize {
        let to_target = (self.chunk_bytes - 1).saturating_sub(self.scanned);
        // a record is at least two bytes long
        let to_rows = 2 * (MAX_CHUNK_ROWS - self.rows).saturating_sub(1) as usize;
        let to_length = MAX_RECORD_BYTES.saturating_sub(self.scanned - self.edge);
        PIECE.min(to_target).min(to_rows).min(to_length).min(self.buffer.len() - self.scanned)
    }

    /// Scans up to the next line end, or to the end of what is there.
    fn step(&mut self) -> Result<(), CutError> {
        let limit = self.buffer.len().min(self.edge + MAX_RECORD_BYTES + 1);
        while self.scanned < limit {
            let edge = self.scanner.push(self.buffer.bytes()[self.scanned]);
            let edge = edge.map_err(|broken| self.broken(broken, self.scanned))?;
            self.scanned += 1;
            let Some(edge) = edge else { continue };
            let end = self.scanned - usize::from(edge == Edge::RecordBefore);
            self.check_length(end)?;
            self.edge = end;
            if edge != Edge::BlankLine {
                if self.want_header {
                    self.take_header(self.edge);
                    return Ok(());
                }
                self.rows += 1;
            }
            if self.edge >= self.chunk_bytes || self.rows == MAX_CHUNK_ROWS {
                self.end_chunk();
            }
            return Ok(());
        }
        self.check_length(self.scanned)
    }

    fn check_length(&self, end: usize) -> Result<(), CutError> {
        if end - self.edge <= MAX_RECORD_BYTES {
            return Ok(());
        }
        if self.want_header
            && csv::has_bare_return(&self.buffer.bytes()[self.edge..end], self.scanner.dialect)
        {
            return Err(CutError::ReturnInHeader);
        }
        let row = if self.want_header { 0 } else { self.next_row() };
        Err(CutError::RecordTooLong { row, limit: MAX_RECORD_BYTES })
    }

    fn next_row(&self) -> u64 {
        self.next.next_row + u64::from(self.rows)
    }

    /// The error for an array that breaks at this byte of the buffer.
    fn broken(&self, broken: Broken, at: usize) -> CutError {
        CutError::of_array(broken, self.next_row(), self.next.offset + at as u64)
    }

    /// Takes the header, and blank lines before it, out of the buffer.
    fn take_header(&mut self, end: usize) {
        let lines = &self.buffer.bytes()[..end];
        let start = csv::skip_blank_lines(lines, 0, self.scanner.dialect);
        let line = csv::record(lines, start, self.scanner.dialect, |_| ());
        self.header = Some(lines[start..line.end].to_vec());
        self.want_header = false;
        self.forget(end);
        self.given = self.next;
    }

    fn end_chunk(&mut self) {
        let end = self.edge;
        if self.rows == 0 {
            // blank lines: they belong to no chunk
            self.forget(end);
            if self.done.is_empty() {
                self.given = self.next;
            }
            return;
        }
        let bytes = self.buffer.cut(end, self.spare.pop().unwrap_or_default());
        let chunk =
            Chunk { number: self.next.next_chunk, first_row: self.next.next_row, rows: self.rows, bytes };
        self.next.offset += end as u64;
        self.next.next_chunk += 1;
        self.next.next_row += u64::from(self.rows);
        (self.scanned, self.edge, self.rows) = (self.scanned - end, 0, 0);
        self.done.push_back((chunk, self.next));
    }

    fn forget(&mut self, end: usize) {
        self.buffer.forget(end);
        self.next.offset += end as u64;
        (self.scanned, self.edge, self.rows) = (self.scanned.saturating_sub(end), 0, 0);
    }
}

#[cfg(test)]
mod tests;
