//! Cutting a stream of bytes into chunks of whole records.
//!
//! **Promise:** the bytes of the stream and the [`Limits`] alone determine where chunks and batches end. How the bytes
//! were pushed has no influence. The header and all chunks, joined, are the stream, except a byte-order mark, some
//! blank lines and comments, and what follows the last record of a JSON array. Those belong to no chunk; each record is
//! in exactly one.

mod batch;
mod buffer;
mod error;
mod limits;

use std::collections::VecDeque;

pub use self::batch::{Chunk, Position};
use self::buffer::Buffer;
pub use self::error::CutError;
pub use self::limits::Limits;
use crate::array::{Broken, Place};
use crate::csv::{self, Step};
use crate::scan::{Edge, Line, Scanner, State};
use rows_bytes::simd::Level;
use rows_types::{Digest, Input, MAX_RECORD_BYTES};

/// Cuts a stream of bytes into chunks of whole records, and reports which of them make a batch.
///
/// A chunk ends at the last line end within [`Limits::chunk_bytes`] bytes, or after [`Limits::chunk_rows`] records. It
/// is longer only if it is a single record. The row engine defines what a record, a blank line and a quote are: a line
/// end outside quotes ends a record, and a line with nothing on it is no record. A quote that is never closed is no
/// error of the stream: the rest of the stream is one record, which the worker rejects (but see [`MAX_RECORD_BYTES`]).
///
/// The records of a JSON array are its elements. A chunk ends after an element, and the comma after that element begins
/// the next chunk. A malformed array is an error of the stream, because the records after the error cannot be found. An
/// element that is no object is a record, which the worker rejects.
///
/// A batch is a run of consecutive chunks. It ends with the first chunk that brings it to [`BATCH_ROWS`](rows_types::BATCH_ROWS)
/// records, to [`BATCH_WEIGHT`](rows_types::BATCH_WEIGHT) or to [`MAX_BATCH_CHUNKS`](rows_types::MAX_BATCH_CHUNKS) chunks, or with the last chunk of the stream.
///
/// After an error the cutter cannot be used any more.
pub struct Cutter {
    scanner: Scanner,
    limits: Limits,
    digests: bool,
    from_start: bool,
    want_header: bool,
    stage: Stage,
    header: Option<Vec<u8>>,
    /// Bytes since the end of the last chunk.
    buffer: Buffer,
    /// How many bytes of the buffer are scanned.
    scanned: usize,
    /// The last line end in the scanned bytes.
    edge: usize,
    /// How many records end at or before `edge`.
    rows: u32,
    /// Chunks that the caller has not taken yet. The newest one is kept until it is known whether it is the last.
    done: VecDeque<(Chunk, Position)>,
    /// Memory of earlier chunks, for later ones.
    spare: Vec<Vec<u8>>,
    /// The position at the start of `buffer`.
    next: Position,
    /// The position after the last chunk that the caller took.
    given: Position,
}

/// How much of a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only the first bytes of a stream can be a byte-order mark.
    Start,
    Within,
    Finished,
}

/// Bytes that are read at once: enough that there are few calls, and few enough that they are still in the processor's
/// cache when they are scanned.
const READ: usize = 128 * 1024;
/// Bytes that are read in addition if they complete a chunk, so that no small rest is left.
const SLACK: usize = 4 * 1024;
/// The most bytes that are read at once.
const MAX_READ_BYTES: usize = READ + SLACK;
/// Memory for a complete chunk is reserved at once, up to this many bytes.
const MAX_RESERVED_BYTES: usize = 64 << 20;
/// Bytes that are scanned at once. If a quote is at a wrong place, they are scanned once more, byte by byte.
const PIECE: usize = 16 * 1024;
/// A piece of at most this many bytes is scanned byte by byte if the chunk may end in it.
const SHORT_PIECE: usize = 64;
/// How many buffers are kept for reuse.
const SPARE: usize = 2;
/// A NUL among this many first bytes means that the file is binary.
const BINARY_PROBE: u64 = 8192;
const BOM: &[u8] = b"\xef\xbb\xbf";

