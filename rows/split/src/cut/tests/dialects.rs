//! For every format and dialect: however a stream is cut, its chunks have the records that the definition finds, byte
//! by byte.

use super::*;
use crate::array::{Array, Event, Place};
use rows_types::{Format, LineEnd};

/// The records of the stream with their line ends, including a header, found by the state machines alone. `None`: the
/// stream is malformed.
fn by_definition(input: &Input, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    let mut start = 0;
    if input.format == Format::Json {
        let mut array = Array::at(Place::Start);
        for (at, byte) in bytes.iter().enumerate() {
            match array.push(*byte).ok()? {
                None => {}
                Some(Event::Begins) => start = at,
                Some(Event::Ends) => records.push(bytes[start..=at].to_vec()),
                Some(Event::Ended) => records.push(bytes[start..at].to_vec()),
            }
        }
        return (array.place == Place::End).then_some(records);
    }
    let dialect = if input.format.is_json() { Scanner::new(input, true).dialect } else { input.dialect() };
    let mut state = State::START;
    for (at, byte) in bytes.iter().enumerate() {
        let Some(edge) = state.push(*byte, dialect) else { continue };
        if edge == Edge::Record {
            records.push(bytes[start..=at].to_vec());
        }
        start = at + 1;
    }
    if state.line == Line::Text {
        records.push(bytes[start..].to_vec());
    }
    Some(records)
}

/// Where lines and elements end, and whether a record ends there.
fn ends(input: &Input, bytes: &[u8]) -> Vec<(usize, bool)> {
    let mut scanner = Scanner::new(input, true);
    let mut ends = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        match scanner.push(*byte).unwrap() {
            None => {}
            Some(Edge::Record) => ends.push((at + 1, true)),
            Some(Edge::RecordBefore) => ends.push((at, true)),
            Some(Edge::BlankLine) => ends.push((at + 1, false)),
        }
    }
    if scanner.array.is_none() && ends.last().is_none_or(|(end, _)| *end < bytes.len()) {
        ends.push((bytes.len(), scanner.state.line == Line::Text));
    }
    ends
}

/// The chunks and their number of records. Each chunk ends at the last end within its size or with its last record, but
/// has at least one record or blank line.
fn chunks_by_definition(input: &Input, limits: Limits, bytes: &[u8]) -> Vec<(Vec<u8>, u32)> {
    let mut ends = ends(input, bytes);
    let mut start = 0;
    if input.has_header() {
        let header = ends.iter().position(|(_, record)| *record).unwrap();
        start = ends[header].0;
        ends.drain(..=header);
    }
    let mut chunks = Vec::new();
    while !ends.is_empty() {
        let fits = |(at, (end, _)): (usize, &(usize, bool))| at == 0 || end - start <= limits.chunk_bytes;
        let mut taken = ends.iter().enumerate().take_while(|e| fits(*e)).count();
        let full =
            ends.iter().enumerate().filter(|(_, (_, record))| *record).nth(limits.chunk_rows as usize - 1);
        taken = taken.min(full.map_or(usize::MAX, |(at, _)| at + 1));
        let rows = ends[..taken].iter().filter(|(_, record)| *record).count() as u32;
        let end = ends[taken - 1].0;
        if rows > 0 {
            chunks.push((bytes[start..end].to_vec(), rows));
        }
        start = end;
        ends.drain(..taken);
    }
    chunks
}

/// Cuts the stream and checks all promises about the chunks.
#[track_caller]
fn agree(input: &Input, bytes: &[u8], chunk_bytes: usize, sizes: &[usize]) {
    let whole = cut(input, chunk_bytes, bytes, &[usize::MAX]);
    assert_eq!(whole, cut(input, chunk_bytes, bytes, sizes), "{input:?}");
    let Ok((header, chunks)) = whole else { return };
    let mut expected = by_definition(input, bytes).expect("what is cut is whole").into_iter();
    assert_eq!(header.is_some(), input.has_header());
    if let Some(header) = header {
        assert_line(&expected.next().unwrap(), &header, input);
    }
    let mut row = 1;
    let mut apart = Vec::new();
    for (i, chunk) in chunks.iter().enumerate() {
        assert_eq!((chunk.number as usize, chunk.first_row), (i, row));
        let found = records(input, &chunk.bytes);
        assert_eq!(found.len(), chunk.rows as usize, "{input:?}");
        for record in found {
            assert_line(&expected.next().unwrap(), &record, input);
            apart.push(record);
            row += 1;
        }
    }
    assert_eq!(expected.next(), None, "{input:?}");
    // split as one piece, the records are the same
    let joined: Vec<u8> = chunks.iter().flat_map(|c| c.bytes.clone()).collect();
    assert_eq!(records(input, &joined), apart);
}

