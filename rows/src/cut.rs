//! Cutting a stream of bytes into chunks of whole records.
//!
//! **Promise:** where a chunk and a batch end is a function of the bytes of the stream and the [`Limits`] alone, never of
//! how the bytes were pushed; all chunks joined, and the header before them, are the stream, but for a byte-order mark,
//! for some blank lines and comments, and for what follows the last record of a JSON array. Those belong to no chunk; each
//! record is in exactly one.

mod batch;
mod buffer;
mod error;
mod limits;

use std::collections::VecDeque;

pub use self::batch::{
    BATCH_ROWS, BATCH_WEIGHT, BatchStart, Chunk, MAX_BATCH_CHUNKS, MAX_BATCH_ROWS, Position,
};
use self::buffer::Buffer;
pub use self::error::CutError;
pub use self::limits::{CHUNK_WEIGHT, Limits, MAX_CHUNK_ROWS};
use crate::digest::Digest;
use crate::input::Input;
use crate::simd::Level;
use crate::split::array::{Broken, Place};
use crate::split::csv::{self, Step};
use crate::split::scan::{Edge, Line, Scanner, State};

/// Longest record, line end included.
pub const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a chunk that is checked right where it is cut: it, its index and its block stay in the processor's cache.
pub const LOCAL_CHUNK_BYTES: usize = 256 * 1024;

/// Cuts a stream of bytes into chunks of whole records, and says which of them make a batch.
///
/// A chunk ends at the last line end within [`Limits::chunk_bytes`] bytes, or after [`Limits::chunk_rows`] records; only a
/// single record may be longer. What a record is, blank lines and quotes, is the rule of the row engine: a line end
/// outside quotes ends it, and lines with nothing on them are none. A quote that is never closed is no error of the
/// stream: the rest is one record, which the worker rejects (but see [`MAX_RECORD_BYTES`]).
///
/// Of a JSON array the records are its elements: a chunk ends after one, and the comma behind it begins the next chunk.
/// An array that breaks is an error of the stream, for what follows cannot be told apart; an element that is no object
/// is one that the worker rejects.
///
/// A batch is a run of consecutive chunks. It ends with the first chunk that brings it to [`BATCH_ROWS`] records, to
/// [`BATCH_WEIGHT`] or to [`MAX_BATCH_CHUNKS`] chunks, or that is the stream's last.
///
/// After an error the cutter is done for.
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
    /// How many of them were scanned, the last line end in them, and the records that end there.
    scanned: usize,
    edge: usize,
    rows: u32,
    /// Chunks to be handed out; the newest one only when it is known whether it is the last.
    done: VecDeque<(Chunk, Position)>,
    /// Memory of earlier chunks.
    spare: Vec<Vec<u8>>,
    /// At the start of `buffer`, and after the last chunk handed out.
    next: Position,
    given: Position,
}

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing but its first bytes can be a byte-order mark.
    Start,
    Within,
    Finished,
}

/// Read at once: few calls, and the bytes are still in the processor's cache when they are scanned.
const READ: usize = 128 * 1024;
/// Read beyond that at once where it fills a chunk, so that no sliver is left to be read.
const SLACK: usize = 4 * 1024;
/// The most that is read at once.
const ROOM: usize = READ + SLACK;
/// Room that is asked for at once for a whole chunk, at most.
const WHOLE: usize = 64 << 20;
/// Scanned at once, and again, byte by byte, where a quote stands out of place.
const PIECE: usize = 16 * 1024;
/// What is shorter is scanned byte by byte where a chunk may end in it.
const SHORT_PIECE: usize = 64;
/// Buffers that wait for their next use.
const SPARE: usize = 2;
/// A NUL in this many first bytes makes a file binary.
const BINARY_PROBE: u64 = 8192;
const BOM: &[u8] = b"\xef\xbb\xbf";

impl Cutter {
    /// Cuts a stream from its first byte.
    #[must_use]
    pub fn new(input: &Input, limits: Limits) -> Self {
        Self::resume(input, limits, Position::START)
    }