impl Cutter {
    /// Cuts a stream from its first byte.
    #[must_use]
    pub fn new(input: &Input, limits: Limits) -> Self {
        Self::resume(input, limits, Position::START)
    }

    /// Continues a stream at a position that an earlier cutter with the same settings and limits returned. If it is not
    /// the first byte, the header was already read.
    #[must_use]
    pub fn resume(input: &Input, limits: Limits, at: Position) -> Self {
        let (chunk_bytes, chunk_rows) = (limits.chunk_bytes.max(1), limits.chunk_rows.max(1));
        let from_start = at.offset == 0;
        Self {
            scanner: Scanner::new(input, at.next_chunk == 0),
            limits: Limits { chunk_bytes, chunk_rows, ..limits },
            digests: false,
            from_start,
            want_header: from_start && input.has_header(),
            stage: if from_start { Stage::Start } else { Stage::Within },
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

    /// Like [`Cutter::new`], with one cutter for each instruction set of this CPU, the portable one first. All give the
    /// same chunks. For tests and benches.
    #[must_use]
    pub fn on_every_level(input: &Input, limits: Limits) -> Vec<Self> {
        let at_level = |level| {
            let mut cutter = Self::new(input, limits);
            cutter.scanner = cutter.scanner.on(level);
            cutter
        };
        Level::all().into_iter().map(at_level).collect()
    }

    /// Turns on the digests of chunks, positions and the stream; without them each digest is the default. Call it
    /// before the first bytes.
    #[must_use]
    pub fn with_digests(self) -> Self {
        Self { digests: true, ..self }
    }

    /// Takes the next bytes of the stream. Then call [`Cutter::next_chunk`] until it returns `None`.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), CutError> {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(self.read_len()));
            self.memory_of(part.len()).copy_from_slice(part);
            self.filled(part.len())?;
            bytes = rest;
        }
        Ok(())
    }

    /// Memory for the next bytes of the stream, never empty. What a file or decoder writes here is not copied again.
    /// Then call [`Cutter::filled`] with the number of bytes.
    ///
    /// It is so long that the call that fills it costs little, and so short that the bytes are still in the processor's
    /// cache when they are scanned.
    pub fn spare_memory(&mut self) -> &mut [u8] {
        self.memory_of(self.read_len())
    }

    /// Takes the first `len` bytes of [`Cutter::spare_memory`], which the caller wrote there, as the next bytes of the stream.
    /// `len` is at most the length of that memory. Then call [`Cutter::next_chunk`] until it returns `None`.
    pub fn filled(&mut self, len: usize) -> Result<(), CutError> {
        let before = self.buffer.len();
        self.buffer.grow(len);
        self.probe(before)?;
        if self.stage == Stage::Start && !self.drop_bom(false) {
            return Ok(());
        }
        self.scan()
    }

