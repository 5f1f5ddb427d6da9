//! Decoding and cutting, on a thread of its own: the only work of the server that costs CPU.
//!
//! **Promise:** a file whose header does not fit the model fails before any chunk of it leaves here.

use std::sync::mpsc::Receiver;

use rows::{Chunk, Cutter, Input, Plan, Position, Schema};
use tokio::sync::mpsc;

use crate::error::FileProblem;
use crate::upload::body::BodyReader;
use crate::upload::decode::{DecodeError, Decoder, Encoding};

/// What the thread needs to know of an upload.
#[derive(Clone)]
pub struct CutTask {
    /// By what the header is judged.
    pub schema: Schema,
    /// How the file is read.
    pub input: Input,
    /// How the body is packed.
    pub encoding: Encoding,
    /// Bytes at which a chunk ends at the next record edge.
    pub chunk_bytes: usize,
    /// Where the body begins in the file.
    pub at: Position,
    /// The most bytes of the file.
    pub limit: Option<u64>,
}

/// What comes out of a file, in this order: at most one header, chunks, the end.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// The header record as it stands in the file, and the names in it.
    Header {
        /// Without its line end.
        raw: Vec<u8>,
        /// The names.
        columns: Vec<String>,
    },
    /// A chunk, and where the file goes on after it.
    Chunk(Chunk, Position),
    /// All of the file was read: this many bytes, unpacked.
    End(u64),
}

/// Why nothing more comes out of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum CutFailure {
    /// The file cannot be loaded.
    File(FileProblem),
    /// The file is larger than the limit.
    TooLarge(u64),
    /// The body broke off.
    BrokeOff,
}

/// What the thread sends.
pub type Cut = Result<Piece, CutFailure>;

/// The position of a file's first byte.
pub const START: Position = Position { offset: 0, next_chunk: 0, next_row: 1 };

/// Reads a body to its end or first problem. Blocks; returns early when nobody listens.
///
/// The memory of chunks that `free` brings back is used again.
pub fn run(body: BodyReader, task: CutTask, to: &mpsc::Sender<Cut>, free: &Receiver<Vec<u8>>) {
    let mut out = Out { to, free, listening: true };
    if let Err(failure) = cut(body, task, &mut out) {
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

fn cut(body: BodyReader, task: CutTask, out: &mut Out<'_>) -> Result<(), CutFailure> {
    let CutTask { schema, input, encoding, chunk_bytes, at, limit } = task;
    let mut cutter =
        if at == START { Cutter::new(&input, chunk_bytes) } else { Cutter::resume(&input, chunk_bytes, at) };
    let mut header = HeaderCheck::new(schema, input, at)?;
    let mut decoder = Decoder::new(body, encoding, at != START)?;
    let mut bytes = at.offset;
    while let Some((amount, pushed)) = decoder.next(|piece| (piece.len() as u64, cutter.push(piece)))? {
        bytes += amount;
        if let Some(limit) = limit.filter(|limit| bytes > *limit) {
            return Err(CutFailure::TooLarge(limit));
        }
        pushed?;
        out.free.try_iter().for_each(|bytes| cutter.recycle(bytes));
        header.check(&cutter, out)?;
        while let Some(chunk) = cutter.next_chunk() {
            out.send(Ok(Piece::Chunk(chunk, cutter.position())));
        }
        if !out.listening || out.to.is_closed() {
            return Ok(());
        }
    }
    let last = cutter.finish()?;
    header.check(&cutter, out)?;
    if let Some(chunk) = last {
        out.send(Ok(Piece::Chunk(chunk, cutter.position())));
    }
    out.send(Ok(Piece::End(bytes)));
    Ok(())
}

/// Judges the header once it is there, and a file without one at once.
struct HeaderCheck(Option<(Schema, Input)>);

impl HeaderCheck {
    fn new(schema: Schema, input: Input, at: Position) -> Result<Self, CutFailure> {
        if at != START {
            return Ok(Self(None));
        }
        if input.has_header() {
            return Ok(Self(Some((schema, input))));
        }
        Plan::bind(schema, input, None)?;
        Ok(Self(None))
    }

    fn check(&mut self, cutter: &Cutter, out: &mut Out<'_>) -> Result<(), CutFailure> {
        let Some(raw) = cutter.header() else { return Ok(()) };
        let Some((schema, input)) = self.0.take() else { return Ok(()) };
        let columns = rows::parse_header(&input, raw)?;
        Plan::bind(schema, input, Some(&columns))?;
        out.send(Ok(Piece::Header { raw: raw.to_vec(), columns }));
        Ok(())
    }
}

impl From<DecodeError> for CutFailure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::BrokeOff => Self::BrokeOff,
            DecodeError::Malformed(problem) => Self::File(problem),
        }
    }
}

impl From<rows::CutError> for CutFailure {
    fn from(error: rows::CutError) -> Self {
        Self::File(FileProblem { reason: error.reason(), message: error.to_string() })
    }
}

impl From<rows::HeaderError> for CutFailure {
    fn from(error: rows::HeaderError) -> Self {
        Self::File(error.into())
    }
}

#[cfg(test)]
mod tests {
    use rows::{Column, Type};

    use super::*;
    use crate::upload::body::tests::reader;

