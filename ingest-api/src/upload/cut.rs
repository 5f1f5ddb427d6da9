//! Decodes and cuts a file, on a thread of its own: the only work of the server that needs much CPU.
//!
//! **Promise:** a file whose header does not fit the model fails before one of its chunks leaves this module.

use std::sync::mpsc::Receiver;

use rows_split::{Binding, Chunk, Cutter, Limits, Position};
use rows_types::{Digest, Input, Schema};
use tokio::sync::mpsc;

use crate::budget::{NoMemory, Reservation};
use crate::error::FileProblem;
use crate::upload::body::BodyReader;
use crate::upload::decode::{DecodeError, Decoder, Encoding};
use crate::upload::memory::growth;

/// What the thread needs to know about an upload.
#[derive(Clone)]
pub struct CutTask {
    /// What the header must fit.
    pub schema: Schema,
    /// How the file is read.
    pub input: Input,
    /// How the body is compressed.
    pub encoding: Encoding,
    /// Where chunks and batches end.
    pub limits: Limits,
    /// Where the body begins in the file.
    pub at: Position,
    /// The most bytes of the file.
    pub limit: Option<u64>,
}

/// The output for a file, in this order: at most one header, chunks, the end.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// The header record as it is in the file, and the names in it.
    Header {
        /// Without its line end.
        raw: Vec<u8>,
        /// The names.
        columns: Vec<String>,
    },
    /// A chunk, and the position at which the file continues after it.
    Chunk(Chunk, Position),
    /// The complete file was read.
    End {
        /// Its bytes, decompressed.
        bytes: u64,
        /// The digest of all of them.
        digest: Digest,
    },
}

/// Why the output ends early.
#[derive(Debug, PartialEq, Eq)]
pub enum CutFailure {
    /// The file cannot be loaded.
    File(FileProblem),
    /// The file is larger than the limit.
    TooLarge(u64),
    /// There is no memory for the needs of the file.
    Memory(NoMemory),
    /// The body was interrupted.
    Interrupted,
}

/// A message of the thread.
pub type Cut = Result<Piece, CutFailure>;

/// Reads a body to its end or its first problem. Blocks. Returns early if the receiver was dropped.
///
/// The memory of the chunks that `free` receives is used again. `memory` is what [`need`](crate::upload::memory::need)
/// returns; it grows with records that are longer than a chunk.
pub fn run(
    body: BodyReader,
    task: CutTask,
    memory: Reservation,
    to: &mpsc::Sender<Cut>,
    free: &Receiver<Vec<u8>>,
) {
    let mut out = Out { to, free, listening: true };
    if let Err(failure) = cut(body, task, memory, &mut out) {
        out.send(Err(failure));
    }
}

struct Out<'a> {
    to: &'a mpsc::Sender<Cut>,
    free: &'a Receiver<Vec<u8>>,
    listening: bool,
}

impl Out<'_> {
    fn send(&mut self, cut: Cut) {
        self.listening = self.listening && self.to.blocking_send(cut).is_ok();
    }
}

fn cut(body: BodyReader, task: CutTask, memory: Reservation, out: &mut Out<'_>) -> Result<(), CutFailure> {
    let CutTask { schema, input, encoding, limits, at, limit } = task;
    let mut cutter = Cutter::resume(&input, limits, at).with_digests();
    let mut header = HeaderCheck::new(schema, input, at)?;
    let mut decoder = Decoder::new(body, encoding, at != Position::START, memory.clone())?;
    let mut longest = Longest { memory, bytes: limits.chunk_bytes as u64 };
    let mut bytes = at.offset;
    while let Some((amount, pushed)) = decoder.next(|piece| (piece.len() as u64, cutter.push(piece)))? {
        bytes += amount;
        if let Some(limit) = limit.filter(|limit| bytes > *limit) {
            return Err(CutFailure::TooLarge(limit));
        }
        pushed?;
        out.free.try_iter().for_each(|bytes| cutter.recycle(bytes));
        header.check(&cutter, out)?;
        send_chunks(&mut cutter, &mut longest, out)?;
        longest.reserve_buffered(bytes - cutter.position().offset)?;
        if !out.listening || out.to.is_closed() {
            return Ok(());
        }
    }
    cutter.finish()?;
    header.check(&cutter, out)?;
    send_chunks(&mut cutter, &mut longest, out)?;
    out.send(Ok(Piece::End { bytes, digest: cutter.digest() }));
    Ok(())
}