    /// Takes up a stream at a position that an earlier cutter of the same settings and limits gave; if it is not the first
    /// byte, the header has been seen.
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

    /// As [`Cutter::new`], for each instruction set that this CPU has, the portable one first. All give the same chunks:
    /// for tests and benches.
    #[must_use]
    pub fn on_every_level(input: &Input, limits: Limits) -> Vec<Self> {
        let at_level = |level| {
            let mut cutter = Self::new(input, limits);
            cutter.scanner = cutter.scanner.on(level);
            cutter
        };
        Level::all().into_iter().map(at_level).collect()
    }

    /// Turns digests of chunks, positions and the stream on; without them they are the default. Before the first bytes
    /// come.
    #[must_use]
    pub fn with_digests(self) -> Self {
        Self { digests: true, ..self }
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
        if self.stage == Stage::Start && !self.drop_bom(false) {
            return Ok(());
        }
        self.scan()
    }

    /// The next chunk that is complete, as soon as it is known whether it is the stream's last: when another record has
    /// begun, or the stream was [finished](Cutter::finish).
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        let more = self.done.len() > 1 || self.rows > 0 || self.scanner.is_in_record();
        if !more && self.stage != Stage::Finished {
            return None;
        }
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

    /// Ends the stream; then drain [`Cutter::next_chunk`] once more: it gives all chunks that are left, and if the stream
    /// has a record at all the last of them is [`Chunk::last`].
    ///
    /// A file of nothing but blank lines is [`CutError::EmptyFile`]; a header alone is not.
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
        // what follows the last record is of no chunk
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

    /// Of the stream's bytes up to the last chunk's end, and after [`Cutter::finish`] of all: blank lines, byte-order mark,
    /// header and what follows the last record are in it. The default where digests are off.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.next.digest
    }

    /// How much is read at once: the byte behind the chunk's size ends it, and what is behind its last record has to be
    /// moved.
    fn room_len(&self) -> usize {
        match self.limits.chunk_bytes.saturating_add(1).saturating_sub(self.buffer.len()) {
            left @ 1..=ROOM => left,
            _ => READ,
        }
    }

    fn room_of(&mut self, len: usize) -> &mut [u8] {
        // once more than this has come, the buffer gets room for a whole chunk, so that no byte is moved again
        let whole =
            if self.buffer.len() + len > ROOM { self.limits.chunk_bytes.min(WHOLE) + ROOM } else { 0 };
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

    /// Scans the next bytes, many at a time, if the chunk does not end in them; says no if it may.
    fn fast_piece(&mut self) -> Result<bool, CutError> {
        let Limits { chunk_bytes, chunk_rows, .. } = self.limits;
        // a first record that is longer than the chunk may be ends it
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
            // nearer, until it is worth a step
            len = if len > SHORT_PIECE { len / 2 } else { 0 };
        }
        Ok(false)
    }

    /// Scans up to the next line end, or to where the chunk ends before it, or to the end of what is there.
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
                // the chunk ends with the last record that is in it as a whole
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

    /// Ends the chunk at the last line end.
    fn end_chunk(&mut self) {
        let end = self.edge;
        if self.rows == 0 {
            // blank lines: they belong to no chunk
            return self.forget(end);
        }
        let bytes = self.buffer.cut(end, self.spare.pop().unwrap_or_default());
        let digest = self.digests.then(|| Digest::of(&bytes));
        let chunk = self.next.take(bytes, self.rows, &self.limits, digest);
        (self.scanned, self.edge, self.rows) = (self.scanned - end, 0, 0);
        self.done.push_back((chunk, self.next));
    }

    /// Passes over the first bytes of the buffer, which are of no chunk.
    fn forget(&mut self, end: usize) {
        let digest = self.digests.then(|| Digest::of(&self.buffer.bytes()[..end]));
        self.buffer.forget(end);
        self.next.skip(end as u64, digest);
        (self.scanned, self.edge, self.rows) = (self.scanned.saturating_sub(end), 0, 0);
    }
}

#[cfg(test)]
mod tests;
