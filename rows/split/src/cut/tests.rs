//! However a stream is pushed, it gives the same chunks and batches, and the chunks give the file.

mod array;
mod batches;
mod dialects;

use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::Binding;
use crate::cells::Source;
use crate::splitter::{Batches, Splitter};
use rows_types::{
    BATCH_ROWS, BATCH_WEIGHT, BatchStart, CellError, Column, Input, MAX_BATCH_CHUNKS, MAX_BATCH_ROWS,
    MAX_CHUNK_ROWS, Schema, Type,
};

type Cut = Result<(Option<Vec<u8>>, Vec<Chunk>), CutError>;

/// Takes all chunks that are ready, and checks the promises about positions.
fn drain(cutter: &mut Cutter, stream: &[u8], chunks: &mut Vec<Chunk>) {
    while let Some(chunk) = cutter.next_chunk() {
        let at = cutter.position();
        assert_eq!((at.next_chunk, at.next_row), (chunk.number + 1, chunk.first_row + u64::from(chunk.rows)));
        // this would take long for a long stream
        if stream.len() < 10_000 || chunk.last {
            assert_eq!(at.digest, Digest::of(&stream[..at.offset as usize]));
        }
        assert_eq!(at.batch.number, chunk.batch.number + u32::from(chunk.ends_batch));
        chunks.push(chunk);
    }
}

/// Pushes the bytes in pieces of these sizes, which repeat.
fn cut_by(input: &Input, limits: Limits, bytes: &[u8], sizes: &[usize]) -> Cut {
    let mut cutter = Cutter::new(input, limits).with_digests();
    let mut chunks = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*size));
        cutter.push(piece)?;
        drain(&mut cutter, bytes, &mut chunks);
        rest = after;
    }
    cutter.finish()?;
    drain(&mut cutter, bytes, &mut chunks);
    assert_eq!(cutter.digest(), Digest::of(bytes));
    batches::check(&limits, &chunks);
    Ok((cutter.header().map(<[u8]>::to_vec), chunks))
}

fn cut(input: &Input, chunk_bytes: usize, bytes: &[u8], sizes: &[usize]) -> Cut {
    cut_by(input, Limits::plain(chunk_bytes), bytes, sizes)
}

/// Reads the bytes into the cutter's memory in steps of at most these sizes, which repeat. Gives the memory of chunks
/// back to the cutter.
fn read_by(input: &Input, limits: Limits, mut bytes: &[u8], sizes: &[usize]) -> Cut {
    let mut cutter = Cutter::new(input, limits).with_digests();
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        let spare_memory = cutter.spare_memory();
        let most = spare_memory.len().min(*size);
        let len = bytes.read(&mut spare_memory[..most]).unwrap();
        if len == 0 {
            break;
        }
        cutter.filled(len)?;
        while let Some(mut chunk) = cutter.next_chunk() {
            chunks.push(chunk.clone());
            chunk.bytes.fill(b'"');
            cutter.recycle(chunk.bytes);
        }
    }
    cutter.finish()?;
    chunks.extend(std::iter::from_fn(|| cutter.next_chunk()));
    Ok((cutter.header().map(<[u8]>::to_vec), chunks))
}

fn read(input: &Input, chunk_bytes: usize, bytes: &[u8], sizes: &[usize]) -> Cut {
    read_by(input, Limits::plain(chunk_bytes), bytes, sizes)
}

/// Limits of chunks and batches that small streams reach.
fn limits() -> impl Strategy<Value = Limits> {
    let rows = prop_oneof![Just(MAX_CHUNK_ROWS), 1u32..20];
    let row_weight = prop::sample::select(vec![0, 9, 1 << 20, BATCH_WEIGHT / 3, BATCH_WEIGHT]);
    let byte_weight = prop::sample::select(vec![1, 1, 1 << 20, BATCH_WEIGHT / 50]);
    (1usize..200, rows, row_weight, byte_weight).prop_map(
        |(chunk_bytes, chunk_rows, row_weight, byte_weight)| Limits {
            chunk_bytes,
            chunk_rows,
            row_weight,
            byte_weight,
        },
    )
}