/// Sends all chunks that the cutter has completed.
fn send_chunks(cutter: &mut Cutter, longest: &mut Longest, out: &mut Out<'_>) -> Result<(), CutFailure> {
    while let Some(chunk) = cutter.next_chunk() {
        longest.reserve(chunk.bytes.len() as u64)?;
        out.send(Ok(Piece::Chunk(chunk, cutter.position())));
    }
    Ok(())
}

/// The length of the longest chunk so far. The reserved memory is enough for chunks of this length.
struct Longest {
    memory: Reservation,
    bytes: u64,
}

/// How many chunks a cutter may hold: one that is complete, one that is held back, one that is cut.
const BUFFERED_CHUNKS: u64 = 3;

impl Longest {
    /// Reserves memory for chunks of this length.
    fn reserve(&mut self, bytes: u64) -> Result<(), CutFailure> {
        if bytes > self.bytes {
            self.memory.grow_blocking(growth(self.bytes, bytes)).map_err(CutFailure::Memory)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Reserves memory for a cutter that holds `bytes` bytes. If that is more than its chunks of the known length can
    /// have, one of them is longer.
    fn reserve_buffered(&mut self, bytes: u64) -> Result<(), CutFailure> {
        if bytes > BUFFERED_CHUNKS * self.bytes { self.reserve(bytes) } else { Ok(()) }
    }
}

/// Checks the header when it is complete. A file without a header is checked at once.
struct HeaderCheck(Option<(Schema, Input)>);

impl HeaderCheck {
    fn new(schema: Schema, input: Input, at: Position) -> Result<Self, CutFailure> {
        if at != Position::START {
            return Ok(Self(None));
        }
        if input.has_header() {
            return Ok(Self(Some((schema, input))));
        }
        Binding::new(schema, input, None)?;
        Ok(Self(None))
    }

    fn check(&mut self, cutter: &Cutter, out: &mut Out<'_>) -> Result<(), CutFailure> {
        let Some(raw) = cutter.header() else { return Ok(()) };
        let Some((schema, input)) = self.0.take() else { return Ok(()) };
        let columns = rows_split::parse_header(&input, raw)?;
        Binding::new(schema, input, Some(&columns))?;
        out.send(Ok(Piece::Header { raw: raw.to_vec(), columns }));
        Ok(())
    }
}

impl From<DecodeError> for CutFailure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Interrupted => Self::Interrupted,
            DecodeError::Malformed(problem) => Self::File(problem),
            DecodeError::Memory(error) => Self::Memory(error),
        }
    }
}

impl From<rows_split::CutError> for CutFailure {
    fn from(error: rows_split::CutError) -> Self {
        Self::File(FileProblem { reason: error.reason(), message: error.to_string() })
    }
}

impl From<rows_split::HeaderError> for CutFailure {
    fn from(error: rows_split::HeaderError) -> Self {
        Self::File(error.into())
    }
}

#[cfg(test)]
mod tests {
    use rows_types::{Column, Type};

    use super::*;
    use crate::budget::{Budget, tests::reserved};
    use crate::upload::body::tests::reader;

    const START: Position = Position::START;

    fn schema() -> Schema {
        let columns = [("event_id", "String"), ("amount", "Float64")];
        let columns = columns.map(|(name, ty)| Column::new(name, Type::parse(ty).unwrap()));
        Schema::new(columns.into(), None).unwrap()
    }

    fn task() -> CutTask {
        let (schema, input) = (schema(), Input::default());
        let limits = Limits::plain(16);
        CutTask { schema, input, encoding: Encoding::Identity, limits, at: START, limit: None }
    }

    fn chunks(cuts: &[Cut]) -> Vec<(&Chunk, &Position)> {
        cuts.iter()
            .filter_map(|c| if let Ok(Piece::Chunk(c, at)) = c { Some((c, at)) } else { None })
            .collect()
    }

    #[allow(clippy::unnecessary_wraps, reason = "what a thread sends")]
    fn end(text: &[u8]) -> Cut {
        Ok(Piece::End { bytes: text.len() as u64, digest: Digest::of(text) })
    }

    fn cut_all(pieces: &[&[u8]], clean: bool, task: CutTask) -> Vec<Cut> {
        cut_in(&Budget::new(1 << 30), pieces, clean, task)
    }