/// Asserts that the record is its line without the line end.
#[track_caller]
fn assert_line(line: &[u8], record: &[u8], input: &Input) {
    let end = line.strip_prefix(record);
    let fits = end.is_some_and(|end| [&b""[..], b"\n", b"\r\n", b"\r"].contains(&end));
    assert!(fits, "{:?} is found as {:?} by {input:?}", line.escape_ascii(), record.escape_ascii());
}

fn any_input() -> impl Strategy<Value = Input> {
    let formats = vec![Format::Csv, Format::Tsv, Format::JsonLines, Format::Json];
    let chars = (
        prop::sample::select(vec![',', ';', '\t', 'b']),
        prop::sample::select(vec!['"', '\'', '\0']),
        prop::sample::select(vec![None, Some('\\'), Some('^'), Some('\'')]),
        prop::sample::select(vec![None, Some('#'), Some(';')]),
    );
    let rest = (prop::sample::select(formats), any::<bool>(), any::<bool>());
    let made =
        (chars, rest).prop_map(|((delimiter, quote, escape, comment), (format, header, any_end))| Input {
            line_end: if any_end { LineEnd::Any } else { LineEnd::Lf },
            ..Input { format, header, delimiter, quote, escape, comment, ..Input::default() }
        });
    made.prop_filter("usable settings", |input| input.problem().is_none())
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "\t",
        ",",
        ";",
        "\"",
        "'",
        "\"\"",
        "\\",
        "^",
        "\\\\",
        "\\\n",
        "^\r",
        "\\N",
        "#",
        "\n#",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\"x,\n\"",
        "'y;\r'",
        "bcdefgh,i\r\n",
        "\"q\",\"\"\"r\"\"\"\n",
        "é",
    ]);
    prop::collection::vec(piece, 0..120).prop_map(|p| p.concat().into_bytes())
}

fn array() -> impl Strategy<Value = Vec<u8>> {
    let element = prop::sample::select(vec![
        "{}",
        "{\"a\":1}",
        "{\n  \"a\": \"x,]}\\\"\"\r\n}",
        "{\"b\":{\"c\":[1,{}]}}",
        "1",
        "-2.5e3",
        "\"s]\\\\\"",
        "null",
        "[1,[2,\"]\"]]",
        "tr\"ue",
        "{\"a\":[}]}",
        "\"é\\u00e9\"",
    ]);
    let comma = prop::sample::select(vec![",", ",\n", " , ", "\r\n,", ",\t"]);
    let odd = prop::sample::select(vec!["", "", "", "", ",", "]", "[", "\"", "{", "\\", "x", "\n"]);
    (prop::collection::vec((element, comma), 0..40), odd, any::<prop::sample::Index>(), any::<bool>())
        .prop_map(|(elements, odd, at, end)| {
            let body: Vec<String> = elements.iter().map(|(e, c)| format!("{e}{c}")).collect();
            let last = elements.last().map_or(0, |(_, comma)| comma.len());
            let body = body.concat();
            let mut text = format!(" [{}]{}", &body[..body.len() - last], if end { "\n" } else { "" });
            let mut at = at.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, odd);
            text.into_bytes()
        })
}