fn headerless() -> Input {
    Input { header: false, ..Input::default() }
}

/// The records that splitters find in these bytes.
fn records(input: &Input, bytes: &[u8]) -> Vec<Vec<u8>> {
    struct Records<'a>(&'a [u8], Vec<Vec<u8>>);
    impl Batches for Records<'_> {
        fn take<S: Source>(&mut self, source: &S, _end: usize, _malformed: &[(u32, CellError)]) {
            let spans = (0..source.records()).map(|at| source.record(at));
            self.1.extend(spans.map(|(start, end)| self.0[start as usize..end as usize].to_vec()));
        }
    }
    let columns = vec![Column::new("a", Type::parse("String").unwrap())];
    let input = Input { header: false, ..input.clone() };
    let binding = Binding::new(Schema::new(columns, None).unwrap(), input, None).unwrap();
    let mut found = Level::all().into_iter().map(|level| {
        let (mut splitter, mut records, mut at) =
            (Splitter::new(&binding, level), Records(bytes, Vec::new()), 0);
        while at < bytes.len() {
            at = splitter.batch(&binding, bytes, at, &mut records);
        }
        records.1
    });
    let first = found.next().unwrap();
    assert!(found.all(|other| other == first), "levels differ");
    first
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "a",
        ",",
        "\n",
        "\r\n",
        "\"",
        "\"\"",
        "\"x,\n\"",
        "\r",
        "bcd,efg\n",
        "\"q\",\"\"\"r\"\"\"\n",
    ]);
    prop::collection::vec(piece, 0..120).prop_map(|p| p.concat().into_bytes())
}

/// The chunks if another cutter continues after the first `after` chunks, for each instruction set.
fn taken_up_again(input: &Input, limits: Limits, bytes: &[u8], after: usize) -> Vec<Vec<Chunk>> {
    let again = |mut cutter: Cutter, level: Level| {
        cutter = cutter.with_digests();
        cutter.push(bytes).unwrap();
        let mut seen: Vec<Chunk> = (0..after).map_while(|_| cutter.next_chunk()).collect();
        let at = cutter.position();
        let mut resumed = Cutter::resume(input, limits, at).with_digests();
        resumed.scanner = resumed.scanner.on(level);
        resumed.push(&bytes[at.offset as usize..]).unwrap();
        resumed.finish().unwrap();
        drain(&mut resumed, bytes, &mut seen);
        assert_eq!(resumed.digest(), Digest::of(bytes));
        seen
    };
    let cutters = Cutter::on_every_level(input, limits).into_iter();
    cutters.zip(Level::all()).map(|(cutter, level)| again(cutter, level)).collect()
}

proptest! {
    #[test]
    fn chunks_do_not_depend_on_how_bytes_come(bytes in soup(), limits in limits(), sizes in prop::collection::vec(1usize..90, 1..6)) {
        let whole = cut_by(&headerless(), limits, &bytes, &[usize::MAX]);
        prop_assert_eq!(&cut_by(&headerless(), limits, &bytes, &sizes), &whole);
        prop_assert_eq!(&read_by(&headerless(), limits, &bytes, &sizes), &whole);
        prop_assert_eq!(&read_by(&headerless(), limits, &bytes, &[usize::MAX]), &whole);
    }

    #[test]
    fn chunks_joined_hold_every_record_once(bytes in soup(), chunk_bytes in 1usize..200) {
        let Ok((_, chunks)) = cut(&headerless(), chunk_bytes, &bytes, &[7]) else { return Ok(()) };
        let mut row = 1;
        let mut apart = Vec::new();
        for (i, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!((chunk.number as usize, chunk.first_row), (i, row));
            let found = records(&headerless(), &chunk.bytes);
            prop_assert_eq!(found.len(), chunk.rows as usize);
            apart.extend(found);
            row += u64::from(chunk.rows);
        }
        let joined: Vec<u8> = chunks.into_iter().flat_map(|c| c.bytes).collect();
        prop_assert_eq!(&records(&headerless(), &joined), &apart);
        prop_assert_eq!(records(&headerless(), &bytes), apart);
    }

    #[test]
    fn a_stream_taken_up_again_gives_the_same_chunks(bytes in soup(), limits in limits(), after in 0usize..8) {
        let Ok((_, chunks)) = cut_by(&headerless(), limits, &bytes, &[50]) else { return Ok(()) };
        for again in taken_up_again(&headerless(), limits, &bytes, after) {
            prop_assert_eq!(&again, &chunks);
        }
    }
}