    fn schema() -> Schema {
        let columns = [("event_id", "String"), ("amount", "Float64")];
        let columns = columns.map(|(name, ty)| Column::new(name, Type::parse(ty).unwrap()));
        Schema::new(columns.into(), None).unwrap()
    }

    fn task() -> CutTask {
        let (schema, input) = (schema(), Input::default());
        CutTask { schema, input, encoding: Encoding::Identity, chunk_bytes: 16, at: START, limit: None }
    }

    fn cut_all(pieces: &[&[u8]], clean: bool, task: CutTask) -> Vec<Cut> {
        let (to, mut from) = mpsc::channel(1000);
        run(reader(pieces, clean), task, &to, &std::sync::mpsc::channel().1);
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
    fn a_file_comes_out_as_its_header_its_chunks_and_its_end() {
        let text = b"event_id,amount\n1,12.5\n2,\"8\n.0\"\n3,1\n";
        let whole = cut_all(&[text], true, task());
        let Ok(Piece::Header { columns, raw }) = &whole[0] else { panic!("{whole:?}") };
        assert_eq!(
            (columns.as_slice(), raw.as_slice()),
            (&["event_id".into(), "amount".into()][..], &text[..15])
        );
        let chunks: Vec<_> = whole
            .iter()
            .filter_map(|c| if let Ok(Piece::Chunk(c, at)) = c { Some((c, at)) } else { None })
            .collect();
        assert_eq!(chunks.iter().map(|(c, _)| c.bytes.as_slice()).collect::<Vec<_>>().concat(), &text[16..]);
        assert_eq!(chunks.iter().map(|(c, _)| c.rows).sum::<u32>(), 3);
        assert_eq!(chunks.last().map(|(_, at)| at.offset), Some(text.len() as u64));
        assert_eq!(whole.last(), Some(&Ok(Piece::End(text.len() as u64))));
        for at in 1..text.len() {
            assert_eq!(cut_all(&[&text[..at], &text[at..]], true, task()), whole, "split at {at}");
        }
    }

    #[test]
    fn what_is_cut_from_a_position_is_what_was_cut_after_it() {
        let text: Vec<u8> = (0..50).fold(b"event_id,amount\n".to_vec(), |mut t, i| {
            t.extend_from_slice(format!("{i},{i}.5\n").as_bytes());
            t
        });
        let whole = cut_all(&[&text], true, task());
        let Some(Ok(Piece::Chunk(_, at))) = whole.get(3) else { panic!("{whole:?}") };
        let rest =
            cut_all(&[&text[usize::try_from(at.offset).unwrap()..]], true, CutTask { at: *at, ..task() });
        assert_eq!(rest, whole[4..]);
    }

    #[test]
    fn an_upload_of_utf_16_goes_on_from_the_byte_of_its_utf_8() {
        let text: String =
            (0..50).fold("\u{feff}event_id,amount\n".to_owned(), |t, i| t + &format!("ä{i},{i}.5\n"));
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let whole = cut_all(&[&units[..99], &units[99..]], true, task());
        assert_eq!(whole, cut_all(&[text.as_bytes()], true, task()));
        assert_eq!(whole.last(), Some(&Ok(Piece::End(text.len() as u64))));
        let Some(Ok(Piece::Chunk(_, at))) = whole.get(3) else { panic!("{whole:?}") };
        let rest = &text.as_bytes()[usize::try_from(at.offset).unwrap()..];
        assert_eq!(cut_all(&[rest], true, CutTask { at: *at, ..task() }), whole[4..]);
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
            assert!(matches!(cuts.as_slice(), [Ok(Piece::Header { .. }), Ok(Piece::End(_))]), "{cuts:?}");
        }
    }

    #[test]
    fn a_json_array_comes_out_without_a_header_and_may_be_empty() {
        let input = Input { format: rows::Format::Json, ..Input::default() };
        let task = CutTask { input, ..task() };
        let text = b"[{\"event_id\": \"1\"},\n {\"event_id\": \"2\"}]\n";
        let cuts = cut_all(&[text], true, task.clone());
        let [Ok(Piece::Chunk(first, at)), Ok(Piece::Chunk(second, _)), Ok(Piece::End(40))] = cuts.as_slice()
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
        assert_eq!(cut_all(&[b"[]"], true, task.clone()), [Ok(Piece::End(2))]);
        let cut_off = cut_all(&[b"["], true, task);
        assert!(
            matches!(cut_off.as_slice(), [Err(CutFailure::File(p))] if p.reason == "UnterminatedArray"),
            "{cut_off:?}"
        );
    }

    #[test]
    fn a_limit_holds_for_what_a_body_unpacks_to() {
        let cuts = cut_all(&[b"event_id,amount\n"], true, CutTask { limit: Some(10), ..task() });
        assert_eq!(cuts, [Err(CutFailure::TooLarge(10))]);
    }

    #[test]
    fn a_body_that_breaks_off_leaves_no_last_chunk() {
        let cuts = cut_all(&[b"event_id,amount\n1,2\n"], false, task());
        assert!(matches!(cuts.as_slice(), [Ok(Piece::Header { .. }), Err(CutFailure::BrokeOff)]), "{cuts:?}");
    }
}
