//! JSON arrays: their chunks, and streams that are no array.

use expect_test::expect;

use super::*;
use rows_types::Format;

fn json() -> Input {
    Input { format: Format::Json, ..Input::default() }
}

fn texts(chunks: &[Chunk]) -> Vec<(u64, u32, &str)> {
    chunks.iter().map(|c| (c.first_row, c.rows, std::str::from_utf8(&c.bytes).unwrap())).collect()
}

#[test]
fn a_chunk_ends_after_a_record_and_the_comma_begins_the_next() {
    let file = b"\xef\xbb\xbf [\n {\"a\": 1},\n {\"a\": 2},\n 3 ,{}\n]\n";
    let (header, chunks) = cut(&json(), 12, file, &[5]).unwrap();
    assert_eq!(header, None);
    let expected = [(1, 1, " [\n {\"a\": 1}"), (2, 1, ",\n {\"a\": 2}"), (3, 2, ",\n 3 ,{}")];
    assert_eq!(texts(&chunks), expected);
}

#[test]
fn every_instruction_set_cuts_an_array_into_the_same_chunks() {
    let file = format!("[{}]", vec!["{\"a\":\"b,]\"}"; 100].join(",\n"));
    let expected = cut(&json(), 50, file.as_bytes(), &[usize::MAX]).unwrap().1;
    for cutter in Cutter::on_every_level(&json(), Limits::plain(50)) {
        let mut cutter = cutter.with_digests();
        cutter.push(file.as_bytes()).unwrap();
        cutter.finish().unwrap();
        let chunks: Vec<Chunk> = std::iter::from_fn(|| cutter.next_chunk()).collect();
        assert_eq!(chunks, expected);
    }
}

#[test]
fn a_chunk_of_an_array_ends_at_the_last_record_within_its_size() {
    let cut = |chunk_bytes, file: &str| {
        let chunks = cut(&json(), chunk_bytes, file.as_bytes(), &[1]).unwrap().1;
        texts(&chunks).into_iter().map(|(_, _, text)| text.to_owned()).collect::<Vec<_>>()
    };
    // a number ends before the byte that shows its end
    assert_eq!(cut(4, "[12,345,6,7]"), ["[12", ",345", ",6,7"]);
    assert_eq!(cut(5, "[12,34,6]"), ["[12", ",34,6"]);
    assert_eq!(cut(6, "[12,34,6]"), ["[12,34", ",6"]);
    assert_eq!(cut(4, "[{},{},{}]"), ["[{}", ",{}", ",{}"]);
    // a single record may be longer
    assert_eq!(cut(4, "[1,\"long\",2,3]"), ["[1", ",\"long\"", ",2,3"]);
}

#[test]
fn a_chunk_of_an_array_comes_out_when_another_record_begins() {
    for begins in ["{", "\"", "[", "2"] {
        let mut cutter = Cutter::new(&json(), Limits::plain(3));
        cutter.push(b"[{} , ").unwrap();
        assert_eq!(cutter.next_chunk(), None);
        cutter.push(begins.as_bytes()).unwrap();
        assert_eq!(cutter.next_chunk().map(|c| (c.bytes, c.last)), Some((b"[{}".to_vec(), false)));
    }
    let mut cutter = Cutter::new(&json(), Limits::plain(3));
    cutter.push(b"[{} ]\n").unwrap();
    assert_eq!(cutter.next_chunk(), None);
    cutter.finish().unwrap();
    assert_eq!(cutter.next_chunk().map(|c| (c.bytes, c.last)), Some((b"[{}".to_vec(), true)));
}

#[test]
fn a_chunk_of_an_array_has_at_most_so_many_records() {
    let file = format!("[1{}]", ",1".repeat(MAX_CHUNK_ROWS as usize));
    let chunks = cut(&json(), 1 << 30, file.as_bytes(), &[1 << 20]).unwrap().1;
    assert_eq!(
        chunks.iter().map(|c| (c.first_row, c.rows)).collect::<Vec<_>>(),
        [(1, 200_000), (200_001, 1)]
    );
}

#[test]
fn an_empty_array_is_a_file_without_a_row() {
    for file in ["[]", " [ \n ] \r\n", "\u{feff}[]"] {
        assert_eq!(cut(&json(), 1, file.as_bytes(), &[1]), Ok((None, vec![])), "{file:?}");
    }
    for file in ["", " \n", "\u{feff}\n"] {
        assert_eq!(cut(&json(), 1, file.as_bytes(), &[1]), Err(CutError::EmptyFile), "{file:?}");
    }
}

#[test]
fn what_is_no_array_is_refused_and_told_why() {
    let said = |file: &str| {
        let by_byte = cut(&json(), 100, file.as_bytes(), &[1]).unwrap_err();
        assert_eq!(cut(&json(), 1, file.as_bytes(), &[usize::MAX]).unwrap_err(), by_byte);
        format!("{}: {by_byte}\n", by_byte.reason())
    };
    let files = [
        "{\"a\":1}\n{\"a\":2}\n",
        "a,b\n",
        "[{\"a\":1},",
        "[{\"a\":\"x}, {\"a\":1}]",
        "[1",
        "[",
        "[{}] x",
        "[{}][{}]",
        "\u{feff}[{} {}]",
        "[1,2 3]",
        "[\"a\"b]",
        "[{},,{}]",
        "[,{}]",
        "[{},]",
    ];
    expect![[r#"
        NotJsonArray: the file is not a JSON array: byte 0 should be '['; use format JSONLines for one object a line
        NotJsonArray: the file is not a JSON array: byte 0 should be '['; use format JSONLines for one object a line
        UnterminatedArray: the JSON array is never closed; the file may be cut off
        UnterminatedArray: the JSON array is never closed; the file may be cut off
        UnterminatedArray: the JSON array is never closed; the file may be cut off
        UnterminatedArray: the JSON array is never closed; the file may be cut off
        MalformedArray: there is text after the JSON array, at byte 5; send one array a file
        MalformedArray: there is text after the JSON array, at byte 4; send one array a file
        MalformedArray: there is no comma before record 2, at byte 7; separate the records of a JSON array by commas
        MalformedArray: there is no comma before record 3, at byte 5; separate the records of a JSON array by commas
        MalformedArray: there is no comma before record 2, at byte 4; separate the records of a JSON array by commas
        MalformedArray: record 2, at byte 4, is empty; remove the extra comma
        MalformedArray: record 1, at byte 1, is empty; remove the extra comma
        MalformedArray: record 2, at byte 4, is empty; remove the extra comma
    "#]].assert_eq(&files.map(said).concat());
}

#[test]
fn an_element_may_be_as_long_as_the_limit_and_no_longer() {
    for sizes in [&[1 << 16][..], &[usize::MAX], &[4099]] {
        for (more, fits) in [(0, true), (1, false)] {
            let file = format!("[1,\"{}\",2]", "x".repeat(MAX_RECORD_BYTES - 3 + more));
            let cut = cut(&json(), 100, file.as_bytes(), sizes);
            let rows = cut.map(|(_, chunks)| chunks.iter().map(|c| c.rows).sum::<u32>());
            let too_long = CutError::RecordTooLong { row: 2, limit: MAX_RECORD_BYTES };
            assert_eq!(rows, if fits { Ok(3) } else { Err(too_long) });
        }
    }
}

#[test]
fn depth_is_no_danger() {
    let depth = MAX_RECORD_BYTES / 2 - 1;
    let file = format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
    let chunks = cut(&json(), 100, file.as_bytes(), &[1 << 16]).unwrap().1;
    assert_eq!(chunks.iter().map(|c| c.rows).sum::<u32>(), 1);
}