#[test]
fn the_edges_of_a_file_are_the_same_at_every_cut() {
    let file = "\u{feff}\r\n\"a\",b\r\n\"x\r\n\"\"y\"\"\",1\r\n\n2,\"\"\n\"\r\n\",3".as_bytes();
    let expected = cut(&Input::default(), 8, file, &[usize::MAX]).unwrap();
    assert_eq!(expected.0.as_deref(), Some(&b"\"a\",b"[..]));
    assert_eq!(expected.1.iter().map(|c| c.rows).sum::<u32>(), 3);
    for at in 1..file.len() {
        assert_eq!(cut(&Input::default(), 8, file, &[at, usize::MAX]).unwrap(), expected, "cut at {at}");
    }
    assert_eq!(cut(&Input::default(), 8, file, &[1]).unwrap(), expected);
}

#[test]
fn chunks_of_any_size_hold_the_file_however_it_comes() {
    let record = |i: usize| format!("{i},\"{}\"\r\n", "x,\"\"\n".repeat(i * 7 % 40));
    let records: String = (0..10_000).map(record).collect();
    let file = format!("\u{feff}a,b\n{records}");
    for chunk_bytes in [1, 5000, READ - 50, READ + SLACK, 300_000, 1 << 30] {
        let whole = cut(&Input::default(), chunk_bytes, file.as_bytes(), &[usize::MAX]).unwrap();
        let joined: Vec<&[u8]> = whole.1.iter().map(|c| c.bytes.as_slice()).collect();
        assert!(joined.concat() == records.as_bytes(), "{chunk_bytes}");
        for sizes in [&[usize::MAX][..], &[1000, 70_000, 1], &[READ], &[99]] {
            let pushed = cut(&Input::default(), chunk_bytes, file.as_bytes(), sizes).unwrap();
            assert!(pushed == whole, "{chunk_bytes} {sizes:?}");
            let read = read(&Input::default(), chunk_bytes, file.as_bytes(), sizes).unwrap();
            assert!(read == whole, "{chunk_bytes} {sizes:?}");
        }
    }
}

#[test]
fn the_room_of_a_cutter_is_never_empty_and_bounded() {
    for chunk_bytes in [1, SLACK, READ, 3 * READ + 1, 1 << 30] {
        let mut cutter = Cutter::new(&headerless(), Limits::plain(chunk_bytes));
        for _ in 0..10 {
            let spare_memory = cutter.spare_memory();
            let len = spare_memory.len();
            assert!((1..=MAX_READ_BYTES).contains(&len), "{chunk_bytes}: {len}");
            spare_memory.fill(b'x');
            cutter.filled(len - 1).unwrap();
        }
    }
}

#[test]
fn memory_that_is_given_back_is_used_again() {
    let large = vec![b'"'; 20 * READ];
    let capacity = large.capacity();
    let mut cutter = Cutter::new(&headerless(), Limits::plain(4));
    cutter.recycle(large);
    cutter.push(b"a,b\n").unwrap();
    let used = (0..9).filter(|_| {
        cutter.push(b"1,2\n").unwrap();
        let chunk = cutter.next_chunk().unwrap();
        let large = chunk.bytes.capacity() == capacity;
        cutter.recycle(chunk.bytes);
        large
    });
    assert_eq!(used.count(), 4);
}