fn any_file() -> impl Strategy<Value = (Input, Vec<u8>)> {
    any_input().prop_flat_map(|input| {
        let bytes = if input.format == Format::Json { array().boxed() } else { lines().boxed() };
        (Just(input), bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn chunks_of_any_dialect_hold_the_records_of_the_definition(
        (input, bytes) in any_file(),
        chunk_bytes in 1usize..200,
        sizes in prop::collection::vec(1usize..90, 1..6),
    ) {
        agree(&input, &bytes, chunk_bytes, &sizes);
    }

    #[test]
    fn chunks_of_any_dialect_end_where_the_definition_says(
        (input, bytes) in any_file(),
        limits in limits(),
        sizes in prop::collection::vec(1usize..90, 1..6),
    ) {
        let Ok((_, chunks)) = cut_by(&input, limits, &bytes, &sizes) else { return Ok(()) };
        let got: Vec<(Vec<u8>, u32)> = chunks.into_iter().map(|c| (c.bytes, c.rows)).collect();
        prop_assert_eq!(got, chunks_by_definition(&input, limits, &bytes));
    }

    #[test]
    fn a_stream_of_any_dialect_taken_up_again_gives_the_same_chunks(
        (input, bytes) in any_file(),
        limits in limits(),
        after in 0usize..8,
    ) {
        let Ok((_, chunks)) = cut_by(&input, limits, &bytes, &[50]) else { return Ok(()) };
        for again in taken_up_again(&input, limits, &bytes, after) {
            prop_assert_eq!(&again, &chunks);
        }
    }

    #[test]
    fn a_splitter_of_any_dialect_finds_the_same_records_on_every_level(
        (input, bytes) in any_input().prop_flat_map(|input| (Just(input), lines().boxed().prop_union(array().boxed()))),
        noise in any::<Vec<u8>>(),
    ) {
        records(&input, &bytes);
        records(&input, &noise);
    }
}

/// Every kind of dialect, each with records that use all of its special characters.
fn tricky() -> Vec<(Input, &'static str)> {
    let csv = Input { header: false, ..Input::default() };
    let any = Input { line_end: LineEnd::Any, ..csv.clone() };
    let escape = Input { escape: Some('\\'), ..csv.clone() };
    vec![
        (csv.clone(), "\",\n\"\"\",b\r\n\nc,\"\"\n"),
        (any.clone(), "\"\r\n\",b\r\r\nc,d\re\n\r"),
        (Input { escape: Some('^'), ..any }, "a^\r,^\n\"^\"\r\"\r\nb\r"),
        (escape.clone(), "\\\n\\\\,\"\\\"\n\",\\\"\r\nb\\\r\n"),
        (Input { format: Format::Tsv, quote: '\0', ..escape }, "\"\t\\\t\\\n\\N\n\n'\r\n"),
        (Input { comment: Some('#'), ..csv.clone() }, "a,#\n#\"\n\n#\r\n\"\n#\"\n\r#\n#"),
        (Input { format: Format::JsonLines, ..csv.clone() }, "{\"a\":\"\n\r\n\n}\r\n"),
        (Input { format: Format::Json, ..csv }, "{\"a\\\"\":[\"]\\\\\"]},\n1, \"\\\"\" ,{}"),
    ]
}

#[test]
fn records_may_end_anywhere_in_a_block_or_a_piece() {
    for (input, text) in tricky() {
        for pad in (0..140).chain(PIECE - 40..PIECE + 3) {
            let pad = "a".repeat(pad);
            let file = match input.format {
                Format::Json => format!("[\"{pad}\",{text}]"),
                _ => format!("{pad}\n{text}{text}"),
            };
            let sizes = if file.len() > 1000 { [PIECE] } else { [63] };
            agree(&input, file.as_bytes(), 1 << 20, &sizes);
        }
    }
}

#[test]
fn a_file_may_be_broken_between_any_two_bytes() {
    for (input, text) in tricky() {
        let file = if input.format == Format::Json {
            format!("\u{feff}[{text}]\n")
        } else {
            format!("\u{feff}{text}")
        };
        for at in 1..file.len() {
            for chunk_bytes in [1, 7, 1 << 20] {
                let whole = cut(&input, chunk_bytes, file.as_bytes(), &[usize::MAX]).unwrap();
                assert_eq!(cut(&input, chunk_bytes, file.as_bytes(), &[at, usize::MAX]).unwrap(), whole);
            }
        }
    }
}

#[test]
fn comments_and_blank_lines_before_the_header_are_skipped() {
    let input = Input { comment: Some('#'), ..Input::default() };
    for end in ["\n", "\r\n"] {
        let file = ["\u{feff}# made, \"by hand", "", "#", "a,#b", "1,2", "# end"].join(end);
        for size in [1, 1000] {
            let (header, chunks) = cut(&input, 1, file.as_bytes(), &[size]).unwrap();
            assert_eq!(header.as_deref(), Some(&b"a,#b"[..]));
            assert_eq!(chunks.iter().map(|c| (c.first_row, c.rows)).collect::<Vec<_>>(), [(1, 1)]);
            assert_eq!(chunks[0].bytes, format!("1,2{end}").as_bytes());
        }
    }
    assert_eq!(cut(&input, 10, b"# a\n#", &[1]).err(), Some(CutError::EmptyFile));
}

#[test]
fn a_header_may_end_with_a_carriage_return() {
    let input = Input { line_end: LineEnd::Any, ..Input::default() };
    for end in ["\r", "\n", "\r\n"] {
        let file = ["a,b", "1,2", "", "3,4"].join(end);
        let (header, chunks) = cut(&input, 1 << 20, file.as_bytes(), &[2]).unwrap();
        assert_eq!((header.as_deref(), chunks[0].rows), (Some(&b"a,b"[..]), 2), "{end:?}");
    }
    let escaped = Input { escape: Some('\\'), ..input };
    assert_eq!(cut(&escaped, 9, b"a\\\r", &[9]).unwrap().0.as_deref(), Some(&b"a\\\r"[..]));
}

#[test]
fn a_long_file_of_carriage_returns_is_told_which_setting_it_needs() {
    let file = "a,b\r1,2\r".repeat(MAX_RECORD_BYTES / 8 + 1);
    let error = cut(&Input::default(), 100, file.as_bytes(), &[1 << 16]).unwrap_err();
    assert_eq!((error.reason(), &error), ("HeaderMismatch", &CutError::ReturnInHeader));
    assert!(error.to_string().contains("lineEnd: any"));
    let long = vec![b'a'; MAX_RECORD_BYTES + 1];
    let error = cut(&Input::default(), 100, &long, &[1 << 16]).unwrap_err();
    assert_eq!(error, CutError::RecordTooLong { row: 0, limit: MAX_RECORD_BYTES });
}