    fn cut_in(budget: &Budget, pieces: &[&[u8]], clean: bool, task: CutTask) -> Vec<Cut> {
        let (to, mut from) = mpsc::channel(1000);
        run(reader(pieces, clean), task, reserved(budget, 1), &to, &std::sync::mpsc::channel().1);
        drop(to);
        std::iter::from_fn(|| from.blocking_recv()).collect()
    }

    fn failure(pieces: &[&[u8]]) -> String {
        let cuts = cut_all(pieces, true, task());
        assert_eq!(cuts.len(), 1, "nothing may leave before: {cuts:?}");
        match cuts.into_iter().next() {
            Some(Err(CutFailure::File(problem))) => problem.reason.to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_cut_into_its_header_its_chunks_and_its_end() {
        let text = b"event_id,amount\n1,12.5\n2,\"8\n.0\"\n3,1\n";
        let all = cut_all(&[text], true, task());
        let Ok(Piece::Header { columns, raw }) = &all[0] else { panic!("{all:?}") };
        assert_eq!(
            (columns.as_slice(), raw.as_slice()),
            (&["event_id".into(), "amount".into()][..], &text[..15])
        );
        let chunks = chunks(&all);
        assert_eq!(chunks.iter().map(|(c, _)| c.bytes.as_slice()).collect::<Vec<_>>().concat(), &text[16..]);
        assert_eq!(chunks.iter().map(|(c, _)| c.rows).sum::<u32>(), 3);
        assert_eq!(chunks.last().map(|(_, at)| at.offset), Some(text.len() as u64));
        assert_eq!(all.last(), Some(&end(text.as_ref())));
        for at in 1..text.len() {
            assert_eq!(cut_all(&[&text[..at], &text[at..]], true, task()), all, "split at {at}");
        }
    }

    #[test]
    fn cutting_from_a_position_gives_the_chunks_that_followed_it() {
        let text: Vec<u8> = (0..50).fold(b"event_id,amount\n".to_vec(), |mut t, i| {
            t.extend_from_slice(format!("{i},{i}.5\n").as_bytes());
            t
        });
        let all = cut_all(&[&text], true, task());
        let Some(Ok(Piece::Chunk(_, at))) = all.get(3) else { panic!("{all:?}") };
        let rest =
            cut_all(&[&text[usize::try_from(at.offset).unwrap()..]], true, CutTask { at: *at, ..task() });
        assert_eq!(rest, all[4..]);
    }

    #[test]
    fn an_upload_of_utf_16_continues_at_the_byte_of_its_utf_8() {
        let text: String =
            (0..50).fold("\u{feff}event_id,amount\n".to_owned(), |t, i| t + &format!("ä{i},{i}.5\n"));
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let all = cut_all(&[&units[..99], &units[99..]], true, task());
        assert_eq!(all, cut_all(&[text.as_bytes()], true, task()));
        assert_eq!(all.last(), Some(&end(text.as_ref())));
        let Some(Ok(Piece::Chunk(_, at))) = all.get(3) else { panic!("{all:?}") };
        let rest = &text.as_bytes()[usize::try_from(at.offset).unwrap()..];
        assert_eq!(cut_all(&[rest], true, CutTask { at: *at, ..task() }), all[4..]);
    }

    #[test]
    fn chunks_have_their_batch_and_digests_that_combine_to_the_digest_of_the_file() {
        let text: Vec<u8> = (0..50)
            .fold(b"event_id,amount\n".to_vec(), |t, i| [t, format!("{i},{i}.5\n").into_bytes()].concat());
        // the weight of a row is a fifth of the weight of a batch
        let limits = Limits { row_weight: rows_types::BATCH_WEIGHT / 5, ..Limits::plain(16) };
        let all = cut_all(&[&text], true, CutTask { limits, ..task() });
        let chunks = chunks(&all);
        let ends = chunks.iter().filter(|(c, _)| c.ends_batch).count();
        assert!(ends > 5, "{all:?}");
        let mut batch = 0;
        for (chunk, at) in &chunks {
            assert_eq!(chunk.batch.number, batch);
            assert_eq!(chunk.digest, Digest::of(&chunk.bytes));
            assert_eq!(at.digest, Digest::of(&text[..usize::try_from(at.offset).unwrap()]));
            batch += u32::from(chunk.ends_batch);
        }
        assert_eq!(all.last(), Some(&end(&text)));
        let (_, at) = chunks[ends];
        let rest = &text[usize::try_from(at.offset).unwrap()..];
        let rest = cut_all(&[rest], true, CutTask { limits, at: *at, ..task() });
        assert_eq!(rest, all[ends + 2..], "an upload that continues makes the same batches");
    }

    #[test]
    fn a_file_of_one_chunk_is_marked_as_such() {
        let last = |text: &[u8]| {
            let cuts = cut_all(&[text], true, task());
            chunks(&cuts).iter().map(|(c, _)| c.last).collect::<Vec<_>>()
        };
        assert_eq!(last(b"event_id,amount\n1,2\n"), [true]);
        assert_eq!(last(b"event_id,amount\n1,2\n\n\n"), [true]);
        assert_eq!(last(b"event_id,amount\n1,222222222\n1,222222222\n"), [false, true]);
    }

    #[test]
    fn records_longer_than_a_chunk_are_reserved_or_refused() {
        let long = [b"event_id,amount\n1,".as_slice(), &vec![b'2'; 100_000], b"\n"].concat();
        let budget = Budget::new(2 << 20);
        assert_eq!(chunks(&cut_in(&budget, &[&long], true, task())).len(), 1);
        assert_eq!(budget.free(), 2 << 20);
        let cuts = cut_in(&Budget::new(400_000), &[&long], true, task());
        assert!(matches!(cuts.last(), Some(Err(CutFailure::Memory(NoMemory::Never { .. })))), "{cuts:?}");
    }

    #[test]
    fn a_file_that_cannot_be_loaded_fails_before_any_chunk() {
        assert_eq!(failure(&[]), "EmptyFile");
        assert_eq!(failure(&[b"\n\n"]), "EmptyFile");
        assert_eq!(failure(&[b"id;price\n1;2\n", b"3;4\n"]), "HeaderMismatch");
        assert_eq!(failure(&[b"event_id,amount,colour\n1,2,red\n"]), "HeaderMismatch");
        assert_eq!(failure(&[b"PK\x03\x04\0\0\0\0"]), "BinaryFile");
    }

    #[test]
    fn a_header_alone_is_a_file_of_no_rows() {
        for text in ["event_id,amount\n", "event_id,amount"] {
            let cuts = cut_all(&[text.as_bytes()], true, task());
            assert!(matches!(cuts.as_slice(), [Ok(Piece::Header { .. }), Ok(Piece::End { .. })]), "{cuts:?}");
        }
    }

    #[test]
    fn a_json_array_has_no_header_and_may_be_empty() {
        let input = Input { format: rows_types::Format::Json, ..Input::default() };
        let task = CutTask { input, ..task() };
        let text = b"[{\"event_id\": \"1\"},\n {\"event_id\": \"2\"}]\n";
        let cuts = cut_all(&[text], true, task.clone());
        let [Ok(Piece::Chunk(first, at)), Ok(Piece::Chunk(second, _)), Ok(Piece::End { bytes: 40, .. })] =
            cuts.as_slice()
        else {
            panic!("{cuts:?}")
        };
        assert_eq!([first.bytes.as_slice(), &second.bytes, b"]\n"].concat(), text);
        let rest = cut_all(
            &[&text[usize::try_from(at.offset).unwrap()..]],
            true,
            CutTask { at: *at, ..task.clone() },
        );
        assert_eq!(rest, cuts[1..]);
        assert_eq!(cut_all(&[b"[]"], true, task.clone()), [end(b"[]")]);
        let cut_off = cut_all(&[b"["], true, task);
        assert!(
            matches!(cut_off.as_slice(), [Err(CutFailure::File(p))] if p.reason == "UnterminatedArray"),
            "{cut_off:?}"
        );
    }

    #[test]
    fn a_limit_applies_to_the_decompressed_bytes() {
        let cuts = cut_all(&[b"event_id,amount\n"], true, CutTask { limit: Some(10), ..task() });
        assert_eq!(cuts, [Err(CutFailure::TooLarge(10))]);
    }

    #[test]
    fn a_body_that_breaks_off_leaves_no_last_chunk() {
        let cuts = cut_all(&[b"event_id,amount\n1,2\n"], false, task());
        assert!(
            matches!(cuts.as_slice(), [Ok(Piece::Header { .. }), Err(CutFailure::Interrupted)]),
            "{cuts:?}"
        );
    }
}