#[test]
fn a_chunk_ends_at_the_last_line_end_within_its_size() {
    let texts = |chunk_bytes, file: &[u8]| -> Vec<String> {
        let chunks = cut(&headerless(), chunk_bytes, file, &[100]).unwrap().1;
        chunks.into_iter().map(|c| String::from_utf8(c.bytes).unwrap()).collect()
    };
    assert_eq!(texts(5, b"aa,b\ncc,d\n"), ["aa,b\n", "cc,d\n"]);
    assert_eq!(texts(9, b"aa,b\ncc,d\ne,f\ng,h\n"), ["aa,b\n", "cc,d\ne,f\n", "g,h\n"]);
    assert_eq!(texts(10, b"aa,b\ncc,d\ne,f\ng,h\n"), ["aa,b\ncc,d\n", "e,f\ng,h\n"]);
    // a single record may be longer
    assert_eq!(texts(4, b"a\nbbbbbbbb\nc\nd\ne"), ["a\n", "bbbbbbbb\n", "c\nd\n", "e"]);
    // blank lines do not make a chunk longer
    assert_eq!(texts(4, b"\n\nabc\n\n\nd\n\n\n\n"), ["abc\n", "\n\nd\n"]);
    let chunks = cut(&headerless(), 10, b"aa,b\ncc,d\ne,f\n", &[100]).unwrap().1;
    assert_eq!(
        chunks.iter().map(|c| (c.number, c.first_row, c.rows)).collect::<Vec<_>>(),
        [(0, 1, 2), (1, 3, 1)]
    );
}