    /// The next complete chunk. It is returned when it is known whether it is the stream's last: when another record
    /// has begun, or the stream is [finished](Cutter::finish).
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        let more = self.done.len() > 1 || self.rows > 0 || self.scanner.is_in_record();
        if !more && self.stage != Stage::Finished {
            return None;
        }
        let (chunk, end) = self.done.pop_front()?;
        self.given = end;
        Some(chunk)
    }

    /// Takes back the memory of a chunk, for a later chunk: new memory costs more than cutting. Its contents do not
    /// matter. Do not change its length, because that many bytes need not be set to zero again.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < SPARE && bytes.capacity() > MAX_READ_BYTES {
            self.spare.push(bytes);
        }
    }

    /// Ends the stream. Then call [`Cutter::next_chunk`] until it returns `None`: it returns all remaining chunks. The
    /// last of them is marked as [`Chunk::last`], if the stream has any record.
    ///
    /// A file with only blank lines is [`CutError::EmptyFile`]; a file with only a header is not.
    pub fn finish(&mut self) -> Result<(), CutError> {
        if self.stage == Stage::Start {
            self.drop_bom(true);
            self.scan()?;
        }
        match self.scanner.array {
            Some(array) => match array.place {
                Place::Start => return Err(CutError::EmptyFile),
                Place::End => {}
                _ => return Err(CutError::UnterminatedArray),
            },
            None => self.finish_lines()?,
        }
        self.end_chunk();
        // what follows the last record belongs to no chunk
        self.forget(self.buffer.len());
        if let Some((chunk, end)) = self.done.back_mut() {
            chunk.last = true;
            if !chunk.ends_batch {
                chunk.ends_batch = true;
                end.end_batch();
            }
        }
        self.stage = Stage::Finished;
        Ok(())
    }

    /// Ends the last line, if it has no end.
    fn finish_lines(&mut self) -> Result<(), CutError> {
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
            self.rows += 1;
        }
        self.edge = self.buffer.len();
        self.scanner.state = State::START;
        let empty = self.header.is_none() && self.next.next_chunk == 0 && self.rows == 0;
        if self.from_start && empty { Err(CutError::EmptyFile) } else { Ok(()) }
    }

    /// The header record without its line end and byte-order mark; `None` until it is read.
    #[must_use]
    pub fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Where the stream can be continued after the last chunk that the caller took.
    #[must_use]
    pub fn position(&self) -> Position {
        self.given
    }

    /// The digest of the stream's bytes up to the end of the last chunk; after [`Cutter::finish`] of all bytes. It
    /// includes blank lines, the byte-order mark, the header and what follows the last record. The default if digests
    /// are off.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.next.digest
    }

    /// How many bytes are read at once. One byte more than `chunk_bytes` ends the chunk, and the bytes after the
    /// chunk's last record must be moved.
    fn read_len(&self) -> usize {
        match self.limits.chunk_bytes.saturating_add(1).saturating_sub(self.buffer.len()) {
            left @ 1..=MAX_READ_BYTES => left,
            _ => READ,
        }
    }

    fn memory_of(&mut self, len: usize) -> &mut [u8] {
        // once the buffer is longer than `MAX_READ_BYTES`, reserve memory for a complete chunk, so that no byte is moved again
        let whole = if self.buffer.len() + len > MAX_READ_BYTES {
            self.limits.chunk_bytes.min(MAX_RESERVED_BYTES) + MAX_READ_BYTES
        } else {
            0
        };
        self.buffer.spare_memory(len, whole)
    }

    /// Looks for a NUL in the bytes from `from` on.
    fn probe(&self, from: usize) -> Result<(), CutError> {
        let before = self.next.offset + from as u64;
        let bytes = &self.buffer.bytes()[from..];
        let left = BINARY_PROBE.saturating_sub(before).min(bytes.len() as u64) as usize;
        match memchr::memchr(0, &bytes[..left]) {
            Some(at) => Err(CutError::Binary { offset: before + at as u64 }),
            None => Ok(()),
        }
    }

    /// Drops a byte-order mark; returns `false` until there are enough bytes to recognize one.
    fn drop_bom(&mut self, last: bool) -> bool {
        let bytes = self.buffer.bytes();
        if !last && bytes.len() < BOM.len() && BOM.starts_with(bytes) {
            return false;
        }
        self.stage = Stage::Within;
        if bytes.starts_with(BOM) {
            self.forget(BOM.len());
        }
        true
    }

    fn scan(&mut self) -> Result<(), CutError> {
        while self.scanned < self.buffer.len() {
            if self.want_header || !self.fast_piece()? {
                self.step()?;
            }
        }
        Ok(())
    }

    /// Scans the next bytes, many at a time, if the chunk does not end in them; returns `false` if it may.
    fn fast_piece(&mut self) -> Result<bool, CutError> {
        let Limits { chunk_bytes, chunk_rows, .. } = self.limits;
        // a first record that is longer than `chunk_bytes` is a chunk of its own
        let too_long = self.scanned >= chunk_bytes;
        let to_target = if too_long { PIECE } else { chunk_bytes - self.scanned };
        let to_length = MAX_RECORD_BYTES.saturating_sub(self.scanned - self.edge);
        let mut len = PIECE.min(to_target).min(to_length).min(self.buffer.len() - self.scanned);
        while len > 0 && !(too_long && self.edge > 0) {
            let mut scanner = self.scanner;
            let found = scanner.piece(&self.buffer.bytes()[self.scanned..][..len]);
            let ends = found.map_err(|(ends, at, broken)| {
                self.rows += ends.records;
                self.broken(broken, self.scanned + at)
            })?;
            if self.rows + ends.records < chunk_rows && !(too_long && ends.last_edge.is_some()) {
                self.scanner = scanner;
                if let Some(last) = ends.last_edge {
                    self.edge = self.scanned + last;
                }
                self.rows += ends.records;
                self.scanned += len;
                return Ok(true);
            }
            // try a shorter piece, until it is so short that `step` scans it
            len = if len > SHORT_PIECE { len / 2 } else { 0 };
        }
        Ok(false)
    }

    /// Scans up to the next line end, to where the chunk ends before it, or to the end of the buffer.
    fn step(&mut self) -> Result<(), CutError> {
        let Limits { chunk_bytes, chunk_rows, .. } = self.limits;
        let limit = self.buffer.len().min(self.edge + MAX_RECORD_BYTES + 1);
        while self.scanned < limit {
            let edge = self.scanner.push(self.buffer.bytes()[self.scanned]);
            let edge = edge.map_err(|broken| self.broken(broken, self.scanned))?;
            self.scanned += 1;
            let ends_before = edge == Some(Edge::RecordBefore);
            let mut end = self.scanned - usize::from(ends_before);
            if edge.is_some() {
                self.check_length(end)?;
            }
            if end > chunk_bytes && self.edge > 0 {
                // the chunk ends with the last record that is completely in it
                end -= self.edge;
                self.end_chunk();
                if edge.is_none() {
                    return Ok(());
                }
            }
            let Some(edge) = edge else { continue };
            self.edge = end;
            if edge != Edge::BlankLine {
                if self.want_header {
                    self.take_header(self.edge);
                    return Ok(());
                }
                self.rows += 1;
            }
            if self.edge >= chunk_bytes || self.rows >= chunk_rows {
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

    /// The error for an array that is malformed at this byte of the buffer.
    fn broken(&self, broken: Broken, at: usize) -> CutError {
        CutError::of_array(broken, self.next_row(), self.next.offset + at as u64)
    }

    /// Removes the header, and blank lines before it, from the buffer.
    fn take_header(&mut self, end: usize) {
        let lines = &self.buffer.bytes()[..end];
        let start = csv::skip_blank_lines(lines, 0, self.scanner.dialect);
        let line = csv::record(lines, start, self.scanner.dialect, |_| ());
        self.header = Some(lines[start..line.end].to_vec());
        self.want_header = false;
        self.forget(end);
        self.given = self.next;
    }

    /// Ends the chunk at the last line end.
    fn end_chunk(&mut self) {
        let end = self.edge;
        if self.rows == 0 {
            // only blank lines, which belong to no chunk
            return self.forget(end);
        }
        let bytes = self.buffer.cut(end, self.spare.pop().unwrap_or_default());
        let digest = self.digests.then(|| Digest::of(&bytes));
        let chunk = self.next.take(bytes, self.rows, &self.limits, digest);
        (self.scanned, self.edge, self.rows) = (self.scanned - end, 0, 0);
        self.done.push_back((chunk, self.next));
    }

    /// Drops the first bytes of the buffer, which belong to no chunk.
    fn forget(&mut self, end: usize) {
        let digest = self.digests.then(|| Digest::of(&self.buffer.bytes()[..end]));
        self.buffer.forget(end);
        self.next.skip(end as u64, digest);
        (self.scanned, self.edge, self.rows) = (self.scanned.saturating_sub(end), 0, 0);
    }
}

#[cfg(test)]
mod tests;