#[test]
fn a_chunk_has_at_most_so_many_records() {
    let bytes = "1\n".repeat(500_000).into_bytes();
    let chunks = cut(&headerless(), 1 << 30, &bytes, &[1 << 20]).unwrap().1;
    assert_eq!(chunks.iter().map(|c| c.rows).collect::<Vec<_>>(), [200_000, 200_000, 100_000]);
    assert_eq!(chunks[2].first_row, 400_001);
    let limits = Limits { chunk_rows: 3, ..Limits::plain(1 << 20) };
    let record = "\"a\n\",b\r\n\n";
    for records in 1..12 {
        let file = record.repeat(records);
        for size in [1, 7, usize::MAX] {
            let chunks = cut_by(&headerless(), limits, file.as_bytes(), &[size]).unwrap().1;
            let rows: Vec<usize> = chunks.iter().map(|c| c.rows as usize).collect();
            let expected = (0..records).step_by(3).map(|first| 3.min(records - first));
            assert_eq!(rows, expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_chunk_comes_out_when_another_record_begins() {
    for (text, begins) in [("b\n", "c"), ("b\n\r\n", "\"")] {
        let mut cutter = Cutter::new(&headerless(), Limits::plain(2));
        cutter.push(b"a").unwrap();
        assert_eq!(cutter.next_chunk(), None);
        cutter.push(b"\n\n").unwrap();
        assert_eq!(cutter.next_chunk(), None);
        cutter.push(text.as_bytes()).unwrap();
        assert_eq!(cutter.next_chunk().map(|c| (c.bytes, c.last)), Some((b"a\n".to_vec(), false)));
        assert_eq!(cutter.next_chunk(), None);
        cutter.push(begins.as_bytes()).unwrap();
        assert_eq!(cutter.next_chunk().map(|c| c.last), Some(false));
        cutter.finish().unwrap();
        assert_eq!(cutter.next_chunk().map(|c| (c.first_row, c.last, c.ends_batch)), Some((3, true, true)));
        assert_eq!(cutter.next_chunk(), None);
    }
    let mut cutter = Cutter::new(&headerless(), Limits::plain(2));
    cutter.push(b"a\n\n\n").unwrap();
    assert_eq!(cutter.next_chunk(), None);
    cutter.finish().unwrap();
    assert_eq!(cutter.next_chunk().map(|c| c.last), Some(true));
    assert_eq!((cutter.next_chunk(), cutter.position().offset), (None, 2));
}

#[test]
fn digests_are_off_unless_they_are_asked_for() {
    let mut cutter = Cutter::new(&Input::default(), Limits::plain(4));
    cutter.push(b"a,b\n1,2\n3,4\n").unwrap();
    cutter.finish().unwrap();
    while let Some(chunk) = cutter.next_chunk() {
        assert_eq!((chunk.digest, cutter.position().digest), (Digest::default(), Digest::default()));
    }
    assert_eq!(cutter.digest(), Digest::default());
}

#[test]
fn a_long_record_is_one_chunk_however_long_it_is() {
    for len in [SHORT_PIECE, PIECE - 1, PIECE, 3 * PIECE + 7, MAX_RECORD_BYTES - 1] {
        let long = "x".repeat(len);
        let file = format!("a\n{long}\nb\nc\n");
        for chunk_bytes in [4, 1000, PIECE, 40_000] {
            for sizes in [&[usize::MAX][..], &[5000]] {
                let chunks = cut(&headerless(), chunk_bytes, file.as_bytes(), sizes).unwrap().1;
                assert!(chunks == read(&headerless(), chunk_bytes, file.as_bytes(), sizes).unwrap().1);
                let rows: Vec<u32> = chunks.iter().map(|c| c.rows).collect();
                let expected: &[u32] = match chunk_bytes {
                    // each chunk has as many records as fit
                    _ if chunk_bytes >= len + 7 => &[4],
                    _ if chunk_bytes >= len + 5 => &[3, 1],
                    _ if chunk_bytes >= len + 3 => &[2, 2],
                    _ => &[1, 1, 2],
                };
                assert_eq!(rows, expected, "{len} {chunk_bytes}");
            }
        }
    }
}

#[test]
fn json_lines_are_cut_at_line_feeds_whatever_their_quotes() {
    let input = Input { format: rows_types::Format::JsonLines, ..Input::default() };
    let (header, chunks) = cut(&input, 1, b"{\"a\":\"x\n\n{\"a\":1}", &[3]).unwrap();
    assert_eq!(header, None);
    assert_eq!(chunks.len(), 2);
}

#[test]
fn a_file_without_a_record_is_empty_unless_it_has_a_header() {
    for bytes in [&b""[..], b"\n", b"\r\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\xef"] {
        let expected = if bytes == b"\xef" { None } else { Some(CutError::EmptyFile) };
        assert_eq!(cut(&Input::default(), 10, bytes, &[1]).err(), expected, "{bytes:?}");
    }
    assert_eq!(cut(&headerless(), 10, b"\n\n", &[1]).err(), Some(CutError::EmptyFile));
    assert_eq!(cut(&Input::default(), 10, b"a,b", &[1]), Ok((Some(b"a,b".to_vec()), vec![])));
    assert_eq!(cut(&Input::default(), 10, b"a,b\n\n", &[1]), Ok((Some(b"a,b".to_vec()), vec![])));
}

#[test]
fn a_binary_file_is_refused() {
    assert!(CutError::Binary { offset: 1 }.to_string().contains("UTF-16"));
    assert_eq!(cut(&Input::default(), 10, b"PK\x03\x04\0", &[1]).err(), Some(CutError::Binary { offset: 4 }));
    let mut late = "a,b\n".repeat(3000).into_bytes();
    late.push(0);
    assert!(cut(&Input::default(), 10, &late, &[5000]).is_ok());
}

#[test]
fn a_record_may_be_as_long_as_the_limit_and_no_longer() {
    for sizes in [&[1 << 16][..], &[usize::MAX], &[4099]] {
        let fits = [b"a\n".to_vec(), vec![b'x'; MAX_RECORD_BYTES - 1], b"\nb\n".to_vec()].concat();
        let chunks = cut(&headerless(), 100, &fits, sizes).unwrap().1;
        assert_eq!(chunks.iter().map(|c| c.rows).sum::<u32>(), 3);
        assert!(read(&headerless(), 100, &fits, sizes).unwrap().1 == chunks);
        let over = [b"a\n".to_vec(), vec![b'x'; MAX_RECORD_BYTES], b"\nb\n".to_vec()].concat();
        let error = Some(CutError::RecordTooLong { row: 2, limit: MAX_RECORD_BYTES });
        assert_eq!(cut(&headerless(), 100, &over, sizes).err(), error);
        assert_eq!(read(&headerless(), 100, &over, sizes).err(), error);
    }
}

#[test]
fn a_header_with_an_open_quote_is_refused() {
    assert_eq!(cut(&Input::default(), 10, b"\"a,b\n1,2\n", &[4]).err(), Some(CutError::UnterminatedQuote));
}
